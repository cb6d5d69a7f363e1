"""Two traces' versions of one value: equal, or how far and where they differ."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from ...trace.model import TracedValue
from ...trace.reading import TraceFile
from .tolerance import tolerance_of

State = Literal["identical", "within-tolerance", "diverged", "only-in-one"]
RECORD_ARRAYS = "record both with --trace-arrays to know by how much"
_JOINTS = "keypoints"  # the value whose items are joints: one that is 0,0,0 is missing and has no position


@dataclass(frozen=True)
class ValueComparison:
    """One value of a stage.

    Attributes:
        largest: the largest difference, in `unit`; None where it is not known, or there is none.
        frame: where it is largest, for a value with one item a frame; frames are counted as in the input.
        first_frame, differing_frames, frames: of a value with one item a frame: the first that differs, how many do,
            and how many both have.
        note: what else is to be said of it.
    """

    name: str
    unit: str
    state: State
    largest: float | None = None
    frame: int | None = None
    first_frame: int | None = None
    differing_frames: int | None = None
    frames: int | None = None
    note: str = ""

    @property
    def differs(self) -> bool:
        """Whether both have it and it is not the same."""
        return self.state in ("within-tolerance", "diverged")

    @property
    def amount(self) -> str:
        """How much it differs, in words."""
        parts = [self.name if self.largest is None else f"{self.name} by {self.largest:.3g} {self.unit}"]
        if self.differing_frames is not None:
            parts.append(f"{self.differing_frames} of {self.frames} frames, the first is {self.first_frame}")
        note = self.note.removesuffix(RECORD_ARRAYS).removesuffix("; ")  # said once, at the end
        return ": ".join(parts) + (f" ({note})" if note else "")


@dataclass(frozen=True)
class Sides:
    """One value in both traces.

    Attributes:
        stage: its name.
        first_frames: for each side the input's frame that its first item belongs to.
    """

    stage: str
    a: TraceFile
    b: TraceFile
    mine: TracedValue
    theirs: TracedValue
    first_frames: tuple[int, int] = (0, 0)

    def common_frames(self) -> range:
        """The input's frames of which both have an item."""
        ends = [
            first + len(each.frames) for first, each in zip(self.first_frames, (self.mine, self.theirs), strict=True)
        ]
        return range(max(self.first_frames), max(min(ends), *self.first_frames))

    def digests(self, frame: int) -> tuple[str, str]:
        return self.mine.frames[frame - self.first_frames[0]], self.theirs.frames[frame - self.first_frames[1]]

    def whole(self) -> tuple[np.ndarray, np.ndarray] | None:
        """Both arrays of a result; None where one is not held."""
        first, second = self.a.array(self.stage, self.mine), self.b.array(self.stage, self.theirs)
        return None if first is None or second is None else (first, second)

    def items(self, frames: list[int]) -> Iterator[tuple[int, np.ndarray, np.ndarray]] | None:
        """(frame, A's item, B's item); None where they are not held."""
        if "observed" not in (self.mine.kind, self.theirs.kind):
            whole, (first_a, first_b) = self.whole(), self.first_frames
            return whole and ((frame, whole[0][frame - first_a], whole[1][frame - first_b]) for frame in frames)
        if not frames or None in map(type_or_none, self._observed(frames[0])):
            return None
        return ((frame, *self._observed(frame)) for frame in frames)

    def _observed(self, frame: int) -> tuple[np.ndarray | None, np.ndarray | None]:
        return (
            self.a.item(self.stage, self.mine, frame - self.first_frames[0]),
            self.b.item(self.stage, self.theirs, frame - self.first_frames[1]),
        )


def type_or_none(value: object) -> type | None:
    """None for None: an array cannot be looked for among values."""
    return None if value is None else type(value)


def compare_value(sides: Sides) -> ValueComparison:
    """Compare digests, and where they differ the arrays, if both are held.

    Raises:
        TraceError: an array is damaged.
    """
    mine, theirs = sides.mine, sides.theirs
    if mine.sha256 == theirs.sha256:
        return ValueComparison(mine.name, mine.unit, "identical")
    if mine.frames is not None and theirs.frames is not None:
        return _compare_frames(sides)
    if mine.shape != theirs.shape:
        return ValueComparison(
            mine.name, mine.unit, "diverged", note=f"shape {_shape(mine)} in A, {_shape(theirs)} in B"
        )
    whole = sides.whole()
    if whole is None:
        return ValueComparison(mine.name, mine.unit, "diverged", note=_why_unknown(sides))
    largest = largest_difference(*whole)
    return ValueComparison(mine.name, mine.unit, _state(largest, mine.unit), largest=largest, note=_types(sides))


