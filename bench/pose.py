"""scripts/bench pose: how fast the pose network is, beside what else could compute it, on one core and on all.

The COCO network of OpenPose with random weights, one picture, in float32. Under the pins the service's two ways, fast
(NNPACK) and direct (oneDNN), one thread a frame as its lanes have it; without any pin the same torch, ONNX Runtime,
OpenVINO and OpenCV's DNN, with as many threads as there are cores. The last three are installed for this benchmark
alone, into .venv/peers. Each is a process that has answered once before; then they take turns, and which begins
changes from round to round.

Prints the seconds a frame, the median over the rounds with the smallest and the largest in brackets, and how many times
as long that is as "fast" in the same round. On one core it is CPU time, which what else the machine does spoils least;
on all cores the time on the clock, so use an idle machine. `ratios` of --json are the fastest of those without pins
over fast, at 368x368.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch

from bench._processes import CORES, Mode
from bench._report import report
from poseparity.engines.openpose import coco
from poseparity.engines.openpose.network import build_network
from poseparity.environment.machine import describe_cpu

ROOT = Path(__file__).resolve().parents[1]
WORKER = Path(__file__).with_name("_pose_peer.py")
PEERS = ROOT / ".venv/peers"
PACKAGES = ("onnx==1.23.2", "onnxruntime==1.32.0", "openvino==2026.4.1", "opencv-python-headless==5.0.0.93")
OURS = ("fast", "direct")
WAYS = (*OURS, "torch", "onnxruntime", "openvino", "opencv")
SIZES = {"368x368": (368, 368), "368x208": (368, 208)}  # height and width of the network's input
# How far an answer may be from "direct": the tests allow as much for OpenCV's own importer.
TOLERANCE = 1e-4


@dataclass
class Runs:
    """A way's seconds a frame, by size: wall and CPU time, a round each."""

    version: str
    seconds: dict[str, list[dict[str, float]]] = field(default_factory=lambda: {size: [] for size in SIZES})


