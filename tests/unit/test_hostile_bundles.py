"""Bundles that run code, point outside of themselves, or hold what is no weight: each is refused, and nothing ran."""

from __future__ import annotations

import copy
import hashlib
import json
import os
import shutil
import struct
import time
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from poseparity.bundle.bundle import MANIFEST, Golden, load_bundle
from poseparity.bundle.mmaction2_types import TRANSFORMS, check_model, check_transform
from poseparity.bundle.toml import dump
from poseparity.cli import main as cli
from poseparity.compute.lanes import InPlace
from poseparity.errors import BundleError, PoseParityError
from poseparity.golden.replay import compared, read_golden
from poseparity.records import NormalisedClips
from poseparity.settings import load_settings
from poseparity.stages.normalise import _build
from poseparity.stages.recognise import Recognise, build_model
from poseparity.startup import load_pipeline
from poseparity.trace.writing import read_trace
from tests.conftest import DEMO_BUNDLE
from tests.small_recogniser import MODEL, PIPELINE

CALL = {"type": "os.system", "command": "touch CANARY"}
LINE = "__import__('os').system('touch CANARY')"


@pytest.fixture(scope="module")
def copied(tmp_path_factory) -> Path:
    return Path(shutil.copytree(DEMO_BUNDLE, tmp_path_factory.mktemp("hostile") / "bundle"))


@pytest.fixture
def bundle(copied):
    """A copy of the demo bundle, whole again after the test."""
    kept = {name: (copied / name).read_bytes() for name in (MANIFEST, "detector.yaml")}
    before = {path.name for path in copied.iterdir()}
    yield copied
    for name, content in kept.items():
        (copied / name).unlink(missing_ok=True)
        (copied / name).write_bytes(content)
    for path in copied.iterdir():
        if path.name not in before:
            path.unlink()


def tables() -> dict[str, Any]:
    return tomllib.loads((DEMO_BUNDLE / MANIFEST).read_text(encoding="utf-8"))


def changed(place: str, value: Any) -> dict[str, Any]:
    """The demo's tables with a value at a place: recognise.model.backbone.type, normalise.transforms.0.type."""
    content = tables()
    *path, last = place.split(".")
    table = content
    for part in path:
        table = table[int(part)] if isinstance(table, list) else table.setdefault(part, {})
    table[int(last) if isinstance(table, list) else last] = value
    return content


