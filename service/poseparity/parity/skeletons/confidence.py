"""What became of the third number of each joint."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .alignment import Alignment
from .precision import FLOAT64
from .remainder import beyond_rounding, is_off_grid
from .sides import Side

_SAME = 1e-9  # far above float64's last bits of a confidence of 1 (1e-16), far below float32's (6e-8)
_CLOSE = 1e-4  # what unpinned threads and instruction sets leave of a network's answer, with room


@dataclass(frozen=True)
class Confidence:
    """How the confidences of the joints that both sides have differ.

    Attributes:
        kind: "same", "rounded" (one side is the other rounded), "constant" (one side has a single value), "close" (as
            little as unpinned numerics make), "scaled" or "other".
        differing: joints whose confidence differs.
        largest, median: of the absolute difference over the joints of which any differ.
        side: that is rounded or has the single value; "" otherwise.
        value: that value, or the factor from A to B.
        precision: name of the one that the side was rounded to; "" otherwise.
    """

    kind: str
    differing: int = 0
    largest: float = 0.0
    median: float = 0.0
    side: str = ""
    value: float = 0.0
    precision: str = ""


def compare_confidence(found: Alignment, a: Side, b: Side) -> Confidence:
    """Compare the confidences of common joints on an alignment's moments."""
    left, right = found.a[found.common][:, 2], found.b[found.common][:, 2]
    difference = np.abs(left - right)
    if difference.max(initial=0) <= _SAME:
        return Confidence("same")
    off = difference > _SAME
    figures = {
        "differing": int(off.sum()),
        "largest": float(difference.max()),
        "median": float(np.median(difference[off])),
    }
    constant = [name for name, values in (("A", left), ("B", right)) if np.ptp(values) == 0]
    if constant:  # before rounding: a single value says nothing of how it was rounded
        value = float((left if constant[-1] == "A" else right)[0])
        return Confidence("constant", side=constant[-1], value=value, **figures)
    for coarse, numbers, fine, finer in ((b, right, a, left), (a, left, b, right)):
        grid, room = coarse.confidence_precision, fine.confidence_precision.half_step(finer)
        on_grid = grid != FLOAT64 and is_off_grid(finer, grid, room)
        if on_grid and not beyond_rounding(finer, numbers, grid, room).any():
            return Confidence("rounded", side=coarse.name, precision=coarse.confidence_precision.name, **figures)
    if figures["largest"] <= _CLOSE:
        return Confidence("close", **figures)
    factor = float((left * right).sum() / max((left * left).sum(), 1e-12))
    reach = _reach(a, left) + _reach(b, right)
    if factor > 0 and np.all(np.abs(right - factor * left) <= reach * max(1.0, factor)):
        return Confidence("scaled", value=factor, **figures)
    return Confidence("other", **figures)


def _reach(side: Side, values: np.ndarray) -> np.ndarray:
    # With a tenth of room: two numbers that were rounded meet here.
    return 1.1 * side.confidence_precision.half_step(values) + 1e-9
