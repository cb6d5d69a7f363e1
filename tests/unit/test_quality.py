"""Missing joints: how they are counted, and when there are too many."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from poseparity.bundle.bundle import QualityParameters
from poseparity.errors import TooManyMissingJoints
from poseparity.keypoints import COCO17_EDGES, CSV_NAMES, Coco17
from poseparity.missing import LISTED_STRETCHES, missing_joints, runs
from poseparity.records import Skeleton
from poseparity.stages.inspect import Inspect
from poseparity.web.schemas import MissingJoints

MASKS = arrays(bool, st.tuples(st.integers(1, 40), st.integers(1, 17)))


def skeleton(frames: int = 10, *, missing: dict[Coco17, slice] | None = None) -> Skeleton:
    """Every joint at 7, 8 with confidence 0.5, but for the missing ones."""
    keypoints = np.tile([7.0, 8.0, 0.5], (frames, 17, 1))
    for joint, stretch in (missing or {}).items():
        keypoints[stretch, joint] = 0
    return Skeleton(keypoints)


def inspect(limit: float) -> Inspect:
    return Inspect(SimpleNamespace(quality=QualityParameters(max_missing_share=limit)))


@given(MASKS)
def test_runs_rebuild_the_mask_and_never_touch(mask):
    rebuilt = np.zeros_like(mask)
    for column, first, length in runs(mask).tolist():
        assert not rebuilt[max(0, first - 1) : first + length + 1, column].any()
        rebuilt[first : first + length, column] = True
    np.testing.assert_array_equal(rebuilt, mask)


@given(MASKS)
def test_runs_are_ordered_longest_first_then_earliest_then_by_column(mask):
    found = [(-length, first, column) for column, first, length in runs(mask).tolist()]
    assert found == sorted(found)


@given(arrays(bool, st.tuples(st.integers(2, 40), st.just(17))))
def test_the_figures_agree_with_each_other_and_with_the_schema(mask):
    keypoints = np.full((*mask.shape, 3), 0.5)
    keypoints[mask] = 0
    found = missing_joints(Skeleton(keypoints))
    MissingJoints.model_validate(found)
    assert found["count"] == mask.sum() == sum(found["by_joint"].values())
    assert found["total"] == mask.size
    assert found["never_seen"] == [name for name, column in zip(CSV_NAMES, mask.T, strict=True) if column.all()]
    assert found["empty_frames"]["count"] == mask.all(axis=1).sum()
    listed = sum(stretch["frames"] for stretch in found["stretches"])
    assert listed == found["count"] if not found["stretches_not_listed"] else listed < found["count"]


def test_stretches_of_a_known_skeleton():
    found = missing_joints(skeleton(missing={Coco17.L_WRIST: slice(3, 6), Coco17.NOSE: slice(0, 1)}))
    assert found == {
        "count": 4,
        "total": 170,
        "share": round(4 / 170, 6),
        "by_joint": {"Nose": 1, "LWrist": 3},
        "never_seen": [],
        "stretches": [
            {"joint": "LWrist", "first_frame": 3, "frames": 3},
            {"joint": "Nose", "first_frame": 0, "frames": 1},
        ],
        "stretches_not_listed": 0,
        "empty_frames": {"count": 0, "stretches": [], "stretches_not_listed": 0},
    }


def test_frames_without_any_joint_are_told_apart():
    holed = skeleton(20)
    holed.keypoints[[0, 7, 8, 9]] = 0
    assert missing_joints(holed)["empty_frames"] == {
        "count": 4,
        "stretches": [{"first_frame": 7, "frames": 3}, {"first_frame": 0, "frames": 1}],
        "stretches_not_listed": 0,
    }


def test_more_stretches_than_are_listed_are_counted():
    holed = skeleton(400)
    holed.keypoints[::2, Coco17.NOSE] = 0
    found = missing_joints(holed)
    assert len(found["stretches"]) == LISTED_STRETCHES
    assert found["stretches_not_listed"] == 200 - LISTED_STRETCHES


def test_a_share_up_to_the_limit_passes_unchanged():
    holed = skeleton(10, missing={Coco17.NOSE: slice(None), Coco17.L_EAR: slice(0, 7)})  # 17 of 170
    assert inspect(0.1)(holed) is holed


def test_one_joint_over_the_limit_is_refused_with_the_figures():
    holed = skeleton(10, missing={Coco17.NOSE: slice(None), Coco17.L_EAR: slice(0, 8)})
    with pytest.raises(TooManyMissingJoints) as caught:
        inspect(0.1)(holed)
    error = caught.value
    assert str(error) == (
        "18 of 170 joints are missing (10.59%), this bundle allows 10.00%; most: Nose in 10, LEar in 8 of 10 frames"
    )
    assert (error.code, error.http_status) == ("too-many-missing-joints", 422)
    assert error.fix
    assert error.details == {"missing_joints": missing_joints(holed), "max_missing_share": 0.1}
    assert error.skeleton is holed


def test_a_limit_of_1_never_refuses_and_one_of_0_allows_none():
    empty = Skeleton(np.zeros((4, 17, 3)))
    assert inspect(1)(empty) is empty
    whole = skeleton()
    assert inspect(0)(whole) is whole
    with pytest.raises(TooManyMissingJoints):
        inspect(0)(skeleton(missing={Coco17.NOSE: slice(0, 1)}))


@pytest.mark.parametrize("share", [-0.01, 1.01, float("nan")])
def test_a_limit_that_is_no_share_is_refused(share):
    with pytest.raises(ValueError, match="max_missing_share"):
        QualityParameters(max_missing_share=share)


def test_the_limbs_are_distinct_and_reach_every_joint():
    assert len({frozenset(edge) for edge in COCO17_EDGES}) == len(COCO17_EDGES)
    assert {joint for edge in COCO17_EDGES for joint in edge} == set(Coco17)
