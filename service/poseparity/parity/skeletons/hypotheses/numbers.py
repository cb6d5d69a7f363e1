"""Rounded numbers, the last digits, small differences all over, and confidences that were replaced."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from ....keypoints import CSV_NAMES
from ...result import PROVEN, Cause
from .. import geometry
from ..alignment import SAME_SHARE, Alignment, align, look, with_affine
from ..confidence import Confidence
from ..precision import COARSE
from ..remainder import CLOSE, Remainder, are_cut_off, is_off_grid, remainder
from ..sides import Side
from .without import Subject, pixels

LAST_DIGITS = "last-digits"
_PAIRS = 40  # of moments: 680 joints tell whether more than half of them agree
_FINER = 0.1  # of the step that a side was rounded to: what else may be left then, or anything would fit
_SMALL, _LARGEST = 0.01, 0.02  # body sizes
_RANDOM = 0.5  # correlation of neighbouring frames: a movement that differs would last
_UNPINNED = 0.9  # the score of differences as small as those of other threads: nothing tells them from another reason
_MOSTLY = 0.95  # of the joints: so many are as rounding gives them where next to nothing else was done
_WRITTEN = "a format with few digits, a cast to an integer or to float16"


def quieted(found: Alignment, a: Side, b: Side) -> Alignment:
    """With differences as small as unpinned numerics make counted as none, where most joints have no others.

    Such noise is no map: a factor of 1.00000001 that was fitted to it says nothing.
    """
    # The simpler one first.
    for affine in (geometry.IDENTITY, found.affine):
        again = with_affine(found, a, b, affine)
        close = again.residual[again.common] <= CLOSE * again.body
        if close.all() or (again.same_share <= SAME_SHARE and close.mean() > SAME_SHARE):
            return replace(again, reach=np.maximum(again.reach, CLOSE * again.body))
    return found


def rounded_before(found: Alignment, a: Side, b: Side) -> tuple[Alignment, str, str] | None:
    """Whether one side was rounded before its coordinates were changed, which hides the rounding.

    It was, if rounding the other one likewise leaves nothing: no more than that one's own digits explain.

    Returns:
        The alignment with the other side rounded likewise, the rounded side and the precision's name.
    """
    for precision in COARSE:
        for side in (a, b):
            values = side.keypoints[side.present][:, :2]
            unit = found.affine.unit * (np.abs(found.affine.scale) if side is a else 1)
            step = 2 * float(np.median(precision.half_step(values) * unit))
            if precision.holds(values) or step / 2 > _SMALL * found.body:
                continue
            positions = precision.rounded(side.keypoints[..., :2])
            coarse = Side(side.name, np.concatenate([positions, side.keypoints[..., 2:]], axis=-1), as_given=True)
            sides = (coarse, b) if side is a else (a, coarse)
            rough = look(*sides, found.time, found.order, pairs=_PAIRS)
            if rough is not None and rough.same_share > SAME_SHARE:
                again = align(*sides, found.time, found.order)
                if again.exact and float(np.median(again.reach[again.common])) <= _FINER * step:
                    return again, "B" if side is a else "A", precision.name
    return None


def cut_off(found: Alignment, a: Side, b: Side) -> tuple[Alignment, Cause] | None:
    """Whether the numbers of one side are the other's with digits cut off, as a cast to an integer does it.

    That moves everything by half a step on average, which is not to be taken for another corner of the coordinates.

    Returns:
        The alignment without any map, what was cut off counted as none; and the cause.
    """
    plain = with_affine(found, a, b, geometry.IDENTITY)
    for coarse, fine in ((b, a), (a, b)):
        grid = coarse.precision
        sides = (plain.b, plain.a) if coarse.name == "B" else (plain.a, plain.b)
        numbers, finer = (side[plain.common][:, :2] for side in sides)
        if grid.decimals is None or not is_off_grid(finer, grid, 0.0) or not are_cut_off(finer, numbers, grid):
            continue
        step = 2 * grid.half_step(numbers)
        evidence = {
            f"numbers of {coarse.name}": grid.name,
            f"of {fine.name}": fine.precision.name,
            "step, px": pixels(float(np.median(step))),
            f"cutting those of {fine.name} gives": f"{len(numbers)} of {len(numbers)} joints of {coarse.name}",
        }
        title = f"numbers of {coarse.name} were cut off, not rounded: {grid.name}"
        confirm = f"look at how {coarse.name} is written: a cast to an integer cuts off what stands behind the point"
        reach = np.maximum(plain.reach, np.hypot(1, 1) * float(step.max()))
        return replace(plain, reach=reach), Cause("rounded", title, evidence, confirm, PROVEN)
    return None


@dataclass(frozen=True)
class Rest:
    """What remains when everything that changes positions as a whole is told.

    Attributes:
        causes: of it.
        noise: whether it is small differences all over: then no joint is left to be explained.
        unexplained: joints that differ by more than rounding gives, though by less than its step.
    """

    causes: tuple[Cause, ...] = ()
    noise: bool = False
    unexplained: int = 0


def explain_rest(subject: Subject, confidence: Confidence) -> Rest:
    """Rounding, the last digits, or noise; of several that are possible the one that leaves nothing.

    Rounding is proven where rounding the finer side gives the coarser one's numbers, all of them. That differences lie
    below a step proves nothing: anything small does.
    """
    found = subject.found
    if is_noise(found):
        left = remainder(found, subject.a, subject.b)
        # A grid among larger differences says something, unless it is float32's against float64's.
        tells = left.one_sided and (left.precision in COARSE or left.precision.digits is not None)
        rounded = _rounded(subject, left, _of_noise(left, found)) if tells else []
        return Rest((*rounded, explain_noise(subject)), noise=True)
    if found.same_share <= SAME_SHARE:
        return Rest()
    left = remainder(found, subject.a, subject.b)
    inside = ~found.off[found.common]
    if left.is_rounded(inside):
        return Rest((*_rounded(subject, left, PROVEN, confidence), *_close_confidence(confidence)))
    if not left.differing[inside].any():
        return Rest(_close_confidence(confidence))
    if left.is_close(inside):
        share = _share_given(left, inside)
        rounded = _rounded(subject, left, share) if left.one_sided and left.moved(inside) > _FINER else []
        numerics = [] if rounded and share >= _MOSTLY else [_numerics(subject, left, inside, confidence)]
        return Rest((*rounded, *numerics))
    if left.is_all_over:
        rounded = _rounded(subject, left, _of_noise(left, found)) if left.one_sided else []
        return Rest((*rounded, explain_noise(subject)), noise=True)
    partly = _rounded(subject, left, _share_given(left, inside)) if left.one_sided else []
    return Rest(tuple(partly), unexplained=int(left.exceeding[inside].sum()))


def _of_noise(left: Remainder, found: Alignment) -> float:
    """Among noise: how much of it rounding makes at most."""
    # Among noise no grid is proven, and none is ruled out.
    return float(np.clip(np.median(left.step) / 2 / found.median, 0.01, 0.99))


def _share_given(left: Remainder, joints: np.ndarray) -> float:
    # Only all joints would prove it.
    return float(np.clip(1 - left.exceeding[joints].mean(), 0.01, 0.99))


def _rounded(subject: Subject, left: Remainder, score: float, confidence: Confidence | None = None) -> list[Cause]:
    fine = subject.a if left.side == "B" else subject.b
    given = int((~left.exceeding).sum())
    evidence = {
        f"numbers of {left.side}": left.precision.name,
        f"of {fine.name}": fine.precision.name,
        "step, px": pixels(float(np.median(left.step))),
        "largest difference, px": pixels(float(left.differing.max(initial=0.0))),
        f"rounding {fine.name} gives": f"{given} of {len(left.exceeding)} joints of {left.side}",
    }
    if confidence and confidence.kind == "rounded" and confidence.side == left.side:
        evidence["confidences"] = f"{confidence.precision} likewise"
    title = f"numbers of {left.side} were rounded: {left.precision.name}"
    return [Cause("rounded", title, evidence, f"look at how {left.side} is written: {_WRITTEN}", score)]


def _numerics(subject: Subject, left: Remainder, joints: np.ndarray, confidence: Confidence) -> Cause:
    """Differences that are too small to be anybody's change, and that rounding does not give."""
    differing = left.differing[joints]
    largest = float(differing.max(initial=0.0))
    evidence = {
        "joints that differ": f"{int(differing.any(axis=-1).sum())} of {len(differing)}",
        "median difference, px": pixels(float(np.median(differing))),
        "largest, px": float(f"{largest:.2g}"),
    }
    if left.both_on_a_grid:
        evidence["numbers of both"] = left.precision.name
    if confidence.kind == "close":
        evidence["largest difference of a confidence"] = float(f"{confidence.largest:.2g}")
    if left.is_last_digits(joints):
        title = f"equal within {_up(largest)} px: the last digits of float arithmetic"
        confirm = "nothing needs to be done: the same arithmetic in another order, or written with fewer digits"
        return Cause(LAST_DIGITS, title, evidence, confirm, PROVEN)
    return Cause("numerics", f"equal within {_up(largest)} px: pins or threads", evidence, _PINS, _UNPINNED)


