"""A detector that ultralytics saved: the boxes are those of ultralytics' own predict, to the bit."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml

from poseparity.bundle.bundle import DetectParameters
from poseparity.bundle.toml import weights_entry
from poseparity.compute.lanes import InPlace
from poseparity.errors import BundleError, ImportRefused
from poseparity.importing.parts import detector_part
from poseparity.importing.readers.yolo import read_detector
from poseparity.numerics import limit_threads
from poseparity.records import Size, VideoFile
from poseparity.settings import load_settings
from poseparity.stages import detect
from poseparity.stages.decode import frames, sampled_indices
from poseparity.startup import load_pipeline
from tests.conftest import DEMO_BUNDLE
from tests.integration.real_videos import REAL_VIDEOS, check_outcome
from training.outputs import CHECKPOINT, CONFIG
from training.rendering.motion import LABELS

POSEPARITY = Path(sys.executable).with_name("poseparity")
SHARE = 0.05
CONFIDENCE = 1e-5  # the weights are random: with a usual confidence nothing would be found, and nothing compared


@pytest.fixture(scope="module")
def some_frames(pipeline, demo_clip):
    """Two frames of the demo clip, decoded as the pipeline decodes them."""
    video = pipeline.stages[0](VideoFile(demo_clip))
    return [frame for _, frame in frames(video, wanted=frozenset({0, video.frame_count // 2}))]


@pytest.fixture(scope="module")
def official_boxes():
    """`YOLO(FILE).predict(...)`, what ultralytics' users call, on one frame a call as in the pipeline.

    Without its warm-up, which imports torchvision; see yolo.py.
    """
    from ultralytics import YOLO
    from ultralytics.nn.autobackend import AutoBackend

    def predict(path, images) -> list[np.ndarray]:
        options = {"imgsz": 640, "conf": CONFIDENCE, "iou": 0.7, "classes": [0], "device": "cpu", "verbose": False}
        yolo = YOLO(path)
        found = [yolo.predict(image, channels_last=False, **options)[0].boxes.data.numpy() for image in images]
        limit_threads()
        return found

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(AutoBackend, "warmup", lambda *_, **__: None)
        yield predict


def imported(path, demo_bundle, folder):
    """The demo bundle with the imported detector in the place of its own."""
    part = detector_part(path, None, "none")
    weights = {**demo_bundle.weights}
    for name, entry in part.write(folder).items():
        weights[name] = demo_bundle.weights[name].model_copy(update=entry)
    table = DetectParameters(**{**part.tables["detect"], "confidence": CONFIDENCE})
    return demo_bundle.model_copy(update={"folder": folder, "detect": table, "weights": weights})


@pytest.mark.parametrize("name", ["yolov8n", "yolo11n"])
def test_boxes_are_those_of_ultralytics(name, save, some_frames, official_boxes, demo_bundle, tmp_path):
    path = save(name)
    bundle = imported(path, demo_bundle, tmp_path)
    assert bundle.detect.person_class == 0
    assert len(bundle.detect.classes) == 80
    assert "AGPL-3.0" in bundle.weights["detector"].licence
    expected = official_boxes(path, some_frames)
    compare(detect.Detect(bundle, InPlace()), some_frames, expected)


def compare(stage: detect.Detect, images, expected: list[np.ndarray]) -> None:
    for image, boxes in zip(images, expected, strict=True):
        found = stage._predict(image).boxes
        assert len(boxes) > 0
        assert found.xyxy.numpy().tobytes() == np.ascontiguousarray(boxes[:, :4]).tobytes()
        assert found.conf.numpy().tobytes() == np.ascontiguousarray(boxes[:, 4]).tobytes()


@pytest.fixture(scope="module")
def by_command(save, restored, tmp_path_factory):
    """The demo bundle with yolov8n for its eyes, made by the command: the detector's file, and the pipeline."""
    path, output = save("yolov8n"), tmp_path_factory.mktemp("command") / "bundle"
    options = {
        "--recogniser-config": restored / CONFIG, "--recogniser-checkpoint": restored / CHECKPOINT,
        "--labels": ",".join(LABELS), "--detector": path, "--like": DEMO_BUNDLE, "--name": "v8n", "--licence": "none",
    }  # fmt: skip
    settings = (f"detect.confidence={CONFIDENCE}", f"detect.sample_share={SHARE}", "normalise.reference=skeleton")
    command = [POSEPARITY, "bundle", "import", output, *(part for option in options.items() for part in option)]
    done = subprocess.run(
        [*command, *(part for setting in settings for part in ("--set", setting))],
        capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "yolov8n.pt names none of its 80 classes" in done.stdout
    return path, load_pipeline(load_settings(bundle=output))


@pytest.mark.slow
def test_a_detector_by_command_finds_what_ultralytics_finds(by_command, some_frames, official_boxes):
    path, pipeline = by_command
    assert "AGPL-3.0" in pipeline.bundle.weights["detector"].licence
    compare(next(stage for stage in pipeline.stages if stage.name == "detect"), some_frames,
            official_boxes(path, some_frames))  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("name", REAL_VIDEOS)
def test_a_real_video_is_cropped_to_the_boxes_of_ultralytics(name, by_command, official_boxes, real_data):
    """Crop and counts follow from ultralytics' boxes; what the pose network makes of that need not be a person."""
    path, pipeline = by_command
    video = pipeline.stages[0](VideoFile(real_data / name))
    wanted = frozenset(sampled_indices(video.frame_count, SHARE))
    boxes = official_boxes(path, [frame for _, frame in frames(video, wanted=wanted)])
    check_outcome(pipeline, real_data / name, video, [found[:, :4] for found in boxes])


@pytest.mark.slow
def test_a_real_golf_swing_needs_no_detector(by_command, real_data):
    content, size = (real_data / "golf/skeleton2d.csv").read_bytes(), Size(1920, 1080)
    _, imported_pipeline = by_command
    answer = imported_pipeline.run_csv(content, frame_size=size)
    assert answer.skeleton.frame_count == 179
    assert np.isfinite(answer.prediction.scores).all()


def test_the_person_is_found_by_its_name(save):
    names = {index: "person" if index == 7 else f"thing {index}" for index in range(80)}
    detector = read_detector(save("yolov8n", names=names))
    assert detector.person_class == 7
    assert detector.notes == ()
    assert read_detector(save("yolov8n")).notes


def test_weights_are_the_half_precision_ones_as_float32(save, tmp_path):
    path = save("yolov8n")
    detector = read_detector(path)
    assert {value.dtype for value in detector.state.values()} == {torch.float32, torch.int64}
    part = detector_part(path, None, "none")
    entry = part.write(tmp_path)["detector"]
    assert entry == weights_entry(tmp_path / "detector.safetensors", source="yolov8n.pt", licence=entry["licence"])


def test_an_activation_is_code_and_is_refused(save, tmp_path):
    canary = tmp_path / "canary"
    path = save("yolov8n")
    content = torch.load(path, weights_only=False)
    content["model"].yaml["activation"] = f"__import__('pathlib').Path({str(canary)!r}).touch()"
    torch.save(content, path)
    with pytest.raises(ImportRefused, match="the architecture's activation is"):
        read_detector(path)
    assert not canary.exists()


@pytest.mark.parametrize("name", ["DetectionModel", "ClassificationModel", "PoseModel", "BaseModel"])
@pytest.mark.parametrize("by_path", [False, True])
def test_an_architecture_in_an_architecture_is_refused(save, tmp_path, name, by_path):
    """What ultralytics takes for a layer makes a model of its own, and evaluates that one's activation."""
    canary = tmp_path / "canary"
    inner = {"nc": 2, "activation": f"__import__('pathlib').Path({str(canary)!r}).touch()", "backbone": [], "head": []}
    (tmp_path / "inner.yaml").write_text(yaml.safe_dump(inner))
    row = [-1, 1, name, [str(tmp_path / "inner.yaml") if by_path else inner]]
    path = save("yolov8n", yaml={"nc": 80, "backbone": [row], "head": [[[0], 1, "Detect", ["nc"]]]})
    with pytest.raises(ImportRefused, match=rf"yolov8n\.pt: the architecture has the layer \[-1, 1, '{name}'"):
        read_detector(path)
    assert not canary.exists()


@pytest.mark.parametrize(
    "attributes, words",
    [
        ({"names": {0: "cat"}}, "yolov8n.pt finds cat, expected 'person' among them"),
        ({"names": {0: "person"}}, "does not fit its model: .* has shape"),
        ({"yaml": None}, "does not say what architecture it has"),
        ({"yaml": {"backbone": [[-1, 1, "parse_model", []]], "head": []}}, r"the layer \[-1, 1, 'parse_model', \[\]\]"),
        ({"yaml": {"backbone": [[-1, 10**9, "Conv", [8]]], "head": []}}, "the layer"),
    ],
)
def test_a_model_that_does_not_fit(save, attributes, words):
    with pytest.raises((ImportRefused, BundleError), match=words) as error:
        read_detector(save("yolov8n", **attributes))
    assert error.value.fix


def test_no_detector(tmp_path):
    torch.save({"model": {"a": torch.zeros(1)}}, tmp_path / "x.pt")
    with pytest.raises(ImportRefused, match=r"expected ultralytics\.nn\.tasks\.DetectionModel"):
        read_detector(tmp_path / "x.pt")
