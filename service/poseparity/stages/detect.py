"""YOLO person detection through ultralytics, on an evenly spaced share of the frames."""

from __future__ import annotations

import numpy as np

from ..bundle.bundle import Bundle
from ..libraries.ultralytics import build_predictor
from ..records import Detections, Video
from .base import DETECT, Stage
from .decode import frames, sampled_indices


class Detect(Stage):
    """Find persons on a share of the frames.

    Reads: Video. Adds: for each sampled frame the boxes, pixels of the full frame, and their confidences.
    Raises: InputError when a frame cannot be decoded.
    """

    row = DETECT
    name = row.name

    def __init__(self, bundle: Bundle) -> None:
        self._parameters = bundle.detect
        self._predictor = build_predictor("detect", bundle, bundle.detect, DETECT.weights)

    def __call__(self, video: Video) -> Detections:
        indices = sampled_indices(video.frame_count, self._parameters.sample_share)
        found = [self._detect(frame) for _, frame in frames(video, wanted=frozenset(indices))]
        return Detections(
            video=video,
            frame_indices=indices,
            boxes=tuple(boxes for boxes, _ in found),
            confidences=tuple(confidences for _, confidences in found),
        )

    @staticmethod
    def values(found: Detections) -> dict[str, np.ndarray]:
        """Boxes of all sampled frames one after the other; `people` says how many belong to each frame."""
        return {
            "frame_indices": np.array(found.frame_indices, dtype=np.int64),
            "people": np.array([len(boxes) for boxes in found.boxes], dtype=np.int64),
            "boxes": np.concatenate(found.boxes),
            "confidences": np.concatenate(found.confidences),
        }

    def _detect(self, frame: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """One frame a forward pass: the batch size changes a convolution's bits."""
        (result,) = self._predictor([frame])
        return result.boxes.xyxy.numpy(), result.boxes.conf.numpy()