class Worker:
    """A process of one way with its network, in the Python that has it; see _pose_peer.py."""

    def __init__(self, way: str, threads: int, folder: Path) -> None:
        python = sys.executable if way in (*OURS, "torch") else PEERS / "bin/python"
        command = [python, WORKER, way, str(threads), folder]
        environment = Mode(way, way in OURS, threads).environment()
        self._process = subprocess.Popen(
            command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self.runs = Runs(self._line())

    def run(self, size: str, *, keep: bool) -> None:
        """Compute the picture of that size once a thread."""
        seconds = self.ask(size)
        if keep:
            self.runs.seconds[size].append(seconds)

    def ask(self, line: str) -> Any:
        """What the process answers to a line; see _pose_peer.py."""
        self._process.stdin.write(line + "\n")
        self._process.stdin.flush()
        return json.loads(self._line())

    def _line(self) -> str:
        line = self._process.stdout.readline()
        if not line:
            raise SystemExit(f"{' '.join(map(str, self._process.args))} ended with {self._process.wait()}")
        return line.strip()

    def __enter__(self) -> Worker:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.stdin.close()
        self._process.wait()


def install_peers() -> None:
    """Make .venv/peers, which nothing else uses, with the versions of PACKAGES."""
    uv = ROOT / ".venv/controller/bin/uv"
    if not uv.is_file():
        raise SystemExit(f"scripts/bench pose: {uv} is missing; fix: scripts/venv controller")
    python = PEERS / "bin/python"
    if not python.is_file():
        subprocess.run([uv, "venv", "--quiet", "--no-config", "--python", sys.executable, PEERS], check=True)
    subprocess.run([uv, "pip", "install", "--quiet", "--no-config", "--python", python, *PACKAGES], check=True)


def write_network(folder: Path, state: dict[str, np.ndarray] | None = None) -> None:
    """The network's weights, what it computes step by step, and a picture of each size, for all ways alike.

    program.json is a list of [ONNX operation, inputs, output, kernel of a convolution]; the picture is "x".

    Args:
        state: the weights, by the names of the network's parameters; random ones when None.
    """
    if state is None:
        torch.manual_seed(0)
        state = {name: value.numpy() for name, value in build_network({"kind": "coco"}).state_dict().items()}
    np.savez(folder / "weights.npz", **state)
    (folder / "program.json").write_text(json.dumps(_program()), encoding="utf-8")
    for name, size in SIZES.items():
        np.save(folder / f"{name}.npy", np.random.default_rng(1).uniform(-0.5, 0.5, (1, 3, *size)).astype(np.float32))


def _program() -> list[list]:
    steps: list[list] = []

    def step(kind: str, inputs: list[str], output: str, *kernel: int) -> str:
        steps.append([kind, inputs, output, *kernel])
        return output

    def chain(layers: list[coco.Conv | str], x: str, *, last_relu: bool) -> str:
        for number, layer in enumerate(layers):
            if isinstance(layer, str):
                x = step("MaxPool", [x], f"{x}.pool")
            else:
                x = step("Conv", [x], layer.name, layer.kernel)
                if last_relu or number < len(layers) - 1:
                    x = step("Relu", [x], f"{x}.relu")
        return x

    features = chain(list(coco.BACKBONE), "x", last_relu=True)
    joined = features
    for stage in range(1, coco.STAGES + 1):
        fields, heatmaps = (chain(coco.branch(stage, name), joined, last_relu=False) for name in ("L1", "L2"))
        joined = step("Concat", [fields, heatmaps, features], f"stage{stage}")
    steps.pop()
    step("Concat", [heatmaps, fields], "y")
    return steps


def measure_all(rounds: int, folder: Path) -> dict:
    """Figures on one core and on all, ready for JSON; the peers have to be installed."""
    write_network(folder)
    return summary({threads: measure(threads, rounds, folder) for threads in sorted({1, CORES})})


def measure(threads: int, rounds: int, folder: Path) -> dict[str, Runs]:
    """Way to its runs, with that many threads."""
    with ExitStack() as stack:
        workers = {way: stack.enter_context(Worker(way, threads, folder)) for way in WAYS}
        for size in SIZES:
            for worker in workers.values():
                worker.run(size, keep=False)
            _check(folder, size)
            for number in range(rounds):
                for position in range(len(WAYS)):
                    workers[WAYS[(number + position) % len(WAYS)]].run(size, keep=True)
        return {way: worker.runs for way, worker in workers.items()}


def _check(folder: Path, size: str) -> None:
    """All computed the same network: speed of another answer would say nothing."""
    expected = np.load(folder / f"{size}.direct.npy")
    for way in WAYS:
        away = float(np.abs(np.load(folder / f"{size}.{way}.npy") - expected).max())
        if away > TOLERANCE:
            raise SystemExit(f"{way} answers {size} otherwise than direct: by {away:.3g}, expected {TOLERANCE}")


def summary(measured: dict[int, dict[str, Runs]]) -> dict:
    """Figures by number of threads, size and way, ready for JSON."""
    cores = {str(threads): _of_threads(threads, runs) for threads, runs in measured.items()}
    one, every = (cores[str(threads)]["368x368"] for threads in (min(measured), max(measured)))
    return {
        "machine": {"cpu": describe_cpu()["model"], "cores": CORES, "load": os.getloadavg()},
        "versions": {way: runs.version for way, runs in measured[1].items()},
        "threads": cores,
        "ratios": {"pose_per_core": _over_fastest(one), "pose_all_cores": _over_fastest(every)},
    }


def _of_threads(threads: int, measured: dict[str, Runs]) -> dict:
    clock = "cpu" if threads == 1 else "wall"
    figures = {}
    for size in SIZES:
        seconds = {way: [each[clock] for each in runs.seconds[size]] for way, runs in measured.items()}
        figures[size] = {way: _row(mine, seconds["fast"]) for way, mine in seconds.items()}
    return figures


def _row(seconds: list[float], fast: list[float]) -> dict:
    ratios = [mine / best for mine, best in zip(seconds, fast, strict=True)]
    return {name: spread(values) for name, values in (("seconds", seconds), ("over_fast", ratios))}


def spread(values: list[float]) -> dict[str, float]:
    return {"median": round(statistics.median(values), 4), "min": round(min(values), 4), "max": round(max(values), 4)}


def _over_fastest(figures: dict) -> float:
    """Of what is free of pins, the one that is fastest."""
    return min(row["over_fast"]["median"] for way, row in figures.items() if way not in OURS)


def table(figures: dict) -> str:
    """The summary as text."""
    machine = figures["machine"]
    lines = [f"{machine['cpu']}, {machine['cores']} cores, load {machine['load'][0]:.1f}", ""]
    for threads, sizes in figures["threads"].items():
        for size, rows in sizes.items():
            clock = "CPU time" if threads == "1" else "time"
            lines.append(f"{size}, {threads} {'core' if threads == '1' else 'cores'}: seconds of {clock} a frame")
            for way, row in rows.items():
                named = f"{way} {figures['versions'][way]}" + (", pinned" if way in OURS else ", free")
                lines.append(f"  {named:<36} {_text(row['seconds'], 3):<24} {_text(row['over_fast'], 2)} x fast")
            lines.append("")
    ratios = ", ".join(f"{name} {value:.2f}" for name, value in figures["ratios"].items())
    return "\n".join([*lines, f"the fastest that is free, over fast, at 368x368: {ratios}"])


def _text(spread: dict[str, float], digits: int) -> str:
    return "{median:.{0}f} [{min:.{0}f}, {max:.{0}f}]".format(digits, **spread)


def main() -> int:
    """Command line; see the module's docstring."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there, too")
    options = parser.parse_args()
    install_peers()
    with tempfile.TemporaryDirectory() as folder:
        figures = measure_all(options.rounds, Path(folder))
    return report(table(figures), figures, options.json, missed=[])


if __name__ == "__main__":
    sys.exit(main())
