"""Missing joints and static ends, on motions whose right answer is known."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from poseparity.bundle.bundle import InterpolateParameters, TrimParameters
from poseparity.keypoints import Coco17
from poseparity.records import Skeleton
from poseparity.stages.interpolate import Interpolate
from poseparity.stages.trim import Trim, largest_steps, torso_length


def interpolate(method: str = "linear") -> Interpolate:
    return Interpolate(SimpleNamespace(interpolate=InterpolateParameters(method=method)))


def trim(threshold: float = 0.02, margin: int = 2, min_frames: int = 5) -> Trim:
    parameters = TrimParameters(threshold=threshold, margin=margin, min_frames=min_frames)
    return Trim(SimpleNamespace(trim=parameters))


def ramp(frames: int = 10) -> np.ndarray:
    """Every joint moves on its own straight line."""
    time = np.arange(frames, dtype=np.float64)[:, None]
    joints = np.arange(1, 18, dtype=np.float64)
    return np.stack([100 + time * joints, 200 + 2 * time * joints, np.full((frames, 17), 0.5)], axis=-1)


def standing(frames: int) -> np.ndarray:
    """A still figure whose torso is 100 pixels long."""
    keypoints = np.full((frames, 17, 3), 1.0)
    keypoints[:, :, 0] = 50
    keypoints[:, :, 1] = np.linspace(10, 300, 17)
    keypoints[:, [Coco17.L_SHOULDER, Coco17.R_SHOULDER], 1] = 100
    keypoints[:, [Coco17.L_HIP, Coco17.R_HIP], 1] = 200
    return keypoints


@pytest.mark.parametrize("parameters", [{"method": "none"}, {"threshold": 0, "margin": 2, "min_frames": 5}])
def test_no_trimming_keeps_ends_in_which_nobody_moves(parameters):
    keypoints = standing(30)
    keypoints[10:20, :, 0] += np.arange(10)[:, None]
    skeleton = Skeleton(keypoints)
    assert trim(threshold=0.001)(skeleton).frame_count < 30
    kept = Trim(SimpleNamespace(trim=TrimParameters(**parameters)))(skeleton)
    assert (kept.first_frame, kept.frame_count) == (0, 30)


@pytest.mark.parametrize(
    "parameters, words",
    [
        ({"method": "none", "margin": 4}, "margin is given"),
        ({"threshold": 0.06, "margin": 4}, "min_frames is missing"),
        ({}, "threshold is missing"),
    ],
)
def test_a_trim_table_has_the_keys_of_its_method(parameters, words):
    with pytest.raises(ValueError, match=words):
        TrimParameters(**parameters)


def test_a_gap_on_a_line_is_filled_with_the_line():
    keypoints = ramp()
    holed = keypoints.copy()
    holed[3:6, Coco17.L_WRIST] = 0
    np.testing.assert_allclose(interpolate()(Skeleton(holed)).keypoints, keypoints, rtol=1e-12)


def test_gaps_at_the_ends_hold_the_nearest_known_frame():
    holed = ramp()
    holed[:2, Coco17.NOSE] = 0
    holed[-3:, Coco17.NOSE] = 0
    filled = interpolate()(Skeleton(holed)).keypoints
    np.testing.assert_array_equal(filled[:2, Coco17.NOSE], np.stack([holed[2, Coco17.NOSE]] * 2))
    np.testing.assert_array_equal(filled[-3:, Coco17.NOSE], np.stack([holed[-4, Coco17.NOSE]] * 3))


def test_a_joint_that_was_never_seen_stays_missing():
    holed = ramp()
    holed[:, Coco17.R_EAR] = 0
    assert interpolate()(Skeleton(holed)).missing.sum() == len(holed)


def test_known_joints_and_the_input_are_left_as_they_are():
    holed = ramp()
    holed[4, Coco17.NOSE] = 0
    before = holed.copy()
    filled = interpolate()(Skeleton(holed)).keypoints
    np.testing.assert_array_equal(holed, before)
    filled[4, Coco17.NOSE] = 0
    np.testing.assert_array_equal(filled, before)


def test_method_none_changes_nothing():
    holed = ramp()
    holed[4] = 0
    np.testing.assert_array_equal(interpolate("none")(Skeleton(holed)).keypoints, holed)


def test_static_ends_are_cut_but_for_the_margin():
    keypoints = standing(30)
    keypoints[10:21, Coco17.L_WRIST, 0] += np.arange(11) * 5  # moves from frame 10 to frame 20
    keypoints[21:, Coco17.L_WRIST, 0] += 50
    kept = trim(margin=2)(Skeleton(keypoints))
    assert (kept.first_frame, kept.frame_count) == (8, 15)  # the step into frame 11 is the first: 10 - 2 .. 20 + 2
    np.testing.assert_array_equal(kept.keypoints, keypoints[8:23])


def test_noise_under_the_threshold_is_static():
    keypoints = standing(30)
    keypoints[::2, :, 0] += 1.9
    assert trim(threshold=0.02)(Skeleton(keypoints)).frame_count == 30
    assert largest_steps(Skeleton(keypoints)).max() == pytest.approx(0.019)


@pytest.mark.parametrize("frames", [2, 4])
def test_too_little_motion_is_left_whole(frames):
    keypoints = standing(frames)
    keypoints[-1, Coco17.NOSE, 0] += 50
    assert trim(margin=0, min_frames=5)(Skeleton(keypoints)).frame_count == frames


def test_motion_does_not_depend_on_the_scale_of_the_picture():
    keypoints = standing(30)
    keypoints[10:20, Coco17.L_WRIST, 0] += np.arange(10) * 5
    large = keypoints * [4, 4, 1]
    assert trim()(Skeleton(large)).first_frame == trim()(Skeleton(keypoints)).first_frame
    assert torso_length(Skeleton(large)) == 400


def test_a_joint_that_appears_is_no_motion():
    keypoints = standing(20)
    keypoints[:10, Coco17.L_EAR] = 0
    assert largest_steps(Skeleton(keypoints)).max() == 0
