"""What comparing two skeleton CSVs gives."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import ClassVar

from ..result import Comparison


@dataclass(frozen=True)
class CsvSide:
    """What is said of one of the two.

    Attributes:
        missing_as: what a missing joint is written as; None where none is missing.
        numbers: how its numbers are written, in words.
        file: where it was read from; None for a skeleton that was not read.
    """

    name: str
    frames: int
    missing_joints: int
    missing_as: str | None
    repeated_frames: int
    smallest_coordinate: float
    largest_coordinate: float
    numbers: str
    file: str | None = None

    def to_dict(self) -> dict:
        """JSON-ready."""
        fields = asdict(self)
        file = fields.pop("file")
        return fields if file is None else {"file": file} | fields


@dataclass(frozen=True, kw_only=True)
class CsvComparison(Comparison):
    """Of two skeleton CSVs.

    Attributes:
        figures: what is left unexplained, or how large the difference is, JSON-ready; see figures.py.
    """

    kind: ClassVar = "csv"
    sides: tuple[CsvSide, CsvSide]
    figures: dict = field(default_factory=dict)

    def own(self) -> dict:
        return {"sides": [side.to_dict() for side in self.sides], "figures": self.figures}
