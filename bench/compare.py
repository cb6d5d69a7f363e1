"""scripts/bench compare: how long comparing two traces takes, beside the runs that made them.

Records two traces of the demo clip in this process, with their arrays and one crop padded otherwise, and compares them
with and without the arrays, several times each; the interpreter's start and the imports are not counted. Prints the
median with the spread, and which share of one run it is. Exits with 1 when comparing without arrays takes longer than a
second.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from poseparity.environment import snapshots
from poseparity.inputs import Input
from poseparity.parity.traces.compare import compare_trace_files
from poseparity.pipeline import Pipeline
from poseparity.settings import load_settings
from poseparity.startup import load_pipeline
from poseparity.trace.recording import record
from poseparity.trace.writing import write_trace
from training.manifest import BUNDLE

_GOAL_S = 1.0


def main() -> int:
    parser = argparse.ArgumentParser(prog="scripts/bench compare", description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=7, help="times each is measured (default: 7)")
    runs = parser.parse_args().runs
    with tempfile.TemporaryDirectory() as folder:
        a, b = _record_both(Path(folder))
        run = sum(stage["seconds"] for stage in json.loads(a.read_bytes())["stages"])
        with_arrays = _measure("comparing with arrays", runs, lambda: compare_trace_files(a, b))
        for path in (a, b):
            _forget_arrays(path)
        without = _measure("comparing without arrays", runs, lambda: compare_trace_files(a, b))
    print(f"share of a run with its arrays: {without / run:.1%} without arrays, {with_arrays / run:.1%} with them")
    return 0 if without <= _GOAL_S else 1


def _record_both(folder: Path) -> tuple[Path, Path]:
    settings = load_settings(bundle=BUNDLE)
    pipeline = load_pipeline(settings)
    bundle = pipeline.bundle.model_copy(update={"crop": pipeline.bundle.crop.model_copy(update={"padding": 0.1})})
    other = Pipeline(bundle, max_frames=settings.max_frames, max_pixels=settings.max_pixels)
    return _record(pipeline, folder / "a.json"), _record(other, folder / "b.json")


def _record(pipeline: Pipeline, path: Path) -> Path:
    folder = pipeline.bundle.folder
    clip = Input(folder / pipeline.bundle.demo.clip, "video")
    _, trace = record(pipeline, clip, environment=snapshots.of(folder), arrays=path.with_suffix(".npz"))
    write_trace(path, trace)
    return path


def _forget_arrays(path: Path) -> None:
    path.write_text(json.dumps(json.loads(path.read_bytes()) | {"arrays": None}))


def _measure(name: str, runs: int, call: Callable[[], object]) -> float:
    """Print the median and the spread, in seconds; the median."""
    call()  # the first loads what is loaded once
    taken = []
    for _ in range(runs):
        began = time.perf_counter()
        call()
        taken.append(time.perf_counter() - began)
    median = statistics.median(taken)
    print(f"{name:<26} {median:.3f} s ({min(taken):.3f} to {max(taken):.3f}, {runs} runs)")
    return median


if __name__ == "__main__":
    sys.exit(main())