_PINS = (
    "run both with lockfiles/numerics.env in the environment (`poseparity env` shows each pin's effect): other "
    "threads, instruction sets or another processor make differences of this size"
)


def _close_confidence(confidence: Confidence) -> tuple[Cause, ...]:
    """Confidences that differ as little, where positions do not."""
    if confidence.kind != "close":
        return ()
    evidence = {"joints whose confidence differs": confidence.differing, "largest": float(f"{confidence.largest:.2g}")}
    title = f"confidences are equal within {_up(confidence.largest)}: pins or threads"
    return (Cause("numerics", title, evidence, _PINS, _UNPINNED),)


def _up(value: float) -> str:
    """With one digit, and not smaller than it is."""
    power = 10.0 ** np.floor(np.log10(value))
    # What is a twentieth more, such as 1.04, is not called twice as much.
    return f"{np.ceil(value / power - 0.05) * power:.0e}"


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


def explain_noise(subject: Subject) -> Cause:
    """Small differences all over, with their size."""
    found = subject.found
    vectors, residual = found.vectors[found.common], found.residual[found.common]
    columns = [(name, found.residual[found.common[:, n], n]) for n, name in enumerate(CSV_NAMES)]
    medians = {name: float(np.median(values)) for name, values in columns if len(values)}
    ranked = sorted(medians, key=lambda name: -medians[name])
    evidence = {
        "median difference, px": pixels(found.median),
        "19 of 20 are below, px": pixels(float(np.quantile(residual, 0.95))),
        "mean of x and y, px": f"{vectors[:, 0].mean():+.2g} and {vectors[:, 1].mean():+.2g}",
        "largest by joint, px (median)": ", ".join(f"{name} {medians[name]:.2g}" for name in ranked[:3]),
        "correlation of neighbouring frames": round(correlation(found), 2),
    }
    title = "small differences all over: the same recording, not the same pose estimation"
    confirm = (
        "compare versions of pose network, OpenCV and decoder, the network's input size, and the crop and its padding: "
        "two CSVs cannot tell these apart, two traces can"
    )
    raw = subject.found.median / found.body
    # Never proven: a slight change of the recording would look the same.
    return Cause("pose-noise", title, evidence, confirm, float(np.clip(1 - raw / _LARGEST, 0.5, 0.95)))


def correlation(found: Alignment) -> float:
    """Of what is left, from one frame to the next: 1 for a movement that differs, 0 for pure noise."""
    vectors = found.vectors
    before, after = vectors[:-1], vectors[1:]
    both = np.isfinite(before) & np.isfinite(after)
    if not both.any():
        return 1.0
    energy = float(np.sqrt((before[both] ** 2).sum() * (after[both] ** 2).sum()))
    return float((before[both] * after[both]).sum()) / energy if energy > 0 else 1.0


def explain_confidence(confidence: Confidence, told: tuple[Cause, ...]) -> list[Cause]:
    """A side whose confidences are one value, rounded, or the other's times a factor.

    Args:
        told: of the positions: numbers of one side that were rounded were rounded together.
    """
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
    if confidence.kind == "rounded" and not any(cause.code == "rounded" for cause in told):
        title = f"confidences of {confidence.side} were rounded: {confidence.precision}"
        confirm = f"look at how {confidence.side} is written: a format with few digits, a cast to float16 or float32"
        return [Cause("confidence-rounded", title, evidence, confirm, PROVEN)]
    return []
