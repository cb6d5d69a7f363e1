"""Bundles imported from MMAction2's own training runs, and what MMAction2 itself answers on those checkpoints."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from poseparity.importing.assemble import Request, import_bundle
from poseparity.importing.readers import config, config_process
from poseparity.libraries.mmaction2 import registries
from poseparity.records import Skeleton
from tests.conftest import DEMO_BUNDLE
from tests.mmaction2_run import LABELS, TrainingRun, run_of

MODELS = ("stgcn-j", "stgcn-b", "stgcn++-j", "stgcn++-b")  # those of mmaction2_run.VARIANTS that are asked over HTTP


@dataclass(frozen=True)
class Imported:
    """A bundle, the training run that it came from, and what the import said."""

    folder: Path
    run: TrainingRun
    notes: tuple[str, ...]


def scores_of_mmaction2(run: TrainingRun, kept: Skeleton) -> np.ndarray:
    """MMAction2's own way from config, checkpoint and poses to scores, float32."""
    registries()
    from mmaction.apis import inference_skeleton, init_recognizer

    model = init_recognizer(str(run.config), str(run.checkpoint), device="cpu")
    keypoints = run.variant.poses(kept.keypoints)
    poses = [{"keypoints": frame[None, :, :2], "keypoint_scores": frame[None, :, 2]} for frame in keypoints]
    size = kept.frame_size
    return inference_skeleton(model, poses, (size.height, size.width)).pred_score.numpy()


def label_of_mmaction2(run: TrainingRun, kept: Skeleton) -> str:
    """What MMAction2 says of a clip: a bundle is held to that, whether eight skeletons taught it or not."""
    return LABELS[int(scores_of_mmaction2(run, kept).argmax())]


def request_for(run: TrainingRun, output: Path, **changes) -> Request:
    """What `poseparity bundle import` is asked for: the run's recogniser, all else as in the demo bundle.

    What a model without PreNormalize2D saw has to be said.
    """
    said = () if run.variant.normalised else ("normalise.coordinates=pixels",)
    changes["settings"] = (*said, *changes.get("settings", ()))
    values = {
        "output": output,
        "name": "mine",
        "version": "1",
        "licence": "CC0-1.0",
        "recogniser_config": run.config,
        "recogniser_checkpoint": run.checkpoint,
        "labels": LABELS,
        "like": DEMO_BUNDLE,
    }
    return Request(**{**values, **changes})


def import_by_fork(request: Request) -> tuple[str, ...]:
    """`import_bundle`, with a fork of this process to read the config, confined as always, for time.

    A process of its own takes 3 s to import MMAction2; imports on the command line have one.
    """

    def evaluate(path: Path, folder: Path) -> object:
        answer = folder / "answer.json"
        assert config_process._confined(path.resolve(), answer) == 0, "see standard error"
        return json.loads(answer.read_text(encoding="utf-8"))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(config, "_evaluate", evaluate)
        return import_bundle(request)


def importer(runs: Path, folder: Path, clip: Path, kept: Skeleton) -> Callable[[str], Imported]:
    """A function of a variant's name that imports each training run once, below `folder`.

    Args:
        runs: where mmaction2_run.py trained.
        clip: every bundle's own clip.
        kept: the clip's skeleton after interpolation and trimming.
    """

    @cache
    def imported(name: str) -> Imported:
        run, output = run_of(runs, name), folder / name
        notes = import_by_fork(request_for(run, output, clip=clip, clip_label=label_of_mmaction2(run, kept)))
        return Imported(output, run, notes)

    return imported
