"""What the numbers of a skeleton CSV mean, and what they speak against."""

from __future__ import annotations

import time

import numpy as np
import pytest

from poseparity.bundle.bundle import NormaliseParameters
from poseparity.errors import InputError
from poseparity.keypoints import Coco17
from poseparity.plausible import checked, without_unseen
from poseparity.records import Box, Size, Skeleton

FRAMES = 30


@pytest.fixture
def body() -> np.ndarray:
    """Somebody who moves a little, in x from 200 to 300 and y from 100 to 400."""
    generator = np.random.default_rng(5)
    positions = generator.uniform((200, 100), (300, 400), (17, 2)) + generator.normal(0, 2, (FRAMES, 17, 2))
    return np.dstack([positions, generator.uniform(0.5, 1, (FRAMES, 17))])


def relative_to(reference: str) -> NormaliseParameters:
    size = (1920, 1080) if reference == "fixed" else None
    return NormaliseParameters(reference=reference, size=size, transforms=({},))


def told(skeleton: Skeleton, reference: str = "skeleton") -> dict[str, str]:
    return {notice.code: notice.message for notice in checked(skeleton, relative_to(reference)).notices}


def refused(skeleton: Skeleton, reference: str = "skeleton") -> InputError:
    with pytest.raises(InputError) as caught:
        checked(skeleton, relative_to(reference))
    assert "\n" not in str(caught.value) + caught.value.fix
    return caught.value


# --- confidence 0 ----------------------------------------------------------------------------------------------------


def test_a_plain_skeleton_passes_untouched(body):
    body[3, Coco17.L_EAR] = 0
    plain = Skeleton(body, frame_size=Size(480, 480), crop=Box(150, 50, 250, 400))
    assert without_unseen(plain) is plain
    assert checked(plain, relative_to("frame")) is plain


def test_a_joint_with_confidence_0_is_missing_wherever_it_is(body):
    body[3:9, Coco17.L_EAR] = [-1, -1, 0]
    body[5, Coco17.NOSE] = [250, 120, 0]
    body[7, Coco17.R_HIP] = 0
    found = without_unseen(Skeleton(body))
    assert found.missing.sum() == 8
    assert found.keypoints[~found.missing].tobytes() == body[~found.missing].tobytes()
    (notice,) = found.notices
    assert notice.code == "zero-confidence"
    assert notice.message == (
        "7 of 510 joints have confidence 0 and a position (6 of them -1,-1): they are taken as missing; write a joint "
        "that was not seen as 0,0,0"
    )


def test_the_array_that_was_given_is_left_as_it_was(body):
    body[3, Coco17.L_EAR] = [-1, -1, 0]
    before = body.tobytes()
    without_unseen(Skeleton(body))
    assert body.tobytes() == before


def test_where_no_confidence_was_written_positions_stay(body):
    body[..., 2] = 0
    body[3, Coco17.L_EAR] = 0
    found = without_unseen(Skeleton(body))
    assert found.keypoints is body and found.missing.sum() == 1
    assert [notice.code for notice in found.notices] == ["no-confidences"]


def test_nobody_at_all_is_no_case_of_its_own():
    empty = Skeleton(np.zeros((FRAMES, 17, 3)))
    assert without_unseen(empty) is empty and checked(empty, relative_to("frame")) is empty


# --- one position for several joints ---------------------------------------------------------------------------------

POSITIONS = {"minus one": (-1, -1), "zero": (0, 0), "the crop's corner": (150, 50), "the frame's end": (479, 479)}


@pytest.mark.parametrize("position", POSITIONS.values(), ids=POSITIONS.keys())
def test_a_position_that_stands_for_missing_is_told(body, position):
    body[4:9, [Coco17.L_EAR, Coco17.R_WRIST], :2] = position
    found = told(Skeleton(body, frame_size=Size(480, 480), crop=Box(150, 50, 330, 430)))
    x, y = position
    assert found["constant-position"] == (
        f"10 of 510 joints (LEar, RWrist) have one and the same position, {x},{y}, and count as seen; if that means "
        "missing, write a joint that was not seen as 0,0,0"
    )


def test_a_position_inside_is_told_where_three_parts_have_it_at_once(body):
    wanted = [Coco17.L_EAR, Coco17.R_WRIST, Coco17.L_ANKLE]
    body[4:9, wanted, :2] = (250, 250)
    assert "15 of 510 joints (LEar, RWrist, LAnkle)" in told(Skeleton(body))["constant-position"]


def test_one_joint_alone_is_told_only_where_no_joint_can_be(body):
    body[4:9, Coco17.L_EAR, :2] = (-1, -1)
    assert "5 of 510 joints (LEar)" in told(Skeleton(body))["constant-position"]
    body[4:9, Coco17.L_EAR, :2] = (180, 90)  # at a corner of all joints
    assert told(Skeleton(body)) == {}


