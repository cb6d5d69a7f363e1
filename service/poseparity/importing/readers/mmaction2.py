"""ST-GCN and ST-GCN++ from an MMAction2 config and checkpoint."""

from __future__ import annotations

import inspect
import reprlib
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path

import torch

from ...bundle.bundle import Joints
from ...bundle.mmaction2_types import check_model, check_transform
from ...bundle.plain_files import shown
from ...bundle.weights import BUILD_ERRORS, WithoutMemory, check_state
from ...errors import BundleError, ImportRefused
from ...keypoints import Coco17, Coco18
from ...libraries.mmaction2 import registries
from ...stages.recognise import build_model
from .config import TestConfig, read_config
from .inert import Checkpoint, read_checkpoint

# In the order in which they work; the others may stand between them.
_REQUIRED = ("UniformSampleFrames", "PoseDecode", "FormatGCNInput", "PackActionInputs")
_OPTIONAL = ("PreNormalize2D", "GenSkeFeat")
_MODEL = {"model": "RecognizerGCN", "model.backbone": "STGCN", "model.cls_head": "GCNHead"}
_GRAPHS: dict[str, type[IntEnum]] = {"coco": Coco17, "openpose": Coco18}
_NECK = (
    "the graph has OpenPose's 18 joints: the neck, which a skeleton CSV does not hold, is put in the middle of the "
    "shoulders. A model trained on the neck that OpenPose itself found sees it moved a little, and missing where a "
    "shoulder is: hold its scores on known clips against those of training"
)
_CHANNELS = 3  # x, y and score of each of GenSkeFeat's features
# Where a state dict is, in the order in which we look: "state_dict" is what MMAction2 itself loads, and mmengine's
# EMAHook puts the averaged weights there (https://github.com/open-mmlab/mmengine, EMAHook.before_save_checkpoint).
_STATES = ("state_dict", "ema_state_dict", "model_ema", "model")


@dataclass(frozen=True)
class Recogniser:
    """What a bundle takes from MMAction2.

    Attributes:
        model: the `[recognise.model]` table.
        joints: the graph's, as `normalise.joints` names them.
        transforms: the `normalise.transforms` tables.
        state: parameter name to tensor.
        notes: what was chosen or left out, one line each.
    """

    model: dict
    joints: Joints
    transforms: list[dict]
    state: dict[str, torch.Tensor]
    notes: tuple[str, ...]


def read_recogniser(config: Path, checkpoint: Path, labels: tuple[str, ...]) -> Recogniser:
    """Take model, preprocessing and weights, and check that they belong to each other and to `labels`.

    Raises:
        ImportRefused: something in them is not supported or does not fit; nothing of the checkpoint was run.
        BundleError: the weights do not fit the model.
    """
    return fit(read_config(config), checkpoint, labels)


def fit(content: TestConfig, checkpoint: Path, labels: tuple[str, ...]) -> Recogniser:
    """`read_recogniser` once the config is plain data."""
    model, transforms = _model(content), _transforms(content)
    try:
        _check_fit(model, transforms, labels)
    except BUILD_ERRORS as error:  # a table where a name should be
        _check_tables(model, transforms)
        raise ImportRefused(f"the config holds what no model has: {shown(error)}", fix="correct it") from error
    _check_tables(model, transforms)
    state, notes = state_of(read_checkpoint(checkpoint))
    # Before the block: what is imported within it has constants without values.
    registries()
    with WithoutMemory():
        check_state(_built(lambda: build_model(model), "the model"), state, checkpoint)
    for transform in transforms:
        _built(lambda table=transform: registries().TRANSFORMS.build(dict(table)), transform["type"])
    neck = _layout(model["backbone"]) == "openpose"
    return Recogniser(
        model=model,
        joints="openpose18" if neck else "coco17",
        transforms=transforms,
        state=state,
        notes=(*content.notes, *notes, *((_NECK,) if neck else ())),
    )


def _check_tables(model: dict, transforms: list[dict]) -> None:
    """What the bundle will hold is held to the list now: whoever imports can still change the config."""
    try:
        check_model(model, "model")
        for table in transforms:
            check_transform(table, "the test pipeline")
    except BundleError as error:
        raise ImportRefused(str(error), fix=error.fix) from error


