"""scripts/bench trace: what recording a trace costs, as a share of the run's time. Exits with 1 when it is over 3%.

Runs the pipeline without and with a trace in turns, each round in the other order, in one process whose models are
loaded and warm. "With" is everything that recording does, but for describing the environment: the values that pass by
are digested, the trace is put together and written to a file. A round's figure is the one time over the other, less 1;
printed are the median over the rounds and, in brackets, the quartiles. Times are the process's own (CPU) time, so that
other programs disturb it little; the pipeline has one thread. Two runs without a trace differ by more than a trace
costs, so a second line tells how long the recorder's own calls took, as a share of the rest of the same run: it is
steady, but leaves out what recording costs elsewhere, in the processor's caches.

The environment is described once a process, before its first trace, whatever the number of runs: its time is printed
beside the others, in runs of this input, and is not part of the 3%.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from poseparity.environment import snapshots
from poseparity.inputs import Input
from poseparity.pipeline import Pipeline, PipelineResult
from poseparity.settings import load_settings
from poseparity.startup import load_pipeline
from poseparity.trace.model import Trace
from poseparity.trace.recording import record
from poseparity.trace.tracer import Tracer
from poseparity.trace.writing import write_trace
from training.manifest import BUNDLE

GOAL = 0.03


class TimedTracer(Tracer):
    """A tracer that knows how long this process was in it."""

    def __init__(self) -> None:
        super().__init__()
        self.seconds = 0.0

    def __call__(self, name: str, value: np.ndarray) -> None:
        self.seconds += _timed(lambda: super(TimedTracer, self).__call__(name, value))


class Runs:
    """One input, run in three ways; each method returns the seconds of this process that it took."""

    def __init__(self, pipeline: Pipeline, path: Path, folder: Path, environment: dict) -> None:
        self._pipeline = pipeline
        self._given = Input.of_file(path)
        self._folder = folder
        self._environment = environment

    def plain(self) -> float:
        return _timed(lambda: self._pipeline.run(self._given))

    def traced(self) -> float:
        return _timed(lambda: self._record())

    def own_share(self) -> float:
        """How long the recorder's own calls take, as a share of the rest of the run."""
        tracer, finishing = TimedTracer(), 0.0

        def finish(result: PipelineResult) -> None:
            self._write(tracer.finish(self._pipeline, result, self._given, self._environment))

        def run() -> None:
            nonlocal finishing
            result = self._pipeline.run(self._given, observe=tracer)
            finishing = _timed(lambda: finish(result))

        whole = _timed(run)
        own = tracer.seconds + finishing
        return own / (whole - own)

    def with_arrays(self) -> float:
        return _timed(lambda: self._record(self._folder / "trace.npz"))

    def _record(self, arrays: Path | None = None) -> None:
        self._write(record(self._pipeline, self._given, environment=self._environment, arrays=arrays)[1])

    def _write(self, trace: Trace) -> None:
        write_trace(self._folder / "trace.json", trace)


def cost(plain: Callable[[], float], other: Callable[[], float], rounds: int) -> list[float]:
    """For each round how much longer `other` took than `plain`, as a share of `plain`."""
    shares = []
    for number in range(rounds):
        if number % 2:
            with_it, without = other(), plain()
        else:
            without, with_it = plain(), other()
        shares.append(with_it / without - 1)
    return shares


def _timed(work: Callable[[], object]) -> float:
    began = time.process_time()
    work()
    return time.process_time() - began


def _line(name: str, shares: list[float]) -> str:
    low, middle, high = statistics.quantiles(shares, n=4)
    return f"{name:<28} {middle:+7.2%}   ({low:+.2%} to {high:+.2%} in the middle half of {len(shares)} rounds)"


def main() -> int:
    """Command line; see the module's docstring."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bundle", type=Path, default=BUNDLE)
    parser.add_argument("--input", type=Path, help="video or skeleton CSV (default: the bundle's clip)")
    parser.add_argument("--rounds", type=int, default=21, help="at least 2")
    options = parser.parse_args()
    pipeline = load_pipeline(load_settings(bundle=options.bundle))
    path = options.input or pipeline.bundle.folder / pipeline.bundle.demo.clip
    began = time.perf_counter()
    environment = snapshots.of(pipeline.bundle.folder)
    describing = time.perf_counter() - began
    with tempfile.TemporaryDirectory() as folder:
        runs = Runs(pipeline, path, Path(folder), environment)
        one, _ = runs.plain(), runs.traced()  # not counted: what is initialised once
        shares = cost(runs.plain, runs.traced, options.rounds)
        print(_line("a trace", shares))
        print(_line("its own calls", [runs.own_share() for _ in range(options.rounds)]))
        print(_line("a trace with its arrays", cost(runs.plain, runs.with_arrays, max(2, options.rounds // 4))))
    print(f"{'the environment, once':<28} {describing / one:7.2f} runs of this input")
    missed = statistics.median(shares) > GOAL
    if missed:
        print(f"goal missed: a trace costs more than {GOAL:.0%}", file=sys.stderr)
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
