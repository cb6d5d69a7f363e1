"""Lay one skeleton over the other: same moments, same joints, same coordinates; and measure what is left."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from . import geometry
from .geometry import Affine
from .orders import JointOrder
from .sides import Side
from .timing import TimeMap

_CAP = 0.1  # body sizes: what is further away is simply wrong, how far does not matter
_NOISE = 1e-9  # of a coordinate: far above float64's last bits (1e-16), far below what any program prints
_ON_ROW = 1e-6  # of a row: far above a float's last bits, far below the 1/n by which n resampled frames lie off it
_COARSEST = 0.05  # body sizes: numbers with larger steps would be equal to almost anything
SAME_SHARE = 0.5  # joints equal but for rounding, from which on two files are of one recording beyond doubt


@dataclass(frozen=True)
class Alignment:
    """Two skeletons laid over each other, pair of moments by pair of moments.

    Attributes:
        time, order, affine: how a moment, a joint and a position of A become B's.
        a, b: float64 (pairs, 17, 3): A in B's joint order but in its own coordinates, and B; NaN where a joint is
            missing.
        reach: float64 (pairs, 17): how far apart rounding alone can have put two positions, in pixels.
    """

    time: TimeMap
    order: JointOrder
    affine: Affine
    a: np.ndarray
    b: np.ndarray
    reach: np.ndarray

    @property
    def complexity(self) -> int:
        return self.time.complexity + self.order.complexity + self.affine.model.complexity

    @cached_property
    def common(self) -> np.ndarray:
        """Boolean (pairs, 17): joints that both sides have."""
        return np.isfinite(self.a[..., 0]) & np.isfinite(self.b[..., 0])

    @cached_property
    def vectors(self) -> np.ndarray:
        """(pairs, 17, 2): B less A after the map, in pixels of the side with larger numbers; NaN where not common."""
        return (self.b[..., :2] - self.affine(self.a[..., :2])) * self.affine.unit

    @cached_property
    def residual(self) -> np.ndarray:
        """(pairs, 17): the lengths of `vectors`."""
        return np.linalg.norm(self.vectors, axis=-1)

    @cached_property
    def off(self) -> np.ndarray:
        """Boolean (pairs, 17): common joints that lie further apart than rounding can explain."""
        reach = np.minimum(self.reach, _COARSEST * self.body)
        return self.common & (np.nan_to_num(self.residual) > reach)

    @cached_property
    def same_share(self) -> float:
        """Share of the common joints that are equal but for rounding."""
        return 1 - self.off.sum() / max(1, self.common.sum())

    @cached_property
    def median(self) -> float:
        """Of the residual, in pixels; infinite where no joint is common."""
        return float(np.median(self.residual[self.common])) if self.common.any() else np.inf

    @cached_property
    def body(self) -> float:
        """Diagonal of the box around a body, in pixels: the median over the frames."""
        positions = self.b[..., :2] * self.affine.unit
        # One joint has no extent.
        seen = np.isfinite(positions[..., 0]).sum(axis=1) >= 2
        if not seen.any():
            return 1.0
        box = np.nanmax(positions[seen], axis=1) - np.nanmin(positions[seen], axis=1)
        return float(np.median(np.linalg.norm(box, axis=1))) or 1.0

    @cached_property
    def loss(self) -> float:
        """Mean residual in body sizes, each capped."""
        if not self.common.any():
            return np.inf
        return float(np.minimum(self.residual[self.common] / self.body, _CAP).mean())

    @property
    def exact(self) -> bool:
        """Nothing is left but rounding."""
        return bool(self.common.any()) and not self.off.any()

    def clearly_better_than(self, other: Alignment) -> bool:
        """Whether it explains so much more that its additional assumptions are worth it."""
        # One number more to fit leaves a little less even where it means nothing, hence 2% of the joints, or 30% less.
        if self.same_share > SAME_SHARE or other.same_share > SAME_SHARE:
            return self.same_share > other.same_share + 0.02 or (self.exact and not other.exact)
        return self.loss < 0.7 * other.loss


def align(a: Side, b: Side, time: TimeMap, order: JointOrder) -> Alignment | None:
    """Estimate the map of coordinates for given moments and joints; None where nothing can be estimated."""
    rough = _rough(a, b, time, order, rounds=14)
    if rough is None:
        return None
    points = rough.a[rough.common][:, :2], rough.b[rough.common][:, :2]
    # Rounding alone leaves 0.29 of a step on each axis, which is 0.41 of the reach.
    slack = 0.42 * float(np.median(rough.reach[rough.common])) if rough.same_share > SAME_SHARE else 0.0
    return with_affine(rough, a, b, geometry.simplest(rough.affine, *points, slack=max(slack, _NOISE * rough.body)))


def look(a: Side, b: Side, time: TimeMap, order: JointOrder, *, pairs: int) -> Alignment | None:
    """A quick `align` on at most so many pairs of moments, with the richest map."""
    # Candidates are only ranked: outliers need not have lost all their weight.
    return _rough(a, b, time.thinned(pairs), order, rounds=5)


def _rough(a: Side, b: Side, time: TimeMap, order: JointOrder, *, rounds: int) -> Alignment | None:
    if not len(time.rows_a):
        return None
    at_a, at_b = at_rows(a, time.rows_a)[:, order.joints], at_rows(b, time.rows_b)
    common = np.isfinite(at_a[..., 0]) & np.isfinite(at_b[..., 0])
    full = geometry.fit(at_a[common][:, :2], at_b[common][:, :2], rounds=rounds)
    return None if full is None else Alignment(time, order, full, at_a, at_b, _reach(a, b, full, at_a, at_b))


def with_affine(found: Alignment, a: Side, b: Side, affine: Affine) -> Alignment:
    """The same moments and joints under another map."""
    return replace(found, affine=affine, reach=_reach(a, b, affine, found.a, found.b))


def at_rows(side: Side, rows: np.ndarray) -> np.ndarray:
    """A side at rows or between them, linearly: float64 (rows, 17, 3), NaN where a joint is missing."""
    return between_rows(np.where(side.present[..., None], side.keypoints, np.nan), rows)


def between_rows(keypoints: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """The same of an array (frames, joints, channels) that has NaN where a joint is missing."""
    rows = np.where(np.abs(rows - np.round(rows)) < _ON_ROW, np.round(rows), rows)
    below = np.floor(rows).astype(int)
    share = (rows - below)[:, None, None]
    above = np.minimum(below + 1, len(keypoints) - 1)
    # Not (1 - 0) * x + 0 * y: with a missing joint in the next row that would be missing, too.
    return np.where(share > 0, (1 - share) * keypoints[below] + share * keypoints[above], keypoints[below])


def _reach(a: Side, b: Side, affine: Affine, at_a: np.ndarray, at_b: np.ndarray) -> np.ndarray:
    """Half steps of both sides' numbers, in pixels, as the length of a diagonal; with room for float arithmetic."""
    steps_a = a.precision.half_step(np.nan_to_num(at_a[..., :2])) * np.abs(affine.scale)
    steps_b = b.precision.half_step(np.nan_to_num(at_b[..., :2]))
    # A float's last bit is lost again with each operation done on it; a decimal is rounded once, when it is written.
    room_a, room_b = (1.1 if side.precision.decimals is not None else 4.0 for side in (a, b))
    both = (steps_a * room_a + steps_b * room_b) * affine.unit
    floor = _NOISE * (1 + np.abs(np.nan_to_num(at_b[..., :2])) * affine.unit)
    return np.linalg.norm(both + floor, axis=-1)
