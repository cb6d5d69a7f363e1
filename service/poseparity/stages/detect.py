"""YOLO person detection through ultralytics, on an evenly spaced share of the frames."""

from __future__ import annotations

import copy
import math
import os
import re

import numpy as np
import torch
import yaml

from ..bundle import Bundle, check_state
from ..errors import BundleError
from ..numerics import limit_threads
from ..records import Detections, Video
from .decode import frames

# Read when ultralytics is imported: it must neither look for a network nor install or fetch anything.
os.environ.setdefault("YOLO_OFFLINE", "true")

_ACTIVATION = re.compile(r"(torch\.)?nn\.[A-Za-z0-9]+\((inplace=True|[0-9.]*)\)")
_MAX_REPEATS, _MAX_LAYERS = 100, 500
_ARCHITECTURE_FIX = "use an architecture of this version of ultralytics: layers and activations of its own and of torch"


class Detect:
    """Find persons on a share of the frames.

    Reads: Video. Adds: for each sampled frame the boxes, pixels of the full frame, and their confidences.
    Raises: InputError when a frame cannot be decoded.
    """

    name = "detect"

    def __init__(self, bundle: Bundle) -> None:
        self._parameters = bundle.detect
        self._predictor = _build_predictor(bundle)

    def __call__(self, video: Video) -> Detections:
        indices = sampled_indices(video.frame_count, self._parameters.sample_share)
        found = [self._detect(frame) for _, frame in frames(video, wanted=frozenset(indices))]
        return Detections(
            video=video,
            frame_indices=indices,
            boxes=tuple(boxes for boxes, _ in found),
            confidences=tuple(confidences for _, confidences in found),
        )

    def _detect(self, frame: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """One frame a forward pass: the batch size changes a convolution's bits."""
        (result,) = self._predictor([frame])
        return result.boxes.xyxy.numpy(), result.boxes.conf.numpy()


def sampled_indices(frame_count: int, share: float) -> tuple[int, ...]:
    """Evenly spaced frame indices, in integers only: ceil(share * frame_count) of them, the first frame among them."""
    count = min(frame_count, max(1, math.ceil(share * frame_count)))
    return tuple(position * frame_count // count for position in range(count))


def _build_predictor(bundle: Bundle):
    """ultralytics' own predictor around our weights, with everything switched off that depends on the machine."""
    from ultralytics.models.yolo.detect import DetectionPredictor
    from ultralytics.utils import LOGGER

    LOGGER.setLevel("WARNING")
    parameters = bundle.detect
    predictor = DetectionPredictor(
        overrides={
            "task": "detect",
            "imgsz": parameters.image_size,
            "conf": parameters.confidence,
            "iou": parameters.iou,
            "classes": [parameters.person_class],
            "rect": parameters.rect,
            "device": "cpu",
            "channels_last": False,  # ultralytics chooses by CPU otherwise, and another layout is another sum
            "verbose": False,
            "save": False,
            "mode": "predict",
        }
    )
    predictor.setup_model(_build_model(bundle), verbose=False)
    # The warm-up imports torchvision, whose build need not fit a CPU-only torch and whose NMS would be used then.
    predictor.done_warmup = True
    limit_threads()
    return predictor


def _build_model(bundle: Bundle) -> torch.nn.Module:
    path = bundle.folder / bundle.detect.architecture
    if not path.is_file():
        raise BundleError(f"{path} is missing", fix="restore the file from where the bundle came from")
    architecture = yaml.safe_load(path.read_text(encoding="utf-8"))
    model = build_model(architecture, bundle.detect.classes)
    check_state(model, bundle.load_weights("detector"), bundle.folder / bundle.weights["detector"].file)
    return model.eval()


def build_model(architecture: dict, classes: tuple[str, ...]) -> torch.nn.Module:
    """ultralytics' model of an architecture, with untrained weights.

    Raises:
        BundleError: the architecture names what is no layer: ultralytics would look it up, or evaluate it.
    """
    from ultralytics.nn.tasks import DetectionModel

    _check_architecture(architecture)
    model = DetectionModel(cfg=copy.deepcopy(architecture), nc=len(classes), verbose=False)
    model.names = dict(enumerate(classes))
    return model


def _check_architecture(architecture: dict) -> None:
    from ultralytics.nn import tasks

    activation = architecture.get("activation")
    if activation is not None and not _ACTIVATION.fullmatch(str(activation)):  # ultralytics calls eval() with it
        raise BundleError(f"the detector's activation is {activation!r}", fix=_ARCHITECTURE_FIX)
    layers = [*architecture["backbone"], *architecture["head"]]
    for layer in layers:
        row = layer if isinstance(layer, list) and len(layer) == 4 else [None] * 4
        space, name = (vars(torch.nn), row[2][3:]) if str(row[2]).startswith("nn.") else (vars(tasks), row[2])
        kind = space.get(name) if isinstance(name, str) else None
        is_layer = isinstance(kind, type) and issubclass(kind, torch.nn.Module)
        if not is_layer or row[1] not in range(_MAX_REPEATS) or len(layers) > _MAX_LAYERS:
            raise BundleError(f"the detector has the layer {layer!r:.80}", fix=_ARCHITECTURE_FIX)