def _model(content: TestConfig) -> dict:
    """The model's table without what has no part in scoring, as TOML can hold it."""
    model = {name: value for name, value in content.model.items() if value is not None}
    for where, kind in _MODEL.items():
        table = model if where == "model" else model.get(where.split(".")[1])
        found = _type(table) if isinstance(table, dict) else None
        if found != kind:
            raise ImportRefused(
                f"{where} is {found!r}, expected {kind!r}",
                fix="only ST-GCN and ST-GCN++ of MMAction2 are imported: RecognizerGCN with STGCN and GCNHead",
            )
    model.pop("train_cfg", None)  # for training alone
    if extra := sorted(model.keys() - {"type", "backbone", "cls_head", "test_cfg"}):
        raise ImportRefused(f"model.{extra[0]} is set, which bundles do not run", fix="import a model without it")
    # MMAction2's init_recognizer takes no pretrained weights either, and the loss has no part in a score.
    backbone = {name: value for name, value in model["backbone"].items() if name not in ("pretrained", "init_cfg")}
    head = {name: value for name, value in model["cls_head"].items() if name not in ("loss_cls", "init_cfg")}
    rest = {name: value for name, value in model.items() if name not in ("backbone", "cls_head")}
    models = registries().MODELS
    return {
        **_without_none(rest, models.get("RecognizerGCN"), "model"),
        "backbone": _without_none(backbone, models.get("STGCN"), "model.backbone"),
        "cls_head": _without_none(head, models.get("GCNHead"), "model.cls_head"),
    }


def _transforms(content: TestConfig) -> list[dict]:
    """The test pipeline, which holds MMAction2's own transforms only, each once, in an order that they work in."""
    steps = [{**step, "type": _type(step)} for step in content.pipeline]
    names = [step["type"] for step in steps]
    for name in names:
        if name not in (*_REQUIRED, *_OPTIONAL):
            raise ImportRefused(
                f"the test pipeline holds the transform {name!r}, which bundles do not run",
                fix=f"train and test with {', '.join((*_OPTIONAL, *_REQUIRED))} only, then import again",
            )
    if repeated := [name for name in names if names.count(name) > 1]:
        raise ImportRefused(f"the test pipeline holds {repeated[0]} twice", fix="remove one of them")
    if absent := [name for name in _REQUIRED if name not in names]:
        raise ImportRefused(f"the test pipeline lacks {absent[0]}", fix="import the config the model was tested with")
    if [name for name in names if name in _REQUIRED] != list(_REQUIRED) or names[-1] != _REQUIRED[-1]:
        raise ImportRefused(f"the test pipeline has the order {', '.join(names)}", fix=f"use {', '.join(_REQUIRED)}")
    registry = registries().TRANSFORMS
    return [_without_none(step, registry.get(step["type"]), step["type"]) for step in steps]


def _type(table: dict) -> str:
    return str(table.get("type", "")).removeprefix("mmaction.")


def _without_none(table: dict, kind: type, where: str) -> dict:
    """TOML has no None: leave it out where it is the default anyway."""
    defaults = {name: parameter.default for name, parameter in inspect.signature(kind).parameters.items()}
    for name, value in table.items():
        if value is None and defaults.get(name, inspect.Parameter.empty) is not None:
            raise _none(f"{where}.{name}")
        _refuse_nested_none(value, f"{where}.{name}")
    return {**{name: value for name, value in table.items() if value is not None}, "type": kind.__name__}


def _refuse_nested_none(value: object, where: str) -> None:
    children = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for name, child in children:
        if child is None:
            raise _none(f"{where}.{name}")
        _refuse_nested_none(child, f"{where}.{name}")


def _none(where: str) -> ImportRefused:
    return ImportRefused(f"{where} is None, which a bundle cannot hold", fix="leave it out, or give it a value")


def _check_fit(model: dict, transforms: list[dict], labels: tuple[str, ...]) -> None:
    """Class count against labels, graph against joints, features against channels, one line each."""
    steps = {step["type"]: step for step in transforms}
    classes = model["cls_head"].get("num_classes")
    if classes != len(labels):
        raise ImportRefused(f"the model has {classes} classes, {len(labels)} labels are given", fix="correct --labels")
    _check_graph(model["backbone"], steps.get("GenSkeFeat"))
    _check_features(model["backbone"], steps.get("GenSkeFeat", {}))
    people = steps["FormatGCNInput"].get("num_person", 2)
    wanted = model["backbone"].get("num_person", 2)
    # With data_bn_type MVC the model's weights depend on the number of people.
    if model["backbone"].get("data_bn_type", "VC") == "MVC" and people != wanted:
        raise ImportRefused(
            f"FormatGCNInput has num_person={people}, the backbone {wanted}", fix="make them equal, as trained"
        )
    if steps["UniformSampleFrames"].get("test_mode") is not True:
        raise ImportRefused(
            "UniformSampleFrames has no test_mode=True: it would sample other frames each time",
            fix="set test_mode=True in the test pipeline",
        )


