"""The whole pipeline on the demo bundle, under the numerical pins."""

from __future__ import annotations

import copy
import json
from collections import Counter

import numpy as np
import pytest
import torch

from poseparity import skeleton_csv
from poseparity.errors import BundleError, InputError, NoPersonFound, TooManyMissingJoints
from poseparity.libraries.mmaction2 import registries
from poseparity.missing import missing_joints
from poseparity.records import Box, Skeleton
from poseparity.stages.normalise import Normalise, reference_box
from poseparity.stages.recognise import Recognise

GPU_TOLERANCE = 1e-3  # of a score: another order of summation


def test_the_demo_clip_shows_what_the_bundle_says(demo_result, demo_bundle):
    assert demo_result.prediction.label == demo_bundle.demo.label
    assert demo_result.prediction.scores.sum() == pytest.approx(1, abs=1e-5)


def test_running_again_gives_the_same_bits(pipeline, demo_clip, demo_result):
    again = pipeline.run_video(demo_clip)
    assert again.csv == demo_result.csv
    assert again.prediction.scores.tobytes() == demo_result.prediction.scores.tobytes()


def test_the_csv_gives_the_scores_of_the_video(pipeline, demo_result):
    from_csv = pipeline.run_csv(demo_result.csv)
    assert from_csv.csv == demo_result.csv
    assert from_csv.prediction.scores.tobytes() == demo_result.prediction.scores.tobytes()


def test_the_answer_is_plain_json_with_exact_scores(demo_result):
    answer = json.loads(json.dumps(demo_result.to_dict()))
    scores = np.array([entry["score"] for entry in answer["prediction"]["scores"]], dtype=np.float32)
    assert scores.tobytes() == demo_result.prediction.scores.tobytes()
    assert answer["frames"]["kept"] <= answer["frames"]["total"] == demo_result.skeleton.frame_count


def test_static_ends_of_the_demo_clip_are_trimmed(demo_result):
    assert demo_result.kept.first_frame > 0
    assert demo_result.kept.frame_count < demo_result.skeleton.frame_count


def test_numpys_global_generator_is_left_as_it_was(pipeline, demo_result):
    np.random.seed(7)
    expected = np.random.random(3)
    np.random.seed(7)
    pipeline.run_csv(demo_result.csv)
    np.testing.assert_array_equal(np.random.random(3), expected)


def scores_of_mmaction2(pipeline, kept: Skeleton) -> np.ndarray:
    """MMAction2's own `inference_skeleton` on the kept frames: same model, same transforms, its own code."""
    registries()
    from mmaction.apis import inference_skeleton
    from mmengine.dataset import Compose

    recognise = next(stage for stage in pipeline.stages if isinstance(stage, Recognise))
    x, y, width, height = reference_box(kept, pipeline.bundle.normalise)
    poses = [
        {"keypoints": (frame[None, :, :2] - (x, y)), "keypoint_scores": frame[None, :, 2]} for frame in kept.keypoints
    ]
    transforms = Compose([dict(config) for config in pipeline.bundle.normalise.transforms])
    return inference_skeleton(recognise.model, poses, (height, width), transforms).pred_score.numpy()


def test_scores_equal_those_of_mmaction2_on_the_demo_clip(pipeline, demo_result):
    assert scores_of_mmaction2(pipeline, demo_result.kept).tobytes() == demo_result.prediction.scores.tobytes()


def test_scores_equal_those_of_mmaction2_on_a_real_golf_swing(pipeline, real_data):
    result = pipeline.run_csv((real_data / "golf/skeleton2d.csv").read_bytes())
    assert result.skeleton.missing.sum() == 49
    assert not result.kept.missing.any()
    assert scores_of_mmaction2(pipeline, result.kept).tobytes() == result.prediction.scores.tobytes()


def test_the_recogniser_on_a_gpu_agrees_with_the_cpu(pipeline, demo_result, cuda):
    recognise = next(stage for stage in pipeline.stages if isinstance(stage, Recognise))
    clips = demo_result.records[Normalise.name]
    batch = {"inputs": [torch.from_numpy(clips.inputs)], "data_samples": [copy.deepcopy(clips.sample)]}
    with torch.no_grad():
        (on_gpu,) = copy.deepcopy(recognise.model).to(cuda).test_step(batch)
    difference = np.abs(on_gpu.pred_score.cpu().numpy() - demo_result.prediction.scores).max()
    assert difference < GPU_TOLERANCE


@pytest.mark.slow
@pytest.mark.parametrize("name", ["video/demo_skeleton.mp4", "video/ntu_S001C001P001R001A001_rgb.avi"])
def test_a_real_video_gives_a_skeleton_or_a_clear_no(pipeline, real_data, name):
    try:
        result = pipeline.run_video(real_data / name)
    except TooManyMissingJoints as error:
        assert error.details["missing_joints"]["share"] > error.details["max_missing_share"]
    except NoPersonFound as error:
        assert {"decoded", "sampled", "with_person"} == set(error.details["frames"])
        assert error.fix
    else:
        assert result.skeleton.frame_count in (72, 103)
        assert np.isfinite(result.prediction.scores).all()


