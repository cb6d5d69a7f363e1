"""How much a value may differ and still be called within tolerance; tolerances.toml says why."""

from __future__ import annotations

import tomllib
from functools import cache
from pathlib import Path

FILE = Path(__file__).with_name("tolerances.toml")


@cache
def tolerances() -> dict[str, float]:
    """Unit to the largest difference within tolerance."""
    return tomllib.loads(FILE.read_text(encoding="utf-8"))


def tolerance_of(unit: str) -> float:
    """Of a value in this unit; 0.0 where the unit has none."""
    return float(tolerances().get(unit, 0.0))
