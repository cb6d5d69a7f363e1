"""Which of the persons in a frame the skeleton follows: the bundle's choice, `[pose] follow`.

- "score": the highest sum of the scores of a person's peaks and limbs. Favours who is seen whole and clearly.
- "largest": the largest area of the upright box around a person's parts. Favours who is near the camera.
- "most_confident": the highest mean confidence of a person's parts. Favours clear parts, be they few.
- "nearest": the smallest mean distance to the person of the last frame that had one, over the parts that both have. One
  who has no part in common with that person is farther than all who have. In the first frame with persons: "score".

Where a rule finds persons equal, the higher score decides.
"""

from __future__ import annotations

from typing import get_args

import numpy as np

from ..bundle import Follow


def choose(persons: np.ndarray, rule: Follow, last: np.ndarray | None) -> np.ndarray | None:
    """The person to follow.

    Args:
        persons: float64 (persons, 18, 3), the highest score first, as decode_persons returns them.
        last: (18, 3), the person followed in the last frame that had one, in the same pixels; None before the first.

    Returns:
        (18, 3), or None when there is nobody.
    """
    if not len(persons):
        return None
    if rule == "score" or (rule == "nearest" and last is None):
        return persons[0]
    if rule == "largest":
        return max(persons, key=_area)  # the first of equals, here and below: the highest score
    if rule == "most_confident":
        return max(persons, key=_confidence)
    if rule == "nearest":
        return min(persons, key=lambda person: _distance(person, last))
    raise ValueError(f"`rule` is {rule!r}, expected one of {get_args(Follow)}")


def _area(person: np.ndarray) -> float:
    positions = person[_present(person), :2]
    return float(np.prod(positions.max(axis=0) - positions.min(axis=0)))


def _confidence(person: np.ndarray) -> float:
    return float(person[_present(person), 2].mean())


def _distance(person: np.ndarray, last: np.ndarray) -> float:
    common = _present(person) & _present(last)
    if not common.any():
        return float("inf")
    difference = person[common, :2] - last[common, :2]
    return float(np.sqrt(np.square(difference).sum(axis=1)).mean())


def _present(person: np.ndarray) -> np.ndarray:
    return person[:, 2] > 0
