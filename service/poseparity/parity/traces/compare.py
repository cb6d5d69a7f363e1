"""Compare two traces: which stage diverges first, by how much, and why."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import ClassVar

from ...trace.model import Trace
from ...trace.reading import TraceFile, load_trace
from ..result import Cause, Comparison
from .causes import rank
from .causes.from_environment import findings_of
from .stages import StageComparison, compare_stages, worst
from .values import RECORD_ARRAYS


@dataclass(frozen=True)
class TraceSide:
    """One of the two traces, and what its file is called."""

    name: str
    trace: Trace

    def to_dict(self) -> dict:
        """JSON-ready: what was run, with what, and what it answered."""
        trace = self.trace
        prediction = trace.prediction
        return {
            "name": self.name,
            "created": trace.created,
            "poseparity": trace.poseparity,
            "bundle": {"name": trace.bundle.name, "version": trace.bundle.version, "sha256": trace.bundle.sha256},
            "input": {"name": trace.input.name, "kind": trace.input.kind, "sha256": trace.input.sha256},
            "answer": {
                "label": prediction.label,
                "scores": [{"label": score.label, "score": score.score} for score in prediction.scores],
                "warnings": [{"code": warning.code, "message": warning.message} for warning in trace.warnings or ()],
            },
        }


@dataclass(frozen=True)
class First:
    """What differs first: a value of a stage, and its frame where it has one item a frame."""

    stage: str
    value: str
    frame: int | None


@dataclass(frozen=True, kw_only=True)
class TraceComparison(Comparison):
    """Of two traces.

    Attributes:
        first: None where nothing differs.
        stages: in the pipeline's order.
        warnings: differences that had no effect on this input, the gravest first.
        environment: what verify_env.py finds between their environments, gravest first.
    """

    kind: ClassVar = "trace"
    sides: tuple[TraceSide, TraceSide]
    first: First | None
    stages: tuple[StageComparison, ...]
    warnings: tuple[Cause, ...]
    environment: tuple[dict, ...]

    @property
    def first_difference(self) -> str:
        """The first stage that differs, and by how much, in words; "" where none does."""
        return next((_difference(stage) for stage in self.stages if stage.differs), "")

    def own(self) -> dict:
        return {
            "sides": [side.to_dict() for side in self.sides],
            "first": self.first and asdict(self.first),
            "stages": [stage.to_dict() for stage in self.stages],
            "warnings": [warning.to_dict() for warning in self.warnings],
            "environment": list(self.environment),
        }


def compare_trace_files(a: Path, b: Path) -> TraceComparison:
    """Compare two traces on disk; A is the one that is trusted, B the one that is asked about.

    Raises:
        TraceError: one is no trace, is damaged, or of another format.
    """
    return compare_traces(load_trace(a), load_trace(b))


def compare_traces(a: TraceFile, b: TraceFile, findings: list[dict] | None = None) -> TraceComparison:
    """Compare stage by stage, the environments, and what the runs were given.

    Args:
        findings: what differs between the environments, where another policy than this checkout's says so.
    """
    stages = compare_stages(a, b)
    first = next((stage for stage in stages if stage.differs), None)
    findings = findings_of(a, b) if findings is None else findings
    causes, warnings = rank.causes_of(a, b, stages, first, findings)
    if first is None:
        summary = "every stage that both have made the same bits"
        if warnings:
            summary += f"; {len(warnings)} difference{'s' * (len(warnings) > 1)} had no effect on this input"
    else:
        summary = f"{_difference(first)}; likeliest cause: {causes[0].title}"
    return TraceComparison(
        verdict=worst(stage.state for stage in stages),
        summary=summary,
        sides=(TraceSide(a.name, a.trace), TraceSide(b.name, b.trace)),
        causes=causes,
        notes=_notes(a, b, stages, findings),
        first=First(first.name, first.differing[0].name, first.differing[0].first_frame) if first else None,
        stages=stages,
        warnings=warnings,
        environment=tuple(findings or ()),
    )


def _difference(stage: StageComparison) -> str:
    how = "diverges first" if stage.state == "diverged" else "differs first, within tolerance"
    return f"stage {stage.name} {how} ({stage.differing[0].amount})"


def _notes(
    a: TraceFile, b: TraceFile, stages: tuple[StageComparison, ...], findings: list[dict] | None
) -> tuple[str, ...]:
    notes = [*a.notes, *b.notes]
    if a.trace.input.kind != b.trace.input.kind:
        common = next((stage.name for stage in stages if stage.state != "only-in-one"), "none")
        kinds = f"A ran a {a.trace.input.kind}, B a {b.trace.input.kind}"
        notes.append(f"{kinds}: compared from the first stage that both have, {common}")
    if findings is None:
        notes.append("a trace holds no environment (golden traces do not), so environments are not compared")
    if any(value.note == RECORD_ARRAYS for stage in stages for value in stage.values):
        notes.append(f"a difference whose size is not known counts as diverged: {RECORD_ARRAYS}")
    return tuple(notes)
