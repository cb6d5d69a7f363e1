"""One of the two skeletons that are compared."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from .markers import Place, at, marker_of
from .precision import FLOAT64, Precision, precision_of
from .result import CsvSide


@dataclass(frozen=True)
class Side:
    """A skeleton as its file holds it.

    Attributes:
        name: what the report calls it: "A" or "B".
        keypoints: float64 (frames, 17, 3): x, y, confidence.
        as_given: whether positions are to be taken as they are, however few digits they have.
    """

    name: str
    keypoints: np.ndarray
    as_given: bool = False

    @property
    def frame_count(self) -> int:
        return len(self.keypoints)

    @cached_property
    def present(self) -> np.ndarray:
        """Boolean (frames, 17): False where a joint's x and y are 0, or the place of this file's missing joints."""
        placed = self.keypoints[..., :2].any(axis=-1)
        return placed if self.marker is None else placed & ~at(self.keypoints, self.marker)

    @cached_property
    def marker(self) -> Place | None:
        """Where missing joints are that are not at 0,0."""
        return marker_of(self.keypoints)

    @cached_property
    def missing_as(self) -> tuple[float, float, float] | None:
        """What most of the missing joints are written as; None where none is missing."""
        missing = Counter(map(tuple, self.keypoints[~self.present].tolist()))
        return missing.most_common(1)[0][0] if missing else None

    @property
    def unsure(self) -> int:
        """Joints that have a position and a confidence of 0, where others have one."""
        confidences = self.keypoints[..., 2][self.present]
        return int((confidences == 0).sum()) if confidences.any() else 0

    @cached_property
    def precision(self) -> Precision:
        """Of x and y."""
        return FLOAT64 if self.as_given else precision_of(self.keypoints[self.present][:, :2])

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

    def described(self) -> CsvSide:
        """What the report says of this file."""
        return CsvSide(
            name=self.name,
            frames=self.frame_count,
            missing_joints=int((~self.present).sum()),
            missing_as=None if self.missing_as is None else in_words(self.missing_as),
            repeated_frames=int(self.repeats.sum()),
            smallest_coordinate=round(self.extent[0], 4),
            largest_coordinate=round(self.extent[1], 4),
            numbers=self.precision.name,
        )


def in_words(values: tuple[float, ...]) -> str:
    """Numbers as a CSV has them, shortly: 0,0,0."""
    return ",".join(f"{value:g}" for value in values)
