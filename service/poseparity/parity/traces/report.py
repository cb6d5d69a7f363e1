"""The comparison of two traces as text for a terminal."""

from __future__ import annotations

from collections.abc import Iterator
from textwrap import wrap

from ..result import Cause
from .compare import TraceComparison, TraceSide

_WIDTH = 110  # fits a terminal of 120 columns
_CAUSES, _WARNINGS = 5, 5  # those that follow are unlikely, or had no effect: they are counted, not listed
_VERDICTS = {"identical": "IDENTICAL", "within-tolerance": "WITHIN TOLERANCE", "diverged": "DIVERGED"}


def render(comparison: TraceComparison) -> str:
    """The verdict in one sentence, the two sides, the stages, what explains it, and what had no effect."""
    lines = [
        f"{_VERDICTS[comparison.verdict]}: {comparison.summary}",
        "",
        *_sides(*comparison.sides),
        "",
        *_stages(comparison),
        *_causes("likely causes", comparison.causes, _CAUSES),
        *_causes("different, without effect on this input", comparison.warnings, _WARNINGS),
        *_notes(comparison),
    ]
    # Without what a terminal would take for a command: a trace's texts come from anywhere.
    return "\n".join("".join(each if each.isprintable() else "?" for each in line) for line in lines)


def _sides(a: TraceSide, b: TraceSide) -> Iterator[str]:
    """What was run and answered, and whether the answers are the same, which is what a user of the service sees."""
    for name, side in zip("AB", (a, b), strict=True):
        bundle, prediction = side.trace.bundle, side.trace.prediction
        best = max((entry.score for entry in prediction.scores), default=0.0)
        yield (
            f"  {name}  {side.name}: {side.trace.input.name}, bundle {bundle.name} {bundle.version} "
            f"({(bundle.sha256 or 'golden')[:8]}), answer {prediction.label} {best:.4f}"
        )
    mine, theirs = ({each.label: each.score for each in side.trace.prediction.scores} for side in (a, b))
    if mine == theirs:
        yield "  the answers are equal to the last bit"
    else:
        largest = max((abs(mine[label] - theirs[label]) for label in mine.keys() & theirs.keys()), default=0.0)
        label = "the same label" if a.trace.prediction.label == b.trace.prediction.label else "ANOTHER LABEL"
        yield f"  the answers: {label}, scores differ by up to {largest:.3g}"
    # What the two answers said that may make their scores wrong.
    for name, side in zip("AB", (a, b), strict=True):
        for warning in side.trace.warnings or ():
            yield from _indented(f"warning of {name}: ", f"{warning.message} [{warning.code}]")


def _stages(comparison: TraceComparison) -> Iterator[str]:
    width = max(len(stage.name) for stage in comparison.stages)
    first = comparison.first and comparison.first.stage
    for stage in comparison.stages:
        mark = ">" if stage.name == first else " "
        texts = [value.amount for value in stage.differing] or [""]
        yield f"{mark} {stage.name:<{width}}  {stage.state:<16}  {texts[0]}".rstrip()
        # Below the first amount: mark, name, state and the spaces between them come before it.
        yield from (" " * (width + 22) + text for text in texts[1:])


def _causes(title: str, causes: tuple[Cause, ...], most: int) -> Iterator[str]:
    if not causes:
        return
    yield from ("", f"{title}:")
    for number, cause in enumerate(causes[:most], 1):
        where = f", stage {cause.stage}" if cause.stage else ""
        yield from _indented(f"{number}. ", f"{cause.title} [{cause.code}{where}]")
        yield from _indented("   to confirm: ", cause.confirm)
    if len(causes) > most:
        yield f"  and {len(causes) - most} more: see --json or --html"


def _notes(comparison: TraceComparison) -> Iterator[str]:
    counted = [each for each in comparison.environment if each["verdict"] in ("error", "tolerance")]
    notes = list(comparison.notes)
    if counted:
        count = f"{len(counted)} difference{'s' * (len(counted) > 1)}"
        notes.append(f"environments: {count} that can change results; see --json or --html")
    if notes:
        yield ""
    for note in notes:
        yield from _indented("note: ", note)


def _indented(head: str, text: str) -> list[str]:
    return wrap(text, _WIDTH, initial_indent=f"  {head}", subsequent_indent=" " * (2 + len(head))) or [f"  {head}"]
