"""scripts/bench csvs: how surely `poseparity compare` explains two CSVs, and how long it takes.

Plants every fault of bench/faults/csvs.py alone, and every pair of them, in skeletons of rendered clips and, where
POSEPARITY_REAL_DATA is set, in the real golf swing; then compares clips that have nothing to do with each other. Prints
the share of comparisons in which exactly the planted causes are named with the right figure, the share of unrelated
ones that are called so, and the time of one comparison. Exits with 1 when a goal is missed.
"""

from __future__ import annotations

import argparse
import itertools
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from bench.faults.csvs import FAULTS, can_be_planted_together, plant
from poseparity import skeleton_csv
from poseparity.parity.result import Comparison
from poseparity.parity.skeletons.compare import compare_skeletons
from training.rendering.clip import Clip
from training.rendering.motion import LABELS
from training.rendering.skeletons import estimated

FIRST_SEED = 9_400_000
GOALS = {"alone": 1.0, "in pairs": 0.99, "unrelated": 1.0}
_LONG = 1000  # frames of the skeletons that are timed


def main() -> int:
    """Exit status: 0, or 1 when a goal is missed."""
    parser = argparse.ArgumentParser(prog="scripts/bench csvs", description=__doc__)
    parser.add_argument("--clips", type=int, default=2, metavar="N", help="rendered clips to plant in (default: 2)")
    options = parser.parse_args()
    bases = dict(_bases(options.clips))
    singles = [(name,) for name in FAULTS]
    pairs = [
        names
        for names in itertools.combinations(FAULTS, 2)
        if can_be_planted_together(*(FAULTS[name] for name in names))
    ]
    shares = {
        "alone": _share_named(bases, singles),
        "in pairs": _share_named(bases, pairs),
        "unrelated": _share_unrelated(options.clips * 10),
    }
    for name, share in shares.items():
        print(f"{name:<10} {share:8.2%}   goal {GOALS[name]:.0%}")
    _print_times()
    return int(any(shares[name] < goal for name, goal in GOALS.items()))


def _bases(clips: int) -> Iterator[tuple[str, np.ndarray]]:
    for seed in range(FIRST_SEED, FIRST_SEED + clips):
        yield f"clip {seed}", _rendered(seed)
    if folder := os.environ.get("POSEPARITY_REAL_DATA"):
        content = (Path(folder) / "golf/skeleton2d.csv").read_bytes()
        yield "golf swing", skeleton_csv.read(content, max_frames=_LONG)
    else:
        print("POSEPARITY_REAL_DATA is unset: nothing was planted in the real golf swing")


def _rendered(seed: int, label: str | None = None) -> np.ndarray:
    return estimated(np.random.default_rng(seed), Clip(seed, label=label)).keypoints


def _share_named(bases: dict[str, np.ndarray], plantings: list[tuple[str, ...]]) -> float:
    right = 0
    for base, names in itertools.product(bases, plantings):
        comparison = compare_skeletons(bases[base], plant(bases[base], *names))
        if _is_named(comparison, names):
            right += 1
        else:
            print(f"  {base}, {' + '.join(names)}: {[cause.title for cause in comparison.causes]}")
    return right / (len(bases) * len(plantings))


def _is_named(comparison: Comparison, names: tuple[str, ...]) -> bool:
    said = {cause.code: f"{cause.title} {cause.evidence}" for cause in comparison.causes}
    wanted = [FAULTS[name] for name in names]
    complete = comparison.verdict == "explained" and sorted(said) == sorted(fault.code for fault in wanted)
    return complete and all(fault.says in said[fault.code] for fault in wanted)


def _share_unrelated(pairs: int) -> float:
    """Two clips of one action, so that they are as alike as unrelated ones can be."""
    right = 0
    for pair in range(pairs):
        label, seed = LABELS[pair % len(LABELS)], FIRST_SEED + 1000 + 2 * pair
        comparison = compare_skeletons(_rendered(seed, label), _rendered(seed + 1, label))
        right += comparison.verdict == "not-explained" and not comparison.causes
    return right / pairs


def _print_times() -> None:
    skeleton = np.concatenate([_rendered(FIRST_SEED + 500 + part) for part in range(20)])[:_LONG]
    other = np.concatenate([_rendered(FIRST_SEED + 600 + part) for part in range(20)])[:_LONG]
    print(f"seconds for {_LONG} frames (median, least and most of 5):")
    for name in ("trimmed", "another pose version", "25 for 30 fps", "dropped frames"):
        print(f"  {name:<22} {_seconds(skeleton, plant(skeleton, name))}")
    print(f"  {'unrelated':<22} {_seconds(skeleton, other)}")


def _seconds(a: np.ndarray, b: np.ndarray) -> str:
    taken = []
    for _ in range(5):
        start = time.process_time()
        compare_skeletons(a, b)
        taken.append(time.process_time() - start)
    return f"{np.median(taken):.2f} ({min(taken):.2f} to {max(taken):.2f})"


if __name__ == "__main__":
    sys.exit(main())
