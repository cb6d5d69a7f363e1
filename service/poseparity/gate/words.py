"""What a verdict rests on in a few lines: the last thing on somebody's screen."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from .comparing import Clip
from .environments import Fact
from .side import Side, json_object

_WIDEST = 220  # characters of one line
_MOST = 3  # differences that one line names
# Of a digest, twelve digits are enough to tell two apart.
_DIGEST = re.compile(r"\b([0-9a-f]{12})[0-9a-f]{8,}(\.\.[0-9a-f]+)?\b")
_OF_NO_STAGE = ("folder", "sha256")  # of `poseparity bundle show`


def differences(clips: Sequence[Clip], facts: Sequence[Fact], local: Side, server: Side) -> list[str]:
    """At most five lines: on the first clip that did not pass, or that all did, on the bundle and the environment."""
    failing = next((clip for clip in clips if not clip.passed), None)
    if failing is None:  # what differs between the runs of a clip, although it had no effect on that one
        warnings = [warning.title for clip in clips for warning in clip.comparison.warnings]
        found = f" Found: {'; '.join(warnings[:_MOST])}" if warnings else ""
        lines = [f"Every stage gave the same bits on what was replayed, but other clips can differ.{found}"]
    elif failing.comparison is None:
        lines = [failing.why_not]
    elif not failing.differs:
        lonely = ", ".join(failing.lonely_stages)
        lines = [f"On {failing.name} only one side ran {lonely}; what both ran gave the same bits"]
    else:
        lines = [f"On {failing.name} {failing.comparison.first_difference}"]
        for cause in failing.comparison.causes[:1]:
            lines += [f"Likeliest cause: {cause.title}", f"To be sure: {cause.confirm}"]
    ordered = sorted(facts, key=lambda fact: fact.is_symptom)
    lines += _listed("Bundle", list(_parameters(local, server)))
    texts = [f"{fact.name} is {fact.server}, expected {fact.local}" for fact in ordered]
    lines += _listed("Environment", [_DIGEST.sub(r"\1", text) for text in texts])
    return [_shown(line) for line in lines]


def rows(facts: Sequence[Fact]) -> list[str]:
    """A line a fact, in the columns of `verify_env.py compare`."""
    table = [(fact.name, fact.local, fact.server, "MISMATCH", fact.effect) for fact in facts]
    widths = [max(len(row[column]) for row in table) for column in range(4)] if table else []
    return ["  ".join([*map(str.ljust, row[:4], widths), row[4]]) for row in table]


def message(image: str, host: str, lines: Sequence[str], policy: Path, found: Path | None) -> str:
    """Why an image is refused, in at most seven lines and a heading.

    Args:
        lines: of `differences`.
        found: the page or the report to look at; None where nothing was written.
    """
    where = [] if found is None else [f"Report: {found}"]
    return "\n".join([
        f"{_shown(image)} is refused on {host}; what runs there was not touched. A is this machine, B the image.",
        *lines,
        *where,
        "Fix: build the image from this checkout (ansible-playbook build.yml), or put the local environment in order "
        f"(scripts/venv runtime). {policy.name} says what must be equal.",
    ])  # fmt: skip


def _listed(title: str, texts: Sequence[str]) -> list[str]:
    if not texts:
        return []
    more = [f"{len(texts) - _MOST} more"] if len(texts) > _MOST else []
    return [f"{title}: {', '.join([*texts[:_MOST], *more])}"]


def _parameters(local: Side, server: Side) -> Iterator[str]:
    """What differs between the bundles, where the image described its own: it does so when a clip gave no trace."""
    if not server.bundle.exists():
        return
    tables = [json_object(side.bundle) for side in (local, server)]
    if None in tables:
        yield f"its description is no JSON object, see {server.bundle}"
        return
    mine, theirs = (dict(_flat(table)) for table in tables)
    for name in {**mine, **theirs}:
        if name not in _OF_NO_STAGE and mine.get(name) != theirs.get(name):
            yield f"{name} is {theirs.get(name)}, expected {mine.get(name)}"


def _flat(table: dict, prefix: str = "") -> Iterator[tuple[str, str]]:
    for name, value in table.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", json.dumps(value)


def _shown(line: str) -> str:
    """Of one line's length, and without what a terminal would take for a command: images say anything."""
    line = "".join(character if character.isprintable() else "?" for character in line)
    return line if len(line) <= _WIDEST else f"{line[: _WIDEST - 1]}…"
