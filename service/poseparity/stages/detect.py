"""YOLO person detection through ultralytics, on an evenly spaced share of the frames."""

from __future__ import annotations

import numpy as np

from ..bundle.bundle import Bundle
from ..compute.lanes import InPlace
from ..libraries.ultralytics import Predictor
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

    def __init__(self, bundle: Bundle, lanes: InPlace) -> None:
        self._lanes = lanes
        self._parameters = bundle.detect
        self._predict = Predictor("detect", bundle, bundle.detect, DETECT.weights)

    def __call__(self, video: Video) -> Detections:
        indices = sampled_indices(video.frame_count, self._parameters.sample_share)
        pictures = (frame for _, frame in frames(video, wanted=frozenset(indices)))
        found = [result.boxes for result in self._lanes.map(self._predict, pictures)]
        return Detections(
            video=video,
            frame_indices=indices,
            boxes=tuple(boxes.xyxy.numpy() for boxes in found),
            confidences=tuple(boxes.conf.numpy() for boxes in found),
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
