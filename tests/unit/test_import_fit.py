"""What `bundle import` takes from a config and a checkpoint, and each thing that it refuses, by name."""

from __future__ import annotations

import copy
import tomllib
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from poseparity.bundle import toml as manifest
from poseparity.cli.bundle_import import read_labels
from poseparity.errors import BundleError, ImportRefused
from poseparity.fetching.named import load_named
from poseparity.importing import overrides
from poseparity.importing.parts import (
    DETECTOR_URL,
    POSE_URL,
    ULTRALYTICS_POSE,
    detector_part,
    pose_part,
    recogniser_part,
)
from poseparity.importing.readers.config import TestConfig
from poseparity.importing.readers.inert import Checkpoint, read_checkpoint
from poseparity.importing.readers.mmaction2 import fit, state_of
from poseparity.stages.recognise import build_model
from tests.small_recogniser import MODEL, PIPELINE

LABELS = ("golf_swing", "other")


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    path = tmp_path_factory.mktemp("checkpoint") / "epoch_1.pth"
    torch.save({"state_dict": build_model(MODEL).state_dict(), "meta": {"epoch": 1}}, path)
    return path


def config(**changes) -> TestConfig:
    """The config above with `__`-separated places changed: model__neck, pipeline__1__dataset."""
    content = {"model": copy.deepcopy(MODEL), "pipeline": copy.deepcopy(PIPELINE)}
    for place, value in changes.items():
        *path, last = [int(part) if part.isdecimal() else part for part in place.split("__")]
        table = content
        for part in path:
            table = table[part]
        table[last] = value
    return TestConfig(**content)


def test_what_fits_is_taken(checkpoint):
    found = fit(config(), checkpoint, LABELS)
    assert found.transforms == PIPELINE
    assert found.model == MODEL
    assert found.joints == "coco17"
    assert not any("neck" in note for note in found.notes)
    assert "left out of epoch_1.pth: meta" in found.notes


def test_what_has_no_part_in_scoring_is_left_out(checkpoint):
    changed = config(
        model__train_cfg={"x": None},
        model__test_cfg=None,
        model__cls_head__loss_cls={"type": "TheirLoss"},
        model__backbone__init_cfg=None,
        model__backbone__pretrained="x.pth",
    )
    assert fit(changed, checkpoint, LABELS).model == MODEL


def test_a_graph_with_a_neck_says_where_the_neck_comes_from(tmp_path):
    changed = config(model__backbone__graph_cfg__layout="openpose", pipeline__1__dataset="openpose")
    torch.save(build_model(changed.model).state_dict(), tmp_path / "x.pth")
    found = fit(changed, tmp_path / "x.pth", LABELS)
    assert found.joints == "openpose18"
    assert any("the neck" in note and "middle of the shoulders" in note for note in found.notes)
    assert recogniser_part(found, tmp_path / "x.pth", "CC0-1.0").tables["normalise"]["joints"] == "openpose18"


def test_weights_of_17_joints_do_not_fit_a_graph_of_18(checkpoint):
    changed = config(model__backbone__graph_cfg__layout="openpose", pipeline__1__dataset="openpose")
    with pytest.raises(BundleError, match=r"epoch_1\.pth does not fit its model: .*has shape"):
        fit(changed, checkpoint, LABELS)


def without(name: str) -> list[dict]:
    return [step for step in PIPELINE if step["type"] != name]


@pytest.mark.parametrize("optional", ["PreNormalize2D", "GenSkeFeat"])
def test_a_pipeline_may_lack_what_is_optional(checkpoint, optional):
    assert fit(config(pipeline=without(optional)), checkpoint, LABELS).transforms == without(optional)


