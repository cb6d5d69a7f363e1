"""COCO's 17 joints as OpenPose's 18, with the neck that COCO does not annotate."""

from __future__ import annotations

import numpy as np
import pytest

from poseparity.bundle.bundle import NormaliseParameters
from poseparity.keypoints import Coco17, Coco18, coco17_from_coco18, coco18_from_coco17
from poseparity.records import Size, Skeleton
from poseparity.stages.normalise import annotation, reference_box, with_joints


@pytest.fixture
def keypoints() -> np.ndarray:
    """Five frames in which every joint of every frame has a place and a confidence of its own."""
    return np.random.default_rng(3).uniform(1, 500, (5, len(Coco17), 3))


def test_every_joint_keeps_its_name(keypoints):
    parts = coco18_from_coco17(keypoints)
    assert parts.shape == (5, 18, 3)
    for joint in Coco17:
        np.testing.assert_array_equal(parts[:, Coco18[joint.name]], keypoints[:, joint])
    np.testing.assert_array_equal(coco17_from_coco18(parts), keypoints)


def test_the_neck_is_in_the_middle_of_the_shoulders_and_as_sure_as_the_less_sure_one(keypoints):
    keypoints[0, Coco17.L_SHOULDER] = (100, 40, 0.9)
    keypoints[0, Coco17.R_SHOULDER] = (61, 44, 0.25)
    np.testing.assert_array_equal(coco18_from_coco17(keypoints)[0, Coco18.NECK], (80.5, 42, 0.25))


@pytest.mark.parametrize("lost", [(Coco17.L_SHOULDER,), (Coco17.R_SHOULDER,), (Coco17.L_SHOULDER, Coco17.R_SHOULDER)])
def test_the_neck_is_missing_where_a_shoulder_is(keypoints, lost):
    keypoints[2, lost] = 0
    missing = Skeleton(coco18_from_coco17(keypoints)).missing
    assert missing[2, Coco18.NECK]
    assert missing.sum() == len(lost) + 1


def test_a_missing_neck_is_zero_for_the_model_whatever_coordinates_are_relative_to(keypoints):
    keypoints[1, Coco17.L_SHOULDER] = 0
    parameters = NormaliseParameters(reference="skeleton", joints="openpose18", transforms=({"type": "PoseDecode"},))
    skeleton = Skeleton(keypoints, frame_size=Size(640, 480))
    parts = with_joints(skeleton, parameters.joints)
    assert reference_box(parts, parameters) == reference_box(skeleton, parameters), "a neck moved the box"
    given = annotation(parts, reference_box(parts, parameters))
    assert given["keypoint"].shape == (1, 5, 18, 2)
    assert not given["keypoint"][0, 1, Coco18.NECK].any() and not given["keypoint_score"][0, 1, Coco18.NECK]


def test_a_bundle_that_says_nothing_has_cocos_joints(keypoints):
    parameters = NormaliseParameters(reference="frame", transforms=({"type": "PoseDecode"},))
    skeleton = Skeleton(keypoints)
    assert with_joints(skeleton, parameters.joints) is skeleton
