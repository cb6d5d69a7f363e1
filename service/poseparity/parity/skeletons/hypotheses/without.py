"""How much worse two skeletons lie on each other without one of the things that were assumed."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ...result import PROVEN
from .. import geometry, timing
from ..alignment import SAME_SHARE, Alignment, look, with_affine
from ..geometry import Model
from ..orders import known_orders
from ..sides import Side

_PAIRS = 200  # of moments: a median over up to 3,400 joints, whatever the clip's length
_TINY = 1e-3  # pixels: of what is smaller only the size says something


@dataclass(frozen=True)
class Subject:
    """What every hypothesis looks at: the two sides and how they were laid over each other."""

    a: Side
    b: Side
    found: Alignment

    def without_time(self) -> float:
        """Median difference, pixels, if each row of A belonged to the same row of B."""
        rows = timing.shifted(self.a.frame_count, self.b.frame_count, 0)
        return self._median(look(self.a, self.b, rows, self.found.order, pairs=_PAIRS))

    def without_order(self) -> float:
        """Median difference, pixels, if the header's order held on both sides."""
        return self._median(look(self.a, self.b, self.found.time, known_orders()[0], pairs=_PAIRS))

    def without(self, model: Model) -> float:
        """Median difference, pixels, under a map that can do less."""
        common = self.found.common
        affine = geometry.refit(model, self.found.a[common][:, :2], self.found.b[common][:, :2])
        if affine is None:
            return float("inf")
        return self._median(with_affine(self.found, self.a, self.b, affine))

    def score(self, without: float) -> float:
        """Of a cause: PROVEN where most joints are then equal but for rounding, else the share that goes away."""
        if self.found.same_share > SAME_SHARE:
            return PROVEN
        return float(np.clip(1 - self.found.median / without, 0, 0.99)) if without > 0 else 0.0

    def evidence(self, without: float) -> dict:
        """The two figures that every such cause gives."""
        return {"median difference without this, px": pixels(without), "with it": pixels(self.found.median)}

    def _median(self, other: Alignment | None) -> float:
        return float("inf") if other is None else other.median


def pixels(value: float) -> float | None:
    """For the reader: four digits, two of what is tiny; None for what is not finite, which JSON cannot hold."""
    if not np.isfinite(value):
        return None
    return float(f"{value:.4g}" if abs(value) >= _TINY else f"{value:.2g}")
