"""A YOLO detector from the .pt file that ultralytics saves, without making the objects that are pickled in it."""

from __future__ import annotations

import reprlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import yaml

from ..bundle import check_state
from ..errors import BundleError, ImportRefused
from ..stages.detect import build_model
from .inert import Checkpoint, Recorded, read_checkpoint, tensors_of_module

_MODEL = "ultralytics.nn.tasks.DetectionModel"
_PERSON = "person"
# What ultralytics calls COCO's 80 classes in a model that was made from a YAML file and never trained on a data set.
_UNNAMED = tuple(map(str, range(80)))
_EVERY_CHECKPOINT = "import a detection model that ultralytics saved (yolov8*, yolo11*)"
# What parsing an architecture raises, in ultralytics and in torch, when it is not one.
_BUILD_ERRORS = (TypeError, ValueError, LookupError, AttributeError, AssertionError, NameError, RuntimeError)


@dataclass(frozen=True)
class Detector:
    """What a bundle takes from ultralytics.

    Attributes:
        architecture: the model's YAML, as text.
        classes: their names, by index.
        state: parameter name to float32 tensor.
        licence: as the file says, None where it does not.
        notes: what was assumed, one line each.
    """

    architecture: str
    classes: tuple[str, ...]
    person_class: int
    state: dict[str, torch.Tensor]
    licence: str | None
    notes: tuple[str, ...]


def read_detector(path: Path) -> Detector:
    """Take architecture, names and weights, the averaged ones where the file has them, as ultralytics does.

    Raises:
        ImportRefused: it is no detection model of ultralytics, or it has no class "person".
        BundleError: its weights do not fit its architecture.
    """
    checkpoint = read_checkpoint(path)
    model = _recorded_model(checkpoint)
    classes = _classes(model.state.get("names"), path)
    unnamed = classes == _UNNAMED
    try:
        tensors = dict(tensors_of_module(model))
    except ValueError as error:
        raise ImportRefused(f"{path.name}: {error}", fix=_EVERY_CHECKPOINT) from error
    state = {name: value.float() if value.is_floating_point() else value for name, value in tensors.items()}
    architecture = _architecture(model.state.get("yaml"), len(classes), path)
    check_state(_built(architecture, classes, path), state, path)
    licence = checkpoint.content.get("license")
    return Detector(
        architecture=yaml.safe_dump(architecture, sort_keys=False, default_flow_style=None, allow_unicode=True),
        classes=classes,
        person_class=0 if unnamed else classes.index(_PERSON),
        state=state,
        licence=licence if isinstance(licence, str) else None,
        notes=(f"{path.name} names none of its 80 classes: class 0 is taken for COCO's person",) if unnamed else (),
    )


def _recorded_model(checkpoint: Checkpoint) -> Recorded:
    content = checkpoint.content if isinstance(checkpoint.content, dict) else {}
    model = content.get("ema") or content.get("model")
    if not isinstance(model, Recorded) or model.origin != _MODEL or not isinstance(model.state, dict):
        found = reprlib.repr(model)
        raise ImportRefused(f"{checkpoint.path.name} holds {found}, expected {_MODEL}", fix=_EVERY_CHECKPOINT)
    return model


def _classes(names: Any, path: Path) -> tuple[str, ...]:
    entries = dict(enumerate(names)) if isinstance(names, list) else names
    if not isinstance(entries, dict) or list(entries) != list(range(len(entries))):
        raise ImportRefused(f"{path.name} has no names of its classes", fix=_EVERY_CHECKPOINT)
    classes = tuple(name if isinstance(name, str) else reprlib.repr(name) for name in entries.values())
    if _PERSON not in classes and classes != _UNNAMED:
        raise ImportRefused(
            f"{path.name} finds {', '.join(classes)[:80]}, expected {_PERSON!r} among them",
            fix="import a detector that finds persons, and calls them so",
        )
    return classes


def _architecture(recorded: Any, classes: int, path: Path) -> dict:
    """The YAML that the model was made from; `scale` in it says which size."""
    if not isinstance(recorded, dict) or not {"backbone", "head"} <= recorded.keys():
        raise ImportRefused(f"{path.name} does not say what architecture it has", fix=_EVERY_CHECKPOINT)
    try:
        architecture = {name: _plain(value, path) for name, value in recorded.items() if name != "yaml_file"}
    except RecursionError as error:
        raise ImportRefused(f"{path.name} has an architecture without an end", fix=_EVERY_CHECKPOINT) from error
    return architecture | {"nc": classes}


def _plain(value: Any, path: Path) -> Any:
    if isinstance(value, dict):
        return {_plain(name, path): _plain(child, path) for name, child in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(child, path) for child in value]
    if value is None or isinstance(value, bool | int | float | str):
        return value
    raise ImportRefused(f"{path.name} has {reprlib.repr(value)} in its architecture", fix=_EVERY_CHECKPOINT)


def _built(architecture: dict, classes: tuple[str, ...], path: Path) -> torch.nn.Module:
    try:
        return build_model(architecture, classes)
    except BundleError as error:
        raise ImportRefused(f"{path.name}: {error}", fix=error.fix) from error
    except _BUILD_ERRORS as error:
        raise ImportRefused(
            f"ultralytics cannot build the architecture in {path.name}: {type(error).__name__}: {error}",
            fix="import a model that this version of ultralytics knows",
        ) from error
