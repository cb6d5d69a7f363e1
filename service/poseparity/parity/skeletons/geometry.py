"""How the coordinates of one skeleton follow from the other's: a factor and an offset for each axis."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

_INLIER = 4.0  # times the median residual: of normal noise on both axes, 1 point of 65,536 lies further out
_SIZE = 0.1  # a factor below this is one over a frame's size, which is a whole number
_AS_GOOD = 1.005  # no factor leaves less than the one of least squares: a round one may leave half a percent more
_NO_WORSE = 1.1  # a simpler model may leave so many times the residual of a richer one


@dataclass(frozen=True)
class Model:
    """What an affine map may do.

    Attributes:
        scale: "one" (nothing), "uniform" (one factor) or "axes" (a factor for each axis).
        offset: whether each axis may be moved, (x, y). A mirrored axis always may.
        mirrored: whether each axis is mirrored, (x, y).
    """

    scale: str = "one"
    offset: tuple[bool, bool] = (False, False)
    mirrored: tuple[bool, bool] = (False, False)

    @property
    def complexity(self) -> int:
        """How many things it says happened."""
        moved = any(free and not turned for free, turned in zip(self.offset, self.mirrored, strict=True))
        return ("one", "uniform", "axes").index(self.scale) + moved + any(self.mirrored)


@dataclass(frozen=True)
class Affine:
    """b = scale * a + offset; both (2,), for x and y. `model` says which of the numbers are not trivially 1 and 0."""

    scale: np.ndarray
    offset: np.ndarray
    model: Model

    def __call__(self, positions: np.ndarray) -> np.ndarray:
        return positions * self.scale + self.offset

    @property
    def unit(self) -> np.ndarray:
        """By what differences in b's units are multiplied to be in those of the side with larger numbers, (2,)."""
        return np.maximum(1.0, 1 / np.abs(self.scale))


IDENTITY = Affine(np.ones(2), np.zeros(2), Model())


def fit(a: np.ndarray, b: np.ndarray, *, rounds: int = 14) -> Affine | None:
    """The richest map from a to b that most of the points agree on, outliers left aside.

    Args:
        a, b: float64 (points, 2).
        rounds: of the iteration that outliers lose their weight in; fewer are faster and rougher.

    Returns:
        None where there are fewer than three points, or one side does not vary while the other does.
    """
    # A factor and an offset for each axis: two points always fit.
    if len(a) < 3:
        return None
    weights = np.ones_like(a)
    for _ in range(rounds):  # least absolute residuals, by least squares with new weights
        scale, offset = _line(a, b, weights)
        residual = np.abs(b - a * scale - offset)
        # Bounded, or a few points that fit exactly would take all the weight.
        weights = 1 / np.maximum(residual, 1e-3 * np.median(residual, axis=0) + 1e-12 * (1 + np.abs(b)))
    if not np.all(scale):
        return None
    full = Affine(scale, offset, Model("axes", (True, True), (bool(scale[0] < 0), bool(scale[1] < 0))))
    return refit(full.model, *_inliers(full, a, b))


def refit(model: Model, a: np.ndarray, b: np.ndarray) -> Affine | None:
    """Least squares under a model; None where no map of this model exists (a factor of zero)."""
    sign = np.where(model.mirrored, -1.0, 1.0)
    free = np.array(model.offset) | np.array(model.mirrored)
    centre_a, centre_b = (np.where(free, points.mean(axis=0), 0.0) for points in (a, b))
    scale = sign
    if model.scale != "one":
        centred = sign * (a - centre_a)
        along, across = (centred * centred).sum(axis=0), (centred * (b - centre_b)).sum(axis=0)
        if model.scale == "uniform":
            along, across = along.sum(keepdims=True).repeat(2), across.sum(keepdims=True).repeat(2)
        scale = sign * np.where(along > 0, across / np.where(along > 0, along, 1.0), 1.0)
    if not np.all(scale * sign > 0):
        return None
    return Affine(scale, centre_b - scale * centre_a, model)


def simplest(full: Affine, a: np.ndarray, b: np.ndarray, slack: float) -> Affine:
    """The simplest map that leaves about as little as the richest one.

    Args:
        full: the richest map, as `fit` gives it.
        a, b: float64 (points, 2).
        slack: what may be left in any case (root mean square), in the units of the side with larger numbers.
    """
    a, b = _inliers(full, a, b)
    limit = max(slack, _NO_WORSE * _spread(full, full, a, b))
    mirrored = full.model.mirrored
    offsets = [mirrored, (True, True)] if any(mirrored) and not all(mirrored) else [(False, False), (True, True)]
    models = [Model(scale, offset, mirrored) for scale in ("one", "uniform", "axes") for offset in offsets]
    for model in sorted(models, key=lambda model: model.complexity):
        found = refit(model, a, b)
        if found is not None and _spread(found, full, a, b) <= limit:
            return _round_factors(found, full, a, b, slack)
    return full


def _round_factors(found: Affine, full: Affine, a: np.ndarray, b: np.ndarray, slack: float) -> Affine:
    """With a factor such as 0.5 or 1/1920 for 0.49987, where that fits as well: noise and rounding move it a little."""
    if found.model.scale == "one":
        return found
    scale = np.empty(2)
    for axis, value in enumerate(found.scale):
        size = abs(value)
        if size < _SIZE:
            scale[axis] = np.sign(value) / round(1 / size)
        else:
            scale[axis] = float(f"{value:.2g}") if size < 1 / _SIZE else round(value)
    free = np.array(found.model.offset) | np.array(found.model.mirrored)
    rounded = Affine(scale, np.where(free, (b - scale * a).mean(axis=0), 0.0), found.model)
    limit = max(slack, _AS_GOOD * _spread(found, full, a, b))
    return rounded if _spread(rounded, full, a, b) <= limit else found


def _line(a: np.ndarray, b: np.ndarray, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    total = weights.sum(axis=0)
    mean_a, mean_b = (weights * a).sum(axis=0) / total, (weights * b).sum(axis=0) / total
    along = (weights * (a - mean_a) ** 2).sum(axis=0)
    across = (weights * (a - mean_a) * (b - mean_b)).sum(axis=0)
    # An axis on which nothing varies says nothing about a factor.
    flat = along <= 1e-18 * total * (1 + mean_a**2)
    scale = np.where(flat, 1.0, across / np.where(flat, 1.0, along))
    return scale, mean_b - scale * mean_a


def _inliers(affine: Affine, a: np.ndarray, b: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    residual = np.linalg.norm((b - affine(a)) * affine.unit, axis=1)
    # Where more than half of the points fit exactly the median is 0, and only float arithmetic is left.
    near = residual <= _INLIER * np.median(residual) + 1e-9 * (1 + np.abs(b * affine.unit).max())
    return a[near], b[near]


def _spread(affine: Affine, full: Affine, a: np.ndarray, b: np.ndarray) -> float:
    """Root mean square of what is left, in the units of the side with larger numbers."""
    return float(np.sqrt(np.mean(((b - affine(a)) * full.unit) ** 2)))
