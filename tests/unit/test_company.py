"""Who counts as another person, and where joints may be mixed: persons made by hand, of what pose engines give."""

from __future__ import annotations

import numpy as np
import pytest

from poseparity.engines.company import company_of, notices_of, plausible
from poseparity.keypoints import Coco17, coco17_from_coco18
from tests.planted import figure

FACE = [Coco17.NOSE, Coco17.L_EYE, Coco17.R_EYE, Coco17.L_EAR, Coco17.R_EAR]
SHOULDERS = [Coco17.L_SHOULDER, Coco17.R_SHOULDER]
LEFT_LEG = [Coco17.L_HIP, Coco17.L_KNEE, Coco17.L_ANKLE]
LEFT, RIGHT = ([joint for joint in Coco17 if joint.name.startswith(side)] for side in ("L_", "R_"))
LOWER = [joint for joint in Coco17 if joint.name.endswith(("HIP", "KNEE", "ANKLE"))]
SWAPPED = [0, 2, 1, 4, 3, 6, 5, 8, 7, 10, 9, 12, 11, 14, 13, 16, 15]


def person(x: float, scale: float = 1, *, confidence: float = 0.8, y: float = 30) -> np.ndarray:
    """A whole person who stands at x, 131 pixels high."""
    joints = np.full((17, 3), confidence)
    joints[:, :2] = coco17_from_coco18(figure(x, y, scale))
    return joints


def only(joints: list[Coco17], whole: np.ndarray) -> np.ndarray:
    return np.where(np.isin(np.arange(17), joints)[:, None], whole, 0)


def without(joints: list[Coco17], whole: np.ndarray) -> np.ndarray:
    return only([joint for joint in Coco17 if joint not in joints], whole)


def counted(*persons: np.ndarray) -> int:
    return len(plausible(np.array(persons).reshape(-1, 17, 3)))


HERE = person(100)


@pytest.mark.parametrize(
    ("what", "other"),
    [
        ("whole", person(220)),
        ("who stands close behind", person(125)),
        ("who is half as large", person(220, 0.5)),
        ("who is twice as large", person(260, 2)),
        ("of whom a table hides all but head and shoulders", only(FACE + SHOULDERS, person(220))),
        ("whose head is out of the picture", without(FACE, person(220))),
        ("who is seen from the side", only([Coco17.NOSE, *LEFT], person(220))),
        ("of whom the network is half as sure", person(220, confidence=0.4)),
    ],
)
def test_another_person_is_counted(what, other):
    assert counted(HERE, other) == counted(other, HERE) == 2, what


@pytest.mark.parametrize(
    ("what", "persons"),
    [
        ("nobody else", [HERE]),
        ("a leg that was not joined to its body", [without(LEFT_LEG, HERE), only(LEFT_LEG, HERE)]),
        ("a leg of the body, twice", [HERE, only(LEFT_LEG, person(140))]),
        ("a body in two halves", [without(LOWER, HERE), only(LOWER, HERE)]),
        ("a body in a left and a right half", [only([Coco17.NOSE, *RIGHT], HERE), only(LEFT, HERE)]),
        ("a body twice", [HERE, person(106)]),
        ("a body twice, of other sizes", [HERE, person(101, 1.05)]),
        ("a body twice, left and right swapped", [HERE, HERE[SWAPPED]]),
        ("a head alone", [HERE, only(FACE, person(220))]),
        ("a clock: a face and a shoulder", [HERE, only([*FACE, Coco17.R_SHOULDER], person(220, 2))]),
        ("legs alone", [HERE, only(LOWER, person(220))]),
        ("somebody far behind", [HERE, person(220, 0.25)]),
        ("what a network sees in a curtain", [HERE, person(220, confidence=0.2)]),
    ],
)
def test_what_is_no_other_person_is_not(what, persons):
    assert counted(*persons) == counted(*reversed(persons)) == 1, what


def test_a_crowd_is_counted_and_parts_are_no_persons():
    assert counted(*(person(x) for x in (60, 150, 240))) == 3
    assert counted(*(person(x) for x in (60, 150, 240)), only(LEFT_LEG, person(300)), person(155)) == 3
    assert counted() == counted(only(FACE, HERE)) == counted(only(LEFT_LEG, HERE), only(FACE, person(220))) == 0


def test_who_is_small_and_first_does_not_hide_two_large_ones():
    assert counted(person(300, 0.25), HERE, person(220)) == 2


# --- the video -------------------------------------------------------------------------------------------------------


def company(*frames: tuple[np.ndarray, ...]):
    """Of a video in whose frames the first person is followed."""
    persons = [np.array(frame).reshape(-1, 17, 3) for frame in frames]
    followed = np.array([frame[0] if len(frame) else np.zeros((17, 3)) for frame in persons])
    return company_of(followed, persons)


def codes(found, rule="score", model_persons=2) -> list[str]:
    return [notice.code for notice in notices_of(found, rule, model_persons)]


def test_one_person_in_whatever_pieces_is_told_nothing_of():
    pieces = (without(LEFT_LEG, HERE), only(LEFT_LEG, HERE), only(FACE, person(220)))
    found = company(*[pieces, (HERE, person(104)), (HERE,), ()] * 5)
    assert (found.most, found.several.sum(), found.mixed.sum(), found.changed.sum()) == (1, 0, 0, 0)
    assert codes(found) == []


