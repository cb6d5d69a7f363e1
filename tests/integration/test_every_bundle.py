"""The real golf swing and both real videos through every pose engine and every way to crop, each with another model.

The bundles are imported from MMAction2's own training runs. Their eyes were never taught real people: a video gets an
answer, or one of the two errors that say how much was seen.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import pytest

from poseparity.errors import NoPersonFound, TooManyMissingJoints
from poseparity.pipeline import Pipeline, PipelineResult
from poseparity.records import Size
from poseparity.settings import load_settings
from poseparity.startup import load_pipeline
from tests.bundle_variants import RANDOM_WEIGHTS, middle_of, saved_pose_model
from tests.integration.real_videos import REAL_VIDEOS, outcome
from tests.mmaction2_bundles import import_by_fork, request_for, scores_of_mmaction2
from tests.mmaction2_run import TrainingRun, run_of
from tests.openpose_for_tests import install

# Imports take time, and real videos are large.
pytestmark = pytest.mark.slow

FRAME = Size(1920, 1080)
FRAMES = dict(zip(REAL_VIDEOS, (72, 103), strict=True))
NOBODY = "yolo", REAL_VIDEOS[1]  # the demo bundle's detector, which these bundles have, sees nobody there
# Engine and strategy of a bundle, and the training run that its recogniser comes from: each of those once at least.
KINDS = {
    ("openpose", "yolo"): "stgcn-j",
    ("openpose", "two_pass"): "stgcn++-j",
    ("openpose", "none"): "stgcn-b",
    ("openpose-binary", "yolo"): "stgcn++-b",
    ("openpose-binary", "two_pass"): "stgcn-openpose",
    ("openpose-binary", "none"): "stgcn++-openpose-bm",
    ("ultralytics", "yolo"): "stgcn-j-b",
    ("ultralytics", "two_pass"): "stgcn-jm-not-normalised",
    ("ultralytics", "none"): "stgcn-j",
}
# A small input for each network, for time: how well untrained eyes see is not asked here.
SETTINGS = {
    "openpose": ("pose.net_height=128",),
    "openpose-binary": ("pose.net_resolution=-1x128", "pose.number_people_max=1"),
    "ultralytics": tuple(f"pose.{name}={value}" for name, value in RANDOM_WEIGHTS.items()),
}


@dataclass(frozen=True)
class Made:
    """A bundle's pipeline, and the training run that its recogniser came from."""

    run: TrainingRun
    pipeline: Pipeline


@pytest.fixture(scope="module")
def engines(demo_bundle, tmp_path_factory) -> dict[str, dict]:
    """What `bundle import` is given for each engine, where it is not the network of --like."""
    folder = tmp_path_factory.mktemp("engines")
    executable, models = install(folder, demo_bundle.folder / demo_bundle.weights["pose"].file)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("POSEPARITY_OPENPOSE_BINARY", str(executable))
        patch.setenv("POSEPARITY_OPENPOSE_MODELS", str(models))
        yield {
            "openpose": {},
            "openpose-binary": {"pose_engine": "openpose-binary"},
            "ultralytics": {"pose": saved_pose_model(folder)},
        }


@pytest.fixture(scope="module")
def made(engines, training_runs, demo_clip, tmp_path_factory) -> Callable[[tuple[str, str]], Made]:
    """`made((engine, strategy))`: that bundle, imported once. Its own clip is a short one, for time."""
    clip = middle_of(demo_clip, tmp_path_factory.mktemp("clip") / "clip.avi", frames=4)

    @cache
    def make(kind: tuple[str, str]) -> Made:
        engine, strategy = kind
        run, output = run_of(training_runs, KINDS[kind]), tmp_path_factory.mktemp("made") / "bundle"
        # What untrained eyes see of the clip is nothing that a label could be held to: it is recorded.
        settings = (f"crop.strategy={strategy}", "quality.max_missing_share=0.9", *SETTINGS[engine])
        import_by_fork(request_for(run, output, clip=clip, record_label=True, settings=settings, **engines[engine]))
        return Made(run, load_pipeline(load_settings(bundle=output)))

    return make


def held_to_mmaction2(found: Made, result: PipelineResult) -> None:
    """The answer is what MMAction2 itself says of that skeleton, bit for bit."""
    assert scores_of_mmaction2(found.run, result.kept).tobytes() == result.prediction.scores.tobytes()


@pytest.mark.parametrize("kind", KINDS, ids="-".join)
def test_the_real_golf_swing(kind, made, real_data):
    found = made(kind)
    result = found.pipeline.run_csv((real_data / "golf/skeleton2d.csv").read_bytes(), frame_size=FRAME)
    assert result.skeleton.frame_count == 179
    held_to_mmaction2(found, result)


@pytest.mark.parametrize(
    ("kind", "video"),
    # One of the two for each bundle, so that each engine and each strategy gets both.
    [(kind, REAL_VIDEOS[number % len(REAL_VIDEOS)]) for number, kind in enumerate(KINDS)],
    ids=lambda value: value if isinstance(value, str) else "-".join(value),
)
def test_a_real_video(kind, video, made, real_data):
    found, (_, strategy) = made(kind), kind
    result = outcome(found.pipeline, real_data / video)
    assert isinstance(result, NoPersonFound) or (strategy, video) != NOBODY
    if isinstance(result, NoPersonFound):
        counts = result.details["frames"]
        assert counts["decoded"] == FRAMES[video] and result.fix
        assert set(counts) == {"decoded", *(() if strategy == "none" else ("sampled", "with_person"))}
        assert (strategy, video) != NOBODY or counts == {"decoded": 103, "sampled": 26, "with_person": 0}
    elif isinstance(result, TooManyMissingJoints):
        assert result.details["missing_joints"]["share"] > found.pipeline.bundle.quality.max_missing_share
    else:
        assert result.skeleton.frame_count == FRAMES[video]
        assert (strategy == "none") == ((result.skeleton.crop.width, result.skeleton.crop.height) == (1920, 1080))
        held_to_mmaction2(found, result)
