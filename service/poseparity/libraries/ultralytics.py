"""ultralytics' models and predictors around our weights, with everything switched off that depends on the machine."""

from __future__ import annotations

import copy
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import torch
from torch.utils._python_dispatch import TorchDispatchMode

from ..bundle.bundle import Bundle
from ..bundle.plain_files import read_yaml
from ..bundle.tables import UltralyticsTable
from ..bundle.weights import BUILD_ERRORS, WithoutMemory, check_state
from ..errors import BundleError
from ..numerics import limit_threads
from .ultralytics_layers import FIX, Task, check_architecture

# Read when ultralytics is imported: it must neither look for a network nor install or fetch anything.
os.environ.setdefault("YOLO_OFFLINE", "true")

_MAX_OPERATIONS = 3e11  # yolov6x, the dearest, takes 1e11 for a picture of 256 x 256
_MAX_VALUES = 2e7  # in one tensor: yolo26x-p2 has 3e6


def build_predictor(task: Task, bundle: Bundle, table: UltralyticsTable, weights: Literal["detector", "pose"]):
    """ultralytics' own predictor of a bundle's model.

    Args:
        table: the model's parameters.
        weights: which of the bundle's weights are the model's.

    Raises:
        BundleError: the architecture is missing or no architecture, or the weights do not fit it.
    """
    from ultralytics.utils import LOGGER

    LOGGER.setLevel("WARNING")
    predictor = _predictor_class(task)(
        overrides={
            "task": task,
            "imgsz": table.image_size,
            "conf": table.confidence,
            "iou": table.iou,
            "classes": [table.person_class],
            "rect": table.rect,
            "device": "cpu",
            "channels_last": False,  # ultralytics chooses by CPU otherwise, and another layout is another sum
            "verbose": False,
            "save": False,
            "mode": "predict",
        }
    )
    predictor.setup_model(_load_model(task, bundle, table, weights), verbose=False)
    # The warm-up imports torchvision, whose build need not fit a CPU-only torch and whose NMS would be used then.
    predictor.done_warmup = True
    limit_threads()
    return predictor


def load_model(
    architecture: Any, classes: tuple[str, ...], task: Task, state: dict[str, torch.Tensor], path: Path
) -> torch.nn.Module:
    """ultralytics' model of an architecture, with the weights of `path` in it.

    Raises:
        BundleError: see `check_fit`.
    """
    check_fit(architecture, classes, task, state, path)
    with _build_errors():
        model = _build(architecture, classes, task)
    model.load_state_dict(state)
    return model


def check_fit(
    architecture: Any, classes: tuple[str, ...], task: Task, state: dict[str, torch.Tensor], path: Path
) -> None:
    """Hold an architecture to the list, and the weights of `path` to the architecture.

    Raises:
        BundleError: the architecture is not on the list of architecture.py, ultralytics cannot build it, it costs far
            more than any of theirs, or the weights do not fit it.
    """
    check_architecture(architecture, task)
    with _build_errors():
        check_state(_without_memory(architecture, classes, task), state, path)


def _without_memory(architecture: dict, classes: tuple[str, ...], task: Task) -> torch.nn.Module:
    """The model without its values; ultralytics sends a picture of 256 pixels through it, which tells what it costs."""
    import ultralytics.nn.tasks  # noqa: F401, its layers have constants, see WithoutMemory
    from torch.utils.flop_counter import FlopCounterMode

    with WithoutMemory(), _Largest() as largest, FlopCounterMode(display=False) as counter:
        model = _build(architecture, classes, task)
    cost = counter.get_total_flops()
    if cost > _MAX_OPERATIONS or largest.values > _MAX_VALUES:
        raise BundleError(
            f"the architecture takes {cost:.2g} operations and {largest.values:.2g} values at once for a small "
            f"picture, more than {_MAX_OPERATIONS:.2g} and {_MAX_VALUES:.2g}",
            fix=FIX,
        )
    return model


class _Largest(TorchDispatchMode):
    """How many values the largest tensor has that is made inside."""

    values = 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        result = function(*args, **(kwargs or {}))
        if isinstance(result, torch.Tensor):
            self.values = max(self.values, result.numel())
        return result


def _build(architecture: dict, classes: tuple[str, ...], task: Task) -> torch.nn.Module:
    from ultralytics.nn.modules import Conv
    from ultralytics.nn.tasks import DetectionModel, PoseModel

    kind = PoseModel if task == "pose" else DetectionModel
    activation = Conv.default_act  # of the whole process: ultralytics leaves another one behind where it fails
    try:
        model = kind(cfg=copy.deepcopy(architecture), nc=len(classes), verbose=False)
    finally:
        Conv.default_act = activation
    model.names = dict(enumerate(classes))
    return model


@contextmanager
def _build_errors() -> Iterator[None]:
    try:
        yield
    except BUILD_ERRORS as error:
        words = " ".join(f"{type(error).__name__}: {error}".split())[:200]
        raise BundleError(f"ultralytics cannot build the architecture: {words}", fix=FIX) from error


def _predictor_class(task: Task) -> type:
    from ultralytics.models.yolo.detect import DetectionPredictor
    from ultralytics.models.yolo.pose import PosePredictor

    return PosePredictor if task == "pose" else DetectionPredictor


def _load_model(task: Task, bundle: Bundle, table: UltralyticsTable, weights: str) -> torch.nn.Module:
    path = bundle.file(table.architecture)
    architecture = read_yaml(path, fix=FIX)
    state = bundle.load_weights(weights)
    try:
        model = load_model(architecture, table.classes, task, state, bundle.folder / bundle.weights[weights].file)
    except BundleError as error:
        raise BundleError(f"{path.name}: {error}", fix=error.fix) from error
    return model.eval()
