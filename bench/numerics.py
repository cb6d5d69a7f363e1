"""scripts/bench numerics: what the numerical pins cost, stage by stage.

Runs the whole pipeline in three processes: under the pins; free, as a program runs that pins nothing (one thread a
core, every instruction set); and free on one thread, which tells the cost of instruction sets and libraries' switches
from that of threads. Each loads its models and answers once unmeasured; then they take turns, one run each a round, so
that what else the machine does falls on all alike.

A ratio is pinned time over free time of the same round: the median over the rounds, and the smallest and the largest in
brackets. Under it stands what the pins are for: how far free joints and scores are from the pinned ones. Use an idle
machine: threads that wait for each other lose far more to other programs than one thread does.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import statistics
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path

import numpy as np

from poseparity.inputs import Input
from poseparity.numerics import read_pins
from poseparity.settings import Settings, load_settings
from training.manifest import BUNDLE

CORES = len(os.sched_getaffinity(0))
# They choose no code; without the first ultralytics would install packages.
_HARMLESS = ("YOLO_AUTOINSTALL", "PYTHONHASHSEED")
_THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMEXPR_NUM_THREADS")


@dataclass(frozen=True)
class Mode:
    """A way to run the pipeline: under the pins, or without them on a number of threads."""

    name: str
    pinned: bool
    threads: int

    def environment(self) -> dict[str, str]:
        """The environment that a process of this mode starts with."""
        pins = read_pins()
        if self.pinned:
            return {**os.environ, **pins}
        free = {name: value for name, value in os.environ.items() if name not in pins or name in _HARMLESS}
        return {**free, **dict.fromkeys(_THREADS, str(self.threads))}


PINNED = Mode("pinned", True, 1)
MODES = (PINNED, Mode(f"free, {CORES} threads", False, CORES), Mode("free, 1 thread", False, 1))


@dataclass
class Runs:
    """What one mode's process answered, a round each: seconds by stage; of the last its joints and scores.

    Attributes:
        keypoints: float64 (frames, 17, 3), pixels of the full frame.
        scores: float32 (labels,).
    """

    seconds: list[dict[str, float]] = field(default_factory=list)
    keypoints: np.ndarray | None = None
    scores: np.ndarray | None = None

    def totals(self, stage: str) -> list[float]:
        """Seconds of a stage, or of all where it is "all", a round each."""
        return [sum(run.values()) if stage == "all" else run[stage] for run in self.seconds]


class Worker:
    """A process with a pipeline of its own, which answers the same input again and again."""

    def __init__(self, mode: Mode, settings: Settings, path: Path) -> None:
        self.runs = Runs()
        context = multiprocessing.get_context("spawn")  # a new interpreter: pins act when a library loads
        self._connection, theirs = context.Pipe()
        self._process = context.Process(target=_serve, args=(theirs, mode, settings, path), daemon=True)
        with _environment(mode.environment()):
            self._process.start()
        theirs.close()

    def run(self, *, keep: bool) -> None:
        """Run once and wait for it; raises EOFError where the process ended, which has said why."""
        self._connection.send(True)
        seconds, keypoints, scores = self._connection.recv()
        if keep:
            self.runs.seconds.append(seconds)
            self.runs.keypoints, self.runs.scores = keypoints, scores

    def __enter__(self) -> Worker:
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.close()
        self._process.join()


@contextmanager
def _environment(values: dict[str, str]) -> Iterator[None]:
    """os.environ is `values` inside the block: what a process that is started there inherits."""
    saved = dict(os.environ)
    os.environ.clear()
    os.environ.update(values)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(saved)


def _serve(connection: Connection, mode: Mode, settings: Settings, path: Path) -> None:
    """The process's side of a worker: ends when the other side closes."""
    from poseparity.startup import load_pipeline

    pipeline = load_pipeline(settings, pinned=mode.pinned)
    while True:
        try:
            connection.recv()
        except EOFError:
            return
        result = pipeline.run(Input.of_file(path))
        connection.send((result.seconds, result.skeleton.keypoints, result.prediction.scores))


