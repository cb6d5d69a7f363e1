"""Who else is in a video beside the followed person, and in which frames joints of two people may be mixed.

A pose engine gives more than people: a leg that was not joined to its body, a body twice, a clock with eyes and a
shoulder. A person is **plausible** beside another of the same frame where all of this holds:

- It is a body: six joints, among them a shoulder and a hip, or both shoulders and a joint of the face. A leg has three,
  an arm too; a face alone has five, and any round thing with two dark spots may be one.
- Five of its joints the other has as well, and in the median they lie elsewhere: nobody has two left knees. What was
  cut off a body has the joints that the body lacks, and a body that was found twice has them at one place, be it with
  left and right swapped. Elsewhere is a tenth of the larger one's extent, some 17 cm of a person who stands: network
  and rounding move a joint by less, and two people who embrace stand farther apart than that (a fifth of it).
- Over the joints that both have, the smaller extent is a third of the larger one at least: who is farther behind is not
  taken for the followed person, and does not reach to its joints. The same joints are compared because a person behind
  a table has no legs.
- Its mean confidence is a third of the most confident body's at least: what a network sees in curtains has less.

Joints **may be mixed** where the boxes of the followed person and of another one meet. When two people touch, an engine
often joins all of one and half of the other into one body, and leaves parts: in a video that has two people, three
joints that the followed person has elsewhere are enough for another one. So is a limb of the followed person that is
twice as long as in the median of the video, and longer than any limb is in it: it may reach from one to the other.

The followed person is **another** where the skeleton of the last frame is farther away than somebody else of that
frame, or than the followed person is large: nobody moves that far from frame to frame.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..bundle.tables import Follow
from ..keypoints import COCO17_EDGES, Coco17
from ..records import Company, Notice

_BODY_JOINTS, _SHARED_JOINTS, _PART_JOINTS = 6, 5, 3
_ELSEWHERE = 0.1  # of the larger person's extent
_SIZE, _CONFIDENCE = 1 / 3, 1 / 3
_SHARED_TO_COMPARE = 2  # joints that two skeletons share at least, so that one that was misplaced decides nothing
_TOO_LONG = 2  # times its median
_USUAL = (
    0.05  # share of frames with several persons from which on a video has several: fewer may be errors of the engine
)

_LISTED = 5  # stretches of frames that a message names

_FACE = [Coco17.NOSE, Coco17.L_EYE, Coco17.R_EYE, Coco17.L_EAR, Coco17.R_EAR]
_SHOULDERS, _HIPS = [Coco17.L_SHOULDER, Coco17.R_SHOULDER], [Coco17.L_HIP, Coco17.R_HIP]
_OTHER_SIDE = [Coco17[{"L": "R", "R": "L"}.get(joint.name[0], "N") + joint.name[1:]] for joint in Coco17]
# Without the face's, which are a few pixels long and so twice as long by chance.
_LIMBS = np.array([edge for edge in COCO17_EDGES if not set(edge) & set(_FACE)])


def company_of(followed: np.ndarray, frames: Sequence[np.ndarray]) -> Company:
    """Who else was there.

    Args:
        followed: float64 (frames, 17, 3), the skeleton; a missing joint is 0, 0, 0.
        frames: for each frame all persons, (persons, 17, 3), as a pose engine gives them, in the same pixels.
    """
    counts = np.array([len(plausible(persons)) for persons in frames])
    several = counts > 1
    others = [  # without doubles of the followed person, whole or in parts
        [other for other in persons if _are_elsewhere(person, other, _PART_JOINTS)]
        for person, persons in zip(followed, frames, strict=True)
    ]
    usual = _is_usual(several)
    pairs = zip(followed, others, strict=True)
    meeting = np.array([any(_meet(person, other) for other in rest) for person, rest in pairs])
    mixed = meeting & (several | usual)
    if usual:
        mixed |= _has_a_limb_too_long(followed)
    return Company(int(counts.max(initial=0)), several, mixed, _changes(followed, others))


def plausible(persons: np.ndarray) -> list[np.ndarray]:
    """The persons of a frame that are people of their own, the largest first; see the module's docstring.

    Args:
        persons: (persons, 17, 3).
    """
    bodies = [person for person in persons if _is_body(person)]
    least = _CONFIDENCE * max(map(_confidence, bodies), default=0)
    found: list[np.ndarray] = []
    for body in sorted(bodies, key=_extent, reverse=True):
        if _confidence(body) >= least and all(_are_two_people(body, other) for other in found):
            found.append(body)
    return found


def notices_of(company: Company, rule: Follow, model_persons: int) -> tuple[Notice, ...]:
    """What an answer should say of it.

    Args:
        rule: by which the followed person was chosen.
        model_persons: how many persons' skeletons the model takes.
    """
    notices, frames = [], len(company.several)
    if _is_usual(company.several) or company.mixed.any():
        message = f"{company.most} persons in {int(company.several.sum())} of {frames} frames"
        message += f"; the skeleton follows one by [pose] follow = {rule}"
        if company.mixed.any():
            message += f"; joints of two people may be mixed in {_listed(company.mixed)}"
        notices.append(Notice("several-persons", message))
    if _is_usual(company.several) and model_persons > 1:
        message = f"the model takes up to {model_persons} persons and gets one: scores of what two people do are wrong"
        notices.append(Notice("one-person", message))
    if company.changed.any():
        message = f"the skeleton may be of two people, one after the other: it changes in {_listed(company.changed)}"
        if rule != "nearest":
            message += f"; [pose] follow = {rule} chooses anew in each frame, nearest keeps to one"
        notices.append(Notice("identity-change", message))
    return tuple(notices)


def _is_usual(several: np.ndarray) -> bool:
    return bool(several.mean() >= _USUAL)


def _listed(chosen: np.ndarray) -> str:
    """Frames as "frames 12-20, 31", counted from 0; the first stretches of them."""
    frames = np.flatnonzero(chosen)
    stretches = np.split(frames, np.flatnonzero(np.diff(frames) > 1) + 1)
    words = [str(each[0]) if len(each) == 1 else f"{each[0]}-{each[-1]}" for each in stretches[:_LISTED]]
    more = f" and {len(stretches) - _LISTED} more" if len(stretches) > _LISTED else ""
    return f"frame{'s' * (len(frames) > 1)} {', '.join(words)}{more}"


# --- one frame -------------------------------------------------------------------------------------------------------


def _is_body(person: np.ndarray) -> bool:
    seen = _seen(person)
    trunk = seen[_SHOULDERS].any() and seen[_HIPS].any()
    bust = seen[_SHOULDERS].all() and seen[_FACE].any()
    return bool(seen.sum() >= _BODY_JOINTS and (trunk or bust))


def _are_two_people(a: np.ndarray, b: np.ndarray) -> bool:
    shared = _seen(a) & _seen(b)
    if not _are_elsewhere(a, b, _SHARED_JOINTS):
        return False
    small, large = sorted((_extent(a, shared), _extent(b, shared)))
    return small >= _SIZE * large


def _are_elsewhere(a: np.ndarray, b: np.ndarray, least: int) -> bool:
    """Whether so many joints, at least, are both in `a` and in `b`, and lie elsewhere."""
    shared = _seen(a) & _seen(b)
    if shared.sum() < least:
        return False
    swapped = a[_OTHER_SIDE]
    distances = np.minimum(_distances(a, b), np.where(_seen(swapped), _distances(swapped, b), np.inf))
    return bool(np.median(distances[shared]) > _ELSEWHERE * max(_extent(a), _extent(b)))


def _meet(a: np.ndarray, b: np.ndarray) -> bool:
    """Whether the upright boxes around their joints have a point in common."""
    (low_a, high_a), (low_b, high_b) = _box(a), _box(b)
    return bool((low_a <= high_b).all() and (low_b <= high_a).all())


# --- the video -------------------------------------------------------------------------------------------------------


def _has_a_limb_too_long(followed: np.ndarray) -> np.ndarray:
    """Boolean (frames,)."""
    start, end = followed[:, _LIMBS[:, 0]], followed[:, _LIMBS[:, 1]]
    lengths = np.sqrt(np.square(start[..., :2] - end[..., :2]).sum(axis=-1))
    known = _seen(start) & _seen(end)
    medians = np.array([np.median(lengths[is_known, limb]) if is_known.any() else 0
                        for limb, is_known in enumerate(known.T)])  # fmt: skip
    return (known & (lengths > _TOO_LONG * medians) & (lengths > medians.max())).any(axis=1)


def _changes(followed: np.ndarray, others: list[list[np.ndarray]]) -> np.ndarray:
    """Boolean (frames,): the followed person is another than that of the last frame that had one."""
    changes, last = np.zeros(len(followed), bool), None
    for index, person in enumerate(followed):
        if not _seen(person).any():
            continue
        if last is not None:
            extent = max(_extent(person), _extent(followed[last]))
            moved = _distance(person, followed[last])
            if moved is not None and moved > _ELSEWHERE * extent:
                to_others = [each for other in others[last] if (each := _distance(person, other)) is not None]
                changes[index] = moved > extent * (index - last) or min(to_others, default=np.inf) < moved
        last = index
    return changes


# --- measures --------------------------------------------------------------------------------------------------------


def _seen(joints: np.ndarray) -> np.ndarray:
    return joints[..., 2] > 0


def _confidence(person: np.ndarray) -> float:
    return float(person[_seen(person), 2].mean())


def _box(person: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    places = person[_seen(person), :2]
    return places.min(axis=0), places.max(axis=0)


def _extent(person: np.ndarray, joints: np.ndarray | None = None) -> float:
    """Diagonal of the upright box around a person's joints, or around some of them."""
    places = person[_seen(person) if joints is None else joints, :2]
    return float(np.sqrt(np.square(places.max(axis=0) - places.min(axis=0)).sum()))


def _distances(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return np.sqrt(np.square(a[:, :2] - b[:, :2]).sum(axis=-1))


def _distance(a: np.ndarray, b: np.ndarray) -> float | None:
    """The median distance of the joints that both have; None where there are too few."""
    shared = _seen(a) & _seen(b)
    return float(np.median(_distances(a, b)[shared])) if shared.sum() >= _SHARED_TO_COMPARE else None
