"""Architectures of ultralytics that run code, or ask for more than a machine has: each is refused at once, by name."""

from __future__ import annotations

import copy
import resource
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
import yaml
from ultralytics.nn.tasks import parse_model

from poseparity.bundle.plain_files import read_yaml
from poseparity.bundle.weights import WithoutMemory, check_state
from poseparity.errors import BundleError
from poseparity.libraries.ultralytics import _Affordable, _build, check_fit, load_model
from poseparity.libraries.ultralytics_layers import ACTIVATIONS, HEADS, check_architecture
from tests.conftest import DEMO_BUNDLE

SHIPPED = sorted(
    path
    for path in (Path(__import__("ultralytics").__file__).parent / "cfg/models").rglob("*.yaml")
    if yaml.safe_load(path.read_text())["head"][-1][2] in {name for heads in HEADS.values() for name in heads}
)
DEMO = yaml.safe_load((DEMO_BUNDLE / "detector.yaml").read_text(encoding="utf-8"))
CLASSES = ("person",)


def code(canary: Path) -> str:
    return f"__import__('pathlib').Path({str(canary)!r}).touch() or torch.nn.SiLU()"


def inner(canary: Path) -> dict:
    """An architecture whose activation is code, for a layer that takes an architecture."""
    return {
        "nc": 2,
        "activation": code(canary),
        "backbone": [[-1, 1, "Conv", [8, 3, 2]]],
        "head": [[0, 1, "Conv", [8]]],
    }


def layer(*row) -> dict:
    """The demo's architecture with one more layer in front."""
    return {**DEMO, "backbone": [list(row), *DEMO["backbone"]]}


def arguments(*values) -> dict:
    return layer(-1, 1, "Conv", list(values))


# What each makes of the canary's path; all would touch it, or name what could, if ultralytics saw them.
RUN_CODE = {
    **{
        f"{name} of an architecture": lambda c, name=name: layer(-1, 1, name, [inner(c)])
        for name in (
            "DetectionModel", "ClassificationModel", "SegmentationModel", "PoseModel", "OBBModel",
            "RTDETRDetectionModel", "WorldModel", "YOLOEModel", "BaseModel", "Ensemble",
        )
    },
    "a path to an architecture": lambda c: layer(-1, 1, "DetectionModel", [str(c.with_name("inner.yaml"))]),
    "activation": lambda c: {**DEMO, "activation": code(c)},
    "activation of a class": lambda c: {**DEMO, "activation": "torch.nn.Module()"},
    "activation with a call": lambda c: {**DEMO, "activation": "nn.LeakyReLU(exit())"},
    "activation of bytes": lambda c: {**DEMO, "activation": code(c).encode()},
    "activation in a list": lambda c: {**DEMO, "activation": [code(c)]},
    "activation with a line more": lambda c: {**DEMO, "activation": f"nn.SiLU()\n{code(c)}"},
    "torchvision.ops": lambda c: layer(-1, 1, "torchvision.ops.Conv2dNormActivation", [3]),
    "TorchVision": lambda c: layer(-1, 1, "TorchVision", [8, "resnet18", "DEFAULT", True, 2]),
    "nn.Module": lambda c: layer(-1, 1, "nn.Module", []),
    "nn.modules": lambda c: layer(-1, 1, "nn.modules", []),
    "nn.DataParallel": lambda c: layer(-1, 1, "nn.DataParallel", [1]),
    "parse_model": lambda c: layer(-1, 1, "parse_model", [inner(c), 3]),
    "eval": lambda c: layer(-1, 1, "eval", [code(c)]),
    "__import__": lambda c: layer(-1, 1, "__import__", ["os"]),
    "a method": lambda c: layer(-1, 1, "Conv.forward", [8]),
    "a number": lambda c: layer(-1, 1, 7, [8]),
    "a layer in a list": lambda c: layer(-1, 1, ["Conv"], [8]),
    "text for a number": lambda c: arguments("8", 3, 2),
    "text that is read": lambda c: arguments("[8] * 9", 3, 2),
    "a name of parse_model": lambda c: arguments("globals", 3, 2),
    "a local of parse_model": lambda c: arguments("d", 3, 2),
    "an activation as an argument": lambda c: layer(-1, 1, "Conv", [8, 3, 2, 1, 1, 1, "nn.SiLU()"]),
    "an architecture as an argument": lambda c: arguments(inner(c)),
    "an unknown key": lambda c: {**DEMO, "text_model": "mobileclip:blt"},
    "a key that is no text": lambda c: {**DEMO, 7: 7},
    "yaml_file": lambda c: {**DEMO, "yaml_file": str(c)},
    "another head": lambda c: {**DEMO, "head": [*DEMO["head"][:-1], [[12, 9], 1, "Segment", ["nc", 32, 256]]]},
    "a head in the middle": lambda c: {**DEMO, "head": [*DEMO["head"], DEMO["head"][-1]]},
    "a pose head to detect": lambda c: {**DEMO, "head": [*DEMO["head"][:-1], [[12, 9], 1, "Pose", ["nc", [17, 3]]]]},
    "no head": lambda c: {**DEMO, "head": []},
    "no dict": lambda c: [DEMO],
    "no layers": lambda c: {**DEMO, "backbone": "Conv"},
    "None": lambda c: None,
}  # fmt: skip


