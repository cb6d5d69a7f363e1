"""MMAction2's own tools in the local environment: what they print of a validation is what `poseparity run` says."""

from __future__ import annotations

import json
import os
import pickle
import subprocess
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from poseparity import skeleton_csv
from poseparity.numerics import PINS_FILE
from poseparity.records import Size
from poseparity.settings import load_settings
from poseparity.startup import load_pipeline
from tests.bundle_variants import middle_of
from tests.conftest import ROOT
from tests.mmaction2_bundles import import_by_fork, request_for
from tests.mmaction2_run import FRAME, VARIANTS, TrainingRun, skeletons, write_annotations

pytestmark = pytest.mark.slow

RUNTIME = ROOT / ".venv/runtime/bin"
TOOLS = ROOT / ".venv/runtime/lib/python3.11/site-packages/mmaction/.mim/tools"
NAME = "stgcn++-j"
EVALUATION = "test_evaluator = dict(type='AccMetric')\ntest_cfg = dict(type='TestLoop')\n"
CLIPS = 4


def run_tool(name: str, *arguments: str | Path, cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """The plain command that MMAction2 documents, under the pins, in an environment that has none of them."""
    bare = {name: value for name, value in os.environ.items() if name not in pins()}
    command = [ROOT / "scripts/pinned", RUNTIME / "python", TOOLS / name, *arguments]
    return subprocess.run(
        command, cwd=cwd, env={**bare, **environment}, capture_output=True, text=True, timeout=120, check=False
    )


def pins() -> set[str]:
    return {line.partition("=")[0] for line in PINS_FILE.read_text().splitlines() if line[:1].isalpha()}


@pytest.fixture(scope="module")
def trained(tmp_path_factory) -> TrainingRun:
    """What tools/train.py left after one epoch."""
    folder = tmp_path_factory.mktemp("trained")
    run = TrainingRun(VARIANTS[NAME], folder / "config.py", folder / "work/epoch_1.pth")
    annotations = write_annotations(folder / "annotations.pkl", run.variant)
    run.config.write_text(run.variant.config(annotations) + EVALUATION)
    done = run_tool("train.py", run.config, "--work-dir", run.checkpoint.parent, "--seed", "1", cwd=folder)
    assert done.returncode == 0, done.stderr
    return run


@dataclass(frozen=True)
class Validation:
    """The scores that `poseparity run` gives the clips, and the annotations that MMAction2 reads of the same clips."""

    bundle: Path
    csvs: list[bytes]
    scores: list[np.ndarray]
    annotations: Path


@pytest.fixture(scope="module")
def validation(trained, demo_clip, tmp_path_factory) -> Validation:
    folder = tmp_path_factory.mktemp("validation")
    clip = middle_of(demo_clip, folder / "clip.avi", frames=4)
    bundle = folder / "bundle"
    import_by_fork(request_for(trained, bundle, clip=clip, record_label=True))
    pipeline = load_pipeline(load_settings(bundle=bundle))
    csvs = [skeleton_csv.write(skeleton) for skeleton in skeletons()[:CLIPS]]
    results = [pipeline.run_csv(content, frame_size=Size(*FRAME)) for content in csvs]
    kept = [result.kept.keypoints for result in results]
    annotations = write_annotations(folder / "validation.pkl", trained.variant, kept)
    return Validation(bundle, csvs, [result.prediction.scores for result in results], annotations)


def dumped(trained: TrainingRun, validation: Validation, folder: Path) -> list[np.ndarray]:
    """The scores of tools/test.py --dump."""
    done = run_tool(
        "test.py", trained.config, trained.checkpoint, "--work-dir", folder, "--dump", folder / "scores.pkl",
        "--cfg-options", f"test_dataloader.dataset.ann_file={validation.annotations}", cwd=folder,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "acc/top1" in done.stdout
    return [sample["pred_score"].numpy() for sample in pickle.loads((folder / "scores.pkl").read_bytes())]


def test_a_validation_gives_the_scores_that_poseparity_gives(trained, validation, tmp_path):
    scores = dumped(trained, validation, tmp_path)
    assert len({score.tobytes() for score in scores}) == CLIPS
    assert [score.tobytes() for score in scores] == [score.tobytes() for score in validation.scores]


def test_the_command_says_the_same(trained, validation, tmp_path):
    (tmp_path / "clip.csv").write_bytes(validation.csvs[0])
    command = [RUNTIME / "poseparity", "run", "clip.csv", "--bundle", validation.bundle,
               "--frame-size", "x".join(map(str, FRAME)), "--json"]  # fmt: skip
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    said = json.loads(done.stdout)["prediction"]["scores"]
    assert np.array([row["score"] for row in said], np.float32).tobytes() == validation.scores[0].tobytes()


def test_training_goes_on_from_a_checkpoint(trained, tmp_path):
    """That reads the training's log, too."""
    options = ("--work-dir", tmp_path, "--resume", trained.checkpoint, "--cfg-options", "train_cfg.max_epochs=2")
    done = run_tool("train.py", trained.config, *options, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "resumed epoch: 1" in done.stdout
    assert (tmp_path / "epoch_2.pth").is_file()


def test_without_what_the_package_adds_the_tools_end_early(trained, tmp_path):
    done = run_tool("test.py", trained.config, trained.checkpoint, cwd=tmp_path, TORCH_DEVICE_BACKEND_AUTOLOAD="0")
    assert done.returncode == 1
    assert "operator torchvision::nms does not exist" in done.stderr
