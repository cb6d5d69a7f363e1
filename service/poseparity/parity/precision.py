"""To how many digits a file's numbers were rounded, as the numbers themselves show."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Precision:
    """A set of numbers that values were rounded to: whole decimals, or a floating-point type.

    Attributes:
        name: for the reader.
        decimals: digits after the point; None for a floating-point type.
        dtype: that type; None for decimals.
    """

    name: str
    decimals: int | None = None
    dtype: type | None = None

    def rounded(self, values: np.ndarray) -> np.ndarray:
        """Values (any shape) rounded to this precision: float64, same shape."""
        if self.decimals is not None:
            return np.round(values, self.decimals)
        return values.astype(self.dtype).astype(np.float64)

    def half_step(self, values: np.ndarray) -> np.ndarray:
        """How far rounding can have moved each value: float64, same shape."""
        if self.decimals is not None:
            return np.full(values.shape, 0.5 * 10.0**-self.decimals)
        return np.spacing(np.abs(values).astype(self.dtype)).astype(np.float64) / 2

    def holds(self, values: np.ndarray) -> bool:
        """Whether every value is one of this precision's."""
        # 0.1 + 0.2 is no decimal fraction in float64: the last bits do not count.
        return bool(np.all(np.abs(values - self.rounded(values)) <= 4 * np.spacing(np.abs(values))))


WHOLE = Precision("whole numbers", decimals=0)
FLOAT16 = Precision("float16", dtype=np.float16)
FLOAT32 = Precision("float32", dtype=np.float32)
FLOAT64 = Precision("float64", dtype=np.float64)
# From coarse to fine. float16 before decimals: its steps of 1/4 and 1/8 pixel also have few decimals.
PRECISIONS = (
    WHOLE, FLOAT16, *(Precision(f"{n} decimal{'s' * (n > 1)}", decimals=n) for n in range(1, 7)), FLOAT32, FLOAT64,
)  # fmt: skip
COARSE = PRECISIONS[:5]  # what a file may have been rounded to before something else was done to it


def precision_of(values: np.ndarray) -> Precision:
    """The coarsest precision that holds all values (any shape); float64 where there are none."""
    if not values.size:
        return FLOAT64
    return next(precision for precision in PRECISIONS if precision.holds(values))
