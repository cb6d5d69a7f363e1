"""Hold what a bundle's golden inputs give here against what they gave where the bundle was made."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ..bundle.bundle import Bundle, Golden
from ..environment.files import sha256_file
from ..errors import BundleError
from ..inputs import Input
from ..pipeline import Pipeline
from ..trace.model import Trace, TracedValue
from ..trace.recording import record
from ..trace.writing import read_trace

_FIX = "restore the file from where the bundle came from, or record the traces again: poseparity bundle record"


@dataclass(frozen=True)
class Replay:
    """One golden input, replayed.

    Attributes:
        stages: names of the stages of the golden trace, in their order.
        differing: those of them that gave something else here.
        first: what differs in the first of these, in words; None where nothing does.
    """

    input: str
    stages: tuple[str, ...]
    differing: tuple[str, ...]
    first: str | None

    def __str__(self) -> str:
        equal = len(self.stages) - len(self.differing)
        head = f"{self.input}: {equal} of {len(self.stages)} stages identical"
        return head if self.first is None else f"{head}; first different: {self.differing[0]}: {self.first}"


def replay(pipeline: Pipeline) -> list[Replay]:
    """Run every golden input of the bundle.

    Raises:
        BundleError: the bundle has none, or see `read_golden`.
        PoseParityError: an input has no answer here.
    """
    bundle = pipeline.bundle
    if not bundle.golden:
        raise BundleError(
            f"bundle {bundle.name} has no golden traces",
            fix=f"record them where it is known to be right: poseparity bundle record {bundle.folder}",
        )
    traces = [(entry, read_golden(bundle, entry)) for entry in bundle.golden]
    return [
        compared(entry.input, trace, record(pipeline, Input.of_file(bundle.folder / entry.input))[1])
        for entry, trace in traces
    ]


def read_golden(bundle: Bundle, entry: Golden) -> Trace:
    """A golden trace, if it is the one that bundle.toml names, and its input is the one that it was recorded with.

    Raises:
        BundleError, TraceError: a file is missing, changed or no trace.
    """
    path = bundle.folder / entry.trace
    _check(path, entry.sha256)
    trace = read_trace(path)
    _check(bundle.folder / entry.input, trace.input.sha256)
    if trace.arrays:
        name = trace.arrays.file
        if Path(name).name != name or "\0" in name:
            raise BundleError(f"{path} has its arrays in {name!r:.60}, expected the name of a file beside it", fix=_FIX)
        _check(path.with_name(name), trace.arrays.sha256)
    return trace


def compared(name: str, golden: Trace, found: Trace) -> Replay:
    """Stage by stage, and in a stage value by value: what only this release records is left aside."""
    differences = {}
    for stage in golden.stages:
        here = found.stage(stage.name)
        words = ["it did not run"]
        if here is not None:
            words = [_value_difference(value, here.value(value.name)) for value in stage.values]
        differences[stage.name] = ", ".join(filter(None, words))
    differing = tuple(stage for stage, words in differences.items() if words)
    return Replay(name, tuple(differences), differing, differences[differing[0]] if differing else None)


def _value_difference(golden: TracedValue, found: TracedValue | None) -> str | None:
    if found is None:
        return f"{golden.name} is not there"
    if (golden.dtype, golden.shape) != (found.dtype, found.shape):
        return f"{golden.name} is {found.dtype} {found.shape}, expected {golden.dtype} {golden.shape}"
    if golden.sha256 == found.sha256:
        return None
    if not golden.frames or not found.frames or len(golden.frames) != len(found.frames):
        return golden.name
    frames = [frame for frame, pair in enumerate(zip(golden.frames, found.frames, strict=True)) if len(set(pair)) > 1]
    if not frames:  # a trace that somebody made by hand
        return golden.name
    return f"{golden.name} in {len(frames)} of {len(golden.frames)} frames, the first is {frames[0]}"


def _check(path: Path, sha256: str) -> None:
    if not path.is_file():
        raise BundleError(f"{path} is missing", fix=_FIX)
    found = sha256_file(path).hexdigest()
    if found != sha256:
        raise BundleError(f"{path} has sha256 {found}, expected {sha256}: its content changed", fix=_FIX)
