"""Cut the static frames at both ends of a recording."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ..bundle.bundle import Bundle
from ..keypoints import Coco17
from ..records import Skeleton
from .base import TRIM, Stage

_SHOULDERS = [Coco17.L_SHOULDER, Coco17.R_SHOULDER]
_HIPS = [Coco17.L_HIP, Coco17.R_HIP]


class Trim(Stage):
    """Keep the frames from the first to the last motion, and a margin on each side.

    A frame moves when, from the frame before it to itself, some joint goes further than `threshold` torso lengths. The
    torso length is the median over the frames of the distance from the middle of the shoulders to that of the hips, so
    the measure does not depend on the camera. Only joints known in both frames count. When nothing moves, or when
    fewer than `min_frames` would be left, nothing is cut. With method "none", or a threshold of 0, nothing is cut
    either: also no end in which nobody moves.

    Reads: Skeleton. Adds: `first_frame`, and holds only the kept frames.
    Raises: nothing.
    """

    row = TRIM
    name = row.name

    def __init__(self, bundle: Bundle) -> None:
        self._parameters = bundle.trim

    def __call__(self, skeleton: Skeleton) -> Skeleton:
        if self._parameters.method == "none" or not self._parameters.threshold:
            return skeleton
        moving = np.flatnonzero(largest_steps(skeleton) > self._parameters.threshold)
        if not len(moving):
            return skeleton
        first = max(0, int(moving[0]) - self._parameters.margin)
        end = min(skeleton.frame_count, int(moving[-1]) + 2 + self._parameters.margin)
        if end - first < self._parameters.min_frames:
            return skeleton
        return replace(skeleton, keypoints=skeleton.keypoints[first:end], first_frame=skeleton.first_frame + first)

    @staticmethod
    def values(skeleton: Skeleton) -> dict[str, np.ndarray]:
        return {
            "first_frame": np.array(skeleton.first_frame, dtype=np.int64),
            "frame_count": np.array(skeleton.frame_count, dtype=np.int64),
            "keypoints": skeleton.keypoints,
        }


def largest_steps(skeleton: Skeleton) -> np.ndarray:
    """For each pair of neighbouring frames the largest step of a joint, in torso lengths: float64 (frames - 1,)."""
    positions, present = skeleton.keypoints[..., :2], ~skeleton.missing
    both = present[1:] & present[:-1]
    steps = np.where(both, _length(positions[1:] - positions[:-1]), 0.0).max(axis=1)
    torso = torso_length(skeleton)
    return steps / torso if torso > 0 else np.zeros_like(steps)


def torso_length(skeleton: Skeleton) -> float:
    """Median distance, in pixels, from mid-shoulder to mid-hip, where all four joints are known; 0.0 where never."""
    known = ~skeleton.missing[:, _SHOULDERS + _HIPS].any(axis=1)
    if not known.any():
        return 0.0
    positions = skeleton.keypoints[known, :, :2]
    return float(np.median(_length(positions[:, _SHOULDERS].mean(axis=1) - positions[:, _HIPS].mean(axis=1))))


def _length(vectors: np.ndarray) -> np.ndarray:
    # Not numpy.hypot: that is the C library's, another one in another container. A square root is exact by IEEE 754.
    return np.sqrt(np.square(vectors[..., 0]) + np.square(vectors[..., 1]))
