"""Compare two skeleton CSVs: what explains that they differ, as far as they can show it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ..result import Cause
from .alignment import SAME_SHARE, Alignment
from .confidence import Confidence, compare_confidence
from .figures import as_they_stand, what_is_left
from .hypotheses.coordinates import explain_coordinates
from .hypotheses.joints import explain_gaps, explain_missing, explain_order
from .hypotheses.numbers import (
    LAST_DIGITS,
    Rest,
    cut_off,
    explain_confidence,
    explain_rest,
    is_noise,
    quieted,
    rounded_before,
    rounding_cause,
)
from .hypotheses.time import explain_time
from .hypotheses.without import Subject
from .result import CsvComparison, CsvSide
from .search import Search
from .sides import Side, in_words

_FEWEST = 20  # common joints: a map between fewer fits by chance


def compare_skeletons(a: np.ndarray, b: np.ndarray) -> CsvComparison:
    """Compare two skeletons of which nothing but the numbers is known.

    The two are laid over each other (moments, joints, coordinates), each thing that had to be assumed for it becomes a
    cause, and what is left tells the rest. Causes are symmetric: "B is A scaled by 0.5" is also "A is B scaled by 2".

    Args:
        a, b: float64 (frames, 17, 3), as `skeleton_csv.read` gives them; a joint with NaN is missing.
    """
    first, second = (  # a joint of which one number is missing is missing as a whole
        Side(name, np.where(np.isfinite(each).all(axis=-1, keepdims=True), each, 0.0))
        for name, each in (("A", a), ("B", b))
    )
    found = _compared(first, second)
    return replace(found, notes=(*found.notes, *_of_missing(first, second, found.causes)))


def _of_missing(a: Side, b: Side, causes: tuple[Cause, ...]) -> tuple[str, ...]:
    """What was taken for a missing joint, or was not, though it may be one: a line each, where no cause says it."""
    lines = []
    told = any(cause.code in ("missing-marker", "zeros-moved") for cause in causes)
    for side in (a, b):
        if side.marker and not told:
            written = in_words(side.missing_as)
            lines.append(f"missing joints of {side.name} are written as {written}: here they count as missing")
        if side.unsure:
            lines.append(
                f"{side.unsure} joints of {side.name} have a position and a confidence of 0: here they count as seen, "
                "as joints do that were filled in"
            )
    return tuple(lines)


def _compared(first: Side, second: Side) -> CsvComparison:
    sides = first.described(), second.described()
    if np.array_equal(first.keypoints, second.keypoints):
        summary = "identical: every number of every joint is the same"
        return CsvComparison(verdict="identical", summary=summary, sides=sides)
    raw = as_they_stand(first, second)
    found = Search(first, second).best()
    if found is None or (found.complexity and found.common.sum() < _FEWEST):
        return _not_explained(sides, raw, None, "no map between the two can be estimated: too few common joints")
    return _explained(first, second, sides, raw, found)


def _explained(a: Side, b: Side, sides: tuple[CsvSide, CsvSide], raw: dict, found: Alignment) -> CsvComparison:
    cut = cut_off(found, a, b) if found.affine.model.complexity else None
    rest = None
    if cut:
        found, rest = cut[0], Rest((cut[1],))
    elif not found.exact:
        found = quieted(found, a, b)
    # Rounding that was scaled with the rest hides that the joints are the same.
    if found.same_share <= SAME_SHARE and (rounding := rounded_before(found, a, b)):
        found, rest = rounding[0], Rest((rounding_cause(*rounding[1:]),))
    if not (found.same_share > SAME_SHARE or is_noise(found)):
        return _not_explained(sides, raw, found, "not the same movement, or changed in a way that is not known here")
    confidence = compare_confidence(found, a, b)
    subject = Subject(a, b, found)
    rest = rest or explain_rest(subject, confidence)
    causes = tuple(sorted(_causes(subject, confidence, rest), key=lambda cause: -cause.score))
    unexplained = () if rest.noise else _unexplained(found, confidence, rest, causes)
    figures = {"as_they_stand": raw, "left": what_is_left(found)}
    found_out = {"sides": sides, "causes": causes, "figures": figures, "notes": unexplained}
    if causes and not unexplained:
        certain = "explained" if all(cause.score == 1 for cause in causes) else "probably explained"
        summary = f"different, {certain}: {len(causes)} cause{'s' * (len(causes) > 1)}"
        return CsvComparison(verdict="explained", summary=summary, **found_out)
    summary = "different, explained in part" if causes else "different, not explained"
    return CsvComparison(verdict="not-explained", summary=summary, **found_out)


def _causes(subject: Subject, confidence: Confidence, rest: Rest) -> list[Cause]:
    causes = [
        *explain_time(subject),
        *explain_order(subject),
        *explain_coordinates(subject),
        *explain_gaps(subject),
        *explain_missing(subject, confidence),
        *rest.causes,
        *explain_confidence(confidence, rest.causes),
    ]
    # A change of coordinates leaves last digits as well: they are worth a word where nothing else differs.
    return [cause for cause in causes if cause.code != LAST_DIGITS] or causes


def _unexplained(found: Alignment, confidence: Confidence, rest: Rest, causes: tuple[Cause, ...]) -> tuple[str, ...]:
    """What differs still, a line each."""
    lines = []
    if count := int(found.off.sum()) + rest.unexplained:
        lines.append(f"{count} of {int(found.common.sum())} joints still differ by more than rounding")
    if confidence.kind == "other":
        lines.append(
            f"confidences differ on {confidence.differing} joints, by {confidence.median:.3g} in the median and "
            f"{confidence.largest:.3g} at most"
        )
    if not causes and not lines:
        lines.append("nothing differs but the confidences of missing joints")
    return tuple(lines)


def _not_explained(sides: tuple[CsvSide, CsvSide], raw: dict, found: Alignment | None, why: str) -> CsvComparison:
    figures = {"as_they_stand": raw} | ({"best_attempt": what_is_left(found)} if found else {})
    summary = f"different, not explained: {why}"
    return CsvComparison(verdict="not-explained", summary=summary, sides=sides, figures=figures)
