"""Which of the persons in a frame the skeleton follows: the bundle's choice, `[pose] follow`, whatever the engine.

- "score": whom the engine puts first: OpenPose's network by the sum of the scores of peaks and limbs, its executable by
  the sum of the joints' confidences, ultralytics by the confidence of the person's box.
- "largest": the largest area of the upright box around a person's joints. Favours who is near the camera.
- "most_confident": the highest mean confidence of a person's joints. Favours clear joints, be they few.
- "nearest": the smallest mean distance to the person of the last frame that had one, over the joints that both have.
  One who has no joint in common with that person is farther than all who have. In the first such frame: "score".

Where a rule finds persons equal, the higher score decides.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import get_args

import numpy as np

from ..bundle.tables import Follow


def follow(frames: Iterable[np.ndarray], rule: Follow) -> Iterator[np.ndarray | None]:
    """The followed person of each frame of one video.

    Args:
        frames: for each frame its persons, as a pose engine gives them.

    Returns:
        float64 (17, 3), or None when there is nobody.
    """
    last = None
    for persons in frames:
        person = choose(persons, rule, last)
        last = last if person is None else person
        yield person


def choose(persons: np.ndarray, rule: Follow, last: np.ndarray | None) -> np.ndarray | None:
    """The person to follow.

    Args:
        persons: float64 (persons, 17, 3), the highest score first, as a pose engine gives them.
        last: (17, 3), the person followed in the last frame that had one, in the same pixels; None before the first.

    Returns:
        (17, 3), or None when there is nobody.
    """
    if not len(persons):
        return None
    if rule == "score" or (rule == "nearest" and last is None):
        return persons[0]
    if rule == "largest":
        # The first of equals, here and below: the highest score.
        return max(persons, key=lambda person: np.prod(np.ptp(person[_present(person), :2], axis=0)))
    if rule == "most_confident":
        return max(persons, key=lambda person: person[_present(person), 2].mean())
    if rule == "nearest":
        return min(persons, key=lambda person: _distance(person, last))
    raise ValueError(f"`rule` is {rule!r}, expected one of {get_args(Follow)}")


def _distance(person: np.ndarray, last: np.ndarray) -> float:
    common = _present(person) & _present(last)
    if not common.any():
        return float("inf")
    difference = person[common, :2] - last[common, :2]
    return float(np.sqrt(np.square(difference).sum(axis=1)).mean())


def _present(person: np.ndarray) -> np.ndarray:
    return person[:, 2] > 0
