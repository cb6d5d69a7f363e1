"""Faults that are planted in a skeleton, one at a time or two, and what has to be said of each."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from poseparity.keypoints import Coco17, Coco18
from poseparity.records import Skeleton
from poseparity.stages.interpolate import filled

SWAPPED = [0, 2, 1, 4, 3, 6, 5, 8, 7, 10, 9, 12, 11, 14, 13, 16, 15]
OPENPOSE = [Coco17[part.name] for part in Coco18 if part is not Coco18.NECK]
SHUFFLED = np.random.default_rng(3).permutation(17)


@dataclass(frozen=True)
class Fault:
    """A change of keypoints (frames, 17, 3), and the cause that has to be named.

    Attributes:
        apply: the change.
        code: of the cause.
        says: a figure that the cause's title or evidence has to hold; "" where it depends on the other fault.
        order: faults are planted in ascending order, as a pipeline would.
        family: two of one family are not planted together, they would be one fault.
    """

    apply: Callable[[np.ndarray], np.ndarray]
    code: str
    says: str
    order: int
    family: str


def placed(change: Callable[[np.ndarray], np.ndarray]) -> Callable[[np.ndarray], np.ndarray]:
    """A change of positions (n, 2) of the joints that are not missing."""

    def apply(keypoints: np.ndarray) -> np.ndarray:
        result, present = keypoints.copy(), keypoints[..., :2].any(axis=-1)
        result[present, :2] = change(result[present, :2])
        return result

    return apply


def interpolated(keypoints: np.ndarray) -> np.ndarray:
    return filled(keypoints, Skeleton(keypoints).missing)


def forward_filled(keypoints: np.ndarray) -> np.ndarray:
    """What pandas' `interpolate()` does unless it is told otherwise: nothing before the first value."""
    missing = Skeleton(keypoints).missing
    leading = np.logical_and.accumulate(missing, axis=0)
    return np.where(leading[..., None], keypoints, filled(keypoints, missing))


def lost(keypoints: np.ndarray) -> np.ndarray:
    """Joints that somebody else saw become zeros, in stretches of 1 to 6 frames."""
    rng, result = np.random.default_rng(4), keypoints.copy()
    for joint in rng.integers(5, 17, 12):
        first = rng.integers(len(result))
        result[first : first + rng.integers(1, 7), joint] = 0
    return result


def resampled(frames: int) -> Callable[[np.ndarray], np.ndarray]:
    """Linear, to a number of frames; a joint is missing where one of the two frames lacks it."""

    def apply(keypoints: np.ndarray) -> np.ndarray:
        place = np.linspace(0, len(keypoints) - 1, frames).round(9)
        below = np.floor(place).astype(int)
        above, share = np.minimum(below + 1, len(keypoints) - 1), (place - below)[:, None, None]
        missing = Skeleton(keypoints).missing
        gone = missing[below] | (missing[above] & (share[..., 0] > 0))
        return np.where(gone[..., None], 0, (1 - share) * keypoints[below] + share * keypoints[above])

    return apply


def at_25_fps(keypoints: np.ndarray) -> np.ndarray:
    return keypoints[np.floor(np.arange(int(len(keypoints) / 1.2)) * 1.2 + 1e-9).astype(int)]


