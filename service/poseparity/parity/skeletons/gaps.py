"""Joints that one side has and the other has not: were they filled in, or seen?"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from .alignment import Alignment, between_rows
from .sides import Side

_ENOUGH = 0.9  # share of the filled joints that a method must give


@dataclass(frozen=True)
class Method:
    """A way to fill the frames in which a joint is missing.

    Attributes:
        inside: between two frames that have the joint: "linear", "previous" or "next".
        leading, trailing: whether frames before the first and after the last that have it are given that one's value.
    """

    inside: str
    leading: bool
    trailing: bool


METHODS = tuple(
    Method(inside, leading, trailing)
    for inside in ("linear", "previous", "next")
    for leading, trailing in ((True, True), (False, True), (True, False), (False, False))
)


@dataclass(frozen=True)
class Gaps:
    """Joints that one side lacks and the other has.

    Attributes:
        lacking, having: names of the sides.
        joints: boolean (pairs, 17), on the alignment's moments.
        methods: by any of which `having` may have filled them; empty where no method gives its values.
        matched: how many of them the methods give.
        moved_zeros: whether `having` has the other's 0,0 there, moved with everything else.
    """

    lacking: str
    having: str
    joints: np.ndarray
    methods: tuple[Method, ...] = ()
    matched: int = 0
    moved_zeros: bool = False

    @property
    def count(self) -> int:
        return int(self.joints.sum())

    def agreed(self, attribute: str) -> str | bool | None:
        """An attribute of the method; None where the gaps do not show it."""
        values = {getattr(method, attribute) for method in self.methods}
        return values.pop() if len(values) == 1 else None


def find_gaps(found: Alignment, a: Side, b: Side) -> list[Gaps]:
    """Gaps of either side that the other one has values in; empty where there are none."""
    mapped = found.affine(found.a[..., :2])
    values = {"A": mapped, "B": found.b[..., :2]}
    result = []
    for lacking, having in ((a, b), (b, a)):
        holes = ~np.isfinite(values[lacking.name][..., 0])
        joints = holes & np.isfinite(values[having.name][..., 0])
        if joints.any():
            result.append(_explained(found, lacking, having, values, holes, joints))
    return result


def _explained(found: Alignment, lacking: Side, having: Side, values: dict, holes, joints) -> Gaps:
    origin = found.affine(np.zeros(2)) if lacking.name == "A" else np.zeros(2)
    target = values[having.name]
    if found.affine.offset.any() and _near(found, np.broadcast_to(origin, target.shape), target)[joints].all():
        return Gaps(lacking.name, having.name, joints, moved_zeros=True)
    methods, best = [], (_ENOUGH, 0)
    for method in METHODS:
        key = max(
            _agreement(found, filled, target, holes, joints)
            for filled in _fillings(found, (lacking, having), values, holes, method)
        )
        if key > best:
            methods, best = [], key
        # Several methods may give the same values: what these gaps do not show stays open.
        if key == best:
            methods.append(method)
    return Gaps(lacking.name, having.name, joints, tuple(methods), round(best[0] * int(joints.sum())))


def _agreement(found: Alignment, filled: np.ndarray, target: np.ndarray, holes, joints) -> tuple[float, int]:
    """Share of the filled joints that a filling gives, and of how many holes it says rightly what is there."""
    near = _near(found, filled, target)
    nothing = np.isnan(filled[..., 0]) & np.isnan(target[..., 0])
    return float(near[joints].mean()), int((near | nothing)[holes].sum())


def _fillings(
    found: Alignment, sides: tuple[Side, Side], values: dict, holes: np.ndarray, method: Method
) -> Iterator[np.ndarray]:
    """What `having` would hold if it had been filled: (pairs, 17, 2) in B's coordinates.

    Filled before frames were cut or resampled; after it; and, should the rest of the two differ as well, from what
    `having` itself holds around the gap.
    """
    lacking, having = sides
    yield _laid(found, lacking, fill(_known(lacking), method))
    yield fill(values[lacking.name], method)
    yield _laid(found, having, fill(_blanked(found, having, holes), method))


def _known(side: Side) -> np.ndarray:
    """x and y of a side in its own frames, NaN where a joint is missing."""
    return np.where(side.present[..., None], side.keypoints[..., :2], np.nan)


def _blanked(found: Alignment, having: Side, holes: np.ndarray) -> np.ndarray:
    """A side in its own frames without what the other one lacks. Frames that belong to none of the other's stay."""
    result = _known(having)
    rows, columns = (
        (found.time.rows_a, found.order.joints) if having.name == "A" else (found.time.rows_b, np.arange(17))
    )
    pairs, joints = np.nonzero(holes)
    # A moment between two rows is made of both.
    for row in (np.floor(rows), np.ceil(rows)):
        result[row.astype(int)[pairs], columns[joints]] = np.nan
    return result


def _laid(found: Alignment, side: Side, positions: np.ndarray) -> np.ndarray:
    """A side's positions (frames, 17, 2) on the alignment's moments, in B's joint order and coordinates."""
    if side.name == "B":
        return between_rows(positions, found.time.rows_b)
    return found.affine(between_rows(positions, found.time.rows_a)[:, found.order.joints])


def fill(positions: np.ndarray, method: Method) -> np.ndarray:
    """A filled copy of (frames, joints, channels), NaN where a joint is missing."""
    result = positions.copy()
    known = np.isfinite(positions[..., 0])
    rows = np.arange(len(positions))
    for joint in np.flatnonzero(known.any(axis=0) & ~known.all(axis=0)):
        seen = np.flatnonzero(known[:, joint])
        gap = rows[~known[:, joint]]
        if not method.leading:
            gap = gap[gap > seen[0]]
        if not method.trailing:
            gap = gap[gap < seen[-1]]
        values, after = positions[seen, joint], np.searchsorted(seen, gap)
        if method.inside == "linear":
            result[gap, joint] = np.stack([np.interp(gap, seen, channel) for channel in values.T], axis=-1)
        elif method.inside == "previous":
            result[gap, joint] = values[np.maximum(after - 1, 0)]
        else:
            result[gap, joint] = values[np.minimum(after, len(seen) - 1)]
    return result


def _near(found: Alignment, filled: np.ndarray, target: np.ndarray) -> np.ndarray:
    distance = np.linalg.norm((filled - target) * found.affine.unit, axis=-1)
    # Twice, because what a joint was filled from was rounded as well.
    return np.nan_to_num(distance, nan=np.inf) <= 2 * found.reach.max()
