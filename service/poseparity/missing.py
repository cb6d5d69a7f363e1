"""How much of a skeleton was not seen: counted before interpolation hides it."""

from __future__ import annotations

import numpy as np

from .keypoints import CSV_NAMES
from .records import Skeleton

# An answer names at most so many stretches, the longest, and says how many there are beside them.
LISTED_STRETCHES = 50


def missing_joints(skeleton: Skeleton) -> dict:
    """What an answer says of missing joints, JSON-ready; the web's schema MissingJoints describes each key.

    Args:
        skeleton: before interpolation.
    """
    missing = skeleton.missing
    by_joint = dict(zip(CSV_NAMES, missing.sum(axis=0).tolist(), strict=True))
    found = runs(missing)
    empty = missing.all(axis=1)
    found_empty = runs(empty[:, None])
    return {
        "count": int(missing.sum()),
        "total": missing.size,
        "share": round(missing_share(skeleton), 6),
        "by_joint": {joint: count for joint, count in by_joint.items() if count},
        "never_seen": [joint for joint, count in by_joint.items() if count == skeleton.frame_count],
        "stretches": [
            {"joint": CSV_NAMES[joint], "first_frame": skeleton.first_frame + first, "frames": length}
            for joint, first, length in found[:LISTED_STRETCHES].tolist()
        ],
        "stretches_not_listed": max(0, len(found) - LISTED_STRETCHES),
        "empty_frames": {
            "count": int(empty.sum()),
            "stretches": [
                {"first_frame": skeleton.first_frame + first, "frames": length}
                for _, first, length in found_empty[:LISTED_STRETCHES].tolist()
            ],
            "stretches_not_listed": max(0, len(found_empty) - LISTED_STRETCHES),
        },
    }


def missing_share(skeleton: Skeleton) -> float:
    """Share of the joints, over all frames, that are missing: 0 to 1."""
    missing = skeleton.missing
    return int(missing.sum()) / missing.size


def runs(mask: np.ndarray) -> np.ndarray:
    """Runs of True along the first axis.

    Args:
        mask: boolean (frames, columns).

    Returns:
        int64 (runs, 3): column, first frame, length; the longest first, then the earliest, then by column.
    """
    padded = np.pad(mask.astype(np.int8), ((1, 1), (0, 0)))
    steps = np.diff(padded, axis=0).T  # by column, so that the nth start and the nth end are those of one run
    columns, first = np.nonzero(steps == 1)
    lengths = np.nonzero(steps == -1)[1] - first
    order = np.lexsort((columns, first, -lengths))
    return np.stack([columns, first, lengths], axis=1)[order]
