"""Skeletons as the service would estimate them, made from exact ones without rendering a pixel."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from poseparity.bundle.bundle import Bundle
from poseparity.keypoints import Coco17
from poseparity.records import Skeleton
from poseparity.stages.interpolate import Interpolate
from poseparity.stages.normalise import Normalise
from poseparity.stages.trim import Trim, torso_length
from training.rendering.clip import Clip

_FACE = slice(0, Coco17.L_SHOULDER)
_SIDES = [(Coco17[name], Coco17[name.replace("L_", "R_")]) for name in ("L_ELBOW", "L_WRIST", "L_KNEE", "L_ANKLE")]


class ServiceEnd:
    """The service's own stages from the raw skeleton to the recogniser's input."""

    def __init__(self, bundle: Bundle) -> None:
        self._interpolate, self._trim, self._normalise = Interpolate(bundle), Trim(bundle), Normalise(bundle)

    def __call__(self, skeleton: Skeleton, trim: bool = True) -> np.ndarray:
        """The recogniser's input: float32 (clips, people, frames, joints, channels)."""
        skeleton = self._interpolate(skeleton)
        return self._normalise(self._trim(skeleton) if trim else skeleton).inputs


def estimated(rng: np.random.Generator, clip: Clip) -> Skeleton:
    """The skeleton of a clip with a pose network's faults: shaky joints, unsure ones, lost ones, exchanged sides."""
    joints, visible = clip.truth.joints.copy(), clip.truth.visible
    exact = Skeleton(np.concatenate([joints, np.ones((*visible.shape, 1))], -1))
    shake = rng.uniform(0.005, 0.05) * torso_length(exact)
    joints += rng.normal(0, shake, joints.shape)
    joints += np.where(visible, 0, 2)[..., None] * rng.normal(0, shake, joints.shape)
    _exchange_sides(rng, joints)
    confidence = np.clip(rng.normal(np.where(visible, 0.85, 0.5), 0.12), 0.06, 1.05)
    keypoints = np.concatenate([joints, confidence[..., None]], -1)
    keypoints[_lost(rng, visible)] = 0
    return Skeleton(keypoints)


def random_part(rng: np.random.Generator, skeleton: Skeleton) -> Skeleton:
    """Cuts up to a tenth off each end, so that the recogniser does not learn where a clip starts."""
    first, last = rng.integers(0, skeleton.frame_count // 10 + 1, 2)
    return replace(skeleton, keypoints=skeleton.keypoints[first : skeleton.frame_count - last])


def _lost(rng: np.random.Generator, visible: np.ndarray) -> np.ndarray:
    """Which joints (frames, 17) are missing: the far side of the face, some hidden ones, short gaps of any."""
    lost = ~visible & (rng.random(visible.shape) < rng.uniform(0, 0.5))
    lost[:, _FACE] |= ~visible[:, _FACE] & (rng.random(visible[:, _FACE].shape) < 0.9)
    for _ in range(rng.integers(0, 10)):
        start, joint = rng.integers(len(lost)), rng.integers(lost.shape[1])
        lost[start : start + rng.integers(1, 12), joint] = True
    return lost


def _exchange_sides(rng: np.random.Generator, joints: np.ndarray) -> None:
    """Now and then, for a few frames, takes a left joint for the right one."""
    for _ in range(rng.integers(0, 3)):
        left, right = _SIDES[rng.integers(len(_SIDES))]
        start = rng.integers(len(joints))
        span = slice(start, start + rng.integers(1, 5))
        joints[span, left], joints[span, right] = joints[span, right].copy(), joints[span, left].copy()
