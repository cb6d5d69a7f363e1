"""Two traces stage by stage: which values are equal, and by how much the others differ."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass

from ...trace.reading import TraceFile
from .parameters import ParameterDifference, differing_parameters
from .values import Sides, State, ValueComparison, compare_value


@dataclass(frozen=True)
class StageComparison:
    """One stage: its worst value's state, its values in the order in which the stage makes them, its parameters."""

    name: str
    state: State
    values: tuple[ValueComparison, ...] = ()
    parameters: tuple[ParameterDifference, ...] = ()

    @property
    def differing(self) -> tuple[ValueComparison, ...]:
        """The values that both have and that are not the same, in the order in which the stage makes them."""
        return tuple(value for value in self.values if value.differs)

    @property
    def differs(self) -> bool:
        """Whether both have the stage and it made something else."""
        return bool(self.differing)

    def to_dict(self) -> dict:
        """JSON-ready; values that are identical by their name and state only."""
        return {
            "name": self.name,
            "state": self.state,
            "values": [
                asdict(value)
                if value.state != "identical"
                else {"name": value.name, "unit": value.unit, "state": value.state}
                for value in self.values
            ],
            "parameters": [asdict(parameter) for parameter in self.parameters],
        }


def compare_stages(a: TraceFile, b: TraceFile) -> tuple[StageComparison, ...]:
    """Every stage of either trace, in the pipeline's order."""
    in_a, in_b = ([stage.name for stage in side.trace.stages] for side in (a, b))
    longer, shorter = (in_a, in_b) if len(in_a) >= len(in_b) else (in_b, in_a)
    names = [*longer, *(name for name in shorter if name not in longer)]
    return tuple(
        _compare_stage(a, b, name) if name in in_a and name in in_b else StageComparison(name, "only-in-one")
        for name in names
    )


def _compare_stage(a: TraceFile, b: TraceFile, name: str) -> StageComparison:
    mine, theirs = a.trace.stage(name), b.trace.stage(name)
    first_frames = first_frame(a, name), first_frame(b, name)
    values = []
    # What passes through the stage first, then what comes out of it.
    recorded = sorted([*mine.values, *theirs.values], key=lambda value: value.kind != "observed")
    for value in dict.fromkeys(each.name for each in recorded):
        first, second = mine.value(value), theirs.value(value)
        if first and second:
            values.append(compare_value(Sides(name, a, b, first, second, first_frames)))
        else:
            note = f"only {'A' if first else 'B'} recorded it"
            values.append(ValueComparison(value, (first or second).unit, "only-in-one", note=note))
    if name == a.trace.stages[-1].name == b.trace.stages[-1].name:
        # What the scores are called, and with that what was answered.
        labels = [[score.label for score in side.trace.prediction.scores] for side in (a, b)]
        if labels[0] == labels[1]:
            values.append(ValueComparison("labels", "", "identical"))
        else:
            same = sorted(labels[0]) == sorted(labels[1])
            note = "the same labels in another order" if same else "other labels"
            values.append(ValueComparison("labels", "", "diverged", note=note))
    state = worst(value.state for value in values)
    return StageComparison(name, state, tuple(values), differing_parameters(mine, theirs))


def worst(states: Iterable[State]) -> State:
    """Of several; what only one trace has was recorded otherwise, and says nothing of what was computed."""
    found = set(states)
    return next((state for state in ("diverged", "within-tolerance") if state in found), "identical")


def first_frame(side: TraceFile, stage: str) -> int:
    """The input's frame that a stage's first item belongs to: trimming cuts the frames before it."""
    found = side.result(stage, "first_frame")
    return int(found) if found is not None and found.shape == () else 0
