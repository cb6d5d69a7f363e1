"""Network outputs that are known to hold certain persons."""

from __future__ import annotations

import numpy as np

from poseparity.engines.openpose.layout import BACKGROUND, CHANNELS, LIMBS, PARTS, STRIDE
from poseparity.keypoints import Coco18

_OFFSETS = {
    Coco18.NOSE: (0, 0), Coco18.NECK: (0, 20), Coco18.R_SHOULDER: (-16, 22), Coco18.R_ELBOW: (-22, 42),
    Coco18.R_WRIST: (-24, 62), Coco18.L_SHOULDER: (16, 22), Coco18.L_ELBOW: (22, 42), Coco18.L_WRIST: (24, 62),
    Coco18.R_HIP: (-10, 66), Coco18.R_KNEE: (-11, 96), Coco18.R_ANKLE: (-12, 126), Coco18.L_HIP: (10, 66),
    Coco18.L_KNEE: (11, 96), Coco18.L_ANKLE: (12, 126), Coco18.R_EYE: (-4, -5), Coco18.L_EYE: (4, -5),
    Coco18.R_EAR: (-10, -2), Coco18.L_EAR: (10, -2),
}  # fmt: skip


def figure(x: float, y: float, scale: float = 1) -> np.ndarray:
    """An upright person, (18, 2) in network pixels, facing the camera: its right is on the left of the picture.

    Args:
        x, y: of the nose.
        scale: 1 for 131 pixels from the eyes to the ankles.
    """
    return scale * np.array([_OFFSETS[part] for part in Coco18], dtype=np.float64) + np.array((x, y))


def network_output(
    persons: list[np.ndarray],
    net_size: tuple[int, int],
    *,
    without: tuple[Coco18, ...] = (),
    strengths: tuple[float, ...] | None = None,
) -> np.ndarray:
    """What a perfect network would say: float32 (57, height / 8, width / 8).

    Cell i is centred on network pixel 8 i + 3.5.

    Args:
        net_size: width and height in network pixels.
        without: parts that no heatmap shows.
        strengths: height of each person's peaks; 1 when None.
    """
    width, height = net_size
    rows, columns = np.indices((height // STRIDE, width // STRIDE)) * STRIDE + (STRIDE - 1) / 2
    output = np.zeros((CHANNELS, *rows.shape), dtype=np.float32)
    for person, strength in zip(persons, strengths or (1,) * len(persons), strict=True):
        for part in set(Coco18) - set(without):
            x, y = person[part]
            blob = strength * np.exp(-((columns - x) ** 2 + (rows - y) ** 2) / (2 * 7.0**2))
            output[part] = np.maximum(output[part], blob)
        for limb in LIMBS:
            _draw_field(output, limb, person, columns, rows)
    output[BACKGROUND] = 1 - output[:PARTS].max(axis=0)
    return output


def _draw_field(output, limb, person, columns, rows) -> None:
    start, vector = person[limb.start], person[limb.end] - person[limb.start]
    length = np.linalg.norm(vector)
    direction = vector / length
    along = (columns - start[0]) * direction[0] + (rows - start[1]) * direction[1]
    across = np.abs((columns - start[0]) * direction[1] - (rows - start[1]) * direction[0])
    on_limb = (along > -STRIDE) & (along < length + STRIDE) & (across < STRIDE)
    output[limb.paf_x][on_limb], output[limb.paf_y][on_limb] = direction
