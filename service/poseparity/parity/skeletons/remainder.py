"""What two skeletons laid over each other differ by: what rounding one of them gives, and what is more than that."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from .alignment import Alignment
from .precision import FLOAT64, Precision
from .sides import Side

CLOSE = 1e-5  # body sizes: unpinned threads and instruction sets leave 1e-8, a hundredth of a pixel is 5e-5
_CLOSE_ON_GRID = 1e-6  # body sizes on average: what turns one value in some hundreds of two decimals
_FLOAT = 8  # float64's last bits
_FITTED, _AS_THEY_ARE = 1e-9, 1e-13  # of a coordinate: what arithmetic leaves, with a map that was fitted and without
_OFF_GRID = 10  # of the finer side's values, from which on they are not on the coarser one's grid
_ROUNDED_MOVES = 0.25  # of half a step, on average: rounding gives 0.5
# Noise of a deviation d, much less than the half step h, moves 0.4 d/h of the values to another step, by 0.63 d on
# average: of an excess m there should be a share of 0.63 m/h.
_MOVED_AWAY = 0.63
_ONE_STEP = 1.5  # numbers next to each other are rounded to one step or to neighbouring ones, never two steps apart
_RECENTRED = 0.2  # of half a step: how far off an offset may be that was fitted to rounded numbers


@dataclass(frozen=True)
class Remainder:
    """The difference of each common joint, against a grid that the numbers of one side, or of both, are on.

    Attributes:
        side: whose numbers are on a grid that the other's are not on; "" for none.
        precision: that grid, or the one that both are on.
        step: float64 (joints, 2), pixels: that grid's; 0 where there is none.
        differing: float64 (joints, 2), pixels, not negative.
        excess: float64 (joints, 2), pixels: what is more than rounding the finer side gives.
        last_digits: float64 (joints, 2), pixels: what float arithmetic in another order may leave.
        body: pixels.
    """

    side: str
    precision: Precision
    step: np.ndarray
    differing: np.ndarray
    excess: np.ndarray
    last_digits: np.ndarray
    body: float

    @cached_property
    def exceeding(self) -> np.ndarray:
        """Boolean (joints,): what rounding the finer side does not give."""
        return (self.excess > 0).any(axis=-1)

    @property
    def one_sided(self) -> bool:
        return bool(self.side)

    @property
    def both_on_a_grid(self) -> bool:
        return not self.side and self.precision != FLOAT64

    def is_rounded(self, joints: np.ndarray) -> bool:
        """Whether rounding the finer side gives the coarser one's numbers, for all of these joints, and moves them."""
        return self.one_sided and not self.exceeding[joints].any() and self.moved(joints) >= _ROUNDED_MOVES

    def is_last_digits(self, joints: np.ndarray) -> bool:
        """Whether these joints differ by no more than float arithmetic in another order leaves."""
        return not self.both_on_a_grid and bool((self.differing[joints] <= self.last_digits[joints]).all())

    def moved(self, joints: np.ndarray) -> float:
        """By which part of half a step the values that are not equal differ, on average; 0 where all are equal."""
        differing, half = self.differing[joints], self.step[joints] / 2
        unequal = differing > 0
        return float((differing[unequal] / half[unequal]).mean()) if unequal.any() else 0.0

    def is_close(self, joints: np.ndarray) -> bool:
        """Whether these joints differ by no more than the same program does on other threads or another processor."""
        if self.both_on_a_grid:
            differing = self.differing[joints]
            one_step = (differing <= np.maximum(_ONE_STEP * self.step[joints], CLOSE * self.body)).all()
            return bool(one_step) and float(differing.mean()) <= _CLOSE_ON_GRID * self.body
        return float(self.excess[joints].max(initial=0.0)) <= CLOSE * self.body

    @property
    def is_all_over(self) -> bool:
        """Whether what is more than rounding is as frequent as noise of its size is; a change of some joints is not."""
        share, excess = float(self.exceeding.mean()), self.excess[self.excess > 0]
        if not len(excess):
            return False
        if self.one_sided:
            step = float(np.median(self.step))
            # Half of that share is enough: the size of the noise is estimated, from what exceeds.
            return share >= 0.5 * min(1.0, _MOVED_AWAY * float(excess.mean()) / (step / 2))
        if self.both_on_a_grid and excess.mean() <= _ONE_STEP * float(np.median(self.step)):
            # Both were rounded: noise far below a step takes few values to another one.
            return share >= 0.05
        return share > 0.5


def remainder(found: Alignment, a: Side, b: Side) -> Remainder:
    """What is left between two sides that are laid over each other, joint by joint of those that both have."""
    steps = {side.name: _steps(found, side) for side in (a, b)}
    coarsest_first = sorted((a, b), key=lambda side: -float(np.median(steps[side.name])))
    # First as if both were rounded from what is finer than either, then as if one was made of the other's own digits.
    for own_digits in (True, False):
        for side in coarsest_first:
            left = _against_grid(found, side, b if side is a else a, own_digits=own_digits)
            if left is not None:
                return left
    differing = np.abs(found.vectors[found.common])
    grid = b.precision if a.precision == b.precision and not found.affine.model.complexity else FLOAT64
    step = steps["B"] if grid != FLOAT64 else np.zeros_like(differing)
    floor = _last_digits(found)
    return Remainder("", grid, step, differing, np.where(differing > floor, differing, 0.0), floor, found.body)