@pytest.mark.parametrize("name", RUN_CODE)
def test_an_architecture_that_runs_code_reaches_nobody(name, tmp_path):
    canary = tmp_path / "canary"
    (tmp_path / "inner.yaml").write_text(yaml.safe_dump(inner(canary)))
    with pytest.raises(BundleError, match="the architecture") as error:
        load_model(RUN_CODE[name](canary), CLASSES, "detect", {}, Path("detector.safetensors"))
    assert error.value.fix
    assert "\n" not in str(error.value) and len(str(error.value)) < 300
    assert not canary.exists()


def test_the_attack_that_is_nested_works_on_ultralytics(tmp_path):
    from ultralytics.nn.modules import Conv

    activation, canary = Conv.default_act, tmp_path / "canary"
    try:
        parse_model(copy.deepcopy(layer(-1, 1, "DetectionModel", [inner(canary)])), 3, verbose=False)
    except (TypeError, AttributeError, ValueError, RuntimeError, KeyError, IndexError):
        pass  # what it makes need not work
    finally:
        Conv.default_act = activation
    assert canary.exists(), "this is no attack"


def deep(depth: int) -> list:
    value: list = []
    for _ in range(depth):
        value = [value]
    return value


HUGE = {
    "repeats": layer(-1, 10**9, "Conv", [8, 3, 1]),
    "repeats, true": layer(-1, True, "Conv", [8, 3, 1]),
    "no repeats": layer(-1, 0, "Conv", [8, 3, 1]),
    "depth_multiple": {**DEMO, "depth_multiple": 1e7},
    "depth of a scale": {**DEMO, "scale": "n", "scales": {"n": [1e7, 1, 1024]}},
    "width of a scale": {**DEMO, "scale": "n", "scales": {"n": [1, 1e7, 1024]}},
    "width_multiple": {**DEMO, "width_multiple": 1e7},
    "infinite width": {**DEMO, "width_multiple": float("inf")},
    "width that is no number": {**DEMO, "width_multiple": float("nan")},
    "channels": arguments(10**9, 3, 2),
    "a layer of 100 GB": layer(-1, 1, "Conv", [4096, 15, 1]),
    "kernel": arguments(8, 10**6, 2),
    "a number without end": arguments(10**5000),
    "classes": {**DEMO, "nc": 10**9},
    "reg_max": {**DEMO, "reg_max": 10**9},
    "upsampled without end": {**DEMO, "head": [*[[-1, 1, "nn.Upsample", [None, 2, "nearest"]]] * 20, *DEMO["head"]]},
    "by a million": layer(-1, 1, "nn.Upsample", [None, 10**6, "nearest"]),
    "attention over pixels": layer(-1, 1, "PSA", [4096]),
    "padding": layer(-1, 1, "nn.ZeroPad2d", [[10**6] * 4]),
    "many layers": {**DEMO, "backbone": DEMO["backbone"] * 100},
    "many repeats": {**DEMO, "backbone": [[-1, 30, "C2f", [8, True]]] * 20},
    "many inside": {**DEMO, "backbone": [[-1, 30, "RepNCSPELAN4", [8, 8, 8, 8]]] * 5},
    "wide layers": {**DEMO, "backbone": [[-1, 1, "Conv", [4096, 15, 1]]] * 20, "head": [[[-1], 1, "Detect", ["nc"]]]},
    "nested": arguments(deep(100_000)),
    "concatenated a lot": layer([-1] * 10**5, 1, "Concat", [1]),
    "from after it": layer(5, 1, "Conv", [8, 3, 2]),
    "from far before": layer(-(10**9), 1, "Conv", [8, 3, 2]),
}