def _compare_frames(sides: Sides) -> ValueComparison:
    """A value with one item a frame: the digests tell which frames differ."""
    common = sides.common_frames()
    differing = [frame for frame in common if len(set(sides.digests(frame))) == 2]
    items = sides.items(differing)
    seen = _over_frames(items, _Seen.of(sides.mine)) if items else None
    same_frames = len(sides.mine.frames) == len(sides.theirs.frames) == len(common)
    counts = "" if same_frames else f"{len(sides.mine.frames)} frames in A, {len(sides.theirs.frames)} in B"
    unknown = "" if items or not differing else _why_unknown(sides)
    notes = counts, *(seen.notes() if seen else ()), _types(sides), unknown
    main = seen.main if seen else _Worst(sides.mine.unit, largest=None)
    return ValueComparison(
        sides.mine.name,
        main.unit,
        "within-tolerance" if seen and same_frames and seen.within_tolerance else "diverged",
        largest=main.largest,
        frame=main.frame,
        first_frame=differing[0] if differing else None,
        differing_frames=len(differing),
        frames=len(common),
        note="; ".join(filter(None, notes)),
    )


@dataclass
class _Worst:
    """The largest difference in one unit, of these columns of the items or of all, and the frame that has it."""

    unit: str
    columns: slice | None = None
    largest: float | None = 0.0
    frame: int | None = None

    def look(self, frame: int, mine: np.ndarray, theirs: np.ndarray) -> None:
        if self.columns:
            mine, theirs = mine[..., self.columns], theirs[..., self.columns]
        found = largest_difference(mine, theirs)
        # Where one size is not known, the largest is not either.
        if self.largest is not None and (found is None or found > self.largest or self.frame is None):
            self.largest, self.frame = found, frame


@dataclass
class _Seen:
    """What was seen on the frames that differ: positions and confidences of joints are no one unit.

    Attributes:
        alone: joints that only one side misses.
    """

    worst: tuple[_Worst, ...]
    joints: bool
    alone: int = 0

    @classmethod
    def of(cls, value: TracedValue) -> _Seen:
        if value.name != _JOINTS:
            return cls((_Worst(value.unit),), joints=False)
        return cls(
            (_Worst(value.unit, slice(2)), _Worst("confidence", slice(2, 3))), joints=True
        )  # x and y, confidence

    @property
    def main(self) -> _Worst:
        """Positions before confidences, where they differ; nothing is known where a joint is missing and no more."""
        found = next((each for each in self.worst if each.largest != 0), self.worst[0])
        return replace(found, largest=None) if self.alone and found.largest == 0 else found

    @property
    def within_tolerance(self) -> bool:
        return not self.alone and all(_state(each.largest, each.unit) == "within-tolerance" for each in self.worst)

    def notes(self) -> list[str]:
        others = (each for each in self.worst if each.largest and each.unit != self.main.unit)
        missing = [f"{self.alone} joints are missing in one only"] if self.alone else []
        return [*(f"{each.unit} by {each.largest:.3g}" for each in others), *missing]


def _over_frames(items: Iterator[tuple[int, np.ndarray, np.ndarray]], seen: _Seen) -> _Seen:
    for frame, mine, theirs in items:
        if seen.joints and mine.shape == theirs.shape:
            present = mine.any(axis=-1), theirs.any(axis=-1)
            seen.alone += int((present[0] != present[1]).sum())
            mine, theirs = (each[present[0] & present[1]] for each in (mine, theirs))
        for worst in seen.worst:
            worst.look(frame, mine, theirs)
    return seen


def largest_difference(a: np.ndarray, b: np.ndarray) -> float | None:
    """Of two arrays; None where it is no number: other shapes, NaN or infinity."""
    if a.shape != b.shape:
        return None
    difference = np.abs(a.astype(np.float64) - b.astype(np.float64))
    largest = float(difference.max()) if difference.size else 0.0
    return largest if np.isfinite(largest) else None


def _state(largest: float | None, unit: str) -> State:
    return "within-tolerance" if largest is not None and largest <= tolerance_of(unit) else "diverged"


def _why_unknown(sides: Sides) -> str:
    """Arrays leave out some values, whose inputs tell the same; then nothing is to be said."""
    return RECORD_ARRAYS if sides.a.arrays is None or sides.b.arrays is None else ""


def _types(sides: Sides) -> str:
    mine, theirs = sides.mine.dtype, sides.theirs.dtype
    return "" if mine == theirs else f"type {mine} in A, {theirs} in B"


def _shape(value: TracedValue) -> str:
    return "x".join("?" if length is None else str(length) for length in value.shape) or "scalar"
