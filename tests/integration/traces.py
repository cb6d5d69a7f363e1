"""Traces of real runs for the tests of comparing, the whole or from the skeleton on."""

from __future__ import annotations

from pathlib import Path

from poseparity.environment import snapshots
from poseparity.environment.project import describe_bundle
from poseparity.inputs import Input
from poseparity.pipeline import Pipeline
from poseparity.trace.reading import TraceFile, load_trace
from poseparity.trace.recording import record
from poseparity.trace.writing import write_trace
from tests.conftest import DEMO_BUNDLE


def trace_of(pipeline: Pipeline, given: Input, folder: Path) -> Path:
    """Run with a trace and its arrays; the trace's path."""
    path, bundle = folder / "trace.json", pipeline.bundle.folder
    # Pipelines of many bundles run in one process: what differs between their environments is the bundle.
    environment = {**snapshots.of(DEMO_BUNDLE), "bundle": describe_bundle(bundle)}
    _, trace = record(pipeline, given, environment=environment, arrays=path.with_suffix(".npz"))
    write_trace(path, trace)
    return path


def without_arrays(path: Path) -> TraceFile:
    """The trace of a path as if only the JSON had been sent."""
    loaded = load_trace(path)
    return TraceFile(loaded.name, loaded.trace.model_copy(update={"arrays": None}))
