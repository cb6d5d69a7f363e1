"""The rendered clips: the same seed gives the same pictures, and the truth about them is true."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from poseparity.keypoints import Coco17
from training.rendering.clip import Clip
from training.rendering.figure import JOINTS, Point
from training.rendering.motion import LABELS, Dof, mirror, sample_motion

SEEDS = (11, 12, 13)
LIMBS = (Coco17.L_ELBOW, Coco17.R_ELBOW, Coco17.L_KNEE, Coco17.R_KNEE, Coco17.L_WRIST, Coco17.R_WRIST)


@pytest.mark.parametrize("label", LABELS)
def test_same_seed_same_clip(label: str) -> None:
    first, second = Clip(5, label), Clip(5, label)
    assert len(first) == len(second)
    assert np.array_equal(first.truth.joints, second.truth.joints)
    for one, other in zip(first.frames([0, 20]), second.frames([0, 20]), strict=True):
        assert np.array_equal(one, other)


def test_a_frame_does_not_depend_on_which_others_are_asked_for() -> None:
    clip = Clip(6)
    frames = list(clip.frames())
    (alone,) = clip.frames([17])
    assert np.array_equal(frames[17], alone)


def test_global_random_state_is_neither_read_nor_changed() -> None:
    np.random.seed(1)
    before = np.random.get_state()[1].copy()
    first = next(Clip(7).frames([3]))
    assert np.array_equal(before, np.random.get_state()[1])
    np.random.seed(2)
    assert np.array_equal(first, next(Clip(7).frames([3])))


def test_other_seeds_give_other_clips() -> None:
    joints = [Clip(seed, "squat").truth.joints[0] for seed in range(5)]
    assert all(not np.allclose(joints[0], other) for other in joints[1:])


@pytest.mark.parametrize("seed", SEEDS)
def test_whole_figure_is_in_the_picture_and_joints_are_in_the_box(seed: int) -> None:
    for label in LABELS:
        clip = Clip(seed, label)
        width, height = clip.camera.size
        joints, boxes = clip.truth.joints, clip.truth.boxes[:, None]
        assert ((joints >= boxes[..., :2]) & (joints <= boxes[..., 2:])).all()
        assert ((joints >= 0) & (joints <= (width - 1, height - 1))).all()


@pytest.mark.parametrize("seed", SEEDS)
def test_visible_limb_joints_lie_on_what_is_drawn(seed: int) -> None:
    """Where the figure is drawn, the picture differs from the same picture of an empty scene."""
    clip = Clip(seed)
    drawn = next(clip.frames([10])).astype(int)
    empty = next(_without_figure(clip).frames([10])).astype(int)
    changed = cv2.dilate((np.abs(drawn - empty).max(-1) > 0).astype(np.uint8), np.ones((3, 3), np.uint8))
    for joint in LIMBS:
        x, y = clip.truth.joints[10, joint].round().astype(int)
        if clip.truth.visible[10, joint]:
            assert changed[y, x], f"{joint.name} at {x}, {y} is beside the figure"


def _without_figure(clip: Clip) -> Clip:
    """The same clip with its figure moved far out of the picture; the floor stays, as it is painted from the feet."""
    empty = Clip.__new__(Clip)
    empty.__dict__.update(clip.__dict__)
    pixels = clip.view.pixels.copy()
    pixels[..., 0] += 10_000
    empty.view = type(clip.view)(pixels, clip.view.depth, clip.view.scale)
    return empty


def test_most_joints_are_visible_and_hidden_ones_exist() -> None:
    shares = [Clip(seed).truth.visible.mean() for seed in range(40)]
    assert 0.7 < np.mean(shares) < 0.98


def test_far_ear_is_hidden_and_near_ear_is_seen() -> None:
    """A figure turned to the side shows one ear; at most angles here the face is seen."""
    turned = next(clip for seed in range(200) if abs((clip := Clip(seed, "jumping_jack")).yaw) > 45)
    near, far = (Coco17.R_EAR, Coco17.L_EAR) if turned.yaw > 0 else (Coco17.L_EAR, Coco17.R_EAR)
    seen = turned.truth.visible
    assert seen[:, near].mean() > 0.9
    assert seen[:, far].mean() < 0.5


def test_still_ends_are_still_and_the_action_moves() -> None:
    clip = Clip(3, "kick", still=(15, 12))
    assert clip.truth.still == (15, 12)
    height = np.ptp(clip.truth.joints[0, :, 1])
    steps = np.linalg.norm(np.diff(clip.truth.joints, axis=0), axis=-1).max(-1) / height
    assert steps[:14].max() < 0.01
    assert steps[-11:].max() < 0.01
    assert steps[15:-12].max() > 0.02


def test_mirror_twice_is_the_same_motion() -> None:
    motion = sample_motion(np.random.default_rng(1), "golf_swing")
    assert np.allclose(mirror(mirror(motion.poses)), motion.poses)
    assert not np.allclose(mirror(motion.poses), motion.poses)


def test_limbs_keep_their_length() -> None:
    clip = Clip(8, "golf_swing")
    pairs = ((Point.L_SHOULDER, Point.L_ELBOW), (Point.L_ELBOW, Point.L_WRIST), (Point.R_HIP, Point.R_KNEE))
    for start, end in pairs:
        lengths = np.linalg.norm(clip.points[:, start] - clip.points[:, end], axis=-1)
        assert np.ptp(lengths) < 0.02


def test_feet_stay_on_the_ground_but_for_jumps() -> None:
    squat, jack = Clip(9, "squat"), Clip(9, "jumping_jack")
    feet = [Point.L_ANKLE, Point.R_ANKLE, Point.L_TOE, Point.R_TOE]
    assert np.allclose(squat.points[:, feet, 1].min(1), 0.05, atol=1e-9)
    assert np.ptp(jack.points[:, feet, 1].min(1)) > 0.05
    assert jack.motion.poses[:, Dof.JUMP].max() > 0.05


def test_written_clip_has_every_frame(tmp_path) -> None:
    clip = Clip(10, "wave", size=(360, 480))
    clip.write(tmp_path / "clip.mp4")
    video = cv2.VideoCapture(str(tmp_path / "clip.mp4"))
    count = 0
    while (answer := video.read())[0]:
        assert answer[1].shape == (480, 360, 3)
        count += 1
    assert count == len(clip)
    assert clip.truth.joints.shape == (count, JOINTS, 2)


def test_writing_into_a_missing_folder_says_so(tmp_path) -> None:
    with pytest.raises(OSError, match="cannot write"):
        Clip(10).write(tmp_path / "absent/clip.mp4")
