"""Which frame of one skeleton is which frame of the other."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, replace
from fractions import Fraction

import numpy as np

PROBES = 160  # frames of B whose place in A is looked for
_CAP = 0.3  # a frame that fits worse than this fits no worse for it: it is another moment, or another person
_SHORTEST = 8  # frames that must overlap; fewer fit by chance
_PATH_CELLS = 4_000_000  # of 8 bytes, in three arrays: 100 MB for two clips of 2,000 frames
# Frames a second that cameras, players and pose programs use.
_FPS = (10, 12, 15, 20, 24, 25, 30, 50, 60)


@dataclass(frozen=True)
class TimeMap:
    """Pairs of moments that are the same.

    Attributes:
        kind: "same" (row by row), "shift", "rate", "repeats" or "path" (frames left out here and there).
        rows_a, rows_b: float64 (pairs,), ascending: a row, or a place between two rows, of A and of B.
        rate: frames of A for a frame of B.
        shift: row of A that B's first row is.
    """

    kind: str
    rows_a: np.ndarray
    rows_b: np.ndarray
    rate: Fraction = Fraction(1)
    shift: float = 0.0

    @property
    def complexity(self) -> int:
        return 0 if self.kind == "same" else 1

    def thinned(self, most: int) -> TimeMap:
        """At most so many pairs, evenly spaced."""
        if len(self.rows_a) <= most:
            return self
        kept = np.linspace(0, len(self.rows_a) - 1, most).astype(int)
        return replace(self, rows_a=self.rows_a[kept], rows_b=self.rows_b[kept])


def shifted(frames_a: int, frames_b: int, shift: int) -> TimeMap:
    """B's row j is A's row j + shift; "same" where nothing is left over."""
    rows_b = np.arange(max(0, -shift), min(frames_b, frames_a - shift), dtype=np.float64)
    kind = "same" if frames_a == frames_b and shift == 0 else "shift"
    return TimeMap(kind, rows_b + shift, rows_b, shift=float(shift))


def frame_distances(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """How little each pose of A looks like each pose of B, whatever factor and offset each axis has.

    Args:
        a, b: float64 (frames, 17, 2), NaN where a joint is missing.

    Returns:
        (frames of A, frames of B): 0 for the same pose, at most _CAP; NaN where fewer than four joints are in both.
    """
    weights = np.isfinite(a[..., 0]).astype(np.float64), np.isfinite(b[..., 0]).astype(np.float64)
    count = weights[0] @ weights[1].T
    left, total = np.zeros_like(count), np.zeros_like(count)
    with np.errstate(invalid="ignore", divide="ignore"):
        for axis in range(2):
            residual, spread = _axis_residual(a[..., axis], b[..., axis], *weights, count)
            left, total = left + residual, total + spread
        distance = np.sqrt(np.clip(left / total, 0, None))
    # A factor and an offset for each axis: two joints fit always, three almost.
    return np.where((count >= 4) & (total > 0), np.minimum(distance, _CAP), np.nan)


def best_shifts(distances: np.ndarray, probes: np.ndarray, frames: tuple[int, int], rate: Fraction, most: int):
    """Where B's first row may lie in A, for one rate.

    Args:
        distances: (frames of A, probes), as `frame_distances` gives it.
        probes: int (probes,): which rows of B they are.
        frames: of A and of B.

    Returns:
        List of (score, shift), the best first: the score is the mean distance.
    """
    frames_a, frames_b = frames
    step = float(min(rate, 1))
    first = -float(rate) * (frames_b - 1)
    shifts = np.arange(np.floor(first / step) * step, frames_a, step)
    rows = np.round(shifts[:, None] + float(rate) * probes).astype(int)
    inside = (rows >= 0) & (rows < frames_a)
    values = np.where(inside, distances[np.clip(rows, 0, frames_a - 1), np.arange(len(probes))], np.nan)
    counted = np.isfinite(values)
    overlap = inside.mean(axis=1) * frames_b
    shorter = min(frames_b, frames_a / float(rate))
    # At least half of the shorter side: a shorter stretch fits somewhere by chance.
    long_enough = (overlap >= max(min(_SHORTEST, shorter), 0.5 * shorter)) & (counted.sum(axis=1) > 0)
    score = np.where(counted, values, 0).sum(axis=1) / np.maximum(counted.sum(axis=1), 1)
    # Where it fits equally well, as with somebody who stands still: the longest overlap.
    order = np.lexsort((-overlap, np.where(long_enough, np.round(score, 6), np.inf)))[:most]
    return [(float(score[index]), float(shifts[index])) for index in order if long_enough[index]]


def rates(frames_a: int, frames_b: int) -> list[Fraction]:
    """Frames of A for a frame of B that are worth a look, 1 left out."""
    # Every 2nd to every 6th frame: 60 a second thinned to 10.
    found = {Fraction(n) for n in range(2, 7)} | {Fraction(1, n) for n in range(2, 7)}
    found |= {Fraction(x, y) for x, y in itertools.permutations(_FPS, 2) if 1 / 7 <= x / y <= 7}
    if min(frames_a, frames_b) > 1 and frames_a != frames_b:  # resampled as a whole to a number of frames
        found |= {Fraction(frames_a - 1, frames_b - 1), Fraction(frames_a, frames_b)}
    return sorted(found - {Fraction(1)})


def resampled(frames_a: int, frames_b: int, rate: Fraction, shift: float) -> Iterator[TimeMap]:
    """Ways in which B may have been made of A, or A of B, at one rate: interpolated, nearest frame, frame before."""
    made_b = np.arange(frames_b, dtype=np.float64)
    made_a = np.arange(frames_a, dtype=np.float64)
    # The last one with room for float arithmetic: 2.9999999999 is row 3, not the one before it.
    roundings = (lambda rows: rows, lambda rows: np.floor(rows + 0.5), lambda rows: np.floor(rows + 1e-9))
    for rounding in roundings:
        yield _within(rounding(made_b * float(rate) + shift), made_b, frames_a, frames_b, rate, shift)
        yield _within(made_a, rounding((made_a - shift) / float(rate)), frames_a, frames_b, rate, shift)


def nearest(frames_a: int, frames_b: int, rate: Fraction, shift: float) -> TimeMap:
    """For each frame of B the nearest one of A, at one rate."""
    made_b = np.arange(frames_b, dtype=np.float64)
    return _within(np.floor(made_b * float(rate) + shift + 0.5), made_b, frames_a, frames_b, rate, shift)


def resampled_parts(frames_a: int, frames_b: int, near: TimeMap) -> Iterator[TimeMap]:
    """Ways in which one side may be a stretch of the other, resampled as a whole to its number of frames."""
    around = range(-2, 3)
    whole_b, whole_a = round(float(near.rate) * (frames_b - 1)), round((frames_a - 1) / float(near.rate))
    start_b, start_a = round(near.shift), round(-near.shift / float(near.rate))
    for more, later in itertools.product(around, around):
        if frames_b > 1 and whole_b + more > 0:
            rate = Fraction(whole_b + more, frames_b - 1)
            yield next(resampled(frames_a, frames_b, rate, float(start_b + later)))
        if frames_a > 1 and whole_a + more > 0:
            rate = Fraction(frames_a - 1, whole_a + more)
            yield next(itertools.islice(resampled(frames_a, frames_b, rate, -float((start_a + later) * rate)), 1, None))


def without_repeats(repeats: np.ndarray) -> np.ndarray:
    """Rows (ascending) that are not the same as the row before."""
    return np.flatnonzero(~repeats)


def path_is_possible(frames_a: int, frames_b: int) -> bool:
    """Whether `path` can tell something: one side has more frames, and neither has too many for it."""
    return frames_a != frames_b and frames_a * frames_b <= _PATH_CELLS


def path(distances: np.ndarray) -> TimeMap:
    """The cheapest way through A in which each frame of the shorter side is a later frame of the longer one.

    Args:
        distances: (frames of A, frames of B), where `path_is_possible`.
    """
    if distances.shape[0] < distances.shape[1]:
        turned = path(distances.T)
        return TimeMap("path", turned.rows_b, turned.rows_a)
    cost = np.nan_to_num(distances.T, nan=_CAP)
    short, long = cost.shape
    # The cheapest way to each frame of the longer side, row by row; then back from the end, the cheapest before it.
    total = np.full((short, long), np.inf)
    total[0] = cost[0]
    for row in range(1, short):
        total[row, 1:] = np.minimum.accumulate(total[row - 1])[:-1] + cost[row, 1:]
    rows, end = np.empty(short), long
    for row in range(short - 1, -1, -1):
        rows[row] = end = int(np.argmin(total[row, :end]))
    return TimeMap("path", rows, np.arange(short, dtype=np.float64))


def _within(rows_a, rows_b, frames_a: int, frames_b: int, rate: Fraction, shift: float) -> TimeMap:
    kept = (rows_a >= 0) & (rows_a <= frames_a - 1) & (rows_b >= 0) & (rows_b <= frames_b - 1)
    return TimeMap("rate", rows_a[kept], rows_b[kept], rate, shift)


def _axis_residual(a, b, weight_a, weight_b, count) -> tuple[np.ndarray, np.ndarray]:
    """For each pair of frames: b's sum of squares about its mean, and what is left of it after a line through a."""
    # Centred on a frame's own middle first, or the sums of squares would cancel to noise.
    a = np.nan_to_num(a - np.nanmean(np.where(weight_a.any(1, keepdims=True), a, 0.0), axis=1, keepdims=True))
    b = np.nan_to_num(b - np.nanmean(np.where(weight_b.any(1, keepdims=True), b, 0.0), axis=1, keepdims=True))
    sum_a, sum_b = a @ weight_b.T, weight_a @ b.T
    aa = (a * a) @ weight_b.T - sum_a**2 / count
    bb = weight_a @ (b * b).T - sum_b**2 / count
    ab = a @ b.T - sum_a * sum_b / count
    return bb - np.where(aa > 0, ab**2 / aa, 0.0), bb
