"""YOLO person detection through ultralytics, on an evenly spaced share of the frames."""

from __future__ import annotations

import numpy as np

from ..bundle.bundle import Bundle
from ..libraries.ultralytics import build_predictor
from ..records import Detections, Video
from .decode import frames, sampled_indices


class Detect:
    """Find persons on a share of the frames.

    Reads: Video. Adds: for each sampled frame the boxes, pixels of the full frame, and their confidences.
    Raises: InputError when a frame cannot be decoded.
    """

    name = "detect"

    def __init__(self, bundle: Bundle) -> None:
        self._parameters = bundle.detect
        self._predictor = build_predictor("detect", bundle, bundle.detect, "detector")

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
