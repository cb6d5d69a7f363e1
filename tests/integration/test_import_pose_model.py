"""A pose model that ultralytics saved: the keypoints are those of ultralytics' own predict, to the bit."""

from __future__ import annotations

from pathlib import Path
from unittest import mock

import numpy as np
import pytest
import torch

from poseparity.bundle.bundle import Bundle
from poseparity.compute.lanes import InPlace
from poseparity.engines.ultralytics_pose import UltralyticsEngine
from poseparity.errors import BundleError, ImportRefused
from poseparity.importing.parts import pose_part
from poseparity.importing.readers.yolo import read_pose_model
from poseparity.numerics import limit_threads
from poseparity.pipeline import Pipeline
from tests.bundle_variants import middle_of, variant

# The weights are random: with a usual confidence nobody would be found, and with that of most joints all would be.
CONFIDENCE, KEYPOINT_CONFIDENCE = 1e-5, 0.5
IMAGE_SIZE = 320


@pytest.fixture(scope="module")
def short_clip(demo_clip, tmp_path_factory) -> Path:
    return middle_of(demo_clip, tmp_path_factory.mktemp("clip") / "short.avi", frames=4)


@pytest.fixture(scope="module")
def crops() -> list[np.ndarray]:
    """A smooth picture and a rough one, of a crop's odd size."""
    random = np.random.default_rng(5)
    smooth = np.linspace(0, 255, 299 * 218 * 3).reshape(299, 218, 3).astype(np.uint8)
    return [smooth, random.integers(0, 256, (299, 218, 3), np.uint8)]


def imported(path: Path, demo_bundle: Bundle, folder: Path, **tables) -> Bundle:
    """The demo bundle with the imported pose model in the place of its own."""
    part = pose_part(path, None, "none")
    (folder / "bundle").mkdir()
    entries = part.write(folder / "bundle")
    changes = {"confidence": CONFIDENCE, "keypoint_confidence": KEYPOINT_CONFIDENCE, "image_size": IMAGE_SIZE}
    return variant(demo_bundle, folder / "bundle", weights=entries, pose={**part.tables["pose"], **changes}, **tables)


def official_keypoints(path: Path, images: list[np.ndarray]) -> list[np.ndarray]:
    """`YOLO(FILE).predict(...)`, what ultralytics' users call, one picture a call.

    Without its warm-up, which imports torchvision; see yolo.py.
    """
    from ultralytics import YOLO
    from ultralytics.nn.autobackend import AutoBackend

    yolo = YOLO(path)
    options = {"imgsz": IMAGE_SIZE, "conf": CONFIDENCE, "iou": 0.7, "classes": [0], "device": "cpu", "verbose": False}
    with mock.patch.object(AutoBackend, "warmup", lambda *_, **__: None):
        found = [yolo.predict(image, channels_last=False, **options)[0].keypoints.data.numpy() for image in images]
    limit_threads()
    return found


@pytest.mark.parametrize("name", ["yolov8n-pose", "yolo11n-pose"])
def test_keypoints_are_those_of_ultralytics(name, save, crops, demo_bundle, tmp_path):
    path = save(name)
    bundle = imported(path, demo_bundle, tmp_path)
    assert "AGPL-3.0" in bundle.weights["pose"].licence
    engine = UltralyticsEngine(bundle, InPlace())
    assert engine.describe()["weights_sha256"] == bundle.weights["pose"].sha256
    for persons, theirs in zip(engine.persons(iter(crops)), official_keypoints(path, crops), strict=True):
        expected = theirs.astype(np.float64)
        expected[expected[..., 2] < KEYPOINT_CONFIDENCE] = 0
        expected = expected[expected.any(axis=(1, 2))]
        assert persons.shape[0] > 1
        assert 0 < (persons[..., 2] == 0).mean() < 1, "some joints are missing and some are not"
        assert persons.tobytes() == expected.tobytes()
    stricter = bundle.model_copy(update={"pose": bundle.pose.model_copy(update={"confidence": 0.999})})
    engine = UltralyticsEngine(stricter, InPlace())
    assert [persons.shape for persons in engine.persons(iter(crops))] == [(0, 17, 3)] * 2


def test_a_bundle_with_a_pose_model_answers(save, demo_bundle, short_clip, tmp_path, real_data):
    tables = {"crop": {"strategy": "none"}, "quality": {"max_missing_share": 1}}
    bundle = imported(save("yolov8n-pose"), demo_bundle, tmp_path, **tables)
    pipeline = Pipeline(bundle, max_frames=1000, max_pixels=10**7)
    result = pipeline.run_video(short_clip)
    assert result.skeleton.frame_count == result.to_dict()["frames"]["several_persons"] == 4
    assert not result.skeleton.missing.all()
    golf = pipeline.run_csv((real_data / "golf/skeleton2d.csv").read_bytes())
    assert np.isfinite(golf.prediction.scores).all()


@pytest.mark.parametrize(
    "name, attributes, words",
    [
        ("yolov8n", {}, r"expected ultralytics\.nn\.tasks\.PoseModel"),
        ("yolov8n-pose", {"names": {0: "cat"}}, "finds cat, expected 'person' among them"),
        ("yolov8n-pose", {"yaml": None}, "does not say what architecture it has"),
    ],
)
def test_a_model_that_does_not_fit(name, attributes, words, save):
    with pytest.raises(ImportRefused, match=words) as error:
        pose_part(save(name, **attributes), None, "none")
    assert error.value.fix


def test_other_keypoints_than_cocos_are_refused(save):
    path = save("yolov8n-pose")
    content = torch.load(path, weights_only=False)
    content["model"].yaml["kpt_shape"] = [21, 3]
    torch.save(content, path)
    with pytest.raises((ImportRefused, BundleError), match=r"does not fit its model"):
        read_pose_model(path)
    from ultralytics import YOLO
    from ultralytics.nn.tasks import PoseModel

    hand = {**YOLO("yolov8n-pose.yaml").model.yaml, "kpt_shape": [21, 3]}
    yolo = YOLO("yolov8n-pose.yaml")
    yolo.model = PoseModel(hand, verbose=False)
    yolo.save(path)
    with pytest.raises(ImportRefused, match=r"has kpt_shape \[21, 3\], expected \[17, 3\]"):
        read_pose_model(path)


def test_the_licence_and_the_name_are_said(save):
    model = read_pose_model(save("yolov8n-pose"))
    assert model.person_class == 0
    assert model.notes == ("yolov8n-pose.pt names not its class: class 0 is taken for COCO's person",)
    assert "AGPL-3.0" in model.licence
    assert read_pose_model(save("yolov8n-pose", names={0: "person"})).notes == ()
