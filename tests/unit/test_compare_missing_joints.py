"""Two skeleton CSVs of which one writes a missing joint otherwise: it counts as missing, and that is said."""

from __future__ import annotations

import numpy as np
import pytest

from bench.faults.csvs import interpolated, placed, plant
from poseparity.parity.skeletons.compare import compare_skeletons
from poseparity.parity.skeletons.report import report
from poseparity.parity.skeletons.sides import Side
from poseparity.records import Skeleton
from training.rendering.clip import Clip
from training.rendering.skeletons import estimated


@pytest.fixture(scope="module")
def clip() -> np.ndarray:
    return estimated(np.random.default_rng(5), Clip(5)).keypoints


def marked(keypoints: np.ndarray, *values: float) -> np.ndarray:
    """Missing joints written with these values."""
    return np.where(Skeleton(keypoints).missing[..., None], values, keypoints)


def only_cause(comparison):
    (cause,) = comparison.causes
    assert comparison.verdict == "explained"
    return cause


MARKERS = [(-1, -1, 0), (100, 30, 0), (320, 240, 0), (0.5, 0.5, 0), (-1, -1, 1), (320, 240, 1), (12.5, 900, 0.3)]


@pytest.mark.parametrize("marker", MARKERS)
def test_a_missing_joint_that_is_written_otherwise_is_missing(clip, marker):
    other = marked(clip, *marker)
    written = ",".join(f"{value:g}" for value in marker)
    for a, b, title in (
        (clip, other, f"missing joints of B are written as {written}, those of A as 0,0,0"),
        (other, clip, f"missing joints of B are written as 0,0,0, those of A as {written}"),
    ):
        comparison = compare_skeletons(a, b)
        cause = only_cause(comparison)
        assert (cause.code, cause.title) == ("missing-marker", title)
        assert [side.missing_joints for side in comparison.sides] == [133, 133]
        assert f"133 of 1768 joints missing (written {written})" in report(comparison)


def test_two_other_ways_to_write_it(clip):
    cause = only_cause(compare_skeletons(marked(clip, -1, -1, 0), marked(clip, 320, 240, 0)))
    assert cause.title == "missing joints of B are written as 320,240,0, those of A as -1,-1,0"


def test_zeros_with_a_confidence(clip):
    cause = only_cause(compare_skeletons(clip, marked(clip, 0, 0, 0.5)))
    assert cause.title == "missing joints of B are written as 0,0,0.5, those of A as 0,0,0"


def test_a_single_missing_joint(clip):
    whole = interpolated(clip)
    holed, other = whole.copy(), whole.copy()
    holed[40, 9], other[40, 9] = 0, (-1, -1, 0)
    assert only_cause(compare_skeletons(holed, other)).code == "missing-marker"


def test_with_other_causes_beside_it(clip):
    other = marked(plant(clip, "trimmed", "in [0, 1]"), -1, -1, 0)
    assert {cause.code for cause in compare_skeletons(clip, other).causes} == {
        "trimmed", "unit-range", "missing-marker"
    }  # fmt: skip


def test_what_was_interpolated_says_how_the_other_writes_it(clip):
    cause = only_cause(compare_skeletons(interpolated(clip), marked(clip, -1, -1, 0)))
    assert cause.code == "interpolated"
    assert cause.title == "A was interpolated, B was not: its missing joints are left as -1,-1,0"


def test_both_write_it_so_and_are_told(clip):
    comparison = compare_skeletons(marked(clip, -1, -1, 0), marked(clip, -1, -1, 0))
    assert (comparison.verdict, comparison.causes) == ("identical", ())
    assert comparison.notes[0] == "missing joints of A are written as -1,-1,0: here they count as missing"
    assert comparison.notes[1] in report(comparison)


def test_zeros_that_were_moved_are_named_as_such(clip):
    for a, b in ((clip, clip - (100, 30, 0)), (clip - (100, 30, 0), clip)):
        assert [cause.code for cause in compare_skeletons(a, b).causes] == ["offset", "zeros-moved"]
    scaled = marked(clip, -1, -1, 0) / (640, 480, 1)
    codes = {cause.code for cause in compare_skeletons(marked(clip, -1, -1, 0), scaled).causes}
    assert codes == {"unit-range", "zeros-moved"}


def test_joints_that_were_filled_in_and_kept_their_zero_confidence_count_as_seen(clip):
    filled = interpolated(clip)
    filled[..., 2] = clip[..., 2]
    comparison = compare_skeletons(clip, filled)
    assert [cause.code for cause in comparison.causes] == ["interpolated"]
    assert comparison.notes[0].startswith("133 joints of B have a position and a confidence of 0")


def test_nan_is_missing(clip):
    other = marked(clip, np.nan, np.nan, np.nan)
    assert compare_skeletons(clip, other).verdict == "identical"


def test_nobody_is_taken_for_a_missing_joint(clip):
    """Whole pixels at which an eye and an ear meet, a person who stands still, and confidences that nobody wrote."""
    small = placed(lambda points: np.round(points / 8))(clip)
    still = np.repeat(clip[40:41], 60, axis=0)
    unwritten = clip * (1, 1, 0)
    held = clip.copy()
    held[60:, 9] = held[59, 9] * (1, 1, 0)  # filled with the last seen value
    for keypoints in (clip, small, still, placed(np.round)(still), unwritten, interpolated(clip), held):
        assert Side("A", keypoints).marker is None
