"""Two skeleton CSVs that hardly differ: rounding is proven only where rounding gives the numbers; the rest is not."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from bench.faults.csvs import placed, six_digits
from poseparity.keypoints import Coco17
from poseparity.parity.result import PROVEN, Comparison
from poseparity.parity.skeletons.compare import compare_skeletons
from poseparity.parity.skeletons.precision import PRECISIONS, precision_of
from poseparity.parity.skeletons.report import report
from training.rendering.clip import Clip
from training.rendering.skeletons import estimated


@pytest.fixture(scope="module")
def clip() -> np.ndarray:
    return estimated(np.random.default_rng(5), Clip(5)).keypoints


def noise(size: float) -> Callable[[np.ndarray], np.ndarray]:
    return placed(lambda points: points + np.random.default_rng(0).normal(0, size, points.shape))


def digits(count: int) -> Callable[[np.ndarray], np.ndarray]:
    def rounded(points: np.ndarray) -> np.ndarray:
        return np.array([float(f"{value:.{count}g}") for value in points.ravel()]).reshape(points.shape)

    return placed(rounded)


def decimals(count: int) -> Callable[[np.ndarray], np.ndarray]:
    return placed(lambda points: points.round(count))


def as_type(dtype: type) -> Callable[[np.ndarray], np.ndarray]:
    return placed(lambda points: points.astype(dtype).astype(float))


def proven(comparison: Comparison) -> list[str]:
    return [cause.code for cause in comparison.causes if cause.score == PROVEN]


def only_cause(comparison: Comparison):
    (cause,) = comparison.causes
    assert comparison.verdict == "explained"
    return cause


@pytest.mark.parametrize("size", [1e-8, 3e-7, 1e-6, 3e-6, 3e-5, 3e-4])
@pytest.mark.parametrize("turned", [False, True])
def test_what_unpinned_numerics_leave_is_no_rounding(clip, size, turned):
    sides = (clip, noise(size)(clip))
    comparison = compare_skeletons(*sides[::-1] if turned else sides)
    cause = only_cause(comparison)
    largest = np.abs(sides[1] - clip).max()
    assert cause.code == "numerics" and cause.score < PROVEN
    assert cause.title.endswith("px: pins or threads")
    assert largest <= float(cause.title.split()[2]) * 1.06 <= 2.2 * largest
    assert "rounded" not in report(comparison) and "numerics.env" in report(comparison)


def test_it_is_told_with_its_figure():
    still = np.random.default_rng(1).uniform(100, 400, (20, 17, 3))
    other = still.copy()
    other[:, :, 0] += 3e-6 * np.where(np.arange(20) % 2, 1, -1)[:, None]
    assert only_cause(compare_skeletons(still, other)).title == "equal within 3e-06 px: pins or threads"


def test_a_few_joints_that_differ_as_little(clip):
    other = clip.copy()
    other[30:35, Coco17.L_KNEE, 0] += 3e-6
    cause = only_cause(compare_skeletons(clip, other))
    assert (cause.code, cause.evidence["joints that differ"].split()[0]) == ("numerics", "5")


def test_one_joint_among_them_that_differs_is_left_unexplained(clip):
    other = noise(1e-6)(clip)
    other[30:35, Coco17.L_KNEE, 0] += 9
    comparison = compare_skeletons(clip, other)
    assert (comparison.verdict, [cause.code for cause in comparison.causes]) == ("not-explained", ["numerics"])
    assert comparison.notes[0].startswith("5 of ")
    assert comparison.figures["left"]["first_differing_frame"] == 30


@pytest.mark.parametrize("size", [0.01, 0.03, 0.05, 0.3])
def test_larger_noise_is_no_rounding_either(clip, size):
    cause = only_cause(compare_skeletons(clip, noise(size)(clip)))
    assert cause.code == "pose-noise" and cause.score < PROVEN


GRIDS = {
    **{f"{count} decimal{'s' * (count > 1)}": decimals(count) for count in range(1, 9)},
    "whole numbers": decimals(0),
    **{f"{count} significant digits": digits(count) for count in (4, 5, 6, 7)},
    "float16": as_type(np.float16),
    "float32": as_type(np.float32),
}


@pytest.fixture(scope="module")
def near_the_corner(clip) -> np.ndarray:
    """Coordinates from 7 on: as many digits are then others than as many decimals."""
    return placed(lambda points: points - 95)(clip)


@pytest.mark.parametrize("name", GRIDS)
@pytest.mark.parametrize("turned", [False, True])
def test_rounding_is_proven_where_it_gives_every_number(near_the_corner, name, turned):
    sides = (near_the_corner, GRIDS[name](near_the_corner))
    cause = only_cause(compare_skeletons(*sides[::-1] if turned else sides))
    assert (cause.code, cause.score) == ("rounded", PROVEN)
    assert cause.title == f"numbers of {'A' if turned else 'B'} were rounded: {name}"
    joints = int(near_the_corner.any(axis=-1).sum())
    assert f"{joints} of {joints} joints" in " ".join(map(str, cause.evidence.values()))


@pytest.mark.parametrize(("name", "size"), [("whole numbers", 0.03), ("whole numbers", 0.3), ("1 decimal", 0.03),
                                            ("2 decimals", 0.002), ("float16", 0.05), ("float32", 1e-5)])  # fmt: skip
def test_rounding_of_something_else_is_not_proven(clip, name, size):
    comparison = compare_skeletons(clip, GRIDS[name](noise(size)(clip)))
    assert proven(comparison) == []
    assert {cause.code for cause in comparison.causes} & {"pose-noise", "numerics"}


@pytest.mark.parametrize(("name", "size"), [("whole numbers", 0.2), ("1 decimal", 0.05), ("2 decimals", 0.004)])
def test_two_that_are_rounded_alike_do_not_differ_by_rounding(clip, name, size):
    comparison = compare_skeletons(GRIDS[name](clip), GRIDS[name](noise(size)(clip)))
    assert [cause.code for cause in comparison.causes] == ["pose-noise"]


def test_two_that_are_rounded_alike_after_unpinned_numerics(clip):
    other = clip.round(2)
    other[40, Coco17.L_KNEE, 0] += 0.01
    cause = only_cause(compare_skeletons(clip.round(2), other.round(2)))
    assert (cause.code, cause.title) == ("numerics", "equal within 1e-02 px: pins or threads")


def test_numbers_on_a_grid_that_were_moved_a_little_were_not_rounded(clip):
    whole = decimals(0)(clip)
    assert only_cause(compare_skeletons(whole, noise(1e-6)(whole))).code == "numerics"
    assert proven(compare_skeletons(whole, noise(0.02)(whole))) == []


def test_a_joint_that_differs_among_rounded_ones_is_left_unexplained(clip):
    other = decimals(1)(clip)
    other[30:35, Coco17.L_KNEE, 0] += 0.3
    comparison = compare_skeletons(clip, other)
    assert (comparison.verdict, proven(comparison)) == ("not-explained", ["rounded"])
    assert comparison.notes == (f"5 of {int(clip.any(axis=-1).sum())} joints still differ by more than rounding",)


def test_rounding_before_a_change_of_coordinates_leaves_nothing(clip):
    moved = placed(lambda points: np.round(points) / 2 * 1.37)
    assert proven(compare_skeletons(clip, moved(clip))) == ["scaled", "rounded"]
    comparison = compare_skeletons(clip, moved(noise(0.1)(clip)))
    assert "rounded" not in proven(comparison)


def test_last_digits_are_no_rounding_and_no_pins(clip):
    cause = only_cause(compare_skeletons(clip, placed(lambda points: points * (1 + 2e-16))(clip)))
    assert cause.code == "last-digits" and "e-14 px" in cause.title


def test_confidences_have_the_same_rules(clip):
    scores = clip[..., 2:]
    rounded = only_cause(compare_skeletons(clip, np.concatenate([clip[..., :2], scores.round(3)], axis=-1)))
    assert (rounded.code, rounded.score) == ("confidence-rounded", PROVEN)
    assert "3 decimals" in rounded.title
    close = only_cause(compare_skeletons(clip, np.concatenate([clip[..., :2], scores * (1 + 9e-8)], axis=-1)))
    assert (close.code, close.title) == ("numerics", "confidences are equal within 1e-07: pins or threads")
    shaken = scores * (1 + np.random.default_rng(0).normal(0, 0.01, scores.shape))
    other = compare_skeletons(clip, np.concatenate([clip[..., :2], shaken.round(2)], axis=-1))
    assert (other.verdict, other.causes) == ("not-explained", ())
    together = only_cause(compare_skeletons(clip, clip.round(2)))
    assert together.evidence["confidences"] == "2 decimals likewise"


def test_a_precision_holds_what_it_rounds_to():
    values = np.random.default_rng(2).uniform(0.001, 4000, 400)
    for precision in PRECISIONS:
        rounded = precision.rounded(values)
        assert precision.holds(rounded), precision.name
        assert np.all(np.abs(rounded - values) <= precision.half_step(values) * 1.001 + 4 * np.spacing(values))
    assert precision_of(six_digits(values)).name == "6 significant digits"
    assert precision_of(values.round(3)).name == "3 decimals"
    assert precision_of(np.zeros(5)).name == "whole numbers"


@pytest.mark.parametrize(("count", "name"), [(0, "whole numbers"), (1, "1 decimal"), (2, "2 decimals")])
@pytest.mark.parametrize("middle", [0, 200])
def test_numbers_that_were_cut_off_are_no_other_corner(clip, count, name, middle):
    a = placed(lambda points: points - middle)(clip)
    for cut in (np.trunc, np.floor):
        b = placed(lambda points, cut=cut: cut(points * 10**count) / 10**count)(a)
        for sides, coarse in (((a, b), "B"), ((b, a), "A")):
            cause = only_cause(compare_skeletons(*sides))
            assert (cause.code, cause.score) == ("rounded", PROVEN)
            assert cause.title == f"numbers of {coarse} were cut off, not rounded: {name}"


def test_cut_off_and_trimmed(clip):
    comparison = compare_skeletons(clip, placed(np.trunc)(clip)[11:-7])
    assert proven(comparison) == ["trimmed", "rounded"]


def test_less_than_a_pixel_is_no_corner_of_a_crop(clip):
    cause = only_cause(compare_skeletons(clip, placed(lambda points: points + 0.25)(clip)))
    assert cause.code == "offset"
    assert cause.title == "B is A moved by less than a pixel: x by +0.25, y by +0.25"


def test_no_factor_is_called_1(clip):
    cause = only_cause(compare_skeletons(clip, placed(lambda points: points * 1.0000001)(clip)))
    assert cause.title == "B is A scaled by 1.0000001"
