"""ultralytics' models and predictors around our weights, with everything switched off that depends on the machine."""

from __future__ import annotations

import copy
import math
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from torch.overrides import TorchFunctionMode

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


class Predictor:
    """ultralytics' own predictor of a bundle's model, for any number of threads at once.

    Args:
        table: the model's parameters.
        weights: which of the bundle's weights are the model's.

    Raises:
        BundleError: the architecture is missing or no architecture, or the weights do not fit it.
    """

    def __init__(
        self, task: Task, bundle: Bundle, table: UltralyticsTable, weights: Literal["detector", "pose"]
    ) -> None:
        path = bundle.file(table.architecture)
        architecture, state = read_yaml(path, fix=FIX), bundle.load_weights(weights)
        try:
            model = load_model(architecture, table.classes, task, state, bundle.folder / bundle.weights[weights].file)
        except BundleError as error:
            raise BundleError(f"{path.name}: {error}", fix=error.fix) from error
        self._first = _build_predictor(task, table, model.eval())
        self._of_thread = threading.local()

    @property
    def model(self) -> torch.nn.Module:
        return self._first.model

    def __call__(self, picture: np.ndarray):
        """ultralytics' Results of one picture, uint8 (height, width, 3), BGR.

        One picture a forward pass: the batch size changes a convolution's bits.
        """
        if not hasattr(self._of_thread, "predictor"):
            # Once more, with the same weights: a predictor keeps its results, and its model the last shape.
            model, predictor = self._first.model, copy.copy(self._first)
            shared = {id(tensor): tensor for tensor in (*model.parameters(), *model.buffers())}
            predictor.model = copy.deepcopy(model, shared)
            predictor.args = copy.copy(predictor.args)
            predictor._lock = threading.Lock()
            self._of_thread.predictor = predictor
        (result,) = self._of_thread.predictor([picture])
        return result


def _build_predictor(task: Task, table: UltralyticsTable, model: torch.nn.Module):
    from ultralytics.utils import LOGGER

    LOGGER.setLevel("WARNING")
    from ultralytics.models.yolo.detect import DetectionPredictor
    from ultralytics.models.yolo.pose import PosePredictor

    predictor = (PosePredictor if task == "pose" else DetectionPredictor)(
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
    predictor.setup_model(model, verbose=False)
    # The warm-up imports torchvision, whose build need not fit a CPU-only torch and whose NMS would be used then.
    predictor.done_warmup = True
    limit_threads()
    return predictor


def load_model(
    architecture: Any, classes: tuple[str, ...], task: Task, state: dict[str, torch.Tensor], path: Path
) -> torch.nn.Module:
    """ultralytics' model of an architecture, with the weights of `path` in it.

    Raises:
        BundleError: see `check_fit`; or the architecture costs far more than any of theirs.
    """
    check_fit(architecture, classes, task, state, path)
    with _build_errors(), _Affordable():
        model = _build(architecture, classes, task)
    model.load_state_dict(state)
    return model


def check_fit(
    architecture: Any, classes: tuple[str, ...], task: Task, state: dict[str, torch.Tensor], path: Path
) -> None:
    """Hold an architecture to the list, and the weights of `path` to the architecture.

    Raises:
        BundleError: the architecture is not on the list of ultralytics_layers.py, ultralytics cannot build it, or the
            weights do not fit it.
    """
    import ultralytics.nn.tasks as tasks  # before WithoutMemory: its layers have constants

    check_architecture(architecture, task)
    # The layers alone: a whole model tries itself on a picture when it is made, and for the shapes of that without any
    # memory torch would load its compiler, a fifth of a start.
    model = tasks.BaseModel()
    with _build_errors(), _its_own_activation(), WithoutMemory():
        tasks._initialize_yolo_model(model, copy.deepcopy(architecture), ch=3, nc=len(classes), verbose=False)
    check_state(model, state, path)


class _Affordable(TorchFunctionMode):
    """Inside, ultralytics tries a model on a picture of 256 pixels; what takes too much is refused, not computed.

    Raises:
        BundleError: an operation would make a tensor that is too large, or too much was computed.
    """

    def __init__(self) -> None:
        super().__init__()
        self._operations = 0

    def __torch_function__(self, function, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        if function in _COSTS:
            values, terms = _COSTS[function](*args, **kwargs)
            self._operations += 2 * values * terms
            self._check(values)
        result = function(*args, **kwargs)
        if isinstance(result, torch.Tensor):
            self._check(result.numel())
        return result

    def _check(self, values: int) -> None:
        if self._operations > _MAX_OPERATIONS or values > _MAX_VALUES:
            raise BundleError(
                f"the architecture takes {self._operations:.2g} operations and {values:.2g} values at once for a small "
                f"picture, more than {_MAX_OPERATIONS:.2g} and {_MAX_VALUES:.2g}",
                fix=FIX,
            )


def _of_convolution(image, kernel, _bias, stride, padding, *_):
    sides = zip(image.shape[2:], kernel.shape[2:], stride, padding, strict=True)
    positions = math.prod((side + 2 * pad - size) // step + 1 for side, size, step, pad in sides)
    return image.shape[0] * kernel.shape[0] * positions, kernel[0].numel()


def _of_transposed_convolution(image, kernel, _bias, stride, *_):
    values = image.shape[0] * kernel.shape[1] * math.prod(image.shape[2:]) * math.prod(stride)
    return values + kernel.shape[1] * math.prod(kernel.shape[2:]), kernel.shape[0]


def _of_product(left, right):
    return left[..., 0].numel() * right.shape[-1], left.shape[-1]


def _of_interpolation(image, size=None, scale_factor=None, *_, **__):
    positions = math.prod(size) if size is not None else math.prod(image.shape[2:]) * scale_factor**2
    return math.prod(image.shape[:2]) * positions, 0


def _of_concatenation(tensors, *_, **__):
    return sum(each.numel() for each in tensors), 0


# Values that an operation makes, and products that each of them is a sum of. No other operation of the listed layers
# makes much more than it is given.
_COSTS = {
    torch.conv2d: _of_convolution,
    torch.conv_transpose2d: _of_transposed_convolution,
    torch.matmul: _of_product,
    torch.Tensor.matmul: _of_product,
    torch.Tensor.__matmul__: _of_product,
    torch.nn.functional.interpolate: _of_interpolation,
    torch.cat: _of_concatenation,
}


def _build(architecture: dict, classes: tuple[str, ...], task: Task) -> torch.nn.Module:
    from ultralytics.nn.tasks import DetectionModel, PoseModel

    kind = PoseModel if task == "pose" else DetectionModel
    with _its_own_activation():
        model = kind(cfg=copy.deepcopy(architecture), nc=len(classes), verbose=False)
    model.names = dict(enumerate(classes))
    return model


@contextmanager
def _its_own_activation() -> Iterator[None]:
    """The default activation belongs to the whole process, and ultralytics leaves another one behind where it fails."""
    from ultralytics.nn.modules import Conv

    activation = Conv.default_act
    try:
        yield
    finally:
        Conv.default_act = activation


@contextmanager
def _build_errors() -> Iterator[None]:
    try:
        yield
    except BUILD_ERRORS as error:
        words = " ".join(f"{type(error).__name__}: {error}".split())[:200]
        raise BundleError(f"ultralytics cannot build the architecture: {words}", fix=FIX) from error
