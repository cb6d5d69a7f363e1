"""Traces of real runs for the tests of comparing, the whole or from the skeleton on."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

from poseparity.environment import snapshots
from poseparity.observe import Observe
from poseparity.pipeline import Pipeline, PipelineResult
from poseparity.trace.arrays import ArrayFile
from poseparity.trace.model import TracedArrays
from poseparity.trace.reading import TraceFile, load_trace
from poseparity.trace.tracer import Source, Tracer
from poseparity.trace.writing import write_trace


def trace_of(
    pipeline: Pipeline, source: Path, kind: str, folder: Path, run: Callable[[Observe], PipelineResult]
) -> Path:
    """Run with a trace and its arrays; the trace's path."""
    path = folder / "trace.json"
    with ArrayFile(path.with_suffix(".npz")) as arrays:
        tracer = Tracer(arrays)
        result = run(tracer)
        environment = snapshots.of(pipeline.bundle.folder)
        trace = tracer.finish(pipeline, result, Source.of_file(source, kind), environment)
    sha256 = hashlib.sha256(path.with_suffix(".npz").read_bytes()).hexdigest()
    write_trace(path, trace.model_copy(update={"arrays": TracedArrays(file="trace.npz", sha256=sha256)}))
    return path


def without_arrays(path: Path) -> TraceFile:
    """The trace of a path as if only the JSON had been sent."""
    loaded = load_trace(path)
    return TraceFile(loaded.name, loaded.trace.model_copy(update={"arrays": None}))