# A place in bundle.toml, and what stands there. CANARY is a file that must not appear.
MMENGINE = [
    ("normalise.transforms.0.type", "os.system"),
    ("normalise.transforms.0", CALL),
    ("normalise.transforms.0", {"type": "builtins.eval", "source": LINE}),
    ("normalise.transforms.0", {"type": "subprocess.call", "args": ["touch", "CANARY"]}),
    ("normalise.transforms.0", {"type": "mmaction.os.system"}),
    ("normalise.transforms.0", {"type": "mmengine.utils.package_utils.install_package"}),
    ("normalise.transforms.0", {"type": "torch.hub.load", "repo_or_dir": "/tmp"}),
    ("normalise.transforms.0", {"type": "numpy.load", "file": "x.npy", "allow_pickle": True}),
    ("normalise.transforms.0", {"type": "Compose", "transforms": [CALL]}),
    ("normalise.transforms.0", {"type": "mmcv.transforms.wrappers.RandomApply", "transforms": [CALL]}),
    ("normalise.transforms.0", {"type": "PytorchVideoWrapper", "op": "os.system"}),
    ("normalise.transforms.0", {"type": "TorchVisionWrapper", "op": "os.system"}),
    ("normalise.transforms.0", {"type": "ImgAug", "transforms": [CALL]}),
    ("normalise.transforms.0", {"type": "LoadHVULabel"}),
    ("normalise.transforms.0", {"type": "mmaction.PreNormalize2D"}),
    ("normalise.transforms.0", {"type": "PreNormalize2D", "_scope_": "os"}),
    ("normalise.transforms.0", {"type": "PreNormalize2D", "_delete_": True}),
    ("normalise.transforms.0", {"type": "PreNormalize2D", "img_shape": CALL}),
    ("normalise.transforms.0", {"type": ["PreNormalize2D"]}),
    ("normalise.transforms.0", {"type": {"type": "os.system"}}),
    ("normalise.transforms.0", {}),
    ("normalise.transforms.2", {"type": "UniformSampleFrames", "clip_len": 10**9}),
    ("normalise.transforms.2", {"type": "UniformSampleFrames", "clip_len": 10, "num_clips": 10**9}),
    ("normalise.transforms.2", {"type": "UniformSampleFrames", "clip_len": True}),
    ("normalise.transforms.4", {"type": "FormatGCNInput", "num_person": 10**9}),
    ("normalise.transforms.5", {"type": "PackActionInputs", "collect_keys": ["keypoint"]}),
    ("normalise.transforms.5", {"type": "PackActionInputs", "meta_keys": [LINE]}),
    ("recognise.model.type", "os.system"),
    ("recognise.model.type", "Recognizer3D"),
    ("recognise.model._scope_", "mmpose"),
    ("recognise.model._delete_", True),
    ("recognise.model._target_", "os.system"),
    ("recognise.model.data_preprocessor", CALL),
    ("recognise.model.data_preprocessor", {"type": "ActionDataPreprocessor", "blending": CALL}),
    ("recognise.model.neck", CALL),
    ("recognise.model.train_cfg", {"blending": CALL}),
    ("recognise.model.test_cfg", CALL),
    ("recognise.model.test_cfg", {"feature_extraction": True}),
    ("recognise.model.init_cfg", {"type": "Pretrained", "checkpoint": "http://127.0.0.1:9/x.pth"}),
    ("recognise.model.backbone", CALL),
    ("recognise.model.backbone.type", "torchvision.models.resnet18"),
    ("recognise.model.backbone.type", "mmcls.STGCN"),
    ("recognise.model.backbone.pretrained", "CANARY"),
    ("recognise.model.backbone.init_cfg", {"type": "Pretrained", "checkpoint": "CANARY"}),
    ("recognise.model.backbone.init_cfg", [CALL]),
    ("recognise.model.backbone.gcn_init_cfg", CALL),
    ("recognise.model.backbone.tcn_init_cfg", CALL),
    ("recognise.model.backbone.gcn_norm", "os.system"),
    ("recognise.model.backbone.gcn_norm", CALL),
    ("recognise.model.backbone.gcn_act", CALL),
    ("recognise.model.backbone.gcn_act", {"type": "ReLU", "command": LINE}),
    ("recognise.model.backbone.tcn_norm", {"type": "os.system"}),
    ("recognise.model.backbone.tcn_type", "eval"),
    ("recognise.model.backbone.tcn_ms_cfg", LINE),
    ("recognise.model.backbone.tcn_ms_cfg", [["max", LINE]]),
    ("recognise.model.backbone.tcn_dropout", [CALL] * 6),
    ("recognise.model.backbone.graph_cfg", CALL),
    ("recognise.model.backbone.graph_cfg.mode", "__class__"),
    ("recognise.model.backbone.graph_cfg.mode", "set_layout"),
    ("recognise.model.backbone.graph_cfg.layout", {"num_node": 10**9, "inward": [], "center": 0}),
    ("recognise.model.backbone.graph_cfg.max_hop", 10**9),
    ("recognise.model.backbone.num_stages", 10**9),
    ("recognise.model.backbone.base_channels", 10**9),
    ("recognise.model.backbone.base_channels", 4096),
    ("recognise.model.backbone.ch_ratio", 10**9),
    ("recognise.model.backbone.in_channels", -1),
    ("recognise.model.cls_head", CALL),
    ("recognise.model.cls_head", "GCNHead"),
    ("recognise.model.cls_head.loss_cls", CALL),
    ("recognise.model.cls_head.init_cfg", CALL),
    ("recognise.model.cls_head.num_classes", 10**9),
    ("recognise.model.cls_head.in_channels", 10**9),
    ("recognise.model.cls_head.dropout", float("nan")),
    ("recognise.model.cls_head.average_clips", "eval"),
    ("recognise.model", []),
    ("recognise.model", {"type": "RecognizerGCN"}),
]  # fmt: skip
PATHS = [
    (place, path)
    for place in ("detect.architecture", "demo.clip", "golden.0.input", "golden.0.trace", "weights.pose.file")
    for path in (
        "/etc/passwd",
        "../clip.mp4",
        "golden/../../x",
        ".hidden",
        "a/b",
        "",
        "..",
        "x\x00y",
        "~root",
        "a" * 5000,
    )
]
NUMBERS = [
    ("detect.image_size", 10**9 * 32),
    ("detect.confidence", float("nan")),
    ("pose.net_height", 10**9 * 8),
    ("pose.min_score", float("inf")),
    ("pose.network.width", 10**9),
    ("pose.network.depth", 10**9),
    ("pose.network.refinements", 10**9),
    ("pose.network.stem", [10**9, 10**9]),
    ("pose.network.kind", {"kind": "small"}),
    ("pose.network", {"kind": "os.system"}),
    ("crop.padding", float("nan")),
    ("format", 10**30),
]


