"""Rounded numbers, small differences all over, and confidences that were replaced."""

from __future__ import annotations

import numpy as np

from ...keypoints import CSV_NAMES
from ..alignment import SAME_SHARE, Alignment, align, look
from ..confidence import Confidence
from ..precision import COARSE
from ..result import PROVEN, Cause
from ..sides import Side
from .without import Subject, pixels

_PAIRS = 40
_COARSER = 10.0  # times the other's step
_SMALL, _LARGEST = 0.01, 0.02  # body sizes
_RANDOM = 0.5  # correlation of neighbouring frames: a movement that differs would last


def rounded_before(found: Alignment, a: Side, b: Side) -> tuple[Alignment, str, str] | None:
    """Whether one side was rounded before its coordinates were changed, which hides the rounding.

    Returns:
        The alignment with the other side rounded likewise, the rounded side and the precision's name.
    """
    for precision in COARSE:
        for side in (a, b):
            values = side.keypoints[side.present][:, :2]
            unit = found.affine.unit * (np.abs(found.affine.scale) if side is a else 1)
            if precision.holds(values) or np.median(precision.half_step(values) * unit) > _SMALL * found.body:
                continue
            positions = precision.rounded(side.keypoints[..., :2])
            coarse = Side(side.name, np.concatenate([positions, side.keypoints[..., 2:]], axis=-1))
            sides = (coarse, b) if side is a else (a, coarse)
            rough = look(*sides, found.time, found.order, pairs=_PAIRS)
            if rough is not None and rough.same_share > SAME_SHARE:
                again = align(*sides, found.time, found.order)
                if again.exact:
                    return again, "B" if side is a else "A", precision.name
    return None


def explain_rounding(subject: Subject) -> list[Cause]:
    """Which side's numbers were rounded, as they show themselves."""
    found, a, b = subject.found, subject.a, subject.b
    rounded = found.common & ~found.off if found.same_share > SAME_SHARE else found.common
    largest = float(found.residual[rounded].max(initial=0.0))
    if largest == 0:
        return []
    steps = {"A": _step(a, np.abs(found.affine.scale) * found.affine.unit), "B": _step(b, found.affine.unit)}
    coarse, fine = sorted(steps, key=lambda name: -steps[name])
    side = a if coarse == "A" else b
    if steps[coarse] < _COARSER * steps[fine] or largest < 0.01 * steps[coarse]:
        return []
    if found.same_share <= SAME_SHARE and side.precision not in COARSE:
        return []  # among larger differences, float32 against float64 means nothing
    evidence = {
        f"numbers of {coarse}": side.precision.name,
        f"of {fine}": (b if coarse == "A" else a).precision.name,
        "step, px": pixels(steps[coarse]),
        "largest difference, px": pixels(largest),
    }
    title = f"numbers of {coarse} were rounded: {side.precision.name}"
    confirm = f"look at how {coarse} is written: a format with few digits, a cast to an integer or to float16"
    return [Cause("rounded", title, evidence, confirm, _score(found, steps[coarse]))]


def _score(found: Alignment, step: float) -> float:
    """Proven where nothing else is left; among noise, how much of it such a step makes at most."""
    return PROVEN if found.same_share > SAME_SHARE else float(np.clip(step / 2 / found.median, 0.01, 0.99))


def explain_last_digits(found: Alignment) -> list[Cause]:
    """Differences that are smaller than any step that numbers were rounded to."""
    largest = float(found.residual[found.common].max(initial=0.0))
    if not found.exact or largest == 0:
        return []
    evidence = {"largest difference, px": float(f"{largest:.2g}")}
    confirm = "nothing needs to be done: float arithmetic in another order, or written with fewer digits"
    return [Cause("rounded", "numbers differ in their last digits only", evidence, confirm, PROVEN)]


def rounding_cause(side: str, precision: str) -> Cause:
    """What `rounded_before` found."""
    title = f"numbers of {side} were rounded to {precision}, before their coordinates were changed"
    confirm = f"look at what wrote the numbers that {side} was made of: integers, few digits, float16"
    return Cause("rounded", title, {"rounded to": precision, "then the rest fits": "exactly"}, confirm, PROVEN)


def is_noise(found: Alignment) -> bool:
    """Whether what is left is what another version of the same pose estimation leaves."""
    relative = found.median / found.body
    if found.same_share > SAME_SHARE or not found.common.any():
        return False
    return relative <= _SMALL or (relative <= _LARGEST and correlation(found) < _RANDOM)


def explain_noise(subject: Subject) -> list[Cause]:
    """Small differences all over, with their size; nothing where the rest is exact or too large for this."""
    found = subject.found
    if not is_noise(found):
        return []
    vectors, residual = found.vectors[found.common], found.residual[found.common]
    evidence = {
        "median difference, px": pixels(found.median),
        "19 of 20 are below, px": pixels(float(np.quantile(residual, 0.95))),
        "mean of x and y, px": f"{vectors[:, 0].mean():+.2g} and {vectors[:, 1].mean():+.2g}",
        "largest by joint, px (median)": _by_joint(found),
        "correlation of neighbouring frames": round(correlation(found), 2),
    }
    title = "small differences all over: the same recording, not the same pose estimation"
    confirm = (
        "compare versions of pose network, OpenCV and decoder, the network's input size, and the crop and its padding: "
        "two CSVs cannot tell these apart, two traces can"
    )
    raw = subject.found.median / found.body
    return [Cause("pose-noise", title, evidence, confirm, float(np.clip(1 - raw / _LARGEST, 0.5, 0.95)))]


def correlation(found: Alignment) -> float:
    """Of what is left, from one frame to the next: 1 for a movement that differs, 0 for pure noise."""
    vectors = found.vectors
    before, after = vectors[:-1], vectors[1:]
    both = np.isfinite(before) & np.isfinite(after)
    if not both.any():
        return 1.0
    energy = float(np.sqrt((before[both] ** 2).sum() * (after[both] ** 2).sum()))
    return float((before[both] * after[both]).sum()) / energy if energy > 0 else 1.0


def explain_confidence(confidence: Confidence) -> list[Cause]:
    """A side whose confidences are one value, or the other's times a factor."""
    evidence = {
        "joints whose confidence differs": confidence.differing,
        "median difference": round(confidence.median, 4),
        "largest": round(confidence.largest, 4),
    }
    if confidence.kind == "constant":
        title = f"every confidence of {confidence.side} is {confidence.value:g}"
        confirm = f"look for a program that does not write confidences into {confidence.side}, or replaces them"
        return [Cause("confidence-constant", title, evidence, confirm, PROVEN)]
    if confidence.kind == "scaled":
        title = f"confidences of B are those of A times {confidence.value:.6g}"
        return [Cause("confidence-scaled", title, evidence, "compare how the two programs scale scores", PROVEN)]
    return []


def _step(side: Side, scale: np.ndarray) -> float:
    """Typical distance of neighbouring numbers, in pixels."""
    values = side.keypoints[side.present][:, :2]
    return float(np.median(2 * side.precision.half_step(values) * scale)) if values.size else 0.0


def _by_joint(found: Alignment) -> str:
    medians = {}
    for column, name in enumerate(CSV_NAMES):
        values = found.residual[found.common[:, column], column]
        if len(values):
            medians[name] = float(np.median(values))
    ranked = sorted(medians, key=lambda name: -medians[name])
    return ", ".join(f"{name} {medians[name]:.2g}" for name in ranked[:3])
