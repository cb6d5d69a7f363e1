"""What became of the third number of each joint."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .alignment import Alignment
from .sides import Side


@dataclass(frozen=True)
class Confidence:
    """How the confidences of the joints that both sides have differ.

    Attributes:
        kind: "same" (but for rounding), "constant" (one side has a single value), "scaled" or "other".
        differing: joints whose confidence differs by more than rounding.
        largest, median: of the absolute difference over the joints of which any differ.
        side: that has the single value; "" otherwise.
        value: that value, or the factor from A to B.
        rounded: name of the coarser precision, where that is all that differs; "" otherwise.
    """

    kind: str
    differing: int = 0
    largest: float = 0.0
    median: float = 0.0
    side: str = ""
    value: float = 0.0
    rounded: str = ""


def compare_confidence(found: Alignment, a: Side, b: Side) -> Confidence:
    """Compare the confidences of common joints on an alignment's moments."""
    left, right = found.a[found.common][:, 2], found.b[found.common][:, 2]
    difference = np.abs(left - right)
    constant = [name for name, values in (("A", left), ("B", right)) if len(values) and np.ptp(values) == 0]
    # A single value says nothing of how it was rounded.
    reach = 1e-9 if constant else _reach(a, left) + _reach(b, right)
    off = difference > reach
    if not off.any():
        return Confidence("same", rounded=_coarser(a, b) if difference.max(initial=0) > 0 else "")
    figures = {
        "differing": int(off.sum()),
        "largest": float(difference.max()),
        "median": float(np.median(difference[off])),
    }
    if constant:
        return Confidence(
            "constant", side=constant[-1], value=float((left if constant[-1] == "A" else right)[0]), **figures
        )
    factor = float((left * right).sum() / max((left * left).sum(), 1e-12))
    if factor > 0 and np.all(np.abs(right - factor * left) <= reach * max(1.0, factor)):
        return Confidence("scaled", value=factor, **figures)
    return Confidence("other", **figures)


def _reach(side: Side, values: np.ndarray) -> np.ndarray:
    return 1.1 * side.confidence_precision.half_step(values) + 1e-9


def _coarser(a: Side, b: Side) -> str:
    steps = [float(side.confidence_precision.half_step(np.ones(1))[0]) for side in (a, b)]
    return (a, b)[int(steps[1] > steps[0])].confidence_precision.name
