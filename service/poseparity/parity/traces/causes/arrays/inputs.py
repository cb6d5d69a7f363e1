"""What the recogniser's input shows of how it was normalised."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from .....stages.base import NORMALISE
from .....trace.reading import TraceFile
from ....result import Cause
from ...stages import StageComparison
from .. import certainty
from ..catalogue import cause

_PIXELS = 10  # times as large: pixels against coordinates from -1 to 1
_CENTRED = 0.05  # a mean of so many standard deviations is none
_CLOSE = 2e-3  # share of the range that rounding may leave


def of_normalise(stage: StageComparison, a: TraceFile, b: TraceFile) -> Iterator[Cause]:
    """Another box, scale, centre, precision or confidence; nothing where the arrays are not held or are equal."""
    boxes = [_box(side) for side in (a, b)]
    if None not in boxes and boxes[0] != boxes[1]:
        yield cause("img-shape", score=certainty.SHOWN, stage=stage.name, a=boxes[0], b=boxes[1])
        return
    mine, theirs = (side.result(NORMALISE.name, "inputs") for side in (a, b))
    # (clips, persons, frames, joints, channels); the first person is looked at.
    if mine is not None and theirs is not None and mine.shape == theirs.shape and mine.ndim == 5:
        box = a.result(NORMALISE.name, "reference")
        size = None if box is None or box.shape != (4,) else box[2:]
        yield from _of_inputs(stage.name, mine[:, 0].astype(np.float64), theirs[:, 0].astype(np.float64), size)


def _box(side: TraceFile) -> str | None:
    """The box that coordinates are relative to."""
    reference = side.result(NORMALISE.name, "reference")
    if reference is None or reference.shape != (4,):
        return None
    x, y, width, height = reference.tolist()
    return f"{width:g}x{height:g} at {x:g},{y:g}"


def _of_inputs(stage: str, mine: np.ndarray, theirs: np.ndarray, size: np.ndarray | None) -> Iterator[Cause]:
    """Compare what was made of one person.

    Args:
        mine, theirs: float64 (clips, frames, joints, channels).
        size: width and height, in pixels, of the box that both say coordinates are relative to; None: not known.
    """
    scores = mine[..., 2:], theirs[..., 2:]
    if np.array_equal(mine[..., :2], theirs[..., :2]) and mine.shape[-1] == 3:
        side = _side(_all_one(scores[0]), _all_one(scores[1]))
        if side:
            yield cause("scores-one", score=certainty.SHOWN, stage=stage, side=side)
        return
    first, second = (each[..., :2].reshape(-1, 2) for each in (mine, theirs))
    if np.isfinite(first).all() and np.isfinite(second).all():
        yield from _of_positions(stage, first, second, size)


def _of_positions(stage: str, a: np.ndarray, b: np.ndarray, size: np.ndarray | None) -> Iterator[Cause]:
    """Args: float64 (points, 2) each; `size` as in `_of_inputs`."""
    precision = _precision(stage, a, b)
    if precision:
        yield precision
        return
    factors = _spread(b) / np.maximum(_spread(a), 1e-12)
    factor = float(np.median(factors))
    centred = _side(_is_centred(a) and not _is_centred(b), _is_centred(b) and not _is_centred(a))
    if centred:
        yield cause("mean-centring", score=certainty.SHOWN, stage=stage, side=centred, factor=round(factor, 4))
    elif factor > _PIXELS or factor * _PIXELS < 1:
        # Many times as large on one side: pixels there, or [0,1] before normalisation on the other.
        small, large, tiny = ("A", "B", a) if factor > 1 else ("B", "A", b)
        # (x - w/2) / (w/2) of an x in [0,1] is -1 and a little.
        if np.abs(np.median(tiny) + 1) < 0.1:
            yield cause("coordinates-unit", score=certainty.SHOWN, stage=stage, side=small, factor=round(factor, 6))
        else:
            yield cause("prenormalise-off", score=certainty.SHOWN, stage=stage, side=large, factor=round(factor, 4))
    else:
        yield from _of_box(stage, a, b, factors, size)


def _of_box(stage: str, a: np.ndarray, b: np.ndarray, factors: np.ndarray, size: np.ndarray | None) -> Iterator[Cause]:
    """Coordinates relative to another size: (x - w/2) / (w/2) of another w is a factor f and an offset f - 1."""
    offsets = b.mean(axis=0) - factors * a.mean(axis=0)
    left = np.abs(a * factors + offsets - b).max()
    # Ten times: means and spreads were estimated from numbers that were rounded.
    if left > 10 * _CLOSE or np.allclose(factors, 1, atol=_CLOSE):
        return
    mine, theirs = "1", f"{factors[0]:.4g} and {factors[1]:.4g} times that"
    if size is not None and np.allclose(offsets, factors - 1, atol=10 * _CLOSE):
        width, height = np.round(size / factors)
        mine, theirs = f"{size[0]:g}x{size[1]:g}", f"about {width:g}x{height:g}"
    yield cause("img-shape", score=certainty.SHOWN, stage=stage, a=mine, b=theirs, left=float(left))


def _precision(stage: str, a: np.ndarray, b: np.ndarray) -> Cause | None:
    """Whether one side holds numbers of float16 and the other is finer and otherwise the same."""
    coarse = [bool(np.array_equal(each, each.astype(np.float16).astype(np.float64))) for each in (a, b)]
    largest = float(np.abs(a - b).max())
    if coarse[0] == coarse[1] or largest > _CLOSE * max(1.0, float(np.ptp(a))):
        return None
    types = ["float16" if each else "finer" for each in coarse]
    return cause("keypoint-precision", score=certainty.SHOWN, stage=stage, a=types[0], b=types[1], largest=largest)


def _spread(points: np.ndarray) -> np.ndarray:
    return points.std(axis=0)


def _is_centred(points: np.ndarray) -> bool:
    return bool((np.abs(points.mean(axis=0)) < _CENTRED * np.maximum(_spread(points), 1e-12)).all())


def _all_one(scores: np.ndarray) -> bool:
    return bool(scores.size) and bool(np.isin(scores, (0, 1)).all())


def _side(in_a: bool, in_b: bool) -> str:
    """The one side of which something is true; "" where it is true of both or of none."""
    return "A" if in_a and not in_b else "B" if in_b and not in_a else ""
