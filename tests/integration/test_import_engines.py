"""`bundle import` with each pose engine and crop strategy: a bundle that loads and answers.

The recogniser is made here and says one class of whatever it sees: what it is imported with is under test.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import torch

from poseparity.bundle.bundle import load_bundle
from poseparity.engines.openpose.coco import convolutions
from poseparity.errors import EngineError, ImportRefused
from poseparity.importing import overrides
from poseparity.importing.assemble import Request
from poseparity.importing.parts import detector_part
from poseparity.stages.recognise import build_model
from tests.bundle_variants import middle_of, variant
from tests.conftest import DEMO_BUNDLE
from tests.integration.caffe_files import random_layers, write_caffemodel
from tests.mmaction2_bundles import import_by_fork
from tests.openpose_for_tests import install
from tests.small_recogniser import MODEL, PIPELINE

# Each import loads its bundle, and answers with it.
pytestmark = pytest.mark.slow

CONFIG = f"""
default_scope = 'mmaction'
model = {MODEL}
test_pipeline = {PIPELINE}
test_dataloader = dict(dataset=dict(type='PoseDataset', ann_file='', pipeline=test_pipeline))
"""
ANYTHING_GOES = ("quality.max_missing_share=1",)


@pytest.fixture(scope="module")
def request_for(demo_clip, tmp_path_factory):
    """A request with a config, a checkpoint and a clip of four frames."""
    folder = tmp_path_factory.mktemp("recogniser")
    torch.manual_seed(1)
    state = build_model(MODEL).state_dict()
    state["cls_head.fc.bias"] = torch.tensor([100.0, -100.0])
    torch.save({"state_dict": state}, folder / "epoch_1.pth")
    (folder / "config.py").write_text(CONFIG)
    clip = middle_of(demo_clip, folder / "clip.avi", frames=4)

    def request(output: Path, *settings: str, **changes) -> Request:
        values = {
            "output": output, "name": "mine", "version": "1", "licence": "CC0-1.0", "labels": ("yes", "no"),
            "recogniser_config": folder / "config.py", "recogniser_checkpoint": folder / "epoch_1.pth",
            "clip": clip, "clip_label": "yes", "settings": (*ANYTHING_GOES, *settings),
        }  # fmt: skip
        return Request(**{**values, **changes})

    return request


def test_a_parameter_of_another_strategy_is_refused():
    with pytest.raises(ImportRefused, match=r"crop\.padding: Extra inputs"):
        overrides.check({"crop": {"strategy": "none", "padding": 0.1}})


def test_openposes_executable_on_the_whole_frame(request_for, demo_bundle, tmp_path, monkeypatch):
    executable, models = install(tmp_path, demo_bundle.folder / demo_bundle.weights["pose"].file)
    monkeypatch.setenv("POSEPARITY_OPENPOSE_BINARY", str(executable))
    monkeypatch.setenv("POSEPARITY_OPENPOSE_MODELS", str(models))
    settings = ("crop.strategy=none", "pose.number_people_max=1", "pose.net_resolution=-1x176")
    notes = import_by_fork(request_for(tmp_path / "bundle", *settings, pose_engine="openpose-binary"))
    bundle = load_bundle(tmp_path / "bundle")
    assert bundle.weights.keys() == {"recogniser"} and bundle.detect is None
    assert (bundle.pose.version, bundle.pose.number_people_max) == ("openpose_for_tests.bin", 1)
    assert bundle.pose.executable_sha256 and bundle.pose.model_sha256
    assert f"pose: {executable}, which says 'openpose_for_tests.bin'" in notes
    assert "the clip is recognised as 'yes' (1.0000)" in notes
    with pytest.raises(ImportRefused, match="is given for an engine that has its own weights"):
        import_by_fork(request_for(tmp_path / "x", pose_engine="openpose-binary", pose=models, like=bundle.folder))


def test_a_pose_model_of_ultralytics_in_two_passes(request_for, tmp_path):
    os.environ.setdefault("YOLO_OFFLINE", "true")
    from ultralytics import YOLO

    torch.manual_seed(3)
    YOLO("yolov8n-pose.yaml").save(tmp_path / "yolov8n-pose.pt")
    settings = ("crop.strategy=two_pass", "crop.sample_share=0.5", "pose.confidence=1e-5", "pose.image_size=160")
    import_by_fork(request_for(tmp_path / "bundle", *settings, pose=tmp_path / "yolov8n-pose.pt"))
    bundle = load_bundle(tmp_path / "bundle")
    assert bundle.weights.keys() == {"pose", "recogniser"} and bundle.detect is None
    assert bundle.pose.engine == "ultralytics" and bundle.crop.sample_share == 0.5
    assert {path.name for path in bundle.folder.iterdir()} == {
        "bundle.toml", "clip.avi", "golden", "pose.safetensors", "pose.yaml", "recogniser.safetensors"
    }  # fmt: skip


def test_openposes_caffe_file_in_two_passes_with_the_padding_of_another_bundle(request_for, tmp_path):
    path = write_caffemodel(tmp_path / "model.caffemodel", random_layers(convolutions(), seed=5))
    settings = (
        "crop.strategy=two_pass", "pose.net_height=64", "pose.paf_share=0.0", "pose.min_parts=1", "pose.min_score=0.0"
    )  # fmt: skip
    import_by_fork(request_for(tmp_path / "bundle", *settings, pose=path, like=DEMO_BUNDLE))
    path.unlink()
    bundle = load_bundle(tmp_path / "bundle")
    assert (bundle.pose.engine, bundle.pose.network) == ("openpose", {"kind": "coco", "convolution": "fast"})
    assert (bundle.crop.padding, bundle.crop.sample_share) == (load_bundle(DEMO_BUNDLE).crop.padding, 0.25)
    (bundle.folder / "pose.safetensors").unlink()


def test_a_bundle_without_a_detector_cannot_give_one(demo_bundle, tmp_path):
    like = variant(demo_bundle, tmp_path / "bundle", crop={"strategy": "none"})
    with pytest.raises(ImportRefused, match=r"of --like has no detector: its crop\.strategy is 'none'"):
        detector_part(None, like, "none")


@pytest.mark.parametrize(
    "settings, changes, words",
    [
        (["crop.strategy=none"], {"detector": Path(__file__)}, "--detector is given, and crop.strategy is 'none'"),
        (["crop.strategy=middle"], {}, "--set crop.strategy=middle: no such strategy"),
        (["crop.strategy=[1]"], {}, r"--set crop\.strategy=\[1\]: no such strategy"),
        (["crop.strategy=none", "detect.iou=0.5"], {}, "--set detect. is given, and crop.strategy is 'none'"),
        (["pose.engine=ultralytics"], {}, "--set pose.engine=ultralytics: no such parameter"),
        ([], {"pose_engine": "openpose-binary"}, "POSEPARITY_OPENPOSE_BINARY is unset"),
        ([], {"like": None}, "no pose network is given"),
    ],
)
def test_what_does_not_belong_together(settings, changes, words, request_for, tmp_path):
    with pytest.raises((ImportRefused, EngineError), match=words) as error:
        import_by_fork(request_for(tmp_path / "bundle", *settings, **{"like": DEMO_BUNDLE, **changes}))
    assert error.value.fix
    assert not (tmp_path / "bundle").exists()
