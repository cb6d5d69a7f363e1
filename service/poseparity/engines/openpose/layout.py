"""The channels of OpenPose's COCO output and the limbs that its part affinity fields (PAF) describe.

Source: Cao et al., "OpenPose: Realtime Multi-Person 2D Pose Estimation using Part Affinity Fields", and the COCO model
of CMU-Perceptual-Computing-Lab/openpose.
"""

from __future__ import annotations

from dataclasses import dataclass

from ...keypoints import Coco18

PARTS = len(Coco18)
BACKGROUND = PARTS
HEATMAPS = PARTS + 1  # the parts and the background
FIRST_PAF = HEATMAPS
PAF_CHANNELS = 38  # x and y of 19 limbs
CHANNELS = HEATMAPS + PAF_CHANNELS
STRIDE = 8  # network pixels an output cell


@dataclass(frozen=True)
class Limb:
    """Two parts and the output channels of the field that points from the first to the second.

    Attributes:
        fills_only: such a limb may add a missing part to a person, but never starts or joins persons.
    """

    start: Coco18
    end: Coco18
    paf_x: int
    paf_y: int
    fills_only: bool = False


def _limb(start: Coco18, end: Coco18, field: int, fills_only: bool = False) -> Limb:
    return Limb(start, end, FIRST_PAF + field, FIRST_PAF + field + 1, fills_only)


LIMBS = (
    _limb(Coco18.NECK, Coco18.R_SHOULDER, 12),
    _limb(Coco18.NECK, Coco18.L_SHOULDER, 20),
    _limb(Coco18.R_SHOULDER, Coco18.R_ELBOW, 14),
    _limb(Coco18.R_ELBOW, Coco18.R_WRIST, 16),
    _limb(Coco18.L_SHOULDER, Coco18.L_ELBOW, 22),
    _limb(Coco18.L_ELBOW, Coco18.L_WRIST, 24),
    _limb(Coco18.NECK, Coco18.R_HIP, 0),
    _limb(Coco18.R_HIP, Coco18.R_KNEE, 2),
    _limb(Coco18.R_KNEE, Coco18.R_ANKLE, 4),
    _limb(Coco18.NECK, Coco18.L_HIP, 6),
    _limb(Coco18.L_HIP, Coco18.L_KNEE, 8),
    _limb(Coco18.L_KNEE, Coco18.L_ANKLE, 10),
    _limb(Coco18.NECK, Coco18.NOSE, 28),
    _limb(Coco18.NOSE, Coco18.R_EYE, 30),
    _limb(Coco18.R_EYE, Coco18.R_EAR, 34),
    _limb(Coco18.NOSE, Coco18.L_EYE, 32),
    _limb(Coco18.L_EYE, Coco18.L_EAR, 36),
    _limb(Coco18.R_SHOULDER, Coco18.R_EAR, 18, fills_only=True),
    _limb(Coco18.L_SHOULDER, Coco18.L_EAR, 26, fills_only=True),
)