def test_a_demo_clip_that_does_not_fit_its_bundle_is_the_bundles_fault(pipeline, monkeypatch):
    wrong = pipeline.bundle.demo.model_copy(update={"label": "squat"})
    monkeypatch.setattr(pipeline, "bundle", pipeline.bundle.model_copy(update={"demo": wrong}))
    with pytest.raises(BundleError, match="recognised as 'golf_swing', expected 'squat'"):
        pipeline.warm_up()


def test_a_truncated_video_is_refused(pipeline, demo_clip, tmp_path):
    whole = demo_clip.read_bytes()
    path = tmp_path / "cut.mp4"
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(InputError) as error:
        pipeline.run_video(path)
    assert error.value.code in ("truncated-video", "unreadable-video")
    assert error.value.details["stage"] == "decode"


def test_a_bundle_relative_to_the_crop_needs_the_crop(demo_bundle, demo_result):
    parameters = demo_bundle.normalise.model_copy(update={"reference": "crop"})
    normalise = Normalise(demo_bundle.model_copy(update={"normalise": parameters}))
    with pytest.raises(InputError, match="crop is not known"):
        normalise(Skeleton(demo_result.kept.keypoints))
    crop = demo_result.skeleton.crop
    assert normalise(demo_result.kept).reference == (crop.x, crop.y, crop.width, crop.height)


def test_nothing_is_normalised_where_nothing_was_seen(pipeline):
    with pytest.raises(InputError, match="every joint of every frame is missing"):
        Normalise(pipeline.bundle)(Skeleton(np.zeros((5, 17, 3))))


def test_an_answer_says_what_was_missing_before_interpolation(demo_result):
    found = demo_result.to_dict()["missing_joints"]
    assert found == missing_joints(demo_result.skeleton)
    assert 0 < found["count"] == demo_result.skeleton.missing.sum()
    assert not demo_result.filled.missing.any()


def test_the_real_golf_swing_says_where_its_49_joints_are_missing(pipeline, real_data):
    found = pipeline.run_csv((real_data / "golf/skeleton2d.csv").read_bytes()).to_dict()["missing_joints"]
    assert (found["count"], found["total"], found["share"]) == (49, 179 * 17, 0.016103)
    assert found["by_joint"] == {"LEar": 23, "REar": 2, "LWrist": 20, "RWrist": 4}
    assert found["stretches"][0] == {"joint": "LEar", "first_frame": 156, "frames": 23}
    assert found["never_seen"] == [] and found["empty_frames"]["count"] == 0


def holed(result, share: float) -> bytes:
    """The demo clip's skeleton as a CSV of which that share of the frames, from the first, lacks every joint."""
    keypoints = result.skeleton.keypoints.copy()
    keypoints[: round(share * len(keypoints))] = 0
    return skeleton_csv.write(keypoints)


def test_too_many_missing_joints_are_an_error_and_no_guess(pipeline, demo_result):
    limit = pipeline.bundle.quality.max_missing_share
    with pytest.raises(TooManyMissingJoints) as caught:
        pipeline.run_csv(holed(demo_result, limit + 0.02))
    error = caught.value
    assert error.details["stage"] == "inspect"
    assert error.details["max_missing_share"] == limit
    assert error.details["missing_joints"]["empty_frames"]["stretches"][0]["first_frame"] == 0
    pipeline.run_csv(holed(demo_result, limit - 0.05))  # the same with fewer is answered


def test_joints_far_outside_of_their_crop_are_refused(demo_bundle, demo_result):
    """float16 would make them infinite, and the scores NaN."""
    parameters = demo_bundle.normalise.model_copy(update={"reference": "crop"})
    normalise = Normalise(demo_bundle.model_copy(update={"normalise": parameters}))
    with pytest.raises(InputError, match="would be infinite"):
        normalise(Skeleton(demo_result.kept.keypoints, crop=Box(100_000, 0, 1, 1)))


def test_a_csv_of_missing_joints_only_is_refused(pipeline):
    with pytest.raises(TooManyMissingJoints, match=r"85 of 85 joints are missing \(100\.00%\)"):
        pipeline.run_csv(skeleton_csv.write(np.zeros((5, 17, 3))))


def test_an_observer_sees_each_frame_and_changes_nothing(pipeline, demo_clip, demo_result):
    seen = Counter()
    observed = pipeline.run_video(demo_clip, observe=lambda name, value: seen.update([name]))
    frames = demo_result.video.frame_count
    names = ("decode.frame", "pose.network_input", "pose.network_output", "pose.persons")
    assert seen == dict.fromkeys(names, frames)
    assert observed.csv == demo_result.csv
    assert observed.prediction.scores.tobytes() == demo_result.prediction.scores.tobytes()
