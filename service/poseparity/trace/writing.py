"""Traces on disk: written whole or not at all, and read with a clear word on what is none."""

from __future__ import annotations

import json
from pathlib import Path

from pydantic import ValidationError

from ..bundle.bundle import first_problem
from ..errors import TraceError
from ..outputs import replacing
from .model import FORMAT, Trace

_FAMILY = FORMAT.partition("/")[0]
_RECORD = "record one with `poseparity run INPUT --trace FILE.json`"


def write_trace(path: Path, trace: Trace) -> None:
    """Write a trace; another file at `path` is replaced when all is written."""
    with replacing(path) as partial:
        partial.write_text(to_json(trace), encoding="utf-8")


def to_json(trace: Trace) -> str:
    """The trace as JSON text, without white space: it is made for programs."""
    return json.dumps(trace.model_dump(mode="json"), separators=(",", ":"), ensure_ascii=False, allow_nan=False) + "\n"


def read_trace(path: Path) -> Trace:
    """Read a trace.

    Raises:
        TraceError: it is none, it is cut or damaged, or another release wrote it in another format.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        fix = f"it may be cut: copy it again, or {_RECORD}"
        raise TraceError(f"{path} is not JSON: {error!s:.120}", fix=fix) from error
    found = content.get("format") if isinstance(content, dict) else None
    if not isinstance(found, str) or not found.startswith(f"{_FAMILY}/"):
        raise TraceError(f"{path} is no trace: its format is {found!r:.40}, expected {FORMAT!r}", fix=_RECORD)
    if found != FORMAT:
        raise TraceError(
            f"{path} has the format {found!r:.40}, this version reads {FORMAT!r}",
            fix="read it with the release that wrote it, or record both again with one release",
        )
    try:
        return Trace.model_validate(content)
    except ValidationError as error:
        raise TraceError(f"{path} is damaged: {first_problem(error)}", fix=f"copy it again, or {_RECORD}") from error
