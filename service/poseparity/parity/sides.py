"""One of the two skeletons that are compared."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from .precision import Precision, precision_of


@dataclass(frozen=True)
class Side:
    """A skeleton as its file holds it.

    Attributes:
        name: what the report calls it: "A" or "B".
        keypoints: float64 (frames, 17, 3): x, y, confidence.
    """

    name: str
    keypoints: np.ndarray

    @property
    def frame_count(self) -> int:
        return len(self.keypoints)

    @cached_property
    def present(self) -> np.ndarray:
        """Boolean (frames, 17): False where a joint's x and y are 0, whatever its confidence."""
        return self.keypoints[..., :2].any(axis=-1)

    @cached_property
    def precision(self) -> Precision:
        """Of x and y."""
        return precision_of(self.keypoints[self.present][:, :2])

    @cached_property
    def confidence_precision(self) -> Precision:
        return precision_of(self.keypoints[self.present][:, 2])

    @cached_property
    def repeats(self) -> np.ndarray:
        """Boolean (frames,): True where a frame that shows somebody has the same values as the one before it."""
        same = (self.keypoints[1:] == self.keypoints[:-1]).all(axis=(1, 2)) & self.present[1:].any(axis=1)
        return np.concatenate([[False], same])

    @cached_property
    def extent(self) -> tuple[float, float]:
        """Smallest and largest coordinate of a joint that is there; 0, 0 where none is."""
        values = self.keypoints[self.present][:, :2]
        return (float(values.min()), float(values.max())) if values.size else (0.0, 0.0)

    def to_dict(self) -> dict:
        """What the report says of this file, JSON-ready."""
        return {
            "name": self.name,
            "frames": self.frame_count,
            "missing_joints": int((~self.present).sum()),
            "repeated_frames": int(self.repeats.sum()),
            "smallest_coordinate": round(self.extent[0], 4),
            "largest_coordinate": round(self.extent[1], 4),
            "numbers": self.precision.name,
        }
