"""Two skeleton CSVs: every planted fault is named with its figures, alone and with another, and nothing else is."""

from __future__ import annotations

import itertools
import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.faults.csvs import FAULTS, SWAPPED, can_be_planted_together, placed, plant
from poseparity import skeleton_csv
from poseparity.keypoints import Coco17
from poseparity.parity.result import Comparison
from poseparity.parity.skeletons.compare import compare_skeletons
from poseparity.parity.skeletons.report import report
from training.rendering.clip import Clip
from training.rendering.skeletons import estimated

PAIRS = [pair for pair in itertools.combinations(FAULTS, 2) if can_be_planted_together(*(FAULTS[n] for n in pair))]
# All of them on many clips are `scripts/bench csvs`; these hold each fault about four times.
SOME_PAIRS = PAIRS[::5]


def rendered(seed: int, label: str | None = None) -> np.ndarray:
    return estimated(np.random.default_rng(seed), Clip(seed, label=label)).keypoints


@pytest.fixture(scope="module")
def clip() -> np.ndarray:
    return rendered(5)


@pytest.fixture(scope="module")
def golf(real_data) -> np.ndarray:
    return skeleton_csv.read((real_data / "golf/skeleton2d.csv").read_bytes(), max_frames=1000)


def assert_named(comparison: Comparison, *names: str) -> None:
    found = {cause.code: f"{cause.title} {cause.evidence}" for cause in comparison.causes}
    assert comparison.verdict == "explained", comparison.summary
    assert sorted(found) == sorted(FAULTS[name].code for name in names)
    for name in names:
        assert FAULTS[name].says in found[FAULTS[name].code]


@pytest.mark.parametrize("name", FAULTS)
def test_each_fault_is_named_on_a_rendered_clip(clip, name):
    assert_named(compare_skeletons(clip, plant(clip, name)), name)


@pytest.mark.parametrize("name", FAULTS)
def test_each_fault_is_named_on_the_real_swing(golf, name):
    assert_named(compare_skeletons(golf, plant(golf, name)), name)


@pytest.mark.slow
@pytest.mark.parametrize("names", SOME_PAIRS, ids=" + ".join)
def test_two_faults_are_both_named_and_nothing_else(clip, names):
    assert_named(compare_skeletons(clip, plant(clip, *names)), *names)


@pytest.mark.parametrize("name", [name for name in FAULTS if FAULTS[name].code not in ("unit-range", "scaled")])
def test_the_other_way_round_it_is_the_same_cause(clip, name):
    codes = [cause.code for cause in compare_skeletons(plant(clip, name), clip).causes]
    assert codes == [FAULTS[name].code]


def test_a_users_four_differences_at_once(golf):
    """Local: interpolated, trimmed, in [0, 1]. Server: joints at 0,0,0, all frames, pixels."""
    comparison = compare_skeletons(plant(golf, "interpolated", "trimmed", "in [0, 1]"), golf)
    titles = {cause.code: cause.title for cause in comparison.causes}
    assert comparison.verdict == "explained"
    assert titles == {
        "interpolated": "A was interpolated, B was not: its missing joints are left as zeros",
        "trimmed": "A is B trimmed: without its first 11 and last 7 frames",
        "unit-range": "coordinates of A are in [0, 1], those of B in pixels of a frame or region of 640 x 480",
    }


def test_equal_numbers_are_identical_whatever_the_columns_order(clip):
    lines = [line.split(",") for line in skeleton_csv.write(clip).decode().splitlines()]
    turned = "\n".join(",".join(reversed(line)) for line in lines).encode()
    comparison = compare_skeletons(clip, skeleton_csv.read(turned, max_frames=1000))
    assert (comparison.verdict, comparison.causes, comparison.exit_status) == ("identical", (), 0)


@pytest.mark.parametrize("label", ["golf_swing", "wave"])
def test_another_performance_of_the_same_action_is_not_explained(label):
    for first, second in ((1, 2), (3, 4)):
        comparison = compare_skeletons(rendered(first, label), rendered(second, label))
        assert (comparison.verdict, comparison.causes) == ("not-explained", ())
        assert comparison.figures["as_they_stand"]["median_px"] > 1


def test_a_real_and_a_rendered_recording_are_not_explained(golf, clip):
    comparison = compare_skeletons(golf, clip)
    assert (comparison.verdict, comparison.causes) == ("not-explained", ())


@pytest.mark.parametrize("frames", [2, 40])
def test_random_numbers_are_not_explained(frames):
    rng = np.random.default_rng(frames)
    comparison = compare_skeletons(rng.uniform(0, 500, (frames, 17, 3)), rng.uniform(0, 500, (frames, 17, 3)))
    assert (comparison.verdict, comparison.causes) == ("not-explained", ())