def repeated(keypoints: np.ndarray) -> np.ndarray:
    at = np.array([len(keypoints) // 4, len(keypoints) // 2, len(keypoints) * 3 // 5])
    return np.insert(keypoints, at, keypoints[at], axis=0)


def dropped(keypoints: np.ndarray) -> np.ndarray:
    return np.delete(keypoints, [int(share * len(keypoints)) for share in (0.72, 0.79, 0.86)], axis=0)


def noisy(keypoints: np.ndarray) -> np.ndarray:
    return placed(lambda points: points + np.random.default_rng(5).normal(0, 0.6, points.shape))(keypoints)


def unpinned(keypoints: np.ndarray) -> np.ndarray:
    """What the same program computes on other threads or with other instructions: measured 1.5e-6 px at most."""
    rng = np.random.default_rng(6)
    moved = placed(lambda points: points + rng.normal(0, 5e-7, points.shape))(keypoints)
    moved[..., 2] *= 1 + rng.normal(0, 1e-7, moved.shape[:2])
    return moved


def marked(keypoints: np.ndarray) -> np.ndarray:
    """Missing joints as -1,-1,0."""
    return np.where(Skeleton(keypoints).missing[..., None], (-1.0, -1.0, 0.0), keypoints)


def six_digits(points: np.ndarray) -> np.ndarray:
    """What C++'s streams and "%.6g" write."""
    return np.array([float(f"{value:.6g}") for value in points.ravel()]).reshape(points.shape)


def one_confidence(keypoints: np.ndarray) -> np.ndarray:
    return np.concatenate([keypoints[..., :2], np.ones_like(keypoints[..., 2:])], axis=-1)


FAULTS = {
    "another pose version": Fault(noisy, "pose-noise", "median difference, px", 0, "noise"),
    "pins off": Fault(unpinned, "numerics", "pins or threads", 0, "pins"),
    "joints lost": Fault(lost, "missing-joints", "B lacks", 0, "gaps"),
    "interpolated": Fault(interpolated, "interpolated", "linearly", 1, "gaps"),
    "interpolated forward": Fault(forward_filled, "interpolated", "linearly", 1, "gaps"),
    "trimmed": Fault(lambda k: k[11:-7], "trimmed", "first 11 and last 7", 2, "time"),
    "every 2nd frame": Fault(lambda k: k[::2], "frame-rate", "every 2nd", 2, "time"),
    "25 for 30 fps": Fault(at_25_fps, "frame-rate", "1.2", 2, "time"),
    "resampled": Fault(resampled(77), "frame-rate", "interpolated", 2, "time"),
    "repeated frames": Fault(repeated, "repeated-frames", "3 in B", 2, "time"),
    "dropped frames": Fault(dropped, "dropped-frames", "3 frames of A", 2, "time"),
    "swapped": Fault(lambda k: k[:, SWAPPED], "left-right-swapped", "swapped", 3, "order"),
    "OpenPose's order": Fault(lambda k: k[:, OPENPOSE], "joint-order", "COCO-18", 3, "order"),
    "shuffled": Fault(lambda k: k[:, SHUFFLED], "joint-order", "17 of B's columns", 3, "order"),
    "mirrored": Fault(placed(lambda p: (640, 0) + p * (-1, 1)), "mirrored", "left to right", 4, "mirror"),
    "crop's corner": Fault(placed(lambda p: p - (100, 30)), "offset", "by -", 4, "offset"),
    "half size": Fault(placed(lambda p: p / 2), "scaled", "0.5", 5, "scale"),
    "in [0, 1]": Fault(placed(lambda p: p / (640, 480)), "unit-range", "640 x 480", 5, "scale"),
    "whole numbers": Fault(placed(np.round), "rounded", "whole numbers", 6, "digits"),
    "2 decimals": Fault(placed(lambda p: p.round(2)), "rounded", "2 decimals", 6, "digits"),
    "6 digits": Fault(placed(six_digits), "rounded", "numbers of B were rounded", 6, "digits"),
    "float16": Fault(placed(lambda p: p.astype(np.float16).astype(float)), "rounded", "float16", 6, "digits"),
    "missing as -1": Fault(marked, "missing-marker", "joints of B are written as -1,-1,", 7, "gaps"),
    "confidence 1": Fault(one_confidence, "confidence-constant", "is 1", 7, "confidence"),
}


# Digits of numbers below 1 are others: a whole number would be 0 or 1. What is far below a step is rounded away.
_HIDDEN = ({"scale", "digits"}, {"pins", "digits"}, {"pins", "noise"})


def can_be_planted_together(first: Fault, second: Fault) -> bool:
    """Whether the two are two faults, and both can be seen."""
    families = {first.family, second.family}
    return len(families) == 2 and families not in _HIDDEN


def plant(keypoints: np.ndarray, *names: str) -> np.ndarray:
    """A copy with faults, in the order in which a pipeline would have them."""
    for fault in sorted((FAULTS[name] for name in names), key=lambda fault: fault.order):
        keypoints = fault.apply(keypoints)
    return keypoints
