"""The ways to a crop that need no detector: the whole frame, and a first pass of the pose engine."""

from __future__ import annotations

import numpy as np
import pytest

from poseparity.errors import NoPersonFound, TooManyMissingJoints
from poseparity.inputs import Input
from poseparity.pipeline import Pipeline
from poseparity.records import Box, Size, VideoFile
from poseparity.stages.crop import padded_union
from poseparity.stages.decode import frames, sampled_indices
from poseparity.trace.recording import record
from poseparity.web.schemas import Frames
from tests.bundle_variants import CROPS, grey_video, middle_of, variant

LIMITS = {"max_frames": 1000, "max_pixels": 10**7}
SHARE = CROPS["two_pass"]["sample_share"]


@pytest.fixture(scope="module")
def pipelines(demo_bundle, tmp_path_factory) -> dict[str, Pipeline]:
    """The demo bundle's pipeline with each strategy that needs no detector."""
    return {
        name: Pipeline(variant(demo_bundle, tmp_path_factory.mktemp(name), crop=table), **LIMITS)
        for name, table in CROPS.items()
    }


@pytest.fixture(scope="module")
def clip(demo_clip, tmp_path_factory):
    """The middle of the demo clip."""
    return middle_of(demo_clip, tmp_path_factory.mktemp("clip") / "middle.avi", frames=16)


@pytest.fixture(scope="module")
def results(pipelines, clip) -> dict:
    return {name: pipeline.run_video(clip) for name, pipeline in pipelines.items()}


def test_no_detector_is_loaded(pipelines):
    for pipeline in pipelines.values():
        assert "detector" not in pipeline.bundle.weights
        assert [stage.name for stage in pipeline.stages][:4] == ["decode", "crop", "pose", "inspect"]


def test_the_whole_frame_is_the_crop_and_nothing_was_sampled(results):
    answer = results["none"].to_dict()
    assert answer["crop"] == {"x": 0, "y": 0, "width": 480, "height": 360}
    assert answer["frames"] == {"total": 16, "kept": answer["frames"]["kept"], "first_kept": 0, "several_persons": 0}
    Frames(**answer["frames"])


def test_the_first_pass_gives_the_box_around_the_joints_that_it_finds(pipelines, results, clip):
    pipeline, result = pipelines["two_pass"], results["two_pass"]
    video = pipeline.stages[0](VideoFile(clip))
    engine = next(stage for stage in pipeline.stages if stage.name == "pose").engine
    wanted = sampled_indices(video.frame_count, SHARE)
    found = list(engine.persons(frame for _, frame in frames(video, wanted=frozenset(wanted))))
    joints = np.concatenate([persons[0][persons[0].any(axis=1)] for persons in found])
    assert result.skeleton.crop == padded_union(joints[:, [0, 1, 0, 1]], 0.15, Size(480, 360))
    assert result.to_dict()["frames"] | {"sampled": 4, "with_person": 4} == result.to_dict()["frames"]


def test_a_box_outside_of_the_frame_keeps_a_pixel_of_it():
    outside = np.array([[500.0, -40, 510, -20]])
    assert padded_union(outside, 0, Size(480, 360)) == Box(479, 0, 1, 1)


def test_each_strategy_finds_the_figure_where_the_detector_does(pipeline, results, clip):
    with_detector = pipeline.run_video(clip)
    for name, result in results.items():
        seen = ~(with_detector.skeleton.missing | result.skeleton.missing)
        distances = np.linalg.norm((with_detector.skeleton.keypoints - result.skeleton.keypoints)[..., :2], axis=-1)
        assert seen.mean() > 0.7, name
        assert np.median(distances[seen]) < 4, f"{name}: pixels of a figure of about 200"


def test_a_trace_holds_the_first_pass_beside_the_crop(pipelines, clip, results):
    again, trace = record(pipelines["two_pass"], Input(clip, "video"), environment={})
    crop, pose = trace.stage("crop"), trace.stage("pose")
    assert (crop.value("persons").shape[0], pose.value("persons").shape[0]) == (4, 16)
    assert crop.parameters["strategy"] == "two_pass"
    assert crop.parameters["engine"]["weights_sha256"] == pose.parameters["weights_sha256"]
    assert again.csv == results["two_pass"].csv


def test_the_engine_is_loaded_once(pipelines):
    stages = {stage.name: stage for stage in pipelines["two_pass"].stages}
    assert stages["crop"].engine is stages["pose"].engine
    assert stages["crop"].describe()["engine"] == stages["pose"].describe()


def test_nobody_found_is_told_with_its_counts(pipelines, tmp_path):
    empty = grey_video(tmp_path / "empty.avi", frames=8)
    with pytest.raises(
        NoPersonFound, match=r"in the whole frames of the first pass \(8 frames decoded, 2 frames"
    ) as error:
        pipelines["two_pass"].run_video(empty)
    assert error.value.details["frames"] == {"decoded": 8, "sampled": 2, "with_person": 0}
    with pytest.raises(NoPersonFound, match=r"found no joint in any frame \(8 frames decoded\)") as error:
        pipelines["none"].run_video(empty)
    assert error.value.details["frames"] == {"decoded": 8}


@pytest.mark.parametrize("name", CROPS)
def test_the_real_golf_swing_needs_no_crop(name, pipelines, pipeline, real_data):
    content = (real_data / "golf/skeleton2d.csv").read_bytes()
    found, expected = pipelines[name].run_csv(content), pipeline.run_csv(content)
    assert found.prediction.scores.tobytes() == expected.prediction.scores.tobytes()


@pytest.mark.parametrize(
    "strategy, name", [("none", "demo_skeleton.mp4"), ("two_pass", "ntu_S001C001P001R001A001_rgb.avi")]
)
def test_a_real_video_gives_a_skeleton_or_a_clear_no(strategy, name, pipelines, real_data, tmp_path):
    """Of its middle: the whole ones go through the detector's strategy elsewhere."""
    path = middle_of(real_data / "video" / name, tmp_path / "middle.avi", frames=12)
    try:
        result = pipelines[strategy].run_video(path)
    except TooManyMissingJoints as error:
        assert isinstance(error.skeleton.crop, Box)
        assert error.details["missing_joints"]["share"] > error.details["max_missing_share"]
    except NoPersonFound as error:
        assert error.details["frames"]["decoded"] == 12
    else:
        assert np.isfinite(result.prediction.scores).all()