def refused(folder: Path, words: str | None = None) -> None:
    """By load_bundle or by the pipeline: with two lines, quickly, and without a trace of what it wanted."""
    canary, began = folder / "canary", time.perf_counter()
    with pytest.raises(BundleError, match=words) as error:
        load_pipeline(load_settings(bundle=folder))
    assert error.value.fix and "\n" not in str(error.value) and "\n" not in error.value.fix
    assert len(str(error.value)) < 700
    assert time.perf_counter() - began < 10
    assert not canary.exists() and not Path("CANARY").exists()


def with_canary(value: Any, canary: Path) -> Any:
    if isinstance(value, dict):
        return {key: with_canary(child, canary) for key, child in value.items()}
    if isinstance(value, list):
        return [with_canary(child, canary) for child in value]
    return value.replace("CANARY", str(canary)) if isinstance(value, str) else value


@pytest.mark.parametrize("place, value", [*MMENGINE, *PATHS, *NUMBERS], ids=lambda part: repr(part)[:60])
def test_what_is_on_no_list_is_refused(bundle, place, value):
    content = changed(place, with_canary(value, bundle / "canary"))
    (bundle / MANIFEST).write_text(dump(content), encoding="utf-8")
    refused(bundle)


@pytest.mark.parametrize("place, value", [each for each in MMENGINE if "transforms" in each[0]], ids=repr)
def test_a_stage_holds_its_own_transforms_to_the_list(place, value):
    """However a table came there, mmengine is not asked what it means."""
    table = changed(place, value)["normalise"]["transforms"][int(place.split(".")[2])]
    with pytest.raises(BundleError):
        _build(table)


@pytest.mark.parametrize("place, value", [each for each in MMENGINE if each[0].startswith("recognise")], ids=repr)
def test_a_stage_holds_its_own_model_to_the_list(place, value):
    table = changed(place, value)["recognise"]["model"]
    if value != 4096:  # a number that is on the list, and does not fit the weights
        with pytest.raises(BundleError):
            build_model(table)


def test_these_attacks_work_on_mmengine(tmp_path):
    from mmengine.registry import build_from_cfg

    from poseparity.libraries.mmaction2 import registries

    build_from_cfg(with_canary(CALL, tmp_path / "canary"), registries().TRANSFORMS)
    assert (tmp_path / "canary").exists()


TOML = {
    "brackets": "x = " + "[" * 100_000,
    "tables": "x = " + "{a=" * 10_000,
    "a long key": ".".join("a" * 50_000) + " = 1",
    "many long keys": "\n".join(".".join("a" * 190) + f".b{index} = 1" for index in range(500)),
    "a deep table": "[" + ".".join("a" * 150) + "]",
    "large": "#" * 300_000,
    "a long number": "x = " + "9" * 9000,
    "a long hexadecimal number": "format = 0x" + "f" * 9000,
    "no date": "x = 2020-99-99",
    "no text": bytes(range(256)),
    "utf-16": "format = 1".encode("utf-16"),
    "empty": "",
    "folder": "folder = '/'\nsha256 = 'x'",
    "a table for a value": "name = {}\nweights = 7\nlabels = []",
}


@pytest.mark.parametrize("name", TOML)
def test_toml_that_is_no_bundle_is_refused(bundle, name):
    content = TOML[name]
    (bundle / MANIFEST).write_bytes(content if isinstance(content, bytes) else content.encode())
    refused(bundle, r"bundle\.toml")


FILES = {
    "architecture runs code": "activation: __import__('os').system('touch CANARY')\nnc: 1\nbackbone: []\nhead: []",
    "architecture is a program": "!!python/object/apply:os.system ['touch CANARY']",
    "architecture of another model": "nc: 1\nbackbone: [[-1, 1, Conv, [8, 3, 2]]]\nhead: [[[0], 1, Detect, [nc]]]",
    "architecture is text": "hello",
    "architecture is empty": "",
    "architecture is deep": "[" * 50_000,
    "architecture is a picture": b"\x89PNG\r\n\x1a\n" + bytes(100),
    "architecture is a pickle": b"cposix\nsystem\n(S'touch CANARY'\ntR.",
}  # fmt: skip


@pytest.mark.parametrize("name", FILES)
def test_a_foreign_architecture_is_refused(bundle, name):
    content = FILES[name]
    content = content if isinstance(content, bytes) else content.replace("CANARY", str(bundle / "canary")).encode()
    (bundle / "detector.yaml").write_bytes(content)
    refused(bundle, r"detector\.yaml")


