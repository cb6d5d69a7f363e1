"""ultralytics' models and predictors around our weights, with everything switched off that depends on the machine."""

from __future__ import annotations

import copy
import os
import re
from typing import Literal

import torch
import yaml

from .bundle import Bundle, check_state
from .errors import BundleError
from .numerics import limit_threads
from .tables import UltralyticsTable

# Read when ultralytics is imported: it must neither look for a network nor install or fetch anything.
os.environ.setdefault("YOLO_OFFLINE", "true")

Task = Literal["detect", "pose"]
_ACTIVATION = re.compile(r"(torch\.)?nn\.[A-Za-z0-9]+\((inplace=True|[0-9.]*)\)")
_MAX_REPEATS, _MAX_LAYERS = 100, 500
_ARCHITECTURE_FIX = "use an architecture of this version of ultralytics: layers and activations of its own and of torch"


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


def build_model(architecture: dict, classes: tuple[str, ...], task: Task = "detect") -> torch.nn.Module:
    """ultralytics' model of an architecture, with untrained weights.

    Raises:
        BundleError: the architecture names what is no layer: ultralytics would look it up, or evaluate it.
    """
    from ultralytics.nn.tasks import DetectionModel, PoseModel

    _check_architecture(architecture)
    kind = PoseModel if task == "pose" else DetectionModel
    model = kind(cfg=copy.deepcopy(architecture), nc=len(classes), verbose=False)
    model.names = dict(enumerate(classes))
    return model


def _predictor_class(task: Task) -> type:
    from ultralytics.models.yolo.detect import DetectionPredictor
    from ultralytics.models.yolo.pose import PosePredictor

    return PosePredictor if task == "pose" else DetectionPredictor


def _load_model(task: Task, bundle: Bundle, table: UltralyticsTable, weights: str) -> torch.nn.Module:
    path = bundle.folder / table.architecture
    if not path.is_file():
        raise BundleError(f"{path} is missing", fix="restore the file from where the bundle came from")
    architecture = yaml.safe_load(path.read_text(encoding="utf-8"))
    model = build_model(architecture, table.classes, task)
    check_state(model, bundle.load_weights(weights), bundle.folder / bundle.weights[weights].file)
    return model.eval()


def _check_architecture(architecture: dict) -> None:
    from ultralytics.nn import tasks

    activation = architecture.get("activation")
    if activation is not None and not _ACTIVATION.fullmatch(str(activation)):  # ultralytics calls eval() with it
        raise BundleError(f"the architecture's activation is {activation!r}", fix=_ARCHITECTURE_FIX)
    layers = [*architecture["backbone"], *architecture["head"]]
    for layer in layers:
        row = layer if isinstance(layer, list) and len(layer) == 4 else [None] * 4
        space, name = (vars(torch.nn), row[2][3:]) if str(row[2]).startswith("nn.") else (vars(tasks), row[2])
        kind = space.get(name) if isinstance(name, str) else None
        is_layer = isinstance(kind, type) and issubclass(kind, torch.nn.Module)
        if not is_layer or row[1] not in range(_MAX_REPEATS) or len(layers) > _MAX_LAYERS:
            raise BundleError(f"the architecture has the layer {layer!r:.80}", fix=_ARCHITECTURE_FIX)
