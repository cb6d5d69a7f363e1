"""The two joint orders in use and how one becomes the other."""

from __future__ import annotations

from enum import IntEnum

import numpy as np


class Coco17(IntEnum):
    """COCO's 17 keypoints, in the order of the skeleton CSV and of MMAction2's "coco" graph."""

    NOSE = 0
    L_EYE = 1
    R_EYE = 2
    L_EAR = 3
    R_EAR = 4
    L_SHOULDER = 5
    R_SHOULDER = 6
    L_ELBOW = 7
    R_ELBOW = 8
    L_WRIST = 9
    R_WRIST = 10
    L_HIP = 11
    R_HIP = 12
    L_KNEE = 13
    R_KNEE = 14
    L_ANKLE = 15
    R_ANKLE = 16


# The limbs that are drawn, which are COCO's own; the recogniser has a graph of its own.
COCO17_EDGES = (
    (Coco17.L_ANKLE, Coco17.L_KNEE),
    (Coco17.L_KNEE, Coco17.L_HIP),
    (Coco17.R_ANKLE, Coco17.R_KNEE),
    (Coco17.R_KNEE, Coco17.R_HIP),
    (Coco17.L_HIP, Coco17.R_HIP),
    (Coco17.L_SHOULDER, Coco17.L_HIP),
    (Coco17.R_SHOULDER, Coco17.R_HIP),
    (Coco17.L_SHOULDER, Coco17.R_SHOULDER),
    (Coco17.L_SHOULDER, Coco17.L_ELBOW),
    (Coco17.R_SHOULDER, Coco17.R_ELBOW),
    (Coco17.L_ELBOW, Coco17.L_WRIST),
    (Coco17.R_ELBOW, Coco17.R_WRIST),
    (Coco17.L_EYE, Coco17.R_EYE),
    (Coco17.NOSE, Coco17.L_EYE),
    (Coco17.NOSE, Coco17.R_EYE),
    (Coco17.L_EYE, Coco17.L_EAR),
    (Coco17.R_EYE, Coco17.R_EAR),
    (Coco17.L_EAR, Coco17.L_SHOULDER),
    (Coco17.R_EAR, Coco17.R_SHOULDER),
)


class Coco18(IntEnum):
    """OpenPose's 18 COCO parts, in the order of its heatmaps."""

    NOSE = 0
    NECK = 1
    R_SHOULDER = 2
    R_ELBOW = 3
    R_WRIST = 4
    L_SHOULDER = 5
    L_ELBOW = 6
    L_WRIST = 7
    R_HIP = 8
    R_KNEE = 9
    R_ANKLE = 10
    L_HIP = 11
    L_KNEE = 12
    L_ANKLE = 13
    R_EYE = 14
    L_EYE = 15
    R_EAR = 16
    L_EAR = 17


CSV_NAMES = (
    "Nose", "LEye", "REye", "LEar", "REar", "LShoulder", "RShoulder", "LElbow", "RElbow", "LWrist", "RWrist",
    "LHip", "RHip", "LKnee", "RKnee", "LAnkle", "RAnkle",
)  # fmt: skip

COCO17_FROM_COCO18 = np.array([Coco18[joint.name] for joint in Coco17])


def coco17_from_coco18(parts: np.ndarray) -> np.ndarray:
    """Reorder OpenPose's 18 parts into COCO's 17 joints; the neck, which COCO lacks, is left out.

    Args:
        parts: (..., 18, channels).

    Returns:
        (..., 17, channels), same dtype.
    """
    return parts[..., COCO17_FROM_COCO18, :]


def coco18_from_coco17(joints: np.ndarray) -> np.ndarray:
    """OpenPose's 18 parts of COCO's 17 joints, the neck derived as OpenPose derives it from COCO to train its network.

    The neck is the middle of both shoulders with the smaller of their confidences; it is missing (0, 0, 0) where one
    of them is.

    Args:
        joints: (..., 17, 3): x, y, confidence; a missing joint is 0, 0, 0.

    Returns:
        (..., 18, 3), same dtype.
    """
    left, right = joints[..., Coco17.L_SHOULDER, :], joints[..., Coco17.R_SHOULDER, :]
    neck = np.concatenate([(left + right)[..., :2] / 2, np.minimum(left, right)[..., 2:]], axis=-1)
    neck[~(left.any(axis=-1) & right.any(axis=-1))] = 0
    parts = np.empty((*joints.shape[:-2], len(Coco18), joints.shape[-1]), joints.dtype)
    parts[..., COCO17_FROM_COCO18, :] = joints
    parts[..., Coco18.NECK, :] = neck
    return parts
