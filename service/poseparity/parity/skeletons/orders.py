"""In which order joints stand in the columns, against the order that the header names."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.optimize import linear_sum_assignment

from ...keypoints import CSV_NAMES, Coco17, Coco18


@dataclass(frozen=True)
class JointOrder:
    """Which joint of A stands in each of B's columns.

    Attributes:
        name: of a known order, for the reader; "" for the header's own, "unknown" for one that was found.
        joints: int (17,): B's column j holds A's joint `joints[j]`.
        swapped: whether left and right are exchanged as well.
        changed: the side whose columns are not in the header's order, "A" or "B"; "" where that cannot be told.
    """

    name: str
    joints: np.ndarray
    swapped: bool = False
    changed: str = ""

    @property
    def complexity(self) -> int:
        return bool(self.name) + self.swapped

    def moved(self) -> dict[str, str]:
        """Column of B to the joint of A that it holds, where they are not the same."""
        pairs = zip(CSV_NAMES, self.joints, strict=True)
        return {column: CSV_NAMES[joint] for column, joint in pairs if column != CSV_NAMES[joint]}


_OTHER_SIDE = {"L_": "R_", "R_": "L_"}
SWAP = np.array([Coco17[_OTHER_SIDE.get(joint.name[:2], joint.name[:2]) + joint.name[2:]] for joint in Coco17])
_IDENTITY = np.arange(len(Coco17))
# Orders in which other programs write these 17 joints: column to joint.
_KNOWN = {
    "COCO-18 (OpenPose) without the neck": [Coco17[part.name] for part in Coco18 if part is not Coco18.NECK],
    "body first, then the face": [*range(Coco17.L_SHOULDER, len(Coco17)), *range(Coco17.L_SHOULDER)],
    "left side, then right side": sorted(Coco17, key=lambda joint: (joint.name[:2] != "NO", joint.name[0] == "R")),
}


def known_orders() -> list[JointOrder]:
    """The header's own order, left and right exchanged, and the known orders on either side, with and without that."""
    orders = [JointOrder("", _IDENTITY), JointOrder("", SWAP, swapped=True)]
    for swapped in (False, True):
        for name, columns in _KNOWN.items():
            joints = np.array(columns)
            exchange = SWAP if swapped else _IDENTITY
            orders.append(JointOrder(name, exchange[joints], swapped, "B"))
            orders.append(JointOrder(name, exchange[np.argsort(joints)], swapped, "A"))
    return orders


def assigned_orders(a: np.ndarray, b: np.ndarray, known: list[JointOrder]) -> list[JointOrder]:
    """Orders found by looking at which joints lie on each other, for an image as it is and for a mirrored one.

    Args:
        a, b: float64 (frames, 17, 2), frame by frame the same moment, NaN where a joint is missing.
        known: orders that have a name.
    """
    if not (np.isfinite(a).any() and np.isfinite(b).any()):
        return []
    found = []
    for sign in ((1, 1), (-1, 1)):
        joints = linear_sum_assignment(_distances(_standard(a) * sign, _standard(b)))[1]
        named = next((order for order in known if np.array_equal(order.joints, joints)), None)
        found.append(named or JointOrder("unknown", joints))
    return found


def _standard(positions: np.ndarray) -> np.ndarray:
    """Centred and scaled by all joints together, so that neither factors nor offsets nor the order matter."""
    # Medians, because some joints may lie anywhere.
    centred = positions - np.nanmedian(positions, axis=(0, 1))
    spread = np.nanmedian(np.abs(centred), axis=(0, 1))
    return centred / np.where(spread > 0, spread, 1.0)


def _distances(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """(17, 17): how far, in the median over the frames, B's column (row) is from A's joint (column)."""
    result = np.empty((b.shape[1], a.shape[1]))
    for column in range(b.shape[1]):
        distance = np.abs(b[:, column, None] - a).sum(axis=-1)
        seen = np.isfinite(distance).any(axis=0)
        result[column] = 1e3  # of a body's spread: joints that are never seen take the columns that are left
        result[column, seen] = np.nanmedian(distance[:, seen], axis=0)
    return result
