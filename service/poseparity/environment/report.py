"""The findings of a comparison, as a document and as a table."""

from __future__ import annotations

import re
import textwrap
from typing import Any

from .compare import CELL_WIDTH, ORDER, overall, show
from .files import FORMAT

COLUMNS = ("fact", "local", "server", "verdict", "what it does to results")
OPERATIONS_PATH = "fingerprint.operations."
SUMMARIES = {
    "match": "match: the server's environment is the local one in all that changes results",
    "tolerance": "match within a tolerance: the two sides cannot give the same bits (see the rows marked tolerance)",
    "mismatch": "mismatch: the server's results can differ from the local ones",
}


def report(findings: list[dict]) -> dict:
    """The document that --json prints."""
    counts = {verdict: sum(item["verdict"] == verdict for item in findings) for verdict in ORDER}
    return {"format": FORMAT, "verdict": overall(findings), "counts": counts, "findings": findings}


def show_lists(reference: list, current: list) -> list[str]:
    """Two lists as cells: in full where both fit or one is empty, else what the other side lacks ("-": nothing)."""
    sides = (reference, current)
    if not all(sides) or all(len(", ".join(map(str, side))) <= CELL_WIDTH for side in sides):
        return [show(side) for side in sides]
    extra = [[value for value in side if value not in other] for side, other in (sides, sides[::-1])]
    return [show("+ " + ", ".join(map(str, side))) if side else "-" for side in extra]


def cells(item: dict) -> tuple[str, str, str, str, str]:
    """A finding as a row of the table."""
    sides = [item["reference"], item["current"]]
    texts = show_lists(*sides) if all(isinstance(side, list) for side in sides) else [show(side) for side in sides]
    for index, name in ((0, "current"), (1, "reference")):
        if item["problem"] == f"only in {name}" or (sides[index] is None and "must be" in item["problem"]):
            texts[index] = "absent"
    verdict = "MISMATCH" if item["verdict"] == "error" else item["verdict"]
    prefix = f"({item['problem']}) " if item["problem"].startswith("must be") else ""
    return item["path"], texts[0], texts[1], verdict, prefix + item["effect"]


def render_table(findings: list[dict], width: int | None = None) -> str:
    """The findings as text columns; the last one is wrapped to `width`, or left on one line where that is None."""
    rows = [COLUMNS, *map(cells, findings)]
    widths = [max(len(row[column]) for row in rows) for column in range(4)]
    left = sum(widths) + 2 * len(widths)
    lines = []
    for row in rows:
        wrapped = textwrap.wrap(row[4], max(24, width - left)) if width else [row[4]]
        head = "".join(row[column].ljust(widths[column] + 2) for column in range(4))
        lines += [head + wrapped[0], *(" " * left + rest for rest in wrapped[1:])]
    return "\n".join(line.rstrip() for line in lines)


def operation_in(path: str) -> str:
    """The operation ("torch.linear") that a finding is on; "" where it is on none."""
    return re.sub(r"\.(sha256|error)$", "", path[len(OPERATIONS_PATH):]) if path.startswith(OPERATIONS_PATH) else ""


def fold_operations(findings: list[dict]) -> list[dict]:
    """The findings, with those on a library's operations as one row: they have one cause, and the row names them."""
    rows: dict[Any, list] = {}
    for item in findings:
        module, _, operation = operation_in(item["path"]).partition(".")
        key = (module, item["verdict"], item["effect"]) if operation else id(item)
        rows.setdefault(key, []).append(item)
    return [operations_row(key[0], group) if isinstance(key, tuple) else group[0] for key, group in rows.items()]


def operations_row(module: str, findings: list[dict]) -> dict:
    names = [operation_in(item["path"])[len(module) + 1:] for item in findings]
    count = f"{len(names)} operation{'s differ' if len(names) > 1 else ' differs'}"
    return {**findings[0], "path": f"fingerprint of {module}", "reference": "-", "current": count, "problem": "",
            "effect": f"{findings[0]['effect']} ({', '.join(names)})"}


def render(findings: list[dict], everything: bool, width: int | None) -> str:
    """The table of what differs, then one line that says what it comes to."""
    shown = [item for item in findings if everything or item["verdict"] not in ("information", "implied")]
    shown = fold_operations(shown)
    counts = report(findings)["counts"]
    summary = f"{SUMMARIES[overall(findings)]} ({', '.join(f'{counts[verdict]} {verdict}' for verdict in ORDER)})"
    return render_table(shown, width) + "\n\n" + summary if shown else summary