@pytest.mark.parametrize("name", HUGE)
def test_an_architecture_that_no_machine_holds_is_refused_at_once(name):
    began, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(BundleError) as error:
        load_model(HUGE[name], CLASSES, "detect", {}, Path("detector.safetensors"))
    assert "\n" not in str(error.value)
    assert time.perf_counter() - began < 10
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 500_000  # KiB


# Small in weights, so that those can fit.
DEAR = {
    "upsampled without end": HUGE["upsampled without end"],
    "attention over pixels": {
        **DEMO,
        "backbone": [[-1, 1, "Conv", [64, 1, 1]], [-1, 1, "PSA", [64]], *DEMO["backbone"]],
    },
    "transposed without end": {**DEMO, "head": [*[[-1, 1, "nn.ConvTranspose2d", [48, 4, 4, 0]]] * 8, *DEMO["head"]]},
    "wide over pixels": {**DEMO, "backbone": [*[[-1, 1, "Conv", [512, 1, 1]]] * 40, *DEMO["backbone"]]},
}


@pytest.mark.parametrize("name", DEAR)
def test_an_architecture_that_costs_more_than_any_is_refused_before_it_is_computed(name):
    """With the weights that belong to it."""
    with WithoutMemory():
        layers, _ = parse_model(copy.deepcopy(DEAR[name]), 3, verbose=False)
    state = {f"model.{key}": torch.zeros(value.shape, dtype=value.dtype) for key, value in layers.state_dict().items()}
    began, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(BundleError, match=r"takes .* operations and .* values at once"):
        load_model(DEAR[name], CLASSES, "detect", state, Path("detector.safetensors"))
    assert time.perf_counter() - began < 10
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 1_000_000  # KiB


def test_weights_of_another_size_are_told_before_anything_is_made(monkeypatch):
    """An architecture that fits the list, and would take gigabytes: what counts is what the weights say."""
    wide = {**DEMO, "backbone": [[-1, 1, "Conv", [2048, 9, 2]]] * 5, "head": [[[-1], 1, "Detect", ["nc"]]]}
    with pytest.raises(BundleError, match=r"does not fit its model|takes .* operations"):
        load_model(wide, CLASSES, "detect", {}, Path("detector.safetensors"))


BOMBS = {
    "aliases": "a: &a [x,x,x,x,x,x,x,x]\n" + "".join(f"a{i}: &a{i} [{','.join(['*a' + str(i - 1 if i else '')] * 8)}]\n"
                                                    for i in range(12)),
    "itself": "backbone: &a [*a]\nhead: []\nnc: 1",
    "python": "nc: !!python/object/apply:os.system ['touch CANARY']",
    "python new": "!!python/object/new:os.system ['touch CANARY']",
    "python name": "nc: !!python/name:os.system ''",
    "python module": "nc: !!python/module:os ''",
    "deep": "[" * 50_000,
    "deep maps": "{a: " * 10_000,
    "large": "nc: " + "1" * 300_000,
    "a number of many digits": "nc: " + "9" * 100_000,
    "a number to the base of 60": "nc: 1" + ":59" * 10_000,
    "another encoding": "nc: 1".encode("utf-16"),
    "no text": bytes(range(256)),
    "two documents": "nc: 1\n---\nnc: 2",
    "no date": "nc: 2020-99-99",
    "merged": "<<: 7",
    "a list as a key": "? [a]\n: 1",
    "unknown alias": "nc: *nobody",
    "directive": "%YAML 9.9\n---\nnc: 1",
}  # fmt: skip


@pytest.mark.parametrize("name", BOMBS)
def test_yaml_that_is_more_than_its_text_is_refused(name, tmp_path):
    path, canary = tmp_path / "detector.yaml", tmp_path / "canary"
    content = BOMBS[name]
    path.write_bytes(content if isinstance(content, bytes) else content.replace("CANARY", str(canary)).encode())
    began = time.perf_counter()
    with pytest.raises(BundleError, match=r"detector\.yaml|the architecture") as error:
        check_architecture(read_yaml(path, fix="x"), "detect")
    assert time.perf_counter() - began < 10
    assert "\n" not in str(error.value)
    assert not canary.exists()


def task_of(architecture: dict) -> str:
    return "pose" if architecture["head"][-1][2].startswith("Pose") else "detect"


