"""To how many digits a file's numbers were rounded, as the numbers themselves show."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Precision:
    """A set of numbers that values were rounded to: whole decimals, significant digits, or a floating-point type.

    Attributes:
        name: for the reader.
        decimals: digits after the point; None for another kind.
        digits: significant digits, as "%.6g" and C++'s streams write them; None for another kind.
        dtype: a floating-point type; None for another kind.
    """

    name: str
    decimals: int | None = None
    digits: int | None = None
    dtype: type | None = None

    def rounded(self, values: np.ndarray) -> np.ndarray:
        """Values (any shape) rounded to this precision: float64, same shape."""
        if self.decimals is not None:
            return np.round(values, self.decimals)
        if self.digits is not None:
            up, down = self._powers(values)
            return np.round(values * up / down) / up * down
        return values.astype(self.dtype).astype(np.float64)

    def half_step(self, values: np.ndarray) -> np.ndarray:
        """How far rounding can have moved each value: float64, same shape."""
        if self.decimals is not None:
            return np.full(values.shape, 0.5 * 10.0**-self.decimals)
        if self.digits is not None:
            up, down = self._powers(values)
            return 0.5 / up * down
        return np.spacing(np.abs(values).astype(self.dtype)).astype(np.float64) / 2

    def holds(self, values: np.ndarray) -> bool:
        """Whether every value is one of this precision's."""
        # 0.1 + 0.2 is no decimal fraction in float64: the last bits do not count.
        return bool(np.all(np.abs(values - self.rounded(values)) <= 4 * np.spacing(np.abs(values))))

    def _powers(self, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Of ten, that make each value's last digit the ones: one to multiply by, one to divide by; both whole."""
        size = np.floor(np.log10(np.where(values == 0, 1.0, np.abs(values)))).astype(int)
        places = self.digits - 1 - size
        return 10.0 ** np.maximum(places, 0), 10.0 ** np.maximum(-places, 0)


WHOLE = Precision("whole numbers", decimals=0)
FLOAT16 = Precision("float16", dtype=np.float16)
FLOAT32 = Precision("float32", dtype=np.float32)
FLOAT64 = Precision("float64", dtype=np.float64)
# Positions have up to four digits before the point: with more than ten behind it, float64's own last digits begin.
_DECIMALS = [Precision(f"{n} decimal{'s' * (n > 1)}", decimals=n) for n in range(1, 11)]
# With fewer, positions would be ten pixels apart and more; nine are those that a float32 is read back by.
_DIGITS = [Precision(f"{n} significant digits", digits=n) for n in range(3, 10)]
# Of two that are as coarse, the first: float16's steps of 1/4 and 1/8 pixel have few decimals, decimals few digits.
PRECISIONS = (WHOLE, FLOAT16, *_DECIMALS, *_DIGITS, FLOAT32, FLOAT64)
COARSE = PRECISIONS[:5]  # what a file may have been rounded to before something else was done to it


def precision_of(values: np.ndarray) -> Precision:
    """The coarsest precision that holds all values (any shape); float64 where there are none."""
    if not values.size:
        return FLOAT64
    holding = [precision for precision in PRECISIONS if precision.holds(values)]
    return max(holding, key=lambda precision: np.median(precision.half_step(values)))