def measure(settings: Settings, path: Path, rounds: int) -> dict[str, Runs]:
    """Mode's name to its runs. Which mode begins a round changes from round to round."""
    with ExitStack() as stack:
        workers = {mode.name: stack.enter_context(Worker(mode, settings, path)) for mode in MODES}
        for worker in workers.values():
            worker.run(keep=False)
        for number in range(rounds):
            for position in range(len(MODES)):
                workers[MODES[(number + position) % len(MODES)].name].run(keep=True)
        return {name: worker.runs for name, worker in workers.items()}


def summary(measured: dict[str, Runs]) -> dict:
    """The figures of at least one round, ready for JSON."""
    pinned = measured[PINNED.name]
    stages = [*pinned.seconds[0], "all"]
    return {
        "cores": CORES,
        "rounds": len(pinned.seconds),
        "stages": {stage: _stage(measured, stage) for stage in stages},
        "largest_difference": {name: _difference(runs, pinned) for name, runs in measured.items()},
    }


def _difference(runs: Runs, pinned: Runs) -> dict:
    """The largest one of a joint's coordinate in pixels, and of a score."""
    pixels = np.abs(runs.keypoints[..., :2] - pinned.keypoints[..., :2]).max()
    return {"pixels": float(pixels), "score": float(np.abs(runs.scores - pinned.scores).max())}


def _stage(measured: dict[str, Runs], stage: str) -> dict:
    """By mode: the median seconds, and the ratio of the pinned time to this mode's with its spread."""
    pinned = measured[PINNED.name].totals(stage)
    figures = {}
    for name, runs in measured.items():
        seconds = runs.totals(stage)
        ratios = [mine / theirs for mine, theirs in zip(pinned, seconds, strict=True)]
        spread = {"median": statistics.median(ratios), "min": min(ratios), "max": max(ratios)}
        figures[name] = {"seconds": round(statistics.median(seconds), 5), "pinned_over_this": _rounded(spread)}
    return figures


def _rounded(values: dict[str, float]) -> dict[str, float]:
    return {name: round(value, 3) for name, value in values.items()}


def table(figures: dict) -> str:
    """The summary as text."""
    others = [mode.name for mode in MODES if mode is not PINNED]
    head = f"{'stage':<12}{'pinned ms':>10}" + "".join(f"   {name + ' ms':>18}  {'ratio':<19}" for name in others)
    lines = [head, *(_row(stage, modes, others) for stage, modes in figures["stages"].items()), ""]
    lines.append(f"ratio: pinned / free, median of {figures['rounds']} rounds [smallest, largest]")
    for name in others:
        away = figures["largest_difference"][name]
        lines.append(
            f"{name}: joints up to {away['pixels']:.3g} px from the pinned ones, scores up to {away['score']:.3g}"
        )
    return "\n".join(lines)


def _row(stage: str, modes: dict, others: list[str]) -> str:
    row = f"{stage:<12}{1000 * modes[PINNED.name]['seconds']:>10.2f}"
    for name in others:
        ratio = modes[name]["pinned_over_this"]
        text = f"{ratio['median']:.2f} [{ratio['min']:.2f}, {ratio['max']:.2f}]"
        row += f"   {1000 * modes[name]['seconds']:>18.2f}  {text:<19}"
    return row.rstrip()


def main() -> int:
    """Command line; see the module's docstring."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("input", type=Path, nargs="?", help="video or skeleton CSV (default: the bundle's clip)")
    parser.add_argument("--bundle", type=Path, default=BUNDLE)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    if options.rounds < 1:
        parser.error(f"--rounds is {options.rounds}, expected at least 1")
    settings = load_settings(bundle=options.bundle)
    figures = summary(measure(settings, options.input or _own_clip(options.bundle), options.rounds))
    print(json.dumps(figures, indent=2) if options.json else table(figures))
    return 0


def _own_clip(folder: Path) -> Path:
    from poseparity.bundle.bundle import load_bundle

    bundle = load_bundle(folder)
    return bundle.folder / bundle.demo.clip


if __name__ == "__main__":
    raise SystemExit(main())
