"""All causes of a comparison, the likeliest first, and what differs without effect."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

from ....trace.model import CODE
from ....trace.reading import TraceFile
from ...result import Cause
from ..stages import StageComparison
from . import certainty, from_arrays, from_environment, from_parameters
from .catalogue import cause

Ranked = tuple[tuple[Cause, ...], tuple[Cause, ...]]


def causes_of(
    a: TraceFile,
    b: TraceFile,
    stages: tuple[StageComparison, ...],
    first: StageComparison | None,
    findings: list[dict] | None,
) -> Ranked:
    """(causes, warnings), each the likeliest first: what explains the difference, and what had no effect.

    Args:
        first: the first stage that differs; None where none does: then everything is a warning.
        findings: of verify_env.py; None where a trace has no environment.
    """
    place = None if first is None else (first.name, next(value.name for value in first.differing))
    environment = from_environment.causes_of(findings or (), place)
    given = list(_given(a, b, stages))
    position = len(stages) if first is None else stages.index(first)
    without_effect = [each for stage in stages[:position] for each in from_parameters.causes_of(stage, a, b)]
    if first is None:
        return (), _ordered([*given, *without_effect, *environment])
    own = [*from_parameters.causes_of(first, a, b), *from_arrays.causes_of(first, a, b)]
    further = [
        replace(each, score=certainty.LATER_STAGE * each.score)
        for stage in stages[position + 1 :]
        for each in from_parameters.causes_of(stage, a, b)
    ]
    causes = _ordered([*given, *own, *environment, *further])
    if not causes or causes[0].score < certainty.SOMETHING:
        causes = (_unknown(first, a, b), *causes)
    return causes, _ordered(without_effect)


def _given(a: TraceFile, b: TraceFile, stages: tuple[StageComparison, ...]) -> Iterator[Cause]:
    """Other inputs, and other bundles where no parameter tells of it."""
    first, second = a.trace.input, b.trace.input
    if first.kind == second.kind and first.sha256 != second.sha256:
        shown = [f"{each.name} ({each.bytes} bytes, sha256 {each.sha256[:12]})" for each in (first, second)]
        yield cause("input-differs", score=certainty.INPUT, a=shown[0], b=shown[1])
    mine, theirs = a.trace.bundle, b.trace.bundle
    known = mine.sha256 is not None and theirs.sha256 is not None  # a golden trace does not tell
    labels = any(value.name == "labels" and value.state == "diverged" for stage in stages for value in stage.values)
    told = labels or any(each.path.partition(".")[0] not in CODE for stage in stages for each in stage.parameters)
    if known and mine.sha256 != theirs.sha256 and not told:
        shown = [f"{each.name} {each.version} ({each.sha256[:12]})" for each in (mine, theirs)]
        yield cause("bundle-differs", score=certainty.BUNDLE_DIGEST, a=shown[0], b=shown[1])


def _unknown(stage: StageComparison, a: TraceFile, b: TraceFile) -> Cause:
    hint = "run B's input twice on B: where two runs of one machine differ, threads or memory are at fault"
    if a.arrays is None or b.arrays is None:
        hint = "record both with --trace-arrays and compare again"
    return cause("unknown", score=certainty.SOMETHING, stage=stage.name, hint=hint)


def _ordered(causes: Iterable[Cause]) -> tuple[Cause, ...]:
    """The likeliest first; of those that say the same, the surest only."""
    ranked = sorted(causes, key=lambda each: -each.score)
    unique: dict[tuple, Cause] = {}
    for each in ranked:
        unique.setdefault((each.code, each.stage, str(each.evidence.get("parameter", ""))), each)
    # What a parameter tells of, the arrays of the same stage need not tell again.
    told = {(each.code, each.stage) for each in unique.values() if "parameter" in each.evidence}
    return tuple(
        each for each in unique.values() if "parameter" in each.evidence or (each.code, each.stage) not in told
    )
