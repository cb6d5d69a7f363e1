"""Fill missing joints over time."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ..bundle.bundle import Bundle
from ..records import Skeleton
from .base import INTERPOLATE, Stage


class Interpolate(Stage):
    """Fill joints that are 0, 0, 0: linearly between the frames around a gap, with the nearest frame at the ends.

    x, y and the confidence are filled alike. A joint that is missing in every frame stays missing: nothing is known
    of it. With method "none" the skeleton passes unchanged.

    Reads: Skeleton. Adds: values for missing joints.
    Raises: nothing.
    """

    row = INTERPOLATE
    name = row.name

    def __init__(self, bundle: Bundle) -> None:
        self._method = bundle.interpolate.method

    def __call__(self, skeleton: Skeleton) -> Skeleton:
        if self._method == "none":
            return skeleton
        return replace(skeleton, keypoints=filled(skeleton.keypoints, skeleton.missing))

    @staticmethod
    def values(skeleton: Skeleton) -> dict[str, np.ndarray]:
        return {"keypoints": skeleton.keypoints}


def filled(keypoints: np.ndarray, missing: np.ndarray) -> np.ndarray:
    """Fill gaps of each joint.

    Args:
        keypoints: float64 (frames, joints, 3).
        missing: boolean (frames, joints).

    Returns:
        A filled copy. `numpy.interp` holds the end values, which is the forward and backward fill.
    """
    result = keypoints.copy()
    time = np.arange(len(keypoints), dtype=np.float64)
    for joint in np.flatnonzero(missing.any(axis=0) & ~missing.all(axis=0)):
        gap, known = missing[:, joint], ~missing[:, joint]
        for channel in range(keypoints.shape[-1]):
            result[gap, joint, channel] = np.interp(time[gap], time[known], keypoints[known, joint, channel])
    return result
