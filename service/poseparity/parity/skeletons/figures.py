"""How large a difference is, and where."""

from __future__ import annotations

import numpy as np

from ...keypoints import CSV_NAMES
from ...missing import runs
from .alignment import Alignment, at_rows
from .hypotheses.without import pixels
from .sides import Side

_LISTED = 3  # frames, joints and stretches each, the worst


def as_they_stand(a: Side, b: Side) -> dict:
    """Row by row and column by column, nothing assumed, JSON-ready."""
    rows = np.arange(min(a.frame_count, b.frame_count), dtype=np.float64)
    left, right = at_rows(a, rows), at_rows(b, rows)
    distance = np.linalg.norm(right[..., :2] - left[..., :2], axis=-1)
    return _figures(distance, np.nan_to_num(distance) > 0, rows) | {"frames": [a.frame_count, b.frame_count]}


def what_is_left(found: Alignment) -> dict:
    """After everything that was found, JSON-ready; rows are those of A."""
    return _figures(np.where(found.common, found.residual, np.nan), found.off, found.time.rows_a)


def _figures(distance: np.ndarray, off: np.ndarray, rows: np.ndarray) -> dict:
    """Args: distance (pairs, 17) in pixels, NaN where a joint is not common; off: which of them count."""
    common = np.isfinite(distance)
    if not common.any():
        return {"common_joints": 0}
    by_frame = np.where(common, distance, 0).sum(axis=1) / np.maximum(common.sum(axis=1), 1)
    by_joint = np.where(common, distance, 0).sum(axis=0) / np.maximum(common.sum(axis=0), 1)
    differing = off.any(axis=1)
    return {
        "common_joints": int(common.sum()),
        "differing_joints": int(off.sum()),
        "median_px": pixels(float(np.median(distance[common]))),
        "largest_px": pixels(float(distance[common].max())),
        "first_differing_frame": float(rows[np.argmax(differing)]) if differing.any() else None,
        "worst_frames": [{"row": float(rows[i]), "mean_px": pixels(by_frame[i])} for i in _worst(by_frame)],
        "worst_joints": [{"joint": CSV_NAMES[i], "mean_px": pixels(by_joint[i])} for i in _worst(by_joint)],
        "stretches": [
            {"first_row": float(rows[first]), "frames": int(length)}
            for _, first, length in runs(differing[:, None])[:_LISTED]
        ],
    }


def _worst(values: np.ndarray) -> list[int]:
    return [int(index) for index in np.argsort(-values, kind="stable")[:_LISTED] if values[index] > 0]