REFUSALS = {
    "another recognizer": ({"model__type": "Recognizer3D"}, "model is 'Recognizer3D', expected 'RecognizerGCN'"),
    "another backbone": ({"model__backbone__type": "AAGCN"}, "model.backbone is 'AAGCN', expected 'STGCN'"),
    "another head": ({"model__cls_head": None}, "model.cls_head is None, expected 'GCNHead'"),
    "a neck": ({"model__neck": {"type": "TPN"}}, "model.neck is set"),
    "openpose graph, coco features": (
        {"model__backbone__graph_cfg__layout": "openpose"},
        "the graph is 'openpose' with 18 joints, GenSkeFeat has dataset='coco'",
    ),
    "coco graph, openpose features": (
        {"pipeline__1__dataset": "openpose"},
        "the graph is 'coco' with 17 joints, GenSkeFeat has dataset='openpose'",
    ),
    "MMAction2's default features": (
        {"pipeline__1": {"type": "GenSkeFeat"}},
        r"the graph is 'coco' with 17 joints, GenSkeFeat has dataset='nturgb\+d'",
    ),
    "ntu": (
        {"model__backbone__graph_cfg__layout": "nturgb+d"},
        r"the graph is 'nturgb\+d', expected 'coco' with 17 joints or 'openpose' with 18 joints",
    ),
    "own graph": (
        {"model__backbone__graph_cfg__layout": {"num_node": 3, "inward": [], "center": 0}},
        "the graph is 'a graph of its own'",
    ),
    "labels": ({"model__cls_head__num_classes": 60}, "the model has 60 classes, 2 labels are given"),
    "features": ({"pipeline__1__feats": ["j", "b"]}, r"in_channels=3, the features \['j', 'b'\] give 6"),
    "unknown feature": ({"pipeline__1__feats": ["x"]}, r"feats=\['x'\]"),
    "random frames": ({"pipeline__2__test_mode": False}, "no test_mode=True"),
    "own transform": ({"pipeline__0__type": "MeanCentre"}, "the transform 'MeanCentre', which bundles do not run"),
    "theirs, not ours": ({"pipeline__0__type": "PoseCompact"}, "the transform 'PoseCompact'"),
    "twice": ({"pipeline__1__type": "PreNormalize2D"}, "holds PreNormalize2D twice"),
    "absent": ({"pipeline": without("PoseDecode")}, "lacks PoseDecode"),
    "order": ({"pipeline": PIPELINE[::-1]}, "has the order PackActionInputs"),
    "argument": ({"pipeline__4__people": 2}, "the test pipeline.people: Extra inputs are not permitted, found 2"),
    "None": ({"pipeline__2__clip_len": None}, "UniformSampleFrames.clip_len is None"),
    "nested None": ({"model__backbone__graph_cfg__max_hop": None}, "graph_cfg.max_hop is None"),
    "model argument": ({"model__backbone__colour": 2}, "model.backbone.colour: Extra inputs are not permitted"),
    "people": (
        {"model__backbone__data_bn_type": "MVC", "pipeline__4__num_person": 1},
        "num_person=1, the backbone 2",
    ),
}


@pytest.mark.parametrize("name", REFUSALS)
def test_what_does_not_fit_is_refused_in_one_line(checkpoint, name):
    changes, words = REFUSALS[name]
    with pytest.raises(ImportRefused, match=words) as error:
        fit(config(**changes), checkpoint, LABELS)
    assert error.value.fix
    assert "\n" not in str(error.value)


def test_weights_of_another_model_are_refused_by_name(checkpoint):
    with pytest.raises(BundleError, match=r"epoch_1\.pth does not fit its model: backbone.* has shape"):
        fit(config(model__backbone__base_channels=4, model__cls_head__in_channels=8), checkpoint, LABELS)


A = torch.zeros(1)


@pytest.mark.parametrize(
    "content",
    [
        {"state_dict": {"a": A}, "ema_state_dict": {"a": A + 1}, "optimizer": {"state": {}}},
        {"state_dict": {"module.a": A}},
        {"ema_state_dict": {"module.a": A, "steps": A}},
        {"model_ema": {"module.module.a": A}},
        {"model": {"a": A}},
        {"a": A},
        {"state_dict": {"a": A, "ema_a": A + 1}},
    ],
)
def test_weights_are_found_wherever_they_are_kept(tmp_path, content):
    torch.save(content, tmp_path / "x.pth")
    state, _ = state_of(read_checkpoint(tmp_path / "x.pth"))
    assert state == {"a": A}


@pytest.mark.parametrize("content", [[1], {"state_dict": {"a": 1}}, {"meta": {}}, {1: A}])
def test_no_weights(tmp_path, content):
    with pytest.raises(ImportRefused, match=r"expected a dict of tensors under one of state_dict"):
        state_of(Checkpoint(tmp_path / "x.pth", content, ()))


keys = st.text(min_size=1, max_size=5)
scalars = st.booleans() | st.integers(-(2**60), 2**60) | st.floats(allow_nan=False) | st.text(max_size=10)
values = st.recursive(scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=3))


