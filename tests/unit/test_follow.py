"""Which of several persons is followed, on network outputs that hold two known persons over time."""

from __future__ import annotations

from typing import get_args

import numpy as np
import pytest

from poseparity.bundle.tables import Follow, OpenPoseParameters
from poseparity.engines.follow import choose, follow
from poseparity.engines.openpose.decode import decode_persons
from poseparity.keypoints import Coco17, coco17_from_coco18
from tests.planted import figure, network_output

PARAMETERS = OpenPoseParameters(network={}, net_height=184, width_multiple=16)
NET = (240, 184)  # width, height


def decoded(*figures: np.ndarray, strengths: tuple[float, ...] | None = None, without=()) -> np.ndarray:
    output = network_output(list(figures), NET, strengths=strengths, without=without)
    return coco17_from_coco18(decode_persons(output, NET, PARAMETERS))


def followed(frames: list[np.ndarray], rule: Follow) -> list[float | None]:
    """x of the followed person's nose in every frame."""
    return [None if person is None else round(person[Coco17.NOSE, 0]) for person in follow(frames, rule)]


def near(places: list[float | None], expected: list[float | None]) -> bool:
    return all(
        place is wanted is None or abs(place - wanted) < 3 for place, wanted in zip(places, expected, strict=True)
    )


LEFT_LARGE = decoded(figure(60, 30), figure(180, 30, 0.8))
RIGHT_LARGE = decoded(figure(60, 30, 0.8), figure(180, 30))
RIGHT_CLEAR = decoded(figure(60, 30), figure(180, 30, 0.8), strengths=(0.7, 1))
LEFT_CLEAR = decoded(figure(60, 30), figure(180, 30, 0.8), strengths=(1, 0.7))
NOBODY = decoded()


def test_every_frame_used_here_holds_what_it_says():
    assert [len(frame) for frame in (LEFT_LARGE, RIGHT_LARGE, RIGHT_CLEAR, LEFT_CLEAR, NOBODY)] == [2, 2, 2, 2, 0]


def test_the_score_is_the_default_and_the_order_of_decoding():
    assert PARAMETERS.follow == "score"
    for frame in (LEFT_LARGE, RIGHT_LARGE, RIGHT_CLEAR, LEFT_CLEAR):
        assert choose(frame, "score", frame[1]) is not None
        np.testing.assert_array_equal(choose(frame, "score", frame[1]), frame[0])
    assert near(followed([RIGHT_CLEAR, LEFT_CLEAR, NOBODY], "score"), [180, 60, None])


def test_the_largest_is_followed_wherever_it_is():
    assert near(followed([LEFT_LARGE, RIGHT_LARGE, NOBODY, RIGHT_CLEAR], "largest"), [60, 180, None, 60])


def test_the_most_confident_is_followed_wherever_it_is():
    assert near(followed([RIGHT_CLEAR, LEFT_CLEAR, RIGHT_CLEAR], "most_confident"), [180, 60, 180])


def test_the_nearest_stays_the_same_person_while_others_grow_and_shine():
    alone = decoded(figure(60, 30))
    walking = [decoded(figure(60 + 12 * i, 30), figure(180, 30), strengths=(0.8, 1)) for i in range(4)]
    assert near(followed([alone, *walking], "nearest"), [60, 60, 72, 84, 96])
    assert not near(followed([alone, *walking], "score"), [60, 60, 72, 84, 96]), "only nearness keeps to this person"


def test_the_nearest_is_remembered_over_frames_without_anybody():
    assert near(followed([NOBODY, decoded(figure(60, 30)), NOBODY, NOBODY, RIGHT_CLEAR], "nearest"),
                [None, 60, None, None, 60])  # fmt: skip


def test_the_nearest_begins_with_the_highest_score():
    assert near(followed([RIGHT_CLEAR], "nearest"), [180])
    assert near(followed([LEFT_CLEAR], "nearest"), [60])


def person(parts: dict[Coco17, tuple[float, float, float]]) -> np.ndarray:
    array = np.zeros((17, 3))
    for part, values in parts.items():
        array[part] = values
    return array


def test_nearness_is_of_the_parts_that_both_have():
    last = person({Coco17.NOSE: (10, 10, 0.9), Coco17.L_SHOULDER: (10, 30, 0.9)})
    without_nose = person({Coco17.L_SHOULDER: (14, 30, 0.9), Coco17.L_ANKLE: (10, 150, 0.9)})
    apart = person({Coco17.NOSE: (16, 10, 0.9), Coco17.L_SHOULDER: (16, 30, 0.9)})
    nothing_in_common = person({Coco17.R_HIP: (10, 20, 0.9)})
    persons = np.array([nothing_in_common, apart, without_nose])
    np.testing.assert_array_equal(choose(persons, "nearest", last), without_nose)
    np.testing.assert_array_equal(choose(persons[:1], "nearest", last), nothing_in_common)


def test_confidence_is_the_mean_of_the_parts_that_are_there():
    few = person({Coco17.NOSE: (10, 10, 0.9), Coco17.L_SHOULDER: (10, 30, 0.8)})
    many = person(dict.fromkeys(Coco17, (5, 5, 0.84)))
    np.testing.assert_array_equal(choose(np.array([many, few]), "most_confident", None), few)


@pytest.mark.parametrize("rule", get_args(Follow))
def test_equals_are_told_apart_by_their_score_and_nobody_is_nobody(rule):
    one = person({Coco17.NOSE: (10, 10, 0.5), Coco17.L_SHOULDER: (20, 30, 0.5)})
    twins = np.array([one, one])
    assert np.shares_memory(choose(twins, rule, one), twins[0])
    assert choose(twins[:0], rule, one) is None


def test_an_unknown_rule_is_refused():
    with pytest.raises(ValueError, match=r"`rule` is 'tallest', expected one of .*score"):
        choose(LEFT_LARGE, "tallest", None)
