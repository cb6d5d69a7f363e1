"""scripts/bench demo: how well the demo bundle knows clips that it was not trained on.

Renders clips from seeds of their own, runs the whole pipeline on each under the numerical pins, and prints the share of
right labels, the share of joints in the right place, the share of clips in which the person was found, and the time.
Exits with 1 when a goal is missed. `--only detector` stops after the crop, which is many times as fast, and prints the
share of clips in which the person was found.

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
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

import numpy as np

from poseparity.errors import NoPersonFound, TooManyMissingJoints
from poseparity.keypoints import Coco17
from poseparity.pipeline import Pipeline
from poseparity.records import Box, VideoFile
from poseparity.settings import load_settings
from poseparity.stages.crop import Crop
from poseparity.startup import load_pipeline
from training.manifest import BUNDLE
from training.rendering.clip import Clip, Truth
from training.rendering.motion import LABELS

# Far from every seed that training uses, and apart from those that faults were looked for in; see README.md.
FIRST_SEED = 9_200_000
GOALS = {"labels": 0.95, "pck": 0.95, "found": 0.99}
_NEAR = 0.2
_CONTAINED = 0.9
_MOST_ROOM = 3.0  # the padding alone makes 1.7


@dataclass(frozen=True)
class ClipScore:
    """One clip: was the person found and seen well enough, what was answered, joints in place of joints asked for.

    Joints are counted by joint; `seconds` is what the pipeline took.
    """

    seed: int
    label: str
    found: bool
    answer: str | None
    placed: np.ndarray
    asked: np.ndarray
    seconds: float


@dataclass(frozen=True)
class CropScore:
    """One clip as far as the crop: was the person found, seconds."""

    seed: int
    label: str
    found: bool
    seconds: float


Score = ClipScore | CropScore


def score_clips(pipeline: Pipeline, seeds: range, only_detector: bool = False) -> Iterator[Score]:
    """Renders and scores one clip after the other; labels take turns, so that every action is equally frequent."""
    score = score_crop if only_detector else score_clip
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "clip.mp4"
        for seed in seeds:
            clip = Clip(seed, LABELS[seed % len(LABELS)])
            clip.write(path)
            yield score(pipeline, path, seed, clip.truth)


def score_in_processes(bundle: Path, seeds: range, jobs: int, only_detector: bool) -> list[Score]:
    """The same with `jobs` processes, each with a pipeline of its own."""
    shares = [seeds[start::jobs] for start in range(jobs)]
    with ProcessPoolExecutor(jobs, mp_context=get_context("spawn")) as pool:
        groups = pool.map(_score_share, [bundle] * jobs, shares, [only_detector] * jobs)
        return sorted((score for group in groups for score in group), key=lambda score: score.seed)


def _score_share(bundle: Path, seeds: range, only_detector: bool) -> list[Score]:
    return list(score_clips(load_pipeline(load_settings(bundle=bundle)), seeds, only_detector))


def score_crop(pipeline: Pipeline, path: Path, seed: int, truth: Truth) -> CropScore:
    """Runs the stages up to the crop on the clip at `path` and compares the crop with the truth."""
    began = time.perf_counter()
    try:
        found = person_contained(_crop(pipeline, path), truth)
    except NoPersonFound:
        found = False
    return CropScore(seed, truth.label, found, time.perf_counter() - began)


def _crop(pipeline: Pipeline, path: Path) -> Box:
    names = [stage.name for stage in pipeline.stages]
    record = VideoFile(path)
    for stage in pipeline.stages[: names.index(Crop.name) + 1]:
        record = stage(record)
    return record.crop


def score_clip(pipeline: Pipeline, path: Path, seed: int, truth: Truth) -> ClipScore:
    """Runs the pipeline on the clip at `path` and compares its answer with the truth."""
    asked = truth.visible.sum(0)
    began = time.perf_counter()
    try:
        result = pipeline.run_video(path)
    except (NoPersonFound, TooManyMissingJoints):
        return ClipScore(seed, truth.label, False, None, np.zeros_like(asked), asked, time.perf_counter() - began)
    seconds = time.perf_counter() - began
    placed = (in_place(result.skeleton.keypoints, truth) & truth.visible).sum(0)
    found, answer = person_contained(result.skeleton.crop, truth), result.prediction.label
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


def person_contained(crop: Box, truth: Truth) -> bool:
    """Does the crop hold 90% of the area that the person moves in, and is it at most three times as large?"""
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
    mistakes = Counter(f"{score.label} as {score.answer}" for score in scores if score.answer != score.label)
    labels = {"right": right, "share": right / len(scores), "mistakes": dict(mistakes)}
    return {**crop_summary(scores), "labels": labels, "pck": _pck(scores)}


def crop_summary(scores: Sequence[Score]) -> dict:
    """The figures that a run has when it stopped after the crop."""
    missed = {score.seed: score.label for score in scores if not score.found}
    found = len(scores) - len(missed)
    return {
        "clips": len(scores),
        "found": {"clips": found, "share": found / len(scores), "missed": missed},
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
    """One line for each goal that was measured and missed."""
    return [f"{name}: {figures[name]['share']:.4f}, expected at least {goal}"
            for name, goal in GOALS.items() if name in figures and figures[name]["share"] < goal]  # fmt: skip


def main() -> int:
    """Command line; see the module's docstring."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clips", type=int, default=200)
    parser.add_argument("--bundle", type=Path, default=BUNDLE)
    parser.add_argument("--first-seed", type=int, default=FIRST_SEED)
    cores = len(os.sched_getaffinity(0))
    parser.add_argument("--jobs", type=int, default=cores, help="processes, by default one a core")
    parser.add_argument("--only", choices=["detector"], help="stop after the crop")
    options = parser.parse_args()
    seeds = range(options.first_seed, options.first_seed + options.clips)
    scores = score_in_processes(options.bundle, seeds, options.jobs, only_detector=options.only == "detector")
    figures = crop_summary(scores) if options.only else summary(scores)
    print(json.dumps(figures, indent=2))
    missed = missed_goals(figures)
    for line in missed:
        print(f"goal missed: {line}", file=sys.stderr)
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
