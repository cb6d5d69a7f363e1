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
import statistics
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from bench._processes import CORES, Mode, Worker
from poseparity.inputs import Input
from poseparity.settings import Settings, load_settings
from training.manifest import BUNDLE

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


def _pipeline(mode: Mode, settings: Settings, path: Path) -> Callable[[], tuple]:
    """Answers one input: seconds by stage, keypoints, scores."""
    from poseparity.startup import load_pipeline

    pipeline = load_pipeline(settings, pinned=mode.pinned)

    def answer() -> tuple[dict[str, float], np.ndarray, np.ndarray]:
        result = pipeline.run(Input.of_file(path))
        return result.seconds, result.skeleton.keypoints, result.prediction.scores

    return answer


def measure(settings: Settings, path: Path, rounds: int) -> dict[str, Runs]:
    """Mode's name to its runs. Which mode begins a round changes from round to round."""
    runs = {mode.name: Runs() for mode in MODES}
    with ExitStack() as stack:
        workers = {mode: stack.enter_context(Worker(mode, _pipeline, mode, settings, path)) for mode in MODES}
        for worker in workers.values():
            worker.ask()
        for number in range(rounds):
            for position in range(len(MODES)):
                mode = MODES[(number + position) % len(MODES)]
                seconds, keypoints, scores = workers[mode].ask()
                taken = runs[mode.name]
                taken.seconds.append(seconds)
                taken.keypoints, taken.scores = keypoints, scores
    return runs


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
