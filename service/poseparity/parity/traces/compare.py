"""Compare two traces: which stage diverges first, by how much, and why."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

from ...trace.reading import TraceFile, load_trace
from ..result import Comparison, Verdict
from .causes import rank
from .causes.from_environment import findings_of
from .report import amount_of
from .stages import StageComparison, compare_stages
from .values import RECORD_ARRAYS


def compare_trace_files(a: Path, b: Path) -> Comparison:
    """Compare two traces on disk; A is the one that is trusted, B the one that is asked about.

    Raises:
        TraceError: one is no trace, is damaged, or of another format.
    """
    return compare_traces(load_trace(a), load_trace(b))


def compare_traces(a: TraceFile, b: TraceFile) -> Comparison:
    """Compare stage by stage, the environments, and what the runs were given."""
    stages = compare_stages(a, b)
    first = next((stage for stage in stages if stage.differs), None)
    findings = findings_of(a, b)
    causes, warnings = rank.causes_of(a, b, stages, first, findings)
    verdict = _verdict(stages)
    return Comparison(
        kind="trace",
        verdict=verdict,
        summary=_summary(first, causes, warnings),
        sides=(_side(a), _side(b)),
        causes=causes,
        notes=_notes(a, b, stages, findings),
        first=_first(first),
        stages=tuple(stage.to_dict() for stage in stages),
        warnings=warnings,
        environment=tuple(findings or ()),
    )


def _verdict(stages: tuple[StageComparison, ...]) -> Verdict:
    states = {stage.state for stage in stages}
    return next((state for state in ("diverged", "within-tolerance") if state in states), "identical")


def _first(stage: StageComparison | None) -> dict | None:
    if stage is None:
        return None
    value = stage.differing[0]
    return {"stage": stage.name, "value": value.name, "frame": value.first_frame}


def _summary(first: StageComparison | None, causes: tuple, warnings: tuple) -> str:
    if first is None:
        count = f"{len(warnings)} difference{'s' * (len(warnings) > 1)}"
        return "every stage that both have made the same bits" + (
            f"; {count} had no effect on this input" * bool(warnings)
        )
    how = "diverges first" if first.state == "diverged" else "differs first, within tolerance"
    amount = amount_of(asdict(first.differing[0]))
    return f"stage {first.name} {how} ({amount}); likeliest cause: {causes[0].title}"


def _side(side: TraceFile) -> dict:
    trace = side.trace
    prediction = trace.prediction
    return {
        "name": side.name,
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
