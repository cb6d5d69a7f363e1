"""scripts/bench demo: how well the demo bundle knows clips that it was not trained on.

Renders clips from seeds of their own, runs the whole pipeline on each under the numerical pins, and prints the share of
right labels, the share of joints in the right place, the share of clips in which the person was found, and the time.
Exits with 1 when a goal is missed.

A joint counts as in the right place (PCK@0.2) when it is at most 0.2 torso lengths away from the truth; the torso
length is that frame's true distance from the middle of the shoulders to the middle of the hips, at least half of the
clip's median so that a figure that bends towards the camera still has one. Only joints that a viewer
sees are asked for; one that the pipeline misses (0, 0, 0) counts as wrong.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

import numpy as np

from poseparity.errors import NoPersonFound
from poseparity.keypoints import Coco17
from poseparity.pipeline import Pipeline, PipelineResult
from poseparity.settings import load_settings
from poseparity.startup import load_pipeline
from training.clip import Clip, Truth
from training.manifest import BUNDLE
from training.motion import LABELS

FIRST_SEED = 9_000_000  # far from every seed that training uses
GOALS = {"labels": 0.95, "pck": 0.95, "found": 0.99}
_NEAR = 0.2
_CONTAINED = 0.9
_MOST_ROOM = 3.0  # the padding alone makes 1.7


@dataclass(frozen=True)
class ClipScore:
    """One clip: was the person found, what was answered, joints in place of joints asked for (by joint), seconds."""

    seed: int
    label: str
    found: bool
    answer: str | None
    placed: np.ndarray
    asked: np.ndarray
    seconds: float


def score_clips(pipeline: Pipeline, seeds: range) -> Iterator[ClipScore]:
    """Renders and scores one clip after the other; labels take turns, so that every action is equally frequent."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "clip.mp4"
        for seed in seeds:
            clip = Clip(seed, LABELS[seed % len(LABELS)])
            clip.write(path)
            yield score_clip(pipeline, path, seed, clip.truth)


def score_in_processes(bundle: Path, seeds: range, jobs: int) -> list[ClipScore]:
    """The same with `jobs` processes, each with a pipeline of its own."""
    shares = [seeds[start::jobs] for start in range(jobs)]
    with ProcessPoolExecutor(jobs, mp_context=get_context("spawn")) as pool:
        groups = pool.map(_score_share, [bundle] * jobs, shares)
        return sorted((score for group in groups for score in group), key=lambda score: score.seed)


def _score_share(bundle: Path, seeds: range) -> list[ClipScore]:
    return list(score_clips(load_pipeline(load_settings(bundle=bundle)), seeds))


def score_clip(pipeline: Pipeline, path: Path, seed: int, truth: Truth) -> ClipScore:
    """Runs the pipeline on the clip at `path` and compares its answer with the truth."""
    asked = truth.visible.sum(0)
    began = time.perf_counter()
    try:
        result = pipeline.run_video(path)
    except NoPersonFound:
        return ClipScore(seed, truth.label, False, None, np.zeros_like(asked), asked, time.perf_counter() - began)
    seconds = time.perf_counter() - began
    placed = (in_place(result.skeleton.keypoints, truth) & truth.visible).sum(0)
    found, answer = person_contained(result, truth), result.prediction.label
    return ClipScore(seed, truth.label, found, answer, placed, asked, seconds)


def in_place(keypoints: np.ndarray, truth: Truth) -> np.ndarray:
    """Which joints (frames, 17) of `keypoints` (frames, 17, 3) are within 0.2 torso lengths of the truth."""
    torso = torso_lengths(truth.joints)[:, None]
    distance = np.linalg.norm(keypoints[..., :2] - truth.joints, axis=-1)
    return keypoints.any(-1) & (distance <= _NEAR * torso)


def torso_lengths(joints: np.ndarray) -> np.ndarray:
    """Torso length of every frame (frames,), at least half of the clip's median."""
    shoulders = joints[:, [Coco17.L_SHOULDER, Coco17.R_SHOULDER]].mean(1)
    hips = joints[:, [Coco17.L_HIP, Coco17.R_HIP]].mean(1)
    lengths = np.linalg.norm(shoulders - hips, axis=-1)
    return np.maximum(lengths, np.median(lengths) / 2)


def person_contained(result: PipelineResult, truth: Truth) -> bool:
    """Does the crop hold 90% of the area that the person moves in, and is it at most three times as large?"""
    crop = result.skeleton.crop
    x1, y1 = truth.boxes[:, :2].min(0)
    x2, y2 = truth.boxes[:, 2:].max(0)
    width = min(x2, crop.x + crop.width) - max(x1, crop.x)
    height = min(y2, crop.y + crop.height) - max(y1, crop.y)
    area = (x2 - x1) * (y2 - y1)
    inside = max(0.0, width) * max(0.0, height) / area
    return bool(inside >= _CONTAINED and crop.width * crop.height <= _MOST_ROOM * area)


def summary(scores: list[ClipScore]) -> dict:
    """The figures of a run of at least one clip, ready for JSON."""
    right = sum(score.answer == score.label for score in scores)
    found = sum(score.found for score in scores)
    mistakes = Counter(f"{score.label} as {score.answer}" for score in scores if score.answer != score.label)
    return {
        "clips": len(scores),
        "labels": {"right": right, "share": right / len(scores), "mistakes": dict(mistakes)},
        "pck": _pck(scores),
        "found": {"clips": found, "share": found / len(scores)},
        "seconds": _spread([score.seconds for score in scores]),
    }


def _pck(scores: list[ClipScore]) -> dict:
    """Joints in place of joints asked for: over everything, by action and by joint."""
    placed, asked = sum(score.placed for score in scores), sum(score.asked for score in scores)
    by_action = {}
    for label in sorted({score.label for score in scores}):
        mine = [score for score in scores if score.label == label]
        share = sum(score.placed.sum() for score in mine) / sum(score.asked.sum() for score in mine)
        by_action[label] = round(float(share), 4)
    by_joint = {joint.name: round(float(placed[joint] / asked[joint]), 4) for joint in Coco17}
    return {"placed": int(placed.sum()), "asked": int(asked.sum()), "share": float(placed.sum() / asked.sum()),
            "by_action": by_action, "by_joint": by_joint}  # fmt: skip


def _spread(seconds: list[float]) -> dict:
    names = ("min", "median", "p95", "max")
    return dict(zip(names, np.percentile(seconds, [0, 50, 95, 100]).round(3).tolist(), strict=True))


def missed_goals(figures: dict) -> list[str]:
    """One line for each goal that was missed."""
    return [f"{name}: {figures[name]['share']:.4f}, expected at least {goal}"
            for name, goal in GOALS.items() if figures[name]["share"] < goal]  # fmt: skip


def main() -> int:
    """Command line; see the module's docstring."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clips", type=int, default=200)
    parser.add_argument("--bundle", type=Path, default=BUNDLE)
    parser.add_argument("--first-seed", type=int, default=FIRST_SEED)
    cores = len(os.sched_getaffinity(0))
    parser.add_argument("--jobs", type=int, default=cores, help="processes, by default one a core")
    options = parser.parse_args()
    seeds = range(options.first_seed, options.first_seed + options.clips)
    figures = summary(score_in_processes(options.bundle, seeds, options.jobs))
    print(json.dumps(figures, indent=2))
    missed = missed_goals(figures)
    for line in missed:
        print(f"goal missed: {line}", file=sys.stderr)
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
