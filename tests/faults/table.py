"""The results as tables: for the terminal, and for README in Markdown."""

from __future__ import annotations

from collections.abc import Iterable

from poseparity.parity.trace_report import amount_of

from .suite import Outcome

HEADER = ("fault", "first stage that differs", "largest difference there", "cause named")
UNHARMED = "none: equal bits"


def row(outcome: Outcome) -> tuple[str, str, str, str]:
    """One fault's cells in the order of HEADER."""
    cause = outcome.cause
    named = f"{cause.code}: {cause.title}" if cause else "none"
    return outcome.fault.name, outcome.stage or UNHARMED, _largest(outcome), named


def _largest(outcome: Outcome) -> str:
    """Of the first value that differs, in its own unit."""
    first = outcome.comparison.first
    if first is None:
        return ""
    stage = next(each for each in outcome.comparison.stages if each["name"] == first["stage"])
    value = next(each for each in stage["values"] if each["name"] == first["value"])
    return amount_of(value)


def markdown(outcomes: Iterable[Outcome]) -> str:
    lines = [HEADER, *map(row, outcomes)]
    cells = [[cell.replace("|", "\\|") for cell in line] for line in lines]
    cells.insert(1, ["---"] * len(HEADER))
    return "\n".join("| " + " | ".join(line) + " |" for line in cells)


def plain(outcomes: Iterable[Outcome], width: int) -> list[str]:
    """Lines of at most `width` characters, columns aligned, the last one cut."""
    lines = [HEADER, *map(row, outcomes)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)][:-1]
    return ["  ".join([*(c.ljust(w) for c, w in zip(line, widths, strict=False)), line[-1]])[:width] for line in lines]
