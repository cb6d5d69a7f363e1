"""One clip's two traces, and what follows from their comparison."""

from __future__ import annotations

import json
import traceback
from collections.abc import Iterator
from dataclasses import dataclass

from ..environment.files import VerifyError
from ..errors import PoseParityError, TraceError
from ..parity.traces.compare import TraceComparison, compare_traces
from ..trace.reading import TraceFile, load_trace
from .environments import Measure
from .side import Side, json_object

# Causes that do not say what happened: with arrays, more could be said.
_UNEXPLAINED = ("unknown", "pixels-changed", "startup")
_MOST_PRINTED = 10_000  # characters of a traceback; its end says what happened


@dataclass(frozen=True)
class Clip:
    """What came of one clip.

    Attributes:
        traces: the local one and the image's; None where there is no comparison.
        why_not: why there is none, as one line.
        printed: all that the comparison said of it.
    """

    name: str
    traces: tuple[TraceFile, TraceFile] | None = None
    comparison: TraceComparison | None = None
    why_not: str = ""
    printed: str = ""

    @property
    def passed(self) -> bool:
        """Whether every stage is there on both sides and made the same bits."""
        return self.comparison is not None and self.comparison.verdict == "identical" and not self.lonely_stages

    @property
    def differs(self) -> bool:
        """Whether a page can show something."""
        return self.comparison is not None and self.comparison.verdict != "identical"

    @property
    def unexplained(self) -> bool:
        """Whether it differs in a way that digests alone do not explain."""
        return self.differs and any(cause.code in _UNEXPLAINED for cause in self.comparison.causes[:1])

    @property
    def lonely_stages(self) -> list[str]:
        """Stages that ran on one side only: no comparison says anything of them."""
        return [stage.name for stage in self.comparison.stages if stage.state == "only-in-one"]

    def to_dict(self) -> dict:
        """JSON-ready; {"clip", "bundle", "verdict"} and what there is: "comparison", or "error" and "printed"."""
        if self.comparison is None:
            printed = {"stdout": "", "stderr": self.printed}
            return {"clip": self.name, "bundle": None, "verdict": "failed", "error": self.why_not, "printed": printed}
        result = self.comparison.to_dict()
        return {
            "clip": self.name,
            "bundle": result["sides"][1]["bundle"],
            "verdict": self.comparison.verdict,
            "comparison": result,
        }


def compare_clip(name: str, mine: TraceFile, server: Side, measure: Measure) -> Clip:
    """Compare the image's trace of a clip with the local one; whatever the image left, there is an answer."""
    try:
        theirs = load_trace(server.trace(name))
        findings, environment = None, theirs.trace.environment
        if environment is not None:  # judged as the gate judges it: under its policy, against its measure
            try:
                findings = measure.findings(environment, f"the environment in {theirs.name}")
            except VerifyError as error:
                raise TraceError(str(error), fix="record the trace again") from error
        comparison = compare_traces(mine, theirs, findings)
        json.dumps(comparison.to_dict(), allow_nan=False)  # a trace may hold numbers that no report can
    except Exception as error:  # noqa: BLE001  what a file from elsewhere brings about must not end the judgement
        printed = "".join(traceback.format_exception(error))[-_MOST_PRINTED:]
        return Clip(name, why_not=f"It cannot {_why_not(name, server, error)}", printed=printed)
    return Clip(name, (mine, theirs), comparison)


def last_error(text: str) -> str:
    """The line with which the program says why it stopped, or the last one."""
    lines = list(_lines(text))
    return _error_in(text) or (lines or ["it says nothing"])[-1]


def _why_not(name: str, server: Side, error: Exception) -> str:
    trace = server.trace(name)
    said = server.said(name)
    if _error_in(said) or not trace.is_file():
        return f"run {name}: {last_error(said)}"
    if json_object(trace) is None:
        return f"be compared on {name}: its trace is no JSON object, see {trace}"
    if isinstance(error, PoseParityError):
        return f"be compared on {name}: {error}"
    return f"be compared on {name}: the comparison broke off ({type(error).__name__}: {error!s:.120})"


def _error_in(text: str) -> str | None:
    return next((line for line in _lines(text) if line.startswith("poseparity: ")), None)


def _lines(text: str) -> Iterator[str]:
    return (line.strip() for line in text.splitlines() if line.strip() and "WARNING" not in line)
