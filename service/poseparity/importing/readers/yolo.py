"""A YOLO model from the .pt file that ultralytics saves, without making the objects that are pickled in it."""

from __future__ import annotations

import reprlib
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import torch
import yaml

from ...bundle.plain_files import shown
from ...engines.ultralytics_pose import KEYPOINT_SHAPE
from ...errors import BundleError, ImportRefused
from ...libraries.ultralytics import check_fit
from ...libraries.ultralytics_layers import Task
from .inert import Recorded, read_checkpoint, tensors_of_module

_PERSON = "person"
_NO_PART = {"yaml_file"}  # where it lay when it was trained
_MOST_VALUES = 20_000  # in an architecture, and tensors in a model; ultralytics' largest have 1,000 and 2,200
_MOST_CLASSES, _MOST_NAME = 10_000, 200  # LVIS has 1,203 classes, and no name as long


@dataclass(frozen=True)
class _Kind:
    """One of ultralytics' kinds of models.

    Attributes:
        origin: its class, as a pickle names it.
        unnamed: how many classes a model may have that calls them "0", "1", ...: one that was made from a YAML file and
            never trained on a data set. They are COCO's.
        fix: what to import instead.
    """

    task: Task
    origin: str
    unnamed: tuple[int, ...]
    fix: str


_DETECTOR = _Kind(
    task="detect",
    origin="ultralytics.nn.tasks.DetectionModel",
    unnamed=(80,),
    fix="import a detection model that ultralytics saved (yolov8*, yolo11*)",
)
_POSE = _Kind(
    task="pose",
    origin="ultralytics.nn.tasks.PoseModel",
    unnamed=(1, 80),
    fix="import a pose model that ultralytics saved (yolov8*-pose, yolo11*-pose)",
)


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
    return _read(path, _DETECTOR)[0]


def read_pose_model(path: Path) -> Detector:
    """The same of a pose model, whose keypoints have to be COCO's 17, each with a confidence.

    Raises:
        ImportRefused, BundleError: as `read_detector`, and for other keypoints.
    """
    model, architecture = _read(path, _POSE)
    if (found := architecture.get("kpt_shape")) != KEYPOINT_SHAPE:
        raise ImportRefused(
            f"{path.name} has kpt_shape {found}, expected {KEYPOINT_SHAPE}: x, y and confidence of COCO's 17 keypoints",
            fix=_POSE.fix,
        )
    return model


def _read(path: Path, kind: _Kind) -> tuple[Detector, dict]:
    """The model, and its architecture as ultralytics has it."""
    checkpoint = read_checkpoint(path)
    content = checkpoint.content if isinstance(checkpoint.content, dict) else {}
    model = content["ema"] if isinstance(content.get("ema"), Recorded) else content.get("model")
    if not isinstance(model, Recorded) or model.origin != kind.origin or not isinstance(model.state, dict):
        raise ImportRefused(f"{path.name} holds {reprlib.repr(model)}, expected {kind.origin}", fix=kind.fix)
    classes = _classes(model.state.get("names"), path, kind)
    unnamed = _are_unnamed(classes, kind)
    architecture = _architecture(model.state.get("yaml"), len(classes), path, kind)
    state = _state(model, architecture, classes, path, kind)
    notes = checkpoint.warnings()
    if unnamed:
        which = f"none of its {len(classes)} classes" if len(classes) > 1 else "not its class"
        notes = (*notes, f"{path.name} names {which}: class 0 is taken for COCO's person")
    licence = content.get("license")
    detector = Detector(
        architecture=yaml.safe_dump(architecture, sort_keys=False, default_flow_style=None, allow_unicode=True),
        classes=classes,
        person_class=0 if unnamed else classes.index(_PERSON),
        state=state,
        licence=licence[:200] if isinstance(licence, str) else None,
        notes=notes,
    )
    return detector, architecture


def _are_unnamed(classes: tuple[str, ...], kind: _Kind) -> bool:
    return len(classes) in kind.unnamed and classes == tuple(map(str, range(len(classes))))


def _classes(names: Any, path: Path, kind: _Kind) -> tuple[str, ...]:
    entries = dict(enumerate(names)) if isinstance(names, list) else names
    if not isinstance(entries, dict) or len(entries) > _MOST_CLASSES or list(entries) != list(range(len(entries))):
        raise ImportRefused(f"{path.name} has no names of its classes", fix=kind.fix)
    classes = tuple(name[:_MOST_NAME] if isinstance(name, str) else reprlib.repr(name) for name in entries.values())
    if _PERSON not in classes and not _are_unnamed(classes, kind):
        raise ImportRefused(
            f"{path.name} finds {', '.join(classes)[:80]}, expected {_PERSON!r} among them",
            fix="import a model that finds persons, and calls them so",
        )
    return classes


def _architecture(recorded: Any, classes: int, path: Path, kind: _Kind) -> dict:
    """The YAML that the model was made from; `scale` in it says which size."""
    if not isinstance(recorded, dict) or not {"backbone", "head"} <= recorded.keys():
        raise ImportRefused(f"{path.name} does not say what architecture it has", fix=kind.fix)
    plain = _Plain(path, kind)
    try:
        architecture = {name: plain(value) for name, value in recorded.items() if name not in _NO_PART}
    except RecursionError as error:
        raise ImportRefused(f"{path.name} has an architecture without an end", fix=kind.fix) from error
    return architecture | {"nc": classes}


class _Plain:
    """Copies plain values, and counts them: a value that is held many times is as many in a file."""

    def __init__(self, path: Path, kind: _Kind) -> None:
        self._path, self._kind, self._left = path, kind, _MOST_VALUES

    def __call__(self, value: Any) -> Any:
        self._left -= 1
        if self._left < 0:
            raise ImportRefused(f"{self._path.name} has an architecture without an end", fix=self._kind.fix)
        if isinstance(value, dict) and all(isinstance(name, str) for name in value):
            return {self(name): self(child) for name, child in value.items()}
        if isinstance(value, list | tuple):
            return [self(child) for child in value]
        if value is None or type(value) in (bool, int, float, str):
            return value
        raise ImportRefused(f"{self._path.name} has {shown(value)} in its architecture", fix=self._kind.fix)


def _state(
    model: Recorded, architecture: dict, classes: tuple[str, ...], path: Path, kind: _Kind
) -> dict[str, torch.Tensor]:
    """The weights as float32, once they are known to belong to the architecture."""
    try:
        tensors = dict(islice(tensors_of_module(model), _MOST_VALUES))
    except (ValueError, TypeError, RuntimeError) as error:
        raise ImportRefused(f"{path.name}: {error}", fix=kind.fix) from error
    try:
        check_fit(architecture, classes, kind.task, tensors, path)
    except BundleError as error:
        raise ImportRefused(f"{path.name}: {error}", fix=error.fix) from error
    # Files hold float16, and float32 holds every value of it.
    return {name: value.float() if value.is_floating_point() else value for name, value in tensors.items()}