@pytest.mark.parametrize("name", ["detector.yaml", "clip.mp4", "pose.safetensors"])
@pytest.mark.parametrize("target", ["outside", "nowhere", "itself", "pipe", "folder"])
def test_a_file_that_is_none_of_the_bundle_is_refused(bundle, tmp_path, name, target):
    path, kept = bundle / name, tmp_path / "kept"
    shutil.move(path, kept)
    try:
        if target == "pipe":
            os.mkfifo(path)
        elif target == "folder":
            path.mkdir()
        else:
            path.symlink_to({"outside": kept, "nowhere": tmp_path / "nothing", "itself": path}[target])
        if (name, target) in {("clip.mp4", "pipe"), ("clip.mp4", "folder")}:
            with pytest.raises(BundleError):
                load_pipeline(load_settings(bundle=bundle)).warm_up()
        else:
            refused(bundle, rf"{name}")
    finally:
        shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
        shutil.move(kept, path)


# --- weights ---------------------------------------------------------------------------------------------------------


def header(text: str) -> bytes:
    return struct.pack("<Q", len(text)) + text.encode()


def entry(**changes) -> str:
    return json.dumps({"a": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4], **changes}})


DAMAGED = {
    "empty": b"",
    "no header": bytes(3),
    "a header without end": struct.pack("<Q", 2**63) + b"{}",
    "a header of zeros": struct.pack("<Q", 100) + bytes(100),
    "no JSON": header("hello"),
    "deep": header("[" * 100_000),
    "outside": header(entry(data_offsets=[0, 2**40])) + bytes(4),
    "backwards": header(entry(data_offsets=[4, 0])) + bytes(4),
    "a shape of more": header(entry(shape=[2**40])) + bytes(4),
    "an unknown type": header(entry(dtype="PICKLE")) + bytes(4),
    "a pickle": b"cposix\nsystem\n(S'id'\ntR.",
    "cut": lambda content: content[: len(content) // 2],
    "more": lambda content: content + b"more",
    "nothing in it": header("{}"),
}  # fmt: skip


def put_weights(folder: Path, name: str, content: bytes) -> None:
    """Weights whose hash is right: what is in them is wrong."""
    (folder / f"mine-{name}.safetensors").write_bytes(content)
    table = tables()
    table["weights"][name] |= {
        "file": f"mine-{name}.safetensors",
        "bytes": max(1, len(content)),
        "sha256": hashlib.sha256(content).hexdigest(),
    }
    (folder / MANIFEST).write_text(dump(table), encoding="utf-8")


@pytest.mark.parametrize("weights", ["recogniser", "detector", "pose"])
@pytest.mark.parametrize("name", DAMAGED)
def test_damaged_weights_with_a_right_hash_are_refused(bundle, name, weights):
    content = DAMAGED[name]
    original = (DEMO_BUNDLE / f"{weights}.safetensors").read_bytes()
    put_weights(bundle, weights, content(original) if callable(content) else content)
    refused(bundle, rf"mine-{weights}\.safetensors")


@pytest.mark.parametrize("weights", ["recogniser", "detector", "pose"])
@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_that_are_no_numbers_are_refused_by_name(bundle, tmp_path, weights, value):
    state = load_file(DEMO_BUNDLE / f"{weights}.safetensors")
    name = next(name for name, tensor in state.items() if tensor.is_floating_point())
    state[name].view(-1)[-1] = value
    save_file(state, tmp_path / "x")
    put_weights(bundle, weights, (tmp_path / "x").read_bytes())
    refused(bundle, rf"values in {name} that are infinite or no number")


def test_scores_that_are_no_numbers_are_told_and_not_printed(bundle, tmp_path):
    """Finite weights can make them: each is a number, and their products are not."""
    state = load_file(DEMO_BUNDLE / "recogniser.safetensors")
    state["cls_head.fc.weight"].fill_(3e38)
    save_file(state, tmp_path / "x")
    put_weights(bundle, "recogniser", (tmp_path / "x").read_bytes())
    stage = Recognise(load_bundle(bundle), InPlace())
    clips = NormalisedClips(inputs=np.ones((2, 2, 48, 17, 3), np.float32), sample=_sample(), reference=(0, 0, 1, 1))
    with pytest.raises(BundleError, match=r"stage recognise: the logits are \[(nan|inf|-inf)") as error:
        stage(clips)
    assert error.value.code == "not-finite"


def _sample():
    from mmaction.structures import ActionDataSample

    return ActionDataSample()


# --- golden traces ----------------------------------------------------------------------------------------------------


def first_value(trace: dict) -> dict:
    """The first value of a trace that says something of every frame."""
    return next(value for stage in trace["stages"] for value in stage["values"] if value.get("frames"))


TRACES = {
    "no JSON": "hello",
    "deep": "[" * 100_000,
    "a number": "7",
    "arrays elsewhere": lambda trace: trace["arrays"].update(file="../../clip.npz"),
    "arrays at a path": lambda trace: trace["arrays"].update(file="/etc/passwd"),
    "absent arrays": lambda trace: trace["arrays"].update(file="absent.npz"),
    "another input": lambda trace: trace["input"].update(sha256="0" * 64),
    "no stages": lambda trace: trace.pop("stages"),
    "no numbers": lambda trace: trace["prediction"].update(scores=["x"]),
}


@pytest.mark.parametrize("name", TRACES)
def test_a_golden_trace_that_is_none_is_refused(bundle, name):
    entry = put_trace(bundle, TRACES[name])
    with pytest.raises(PoseParityError) as error:
        read_golden(load_bundle(bundle), entry)
    assert error.value.fix and "\n" not in str(error.value)


@pytest.mark.parametrize("frames", [1, 50, None])
def test_a_golden_trace_of_other_frames_is_a_difference(bundle, frames):
    """Lists of frames that do not fit each other, and a digest that differs where no frame does."""

    def change(trace: dict) -> None:
        first_value(trace).update(sha256="0" * 64)
        if frames:
            first_value(trace)["frames"] = ["0" * 32] * frames

    original = read_trace(DEMO_BUNDLE / "golden/clip.json")
    entry = put_trace(bundle, change)
    hostile = read_trace(bundle / entry.trace)
    assert compared("clip.mp4", hostile, original).first is not None


def put_trace(folder: Path, change: str | Callable[[dict], None]) -> Golden:
    """A golden trace whose hash is right, in the place of the demo's."""
    text = change
    if callable(change):
        trace = json.loads((DEMO_BUNDLE / "golden/clip.json").read_text())
        change(trace)
        text = json.dumps(trace)
    (folder / "golden/mine.json").write_text(text)
    entry = {"input": "clip.mp4", "trace": "golden/mine.json", "sha256": hashlib.sha256(text.encode()).hexdigest()}
    (folder / MANIFEST).write_text(dump({**tables(), "golden": [entry]}), encoding="utf-8")
    return Golden(**entry)


# --- what the command says -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("place, value", [MMENGINE[0], MMENGINE[33], PATHS[0], NUMBERS[0]], ids=repr)
def test_the_command_says_it_in_two_lines(bundle, capsys, place, value):
    (bundle / MANIFEST).write_text(dump(changed(place, value)), encoding="utf-8")
    for command in ("verify", "show"):
        assert cli.main(["bundle", command, str(bundle)]) == 2
        lines = capsys.readouterr().err.splitlines()
        assert len(lines) == 2 and lines[1].startswith("  fix: ")


# --- honest ones -----------------------------------------------------------------------------------------------------

BACKBONES = {
    "ST-GCN++": {
        "gcn_adaptive": "init", "gcn_with_res": True, "tcn_type": "mstcn",
        "graph_cfg": {"layout": "coco", "mode": "spatial"},
        "tcn_ms_cfg": [[3, 1], [3, 2], ["max", 3], "1x1"],
    },
    "dropout for each stage": {"tcn_dropout": [0.1, 0.2]},
    "norm with arguments": {"gcn_norm": {"type": "BN", "eps": 1e-3, "requires_grad": True}},
    "another activation": {"gcn_act": {"type": "LeakyReLU", "negative_slope": 0.1}},
    "OpenPose": {"graph_cfg": {"layout": "openpose", "mode": "stgcn_spatial", "max_hop": 2}},
    "one person": {"data_bn_type": "MVC", "num_person": 1, "in_channels": 6},
    "a ratio": {"ch_ratio": 1.5},
}  # fmt: skip


@pytest.mark.parametrize("name", BACKBONES)
def test_models_that_bundles_run_are_on_the_list(name):
    model = copy.deepcopy(MODEL)
    model["backbone"] |= BACKBONES[name]
    model["cls_head"] |= {"dropout": 0.3, "loss_cls": {"type": "CrossEntropyLoss", "loss_weight": 1.0}}
    model["cls_head"]["in_channels"] = 12 if name == "a ratio" else 16
    model["test_cfg"] = {"average_clips": "prob"}
    check_model(model)
    assert isinstance(build_model(model), torch.nn.Module)


def test_every_transform_of_the_list_is_one_of_mmaction2():
    for step in PIPELINE:
        check_transform(step)
        assert type(_build(step)).__name__ == step["type"]
    assert {step["type"] for step in PIPELINE} == TRANSFORMS.keys()