def test_whole_pixels_and_joints_that_meet_are_no_such_position(body):
    body[..., :2] = body[..., :2].round()
    body[:20, Coco17.L_WRIST] = body[:20, Coco17.R_WRIST] = [250, 250, 0.9]  # both at a club
    body[:20, Coco17.L_HIP] = body[:20, Coco17.R_HIP] = [240, 300, 0.9]  # from the side
    body[:20, [Coco17.NOSE, Coco17.L_EYE, Coco17.R_EYE, Coco17.L_EAR]] = [220, 99, 0.9]  # a small face
    assert told(Skeleton(body)) == {}


def test_somebody_who_stands_still_in_whole_pixels_is_no_such_position(body):
    still = np.tile(body[:1].round(), (9000, 1, 1))
    began = time.perf_counter()
    assert told(Skeleton(still)) == {}
    walking = still.copy()
    walking[..., :2] += np.random.default_rng(1).integers(0, 40, (9000, 1, 1))
    assert told(Skeleton(walking)) == {}
    assert time.perf_counter() - began < 10


# --- beyond the frame, beyond the crop -------------------------------------------------------------------------------


def test_a_pixel_beyond_the_frame_is_no_matter(body):
    body[0, Coco17.NOSE, :2] = (-1, 481)
    assert told(Skeleton(body, frame_size=Size(480, 480)), "frame") == {}


@pytest.mark.parametrize("reference", ["frame", "crop", "skeleton", "fixed"])
def test_some_joints_beyond_the_frame_are_counted(body, reference):
    body[:, [Coco17.L_ANKLE, Coco17.R_ANKLE], 1] = 500  # cut by the frame's lower edge
    found = told(Skeleton(body, frame_size=Size(480, 480), crop=Box(100, 0, 300, 600)), reference)
    assert found == {
        "joints-outside-frame": "60 of 510 joints are outside of the frame 480x480, by up to 20 pixels: check that the "
        "frame and the CSV belong to one video, and that coordinates are pixels of the full frame"
    }


def test_most_joints_beyond_the_frame_are_refused_where_scores_are_relative_to_it(body):
    small = Skeleton(body, frame_size=Size(100, 100))
    error = refused(small, "frame")
    assert (error.code, error.http_status) == ("joints-outside-frame", 400)
    assert "510 of 510 joints are outside of the frame 100x100" in str(error)
    assert error.details == {"outside": 510, "seen": 510}
    assert "510 of 510" in told(small)["joints-outside-frame"]


def test_the_same_for_a_crop(body):
    elsewhere = Skeleton(body, crop=Box(400, 0, 300, 600))
    assert refused(elsewhere, "crop").code == "joints-outside-crop"
    assert "outside of the crop 400,0,300,600, by up to" in told(elsewhere, "frame")["joints-outside-crop"]
    some = told(Skeleton(body, crop=Box(150, 150, 300, 400)), "crop")
    assert set(some) == {"joints-outside-crop"}


def test_joints_beyond_a_fixed_box_are_told(body):
    body[..., 0] += 3000  # of a larger video than the model's were
    assert "outside of the bundle's fixed box 1920x1080" in told(Skeleton(body), "fixed")["joints-outside-reference"]


def test_missing_joints_are_nowhere(body):
    body[:, Coco17.NOSE] = 0
    assert told(Skeleton(body, crop=Box(150, 50, 250, 400)), "crop") == {}


# --- coordinates in [0, 1] -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("reference", ["frame", "crop", "skeleton", "fixed"])
@pytest.mark.parametrize("low", [0, -1])
def test_normalised_coordinates_are_refused(body, reference, low):
    body[..., :2] = body[..., :2] / 480 * (1 - low) + low
    error = refused(Skeleton(body, frame_size=Size(480, 480), crop=Box(0, 0, 480, 480)), reference)
    assert error.code == "coordinates-normalised"
    assert "510 of 510 joints are within -1 and 1 (x from" in str(error) and "expected pixels" in str(error)


def test_a_joint_a_little_beyond_the_frame_changes_nothing(body):
    body[..., :2] /= 480
    body[0, 0, :2] = (0.5, 1.02)
    assert "509 of 510 joints" in str(refused(Skeleton(body)))


def test_nearly_all_within_are_told(body):
    body[..., :2] /= 480
    body[0, 0, :2] = (0.5, 300)
    assert "509 of 510 joints" in told(Skeleton(body))["coordinates-normalised"]


def test_all_joints_at_one_position_are_no_range(body):
    body[..., :2] = 1
    assert set(told(Skeleton(body))) == {"constant-position"}


def test_a_small_person_in_pixels_is_no_range(body):
    body[..., :2] = (body[..., :2] - body[..., :2].min(axis=(0, 1))) / 100  # three pixels high
    assert told(Skeleton(body)) == {}
