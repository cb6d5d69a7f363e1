"""Compare two skeleton CSVs: what explains that they differ, as far as they can show it."""

from __future__ import annotations

import numpy as np

from .alignment import SAME_SHARE, Alignment
from .confidence import Confidence, compare_confidence
from .figures import as_they_stand, what_is_left
from .hypotheses.coordinates import explain_coordinates
from .hypotheses.joints import explain_gaps, explain_order
from .hypotheses.numbers import (
    explain_confidence,
    explain_last_digits,
    explain_noise,
    explain_rounding,
    is_noise,
    rounded_before,
    rounding_cause,
)
from .hypotheses.time import explain_time
from .hypotheses.without import Subject
from .result import Cause, Comparison
from .search import Search
from .sides import Side

_FEWEST = 20  # common joints: a map between fewer fits by chance


def compare_skeletons(a: np.ndarray, b: np.ndarray) -> Comparison:
    """Compare two skeletons of which nothing but the numbers is known.

    The two are laid over each other (moments, joints, coordinates), each thing that had to be assumed for it becomes a
    cause, and what is left tells the rest. Causes are symmetric: "B is A scaled by 0.5" is also "A is B scaled by 2".

    Args:
        a, b: float64 (frames, 17, 3), as `skeleton_csv.read` gives them.
    """
    first, second = Side("A", a), Side("B", b)
    sides = first.to_dict(), second.to_dict()
    if np.array_equal(a, b):
        return Comparison("csv", "identical", "identical: every number of every joint is the same", sides)
    raw = as_they_stand(first, second)
    found = Search(first, second).best()
    if found is None or (found.complexity and found.common.sum() < _FEWEST):
        return _not_explained(sides, raw, None, "no map between the two can be estimated: too few common joints")
    return _explained(first, second, sides, raw, found)


def _explained(a: Side, b: Side, sides: tuple[dict, dict], raw: dict, found: Alignment) -> Comparison:
    rounding = None
    if not found.exact and found.same_share <= SAME_SHARE:
        rounding = rounded_before(found, a, b)
        found = rounding[0] if rounding else found
    if not (found.same_share > SAME_SHARE or is_noise(found)):
        return _not_explained(sides, raw, found, "not the same movement, or changed in a way that is not known here")
    causes, gone = _causes(Subject(a, b, found))
    if rounding:
        causes = [cause for cause in causes if cause.code != "rounded"] + [rounding_cause(*rounding[1:])]
    left = what_is_left(found)
    unexplained = [] if is_noise(found) else _unexplained(found, gone, causes)
    causes = tuple(sorted(causes, key=lambda cause: -cause.score))
    figures = {"as_they_stand": raw, "left": left}
    if causes and not unexplained:
        return Comparison("csv", "explained", _summary(causes), sides, causes, figures)
    summary = "different, explained in part" if causes else "different, not explained"
    return Comparison("csv", "not-explained", summary, sides, causes, figures, tuple(unexplained))


def _causes(subject: Subject) -> tuple[list[Cause], Confidence]:
    confidence = compare_confidence(subject.found, subject.a, subject.b)
    causes = [
        *explain_time(subject),
        *explain_order(subject),
        *explain_coordinates(subject),
        *explain_gaps(subject),
        *explain_rounding(subject),
        *explain_noise(subject),
        *explain_confidence(confidence),
    ]
    return causes or explain_last_digits(subject.found), confidence


def _unexplained(found: Alignment, confidence: Confidence, causes: list[Cause]) -> list[str]:
    """What differs still, a line each."""
    lines = []
    if found.off.any():
        lines.append(f"{int(found.off.sum())} of {int(found.common.sum())} joints still differ by more than rounding")
    if confidence.kind == "other":
        lines.append(
            f"confidences differ on {confidence.differing} joints, by {confidence.median:.3g} in the median and "
            f"{confidence.largest:.3g} at most"
        )
    if confidence.rounded and not causes:
        lines.append(f"confidences differ by rounding to {confidence.rounded}; nothing else does")
    elif not causes and not lines:
        lines.append("nothing differs but the confidences of missing joints")
    return lines


def _not_explained(sides: tuple[dict, dict], raw: dict, found: Alignment | None, why: str) -> Comparison:
    figures = {"as_they_stand": raw} | ({"best_attempt": what_is_left(found)} if found else {})
    return Comparison("csv", "not-explained", f"different, not explained: {why}", sides, figures=figures, notes=())


def _summary(causes: tuple[Cause, ...]) -> str:
    certain = "explained" if all(cause.score == 1 for cause in causes) else "probably explained"
    return f"different, {certain}: {len(causes)} cause{'s' * (len(causes) > 1)}"
