"""How a skeleton file writes a joint that was not found: 0,0,0, or a position that no joint is at."""

from __future__ import annotations

from collections import Counter

import numpy as np

_FEWEST = 3  # joints at one place, of several columns, before that says something without a confidence of 0
_JUMP = 0.1  # body sizes: from the place of a missing joint to where it is found again
_CANDIDATES = 3  # a marker is one of the most frequent places, unless joints coincide more often than they are missing
_WELL_KNOWN = (-1.0, -1.0)
Place = tuple[float, float]


def marker_of(keypoints: np.ndarray) -> Place | None:
    """The one place, other than 0,0, at which a file puts missing joints; None where it has none.

    That is -1,-1, or the only place of joints whose confidence is 0, such as the crop's corner or the frame's centre:
    joints that were filled in and kept a confidence of 0 are at many, or where the joint was seen. Without
    confidences it is a place that several joints share, and jump to.

    Args:
        keypoints: float64 (frames, joints, 3).
    """
    placed = keypoints[..., :2].any(axis=-1)
    if (placed & (keypoints[..., :2] == _WELL_KNOWN).all(axis=-1)).any():
        return _WELL_KNOWN
    seen = placed & (keypoints[..., 2] > 0)
    if seen.any() and (found := _of_confidence(keypoints, placed & ~seen, seen)):
        return found
    return next((place for place in _shared(keypoints, placed) if _is_jumped_to(keypoints, placed, place)), None)


def at(keypoints: np.ndarray, place: Place) -> np.ndarray:
    """Boolean (frames, joints): which are exactly there."""
    return (keypoints[..., :2] == place).all(axis=-1)


def _of_confidence(keypoints: np.ndarray, unseen: np.ndarray, seen: np.ndarray) -> Place | None:
    """The place of joints without confidence, if it is one, and nobody else's."""
    if not unseen.any():
        return None
    ((place, count),) = Counter(map(tuple, keypoints[unseen][:, :2].tolist())).most_common(1)
    columns = int((at(keypoints, place) & unseen).any(axis=0).sum())
    if (count < unseen.sum() and columns < 2) or (at(keypoints, place) & seen).any():
        return None
    return place


def _shared(keypoints: np.ndarray, placed: np.ndarray) -> list[Place]:
    """Places of several joints of one frame, the most frequent first."""
    # Complex numbers: a place is one value, which can be sorted.
    places = np.where(placed, keypoints[..., 0] + 1j * keypoints[..., 1], np.nan)
    places = np.sort(places, axis=1)
    twice = places[:, 1:][places[:, 1:] == places[:, :-1]]
    counts = Counter(zip(twice.real.tolist(), twice.imag.tolist(), strict=True))
    frequent = [place for place, _ in counts.most_common(_CANDIDATES)]
    return [place for place in frequent if at(keypoints, place).sum() >= _FEWEST]


def _is_jumped_to(keypoints: np.ndarray, placed: np.ndarray, place: Place) -> bool:
    """Whether joints that are there come from far away: an eye and an ear on the same pixel do not."""
    there = at(keypoints, place)
    others = placed & ~there
    distances = [
        np.linalg.norm(keypoints[1:][arrives][:, :2] - keypoints[:-1][arrives][:, :2], axis=-1)
        for arrives in (there[1:] & others[:-1], there[:-1] & others[1:])
    ]
    jumps = np.concatenate(distances)
    positions = keypoints[others][:, :2]
    if not len(jumps) or len(positions) < 2:
        return False
    body = float(np.linalg.norm(np.ptp(positions, axis=0)))
    return float(np.median(jumps)) >= _JUMP * body