def _check_features(backbone: dict, step: dict) -> None:
    features = step.get("feats", ["j"])
    if not features or set(features) - {"j", "b", "jm", "bm"} or step.get("axis", -1) != -1:
        raise ImportRefused(
            f"GenSkeFeat has feats={features!r}, axis={step.get('axis', -1)}, expected some of j, b, jm, bm, axis -1",
            fix="import the config that the model was trained with",
        )
    channels = backbone.get("in_channels", _CHANNELS)
    if channels != _CHANNELS * len(features):
        raise ImportRefused(
            f"the backbone has in_channels={channels}, the features {features} give {_CHANNELS * len(features)}",
            fix="import the config that the model was trained with",
        )


def _check_graph(backbone: dict, features: dict | None) -> None:
    """The graph is one of those whose joints a skeleton here can give, and the features are made on the same joints."""
    layout = _layout(backbone)
    if layout not in _GRAPHS:
        known = " or ".join(f"{name!r} with {len(joints)} joints" for name, joints in _GRAPHS.items())
        raise ImportRefused(f"the graph is {layout!r}, expected {known}", fix="train on one of these graphs")
    dataset = (features or {"dataset": layout}).get("dataset", "nturgb+d")
    if dataset != layout:
        raise ImportRefused(
            f"the graph is {layout!r} with {len(_GRAPHS[layout])} joints, GenSkeFeat has dataset={dataset!r}",
            fix=f"train with dataset={layout!r}: bones and motion are made between the joints of the graph",
        )


def _layout(backbone: dict) -> str:
    layout = (backbone.get("graph_cfg") or {}).get("layout", "coco")
    return layout if isinstance(layout, str) else "a graph of its own"


def _built(build, what: str) -> object:
    """MMAction2 checks its arguments by whatever its code raises."""
    try:
        return build()
    except BUILD_ERRORS as error:
        words = " ".join(f"{type(error).__name__}: {error}".split())
        raise ImportRefused(f"MMAction2 cannot build {what}: {words}", fix="correct its arguments") from error


def state_of(checkpoint: Checkpoint) -> tuple[dict[str, torch.Tensor], tuple[str, ...]]:
    """Find the model's weights in a checkpoint: parameter name to tensor, and notes on what was left out.

    Raises:
        ImportRefused: there is no dict of tensors in it.
    """
    content = checkpoint.content
    if not isinstance(content, dict):
        raise _no_state(checkpoint, f"is {reprlib.repr(content)}")
    where = next((name for name in _STATES if isinstance(content.get(name), dict)), None)
    state = dict(content[where] if where else content)
    for name, value in state.items():
        if not isinstance(name, str) or not isinstance(value, torch.Tensor):
            entry = f"{reprlib.repr(name)}: {reprlib.repr(value)}"
            raise _no_state(checkpoint, f"has {entry} in {where or 'its top level'}")
    left_out = [name for name in content if name != where] if where else []
    notes = [f"weights: {where or 'top level'} of {checkpoint.path.name}"]
    if left_out:
        words = (
            name if isinstance(name, str) and name.isidentifier() and len(name) < 80 else shown(name)
            for name in left_out
        )
        notes.append(f"left out of {checkpoint.path.name}: {', '.join(words)}")
    if checkpoint.recorded:
        notes.append(f"never made: {', '.join(checkpoint.recorded)}")
    # Without the wrappers' `module.`, one around another, an averaged model's counter, and mmcv's EMA copies beside.
    while state and all(name.startswith("module.") or name == "steps" for name in state):
        state = {name.removeprefix("module."): value for name, value in state.items() if name != "steps"}
    plain = {name: value for name, value in state.items() if name != "steps" and not name.startswith("ema_")}
    return plain, (*notes, *checkpoint.warnings())


def _no_state(checkpoint: Checkpoint, found: str) -> ImportRefused:
    return ImportRefused(
        f"{checkpoint.path.name} {found}, expected a dict of tensors under one of {', '.join(_STATES)}",
        fix="import the checkpoint that MMAction2's training wrote",
    )
