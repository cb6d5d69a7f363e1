"""ultralytics' pose models: `[pose] engine = "ultralytics"`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np

from ..bundle.bundle import Bundle
from ..compute.lanes import InPlace
from ..errors import BundleError
from ..keypoints import Coco17
from ..libraries.ultralytics import Predictor
from ..observe import Observe, unobserved
from .base import PoseEngine

KEYPOINT_SHAPE = [len(Coco17), 3]  # x, y, confidence


class UltralyticsEngine(PoseEngine):
    """One forward pass a frame; the numbers are those of ultralytics' own `predict`.

    Raises: BundleError when the weights do not fit the architecture, or it has other keypoints than COCO's 17.
    """

    def __init__(self, bundle: Bundle, lanes: InPlace) -> None:
        self._lanes = lanes
        self._parameters = bundle.pose
        self._weights = bundle.weights["pose"]
        self._predict = Predictor("pose", bundle, bundle.pose, "pose")
        found = list(self._predict.model.kpt_shape)
        if found != KEYPOINT_SHAPE:
            raise BundleError(
                f"{bundle.pose.architecture} has kpt_shape {found}, expected {KEYPOINT_SHAPE}",
                fix="use a pose model that was trained on COCO's 17 keypoints",
            )

    def persons(self, crops: Iterable[np.ndarray], observe: Observe = unobserved) -> Iterator[np.ndarray]:
        for result in self._lanes.map(self._predict, crops):
            # float32 (persons, 17, 3) in the order of NMS, which is that of the boxes' confidences. The network places
            # every joint; those that it is not confident of are missing.
            persons = result.keypoints.data.numpy().astype(np.float64)
            persons[persons[..., 2] < self._parameters.keypoint_confidence] = 0
            persons = persons[persons.any(axis=(1, 2))]
            observe("persons", persons)
            yield persons

    def describe(self) -> dict:
        return {**self._parameters.model_dump(mode="json"), "weights_sha256": self._weights.sha256}