def test_two_who_stand_apart_are_counted_and_not_mixed():
    found = company(*[(person(100 + i), person(220 - i)) for i in range(20)])
    assert (found.most, found.several.sum(), found.mixed.sum(), found.changed.sum()) == (2, 20, 0, 0)
    several, one = notices_of(found, "largest", 2)
    assert several.message == "2 persons in 20 of 20 frames; the skeleton follows one by [pose] follow = largest"
    assert one.code == "one-person" and "takes up to 2 persons and gets one" in one.message


def test_a_model_of_one_person_is_not_told_that_it_lacks_one():
    found = company(*[(HERE, person(220))] * 20)
    assert codes(found, model_persons=1) == ["several-persons"]


def test_a_single_frame_of_many_is_no_second_person():
    found = company(*[(HERE,)] * 30, (HERE, person(220)), *[(HERE,)] * 30)
    assert found.several.sum() == 1
    assert codes(found) == []


def test_joints_may_be_mixed_where_two_meet():
    found = company(*[(HERE, person(220 - 8 * i)) for i in range(12)])
    assert np.flatnonzero(found.mixed).tolist() == [9, 10, 11]  # nearer than 48 pixels: their arms
    (message,) = [notice.message for notice in notices_of(found, "score", 1)]
    assert message == (
        "2 persons in 12 of 12 frames; the skeleton follows one by [pose] follow = score; "
        "joints of two people may be mixed in frames 9-11"
    )


def test_joints_may_be_mixed_where_an_engine_joins_one_and_half_of_the_other():
    """The legs of the one are under the trunk of the other; what is left over is not a person, but near."""
    there = person(150)
    joined = np.where(np.isin(np.arange(17), LEFT_LEG)[:, None], there, HERE)
    left_over = only(LEFT_LEG, HERE)
    apart = [(HERE, person(190))] * 10
    found = company(*apart, *[(joined, left_over)] * 3)
    assert (found.several.sum(), np.flatnonzero(found.mixed).tolist()) == (10, [10, 11, 12])


def test_joints_may_be_mixed_where_a_limb_reaches_from_one_to_the_other():
    reaching = HERE.copy()
    reaching[Coco17.L_WRIST] = person(260)[Coco17.L_WRIST]
    alone = [(HERE,)] * 9
    found = company(*alone, (HERE, person(260)), (reaching,), *alone)
    assert np.flatnonzero(found.mixed).tolist() == [10]
    assert company(*alone, (reaching,)).mixed.sum() == 0, "with nobody else in the video it is a misplaced wrist"


def test_a_limb_that_comes_out_of_a_foreshortening_is_no_mixture():
    """An arm that points at the camera for most of the video is twice as long as in its median when it does not."""
    pointing = HERE.copy()
    pointing[[Coco17.L_ELBOW, Coco17.L_WRIST], :2] = HERE[Coco17.L_SHOULDER, :2] + [[1, 2], [2, 4]]
    found = company(*[(pointing, person(260))] * 9, (HERE, person(260)))
    assert found.mixed.sum() == 0


def test_another_person_is_followed_when_the_score_changes():
    there = person(160)
    found = company((HERE, there), (HERE, there), (there, HERE), (there, HERE), (HERE, there))
    assert np.flatnonzero(found.changed).tolist() == [2, 4]
    message = notices_of(found, "score", 1)[-1].message
    assert message == (
        "the skeleton may be of two people, one after the other: it changes in frames 2, 4; [pose] follow = score "
        "chooses anew in each frame, nearest keeps to one"
    )
    assert "nearest" not in notices_of(found, "nearest", 1)[-1].message


def test_two_who_cross_and_keep_apart_are_not_exchanged():
    found = company(*[(person(100 + 6 * i), person(220 - 6 * i, y=40)) for i in range(20)])
    assert found.changed.sum() == 0


def test_a_jump_farther_than_a_person_is_large_is_told_though_nobody_else_counts():
    clock = only([*FACE, Coco17.R_SHOULDER], person(400, 1.5))
    found = company(*[(HERE, clock)] * 5, *[(clock, HERE)] * 5)
    assert (found.several.sum(), np.flatnonzero(found.changed).tolist()) == (0, [5])
    assert codes(found) == ["identity-change"]


def test_who_walks_on_while_nobody_was_seen_is_the_same():
    walked = person(400)
    assert company((HERE,), (), (), (), (), (walked,)).changed.sum() == 0
    assert company((HERE,), (walked,)).changed.tolist() == [False, True]
    assert company((), (HERE,)).changed.sum() == 0


def test_one_misplaced_joint_makes_nobody_another():
    assert company((HERE,), (only([Coco17.NOSE], person(400)),)).changed.sum() == 0


def test_a_message_names_the_first_stretches():
    there = person(160)
    found = company(*([(HERE, there)] * 3 + [(there, HERE)] * 3) * 4)
    message = notices_of(found, "nearest", 1)[-1].message
    assert message == (
        "the skeleton may be of two people, one after the other: it changes in frames 3, 6, 9, 12, 15 and 2 more"
    )
