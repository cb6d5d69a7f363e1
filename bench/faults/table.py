"""The results as tables: for the terminal, and in Markdown for docs/faults.md."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

from scripts.locking.locks import ROOT

from .suite import Outcome

HEADER = ("fault", "first stage that differs", "largest difference there", "cause named")
UNHARMED = "none: equal bits"
PAGE = ROOT / "docs/faults.md"
BEGIN, END = "<!-- faults: written by scripts/bench faults -->\n", "<!-- end of faults -->\n"
# As compare shows a checksum. The page leaves them out: those of code change with every edit, and tell nothing.
_CHECKSUM = re.compile(r"\b[0-9a-f]{12}\b")


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
    stage = next(each for each in outcome.comparison.stages if each.name == first.stage)
    value = next(each for each in stage.values if each.name == first.value)
    return value.amount


def markdown(rows: Iterable[tuple[str, ...]]) -> str:
    """Rows of `row` as a table of the page, without checksums."""
    cells = [[_CHECKSUM.sub("…", cell).replace("|", "\\|") for cell in line] for line in [HEADER, *rows]]
    cells.insert(1, ["---"] * len(HEADER))
    return "\n".join("| " + " | ".join(line) + " |" for line in cells) + "\n"


def write(table: str, page: Path = PAGE) -> None:
    """Put the table between the page's two markers; the rest of the page stays.

    Raises:
        ValueError: a marker is missing, or there more than once.
    """
    text = page.read_text(encoding="utf-8")
    for marker in (BEGIN, END):
        if text.count(marker) != 1:
            raise ValueError(f"{page} has {marker.strip()!r} {text.count(marker)} times, expected once")
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    page.write_text(f"{before}{BEGIN}\n{table}\n{END}{after}", encoding="utf-8")


def plain(outcomes: Iterable[Outcome], width: int) -> list[str]:
    """Lines of at most `width` characters, columns aligned, the last one cut."""
    lines = [HEADER, *map(row, outcomes)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)][:-1]
    return ["  ".join([*(c.ljust(w) for c, w in zip(line, widths, strict=False)), line[-1]])[:width] for line in lines]
