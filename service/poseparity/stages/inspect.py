"""Refuse a skeleton of which too little was seen: interpolation would hide it, and the answer would be a guess."""

from __future__ import annotations

import numpy as np

from ..bundle.bundle import Bundle
from ..errors import TooManyMissingJoints
from ..missing import missing_joints, missing_share
from ..plausible import told
from ..records import Skeleton
from .base import INSPECT, Stage

_WORST = 3


class Inspect(Stage):
    """Compare the share of missing joints, over all frames and joints, with what the bundle allows.

    Reads: Skeleton, before interpolation. Adds: nothing.
    Raises: TooManyMissingJoints when the share is over the limit; it carries the skeleton.
    """

    row = INSPECT
    name = row.name

    def __init__(self, bundle: Bundle) -> None:
        self._limit = bundle.quality.max_missing_share

    def __call__(self, skeleton: Skeleton) -> Skeleton:
        if missing_share(skeleton) <= self._limit:
            return skeleton
        found = missing_joints(skeleton)
        ranked = sorted(found["by_joint"].items(), key=lambda entry: -entry[1])
        worst = ", ".join(f"{joint} in {count}" for joint, count in ranked[:_WORST])
        raise TooManyMissingJoints(
            f"{found['count']} of {found['total']} joints are missing ({found['share']:.2%}), this bundle allows "
            f"{self._limit:.2%}; most: {worst} of {skeleton.frame_count} frames",
            fix="show one person whole, larger and well lit; `poseparity run INPUT --plot missing.png` shows where "
            "joints are lost",
            skeleton=skeleton,
            details={"missing_joints": found, "max_missing_share": self._limit} | told(skeleton),
        )

    @staticmethod
    def values(skeleton: Skeleton) -> dict[str, np.ndarray]:
        return {"missing": np.array(skeleton.missing.sum(), dtype=np.int64)}