def test_no_common_joint_at_all_is_said(clip):
    comparison = compare_skeletons(clip, np.zeros_like(clip))
    assert comparison.verdict == "not-explained"
    assert "too few common joints" in comparison.summary
    assert "no joint is in both" in report(comparison)


def test_of_a_person_who_stands_still_the_cut_frames_cannot_be_told():
    still = np.repeat(rendered(5)[40:41], 60, axis=0)
    comparison = compare_skeletons(still, still[5:50])
    (cause,) = comparison.causes
    assert cause.code == "trimmed"
    assert cause.evidence["which frames cannot be told: it also fits at shifts"] == "0 to 15"


def test_zeros_that_were_moved_with_the_crop_are_named(clip):
    comparison = compare_skeletons(clip, clip - (100, 30, 0))
    assert [cause.code for cause in comparison.causes] == ["offset", "zeros-moved"]


def test_rounding_before_a_change_of_scale_is_found(clip):
    halved = placed(lambda points: np.round(points) / 2 * 1.37)(clip)
    codes = {cause.code for cause in compare_skeletons(clip, halved).causes}
    assert codes == {"scaled", "rounded"}


def test_another_person_for_a_while_is_left_unexplained_and_the_rest_is_named(clip):
    followed = placed(lambda points: points - (100, 30))(clip)
    followed[50:70] = rendered(8)[20:40]
    comparison = compare_skeletons(clip, followed)
    assert comparison.verdict == "not-explained"
    assert "in part" in comparison.summary
    assert [cause.code for cause in comparison.causes if cause.code != "missing-joints"] == ["offset"]
    assert comparison.figures["left"]["stretches"][0] == {"first_row": 50.0, "frames": 20}


def test_one_joint_that_differs_is_located(clip):
    changed = clip.copy()
    changed[30:35, Coco17.L_KNEE, 0] += 9
    comparison = compare_skeletons(clip, changed)
    left = comparison.figures["left"]
    assert (comparison.verdict, comparison.causes) == ("not-explained", ())
    assert (left["first_differing_frame"], left["differing_joints"]) == (30, 5)
    assert left["worst_joints"][0]["joint"] == "LKnee"


def test_a_confidence_that_differs_is_not_explained_away(clip):
    changed = clip.copy()
    changed[..., 2] *= np.random.default_rng(1).uniform(0.5, 1, clip.shape[:2])
    comparison = compare_skeletons(clip, changed)
    assert (comparison.verdict, comparison.causes) == ("not-explained", ())
    assert "confidences differ" in comparison.notes[0]


@settings(max_examples=12, deadline=None)
@given(
    factor=st.floats(0.2, 5).filter(lambda value: abs(value - 1) > 0.05),
    x=st.integers(20, 900),
    y=st.integers(20, 900),
    first=st.integers(1, 30),
    last=st.integers(1, 20),
)
def test_the_figures_of_a_crop_that_was_resized_and_trimmed_are_right(clip, factor, x, y, first, last):
    changed = placed(lambda points: (points - (x, y)) * factor)(clip)[first : len(clip) - last]
    causes = {cause.code: cause for cause in compare_skeletons(clip, changed).causes}
    assert sorted(causes) == ["offset", "scaled", "trimmed"]
    assert causes["scaled"].evidence["factor from A to B"] == pytest.approx(factor, rel=1e-3)
    assert causes["offset"].evidence["x in A of B's 0"] == pytest.approx(x, rel=1e-3)
    assert causes["offset"].evidence["y in A of B's 0"] == pytest.approx(y, rel=1e-3)
    assert causes["trimmed"].evidence["frames only in A, at its start"] == first
    assert causes["trimmed"].evidence["frames only in A, at its end"] == last


def test_the_swap_of_some_joints_is_an_unknown_order(clip):
    order = list(range(17))
    order[Coco17.L_EYE], order[Coco17.R_EYE] = SWAPPED[Coco17.L_EYE], SWAPPED[Coco17.R_EYE]
    (cause,) = compare_skeletons(clip, clip[:, order]).causes
    assert cause.code == "joint-order"
    assert cause.evidence["columns of B"] == "LEye holds REye, REye holds LEye"


@pytest.mark.parametrize("names", [("trimmed",), ("interpolated", "trimmed", "in [0, 1]"), ("another pose version",)])
def test_the_report_is_short_and_starts_with_the_verdict(clip, names):
    comparison = compare_skeletons(clip, plant(clip, *names))
    lines = report(comparison).splitlines()
    assert lines[0] == comparison.summary
    assert len(lines) <= 20
    assert max(map(len, lines)) <= 120
    assert sum(line.startswith("   to confirm: ") for line in lines) == len(names)


def test_every_result_is_json(clip):
    for other in (clip, plant(clip, "shuffled"), rendered(8), np.zeros_like(clip)):
        comparison = compare_skeletons(clip, other).to_dict()
        assert json.loads(json.dumps(comparison, allow_nan=False)) == comparison