@given(st.dictionaries(keys, values, max_size=5))
def test_toml_that_is_written_is_read_back_equal(table):
    assert tomllib.loads(manifest.dump(table)) == table


def test_a_type_that_toml_lacks_is_refused():
    with pytest.raises(TypeError, match="NoneType"):
        manifest.dump({"a": None})


def test_parameters_are_set_in_one_way():
    settings = ["crop.padding=0.10", "normalise.reference=crop", "detect.image_size = 320"]
    assert overrides.parse(settings) == {
        "crop": {"padding": 0.1},
        "normalise": {"reference": "crop"},
        "detect": {"image_size": 320},
    }


def test_of_a_table_from_a_file_one_key_is_set_and_the_others_stay():
    changes = overrides.parse(["pose.network.convolution=direct", "pose.net_height=184"])
    assert changes == {"pose": {"network": {"convolution": "direct"}, "net_height": 184}}
    table = {"engine": "openpose", "net_height": 368, "network": {"kind": "coco", "convolution": "fast"}}
    assert overrides.with_changes(table, changes["pose"]) == {
        "engine": "openpose",
        "net_height": 184,
        "network": {"kind": "coco", "convolution": "direct"},
    }


def test_a_key_that_the_pose_engine_does_not_have_is_refused_with_its_table():
    yolo = {"engine": "ultralytics", "architecture": "pose.yaml", "classes": ["person"], "person_class": 0}
    table = overrides.with_changes({**yolo, **ULTRALYTICS_POSE}, {"network": {"convolution": "direct"}})
    with pytest.raises(ImportRefused, match=r"pose\.network: Extra inputs are not permitted"):
        overrides.check({"pose": table})


@pytest.mark.parametrize(
    "settings, words",
    [
        (["crop.pading=1"], "no such parameter"),
        (["cropping.padding=1"], "no such parameter"),
        (["crop"], "no such parameter"),
        (["crop.padding"], "no such parameter"),
        (["normalise.transforms=[]"], "no such parameter"),
        (["normalise.joints=openpose18"], "no such parameter"),
        (["pose.network={}"], "no such parameter"),
        (["pose.network.kind=small"], "no such parameter"),
        (["pose.network.convolution=fast", "pose.network.convolution=direct"], "given twice"),
        (["crop.padding=1", "crop.padding=2"], "given twice"),
    ],
)
def test_a_parameter_that_cannot_be_set(settings, words):
    with pytest.raises(ImportRefused, match=words) as error:
        overrides.parse(settings)
    assert error.value.fix


def test_labels_from_a_file_or_from_names(tmp_path):
    path = tmp_path / "labels.txt"
    path.write_text("golf swing\nother\n\n")
    assert read_labels(str(path)) == ("golf swing", "other")
    assert read_labels("a, b") == ("a", "b")


@pytest.mark.parametrize("text, words", [("a", "no file, or has one name"), ("a,,b", "empty name"), ("a,a", "twice")])
def test_bad_labels(text, words):
    with pytest.raises(ImportRefused, match=words):
        read_labels(text)


def test_many_labels_are_no_file_name():
    """Together they are longer than a path may be, which the system tells by an error."""
    names = [f"an action of many words, number {index}".replace(",", "") for index in range(200)]
    assert read_labels(",".join(names)) == tuple(names)


@pytest.mark.parametrize(
    "part, words, url",
    [
        (lambda: detector_part(None, None, "x"), "no detector is given", DETECTOR_URL),
        (lambda: detector_part(Path("yolov8n.pt"), None, "x"), r"--detector yolov8n\.pt is no file", DETECTOR_URL),
        (lambda: pose_part(None, None, "x"), "no pose network is given", POSE_URL),
        (lambda: pose_part(Path("pose.caffemodel"), None, "x"), r"--pose pose\.caffemodel is no file", POSE_URL),
    ],
)
def test_where_to_get_a_file_is_said_where_it_is_missing(part, words, url, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ImportRefused, match=words) as error:
        part()
    assert url in error.value.fix


def test_these_addresses_are_those_of_the_named_bundles():
    files = load_named("ntu60-stgcn").files
    assert files["detector"].urls[0] == DETECTOR_URL and files["pose"].urls[0] == POSE_URL
