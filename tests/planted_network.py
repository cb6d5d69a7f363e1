"""Weights of OpenPose's COCO network that see one person, upright and still, in the middle of every picture.

Nothing depends on the picture: zeros at the border make the blurs of a constant highest in the middle, and the last
convolutions move that hill to where each part is.
"""

from __future__ import annotations

import numpy as np

from poseparity.engines.openpose.coco import STAGES, convolutions
from poseparity.engines.openpose.layout import FIRST_PAF, LIMBS
from poseparity.keypoints import Coco18

NET_HEIGHT = 96  # the hill has one top in pictures of up to 12 x 12 cells
_BLUR = (1 + 0.02 * np.arange(-3, 4)) / 7  # leans to one side, so that the top is a point
# Columns and rows from the middle, in cells: 3 is as far as a 7x7 convolution reaches.
PLACES = {
    Coco18.NOSE: (0, -3), Coco18.NECK: (0, -2), Coco18.R_SHOULDER: (-1, -2), Coco18.R_ELBOW: (-2, -1),
    Coco18.R_WRIST: (-2, 0), Coco18.L_SHOULDER: (1, -2), Coco18.L_ELBOW: (2, -1), Coco18.L_WRIST: (2, 0),
    Coco18.R_HIP: (-1, 1), Coco18.R_KNEE: (-1, 2), Coco18.R_ANKLE: (-1, 3), Coco18.L_HIP: (1, 1),
    Coco18.L_KNEE: (1, 2), Coco18.L_ANKLE: (1, 3), Coco18.R_EYE: (-1, -3), Coco18.L_EYE: (1, -3),
    Coco18.R_EAR: (-2, -3), Coco18.L_EAR: (2, -3),
}  # fmt: skip


def planted_layers() -> dict[str, list[np.ndarray]]:
    """Weight and bias of every layer, by its name in the Caffe file."""
    layers = {conv.name: [np.zeros(shape, np.float32) for shape in conv.shapes.values()] for conv in convolutions()}
    stage = {i: {name: layers[f"Mconv{i}_stage{STAGES}_{name}"] for name in ("L1", "L2")} for i in range(1, 8)}
    stage[1]["L2"][1][0] = 2
    for i in (2, 3, 4):
        stage[i]["L2"][0][0, 0] = np.outer(_BLUR, _BLUR)
    for part, (x, y) in PLACES.items():
        stage[5]["L2"][0][part, 0, 3 - y, 3 - x] = 1
        stage[6]["L2"][0][part, part] = stage[7]["L2"][0][part, part] = 1
    for limb in LIMBS:
        direction = np.subtract(PLACES[limb.end], PLACES[limb.start])
        fields = [limb.paf_x - FIRST_PAF, limb.paf_y - FIRST_PAF]
        stage[7]["L1"][1][fields] = direction / np.linalg.norm(direction)
    return layers