def test_ultralytics_ships_architectures_to_check():
    assert len(SHIPPED) > 30
    assert {path.parent.name for path in SHIPPED} >= {"v3", "v5", "v6", "v8", "v9", "v10", "11", "12", "26"}


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_every_architecture_that_ultralytics_ships_is_on_the_list(path):
    architecture = yaml.safe_load(path.read_text())
    for scale in [*architecture.get("scales", {"": None})]:
        check_architecture({**architecture, "scale": scale}, task_of(architecture))


@pytest.mark.parametrize(
    "name", ["yolov3-tiny", "yolov5", "yolov6", "yolov8-p2", "yolov9t", "yolov10n", "yolo12", "yolo26"]
)
def test_the_largest_of_a_family_is_affordable_and_has_ultralytics_own_names(name):
    architecture = yaml.safe_load(next(path for path in SHIPPED if path.stem == name).read_text())
    architecture |= {"nc": 80, "scale": list(architecture.get("scales", {"": None}))[-1]}
    with pytest.raises(BundleError, match=r"does not fit its model: model\.\d+\..* is missing"):
        check_fit(architecture, tuple(map(str, range(80))), "detect", {}, Path("x.safetensors"))
    with WithoutMemory(), _Affordable():
        _build(architecture, tuple(map(str, range(80))), "detect")


def test_the_first_files_of_yolov9_are_read():
    architecture = yaml.safe_load(next(path for path in SHIPPED if path.stem == "yolov9e").read_text())
    assert architecture["backbone"][0][2] == "nn.Identity"
    architecture["backbone"][0][2] = "Silence"
    with pytest.raises(BundleError, match=r"does not fit its model: model\.1\..* is missing"):
        check_fit(architecture, tuple(map(str, range(80))), "detect", {}, Path("x.safetensors"))


def test_a_failed_build_leaves_ultralytics_as_it_was():
    from ultralytics.nn.modules import Conv

    before = Conv.default_act
    with pytest.raises(BundleError, match="ultralytics cannot build the architecture"):
        load_model(layer(-1, 1, "Conv", []) | {"activation": "nn.ReLU()"}, CLASSES, "detect", {}, Path("x"))
    assert Conv.default_act is before


FRESH = """
import sys, gc
from pathlib import Path
import torch, yaml
from poseparity.bundle.bundle import load_bundle
from poseparity.compute.lanes import InPlace
from poseparity.stages.recognise import Recognise
from poseparity.libraries.ultralytics import check_fit, load_model
bundle = load_bundle(Path(sys.argv[1]))
state, architecture = bundle.load_weights("detector"), yaml.safe_load(bundle.file("detector.yaml").read_text())
check_fit(architecture, ("person",), "detect", state, Path("x"))
gc.collect()
print([kind for kind in gc.get_objects() if isinstance(kind, type) and any(
    isinstance(value, torch.Tensor) and value.is_meta for value in dict(vars(kind)).values())])
model = load_model(architecture, ("person",), "detect", state, Path("x")).to("cpu")
model.float().eval()(torch.zeros(1, 3, 64, 64))
Recognise(bundle, InPlace())
print({value.device.type for value in gc.get_objects() if isinstance(value, torch.Tensor)})
"""


@pytest.mark.slow
def test_what_is_imported_while_a_model_is_checked_keeps_its_constants():
    """In a process that has not imported ultralytics and MMAction2 yet."""
    done = subprocess.run(
        [sys.executable, "-c", FRESH, DEMO_BUNDLE], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == ["[]", "{'cpu'}"]


def test_every_activation_of_the_list_can_be_evaluated():
    assert all(isinstance(eval(each, {"torch": torch, "nn": torch.nn}), torch.nn.Module) for each in ACTIVATIONS)


class Linear(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = torch.nn.Linear(2, 2)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_weights_that_are_no_numbers_are_named(value):
    state = Linear().state_dict()
    state["fc.bias"] = torch.tensor([0.0, value])
    with pytest.raises(BundleError, match=r"w\.safetensors has values in fc\.bias that are infinite or no number"):
        check_state(Linear(), state, Path("w.safetensors"))


@pytest.mark.parametrize("kind", [torch.int64, torch.complex64, torch.float8_e5m2, torch.bool])
def test_weights_of_another_kind_of_number_are_named(kind):
    state = Linear().state_dict()
    state["fc.bias"] = torch.zeros(2).to(kind)
    with pytest.raises(BundleError, match=r"fc\.bias has the type"):
        check_state(Linear(), state, Path("w.safetensors"))
