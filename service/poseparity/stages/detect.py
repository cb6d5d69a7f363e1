"""YOLO person detection through ultralytics, on an evenly spaced share of the frames."""

from __future__ import annotations

import math
import os

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
    from ultralytics.nn.tasks import DetectionModel

    path = bundle.folder / bundle.detect.architecture
    if not path.is_file():
        raise BundleError(f"{path} is missing", fix="restore the file from where the bundle came from")
    architecture = yaml.safe_load(path.read_text(encoding="utf-8"))
    model = DetectionModel(cfg=architecture, nc=len(bundle.detect.classes), verbose=False)
    model.names = dict(enumerate(bundle.detect.classes))
    check_state(model, bundle.load_weights("detector"), bundle.folder / bundle.weights["detector"].file)
    return model.eval()
