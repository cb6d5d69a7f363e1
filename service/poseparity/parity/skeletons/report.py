"""A comparison as text for the terminal."""

from __future__ import annotations

import textwrap

from ..result import PROVEN, Cause
from .result import CsvComparison

_WIDTH = 118  # fits a terminal of 120 columns
_HIDDEN = ("with it",)  # zero, or said again by the figures at the end
_NEXT = "to confirm: record a trace of the run on both sides and compare those; they name the first stage that differs"


def report(comparison: CsvComparison) -> str:
    """The verdict; the two files; each cause with its evidence and how to confirm it; what is left."""
    lines = [comparison.summary]
    for side in comparison.sides:
        how = "" if side.missing_as in (None, "0,0,0") else f" (written {side.missing_as})"
        lines.append(
            f"  {side.name}: {side.file or ''}, {side.frames} frames, {side.missing_joints} of {side.frames * 17} "
            f"joints missing{how}, x and y from {side.smallest_coordinate:g} to {side.largest_coordinate:g}, "
            f"{side.numbers}"
        )
    for number, cause in enumerate(comparison.causes, 1):
        lines += ["", *_cause(number, cause)] if number == 1 else _cause(number, cause)
    if comparison.notes:
        lines += ["", *(line for note in comparison.notes for line in _wrapped(note, ""))]
    if comparison.verdict not in ("identical", "explained"):
        figures = comparison.figures
        lines += ["", *_figures("as they stand, row by row", figures["as_they_stand"])]
        left = {"left": "with the causes above", "best_attempt": "best attempt to lay one over the other"}
        for key, title in left.items():
            if key in figures and figures[key].get("differing_joints"):
                lines += _figures(title, figures[key])
        lines += _wrapped(_NEXT, "")
    return "\n".join(lines)


def _cause(number: int, cause: Cause) -> list[str]:
    certainty = "proven" if cause.score == PROVEN else f"likely, {cause.score:.0%}"
    evidence = "; ".join(f"{key}: {_shown(value)}" for key, value in cause.evidence.items() if key not in _HIDDEN)
    return [
        *_wrapped(f"{number}. {cause.title} ({certainty})", ""),
        *_wrapped(evidence, "   "),
        *_wrapped(f"to confirm: {cause.confirm}", "   "),
    ]


def _shown(value: object) -> str:
    if value is None:
        return "nothing fits"
    return f"{value:g}" if isinstance(value, float) else str(value)


def _figures(title: str, found: dict) -> list[str]:
    if not found["common_joints"]:
        return [f"{title}: no joint is in both"]
    first = [
        f"{title}: median difference {found['median_px']:g} px, largest {found['largest_px']:g} px, "
        f"{found['differing_joints']} of {found['common_joints']} joints differ"
    ]
    if not found["differing_joints"]:
        return first
    rows = ", ".join(f"{entry['row']:g} ({entry['mean_px']:g} px)" for entry in found["worst_frames"])
    joints = ", ".join(f"{entry['joint']} ({entry['mean_px']:g} px)" for entry in found["worst_joints"])
    start = found["first_differing_frame"]
    return [*first, *_wrapped(f"first differing row {start:g}; worst rows {rows}; worst joints {joints}", "   ")]


def _wrapped(text: str, indent: str) -> list[str]:
    return textwrap.wrap(text, _WIDTH, initial_indent=indent, subsequent_indent=indent + "   ")