def _last_digits(found: Alignment) -> np.ndarray:
    as_they_are = not found.affine.model.complexity and found.time.kind != "rate"
    part = _AS_THEY_ARE if as_they_are else _FITTED
    return part * (1 + np.abs(found.b[found.common][:, :2]) * found.affine.unit)


def beyond_rounding(fine: np.ndarray, coarse: np.ndarray, grid: Precision, room: np.ndarray | float) -> np.ndarray:
    """How much further numbers lie apart than rounding the finer ones to a grid puts them; 0 where it gives them.

    Args:
        fine, coarse: float64 (any shape).
        room: what else the finer numbers may be off by.
    """
    last_bits = _FLOAT * np.spacing(np.maximum(np.abs(fine), np.abs(coarse)))
    return np.maximum(np.abs(fine - coarse) - grid.half_step(coarse) - last_bits - room, 0.0)


def is_off_grid(values: np.ndarray, grid: Precision, room: np.ndarray | float) -> bool:
    """Whether numbers are not on a grid, whatever they may be off by."""
    last_bits = _FLOAT * np.spacing(np.abs(values))
    return int((np.abs(values - grid.rounded(values)) > room + last_bits).sum()) >= _OFF_GRID


def are_cut_off(fine: np.ndarray, coarse: np.ndarray, grid: Precision) -> bool:
    """Whether numbers are finer ones with digits cut off, all towards 0 or all downwards."""
    step = 2 * grid.half_step(coarse)
    last_bits = _FLOAT * np.spacing(np.maximum(np.abs(fine), np.abs(coarse)))
    same_sign = fine * coarse >= 0
    return any(
        bool(((lost >= -last_bits) & (lost <= step + last_bits)).all()) and bool(lost.max(initial=0.0) > 0)
        for lost in (fine - coarse, np.where(same_sign, np.abs(fine) - np.abs(coarse), -np.inf))
    )


def _against_grid(found: Alignment, coarse: Side, fine: Side, *, own_digits: bool) -> Remainder | None:
    """The difference against the grid of one side; None where it has none, or the other's numbers are on it as well.

    Args:
        own_digits: whether the finer numbers may have been rounded, to their own digits, after the coarser were made.
    """
    if coarse.precision == FLOAT64:
        return None
    affine, a, b = found.affine, found.a[found.common][:, :2], found.b[found.common][:, :2]
    if coarse.name == "B":
        finer, numbers, to_pixels = affine(a), b, affine.unit
        own = fine.precision.half_step(a) * np.abs(affine.scale)
    else:
        finer, numbers, to_pixels = (b - affine.offset) / affine.scale, a, affine.unit * np.abs(affine.scale)
        own = fine.precision.half_step(b) / np.abs(affine.scale)
    half = coarse.precision.half_step(numbers)
    fitted = bool(affine.model.complexity)
    room = own * own_digits + (_FITTED * (1 + np.abs(numbers)) if fitted else 0.0)
    if not is_off_grid(finer, coarse.precision, room):
        return None
    if fitted:  # to rounded numbers: the map is not exact itself
        inside = ~found.off[found.common]
        finer = finer + _centred(numbers - finer, half, inside)
        # The error of a map that was fitted to n rounded numbers falls with the root of n.
        room = room + np.median(half, axis=0) * min(0.25, len(half) ** -0.5)
    return Remainder(
        coarse.name,
        coarse.precision,
        2 * half * to_pixels,
        np.abs(finer - numbers) * to_pixels,
        beyond_rounding(finer, numbers, coarse.precision, room) * to_pixels,
        _last_digits(found),
        found.body,
    )


def _centred(differences: np.ndarray, half: np.ndarray, inside: np.ndarray) -> np.ndarray:
    """By how much each axis is to be moved so that all differences are rounding errors, if they are: part of a step."""
    if not inside.any():
        return np.zeros(2)
    differences, half = differences[inside], half[inside]
    middle = ((differences - half).max(axis=0) + (differences + half).min(axis=0)) / 2
    limit = _RECENTRED * half.max(axis=0)
    return np.clip(middle, -limit, limit)


def _steps(found: Alignment, side: Side) -> np.ndarray:
    """Distance of neighbouring numbers of a side, in pixels: (joints, 2)."""
    affine = found.affine
    values = (found.a if side.name == "A" else found.b)[found.common][:, :2]
    scale = affine.unit * (np.abs(affine.scale) if side.name == "A" else 1)
    return 2 * side.precision.half_step(values) * scale
