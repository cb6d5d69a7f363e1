"""One person's joints and limbs, and the crop, drawn into a picture."""

from __future__ import annotations

import cv2
import numpy as np

from ..keypoints import COCO17_EDGES, Coco17
from ..records import Box
from .palette import INK, LEFT, MIDDLE, PAPER, RGB, RIGHT, bgr

# OpenCV draws at fractions of a pixel when coordinates come as integers with so many fractional bits.
_SHIFT = 4


def side_colour(*joints: Coco17) -> RGB:
    """The colour of a joint, or of a limb between two: the person's left, right, or neither."""
    sides = {joint.name[:2] for joint in joints} - {"NO"}  # the nose takes the side of the joint it is joined to
    if sides == {"L_"}:
        return LEFT
    return RIGHT if sides == {"R_"} else MIDDLE


def joint_radius(crop: Box) -> int:
    """Radius of a joint in pixels: it follows the person's size in the picture."""
    # A ring has a hole of a third less: with a smaller radius it could hardly be told from a disc.
    return max(3, round(min(crop.width, crop.height) / 70))


def draw_figure(picture: np.ndarray, points: np.ndarray, *, seen: np.ndarray, known: np.ndarray, crop: Box) -> None:
    """Draw a person into `picture`.

    A seen joint is a filled disc, one that was filled in a ring; a limb with such an end is thin.

    Args:
        picture: uint8 (height, width, 3), BGR, drawn into.
        points: (17, 2), pixels of the picture.
        seen, known: boolean (17,): the pose network found the joint; it has a position at all.
        crop: gives the size of what is drawn.
    """
    radius = joint_radius(crop)
    limbs = [edge for edge in COCO17_EDGES if known[list(edge)].all()]
    widths = [max(2, radius // 2 + 1) if seen[list(edge)].all() else 1 for edge in limbs]
    for edge, width in zip(limbs, widths, strict=True):
        # A dark edge of a pixel on both sides: limbs are seen on any ground.
        _line(picture, points[list(edge)], INK, width + 2)
    for edge, width in zip(limbs, widths, strict=True):
        _line(picture, points[list(edge)], side_colour(*edge), width)
    for joint in Coco17:
        if known[joint]:
            # A ring is a pixel larger than a disc: there must be room for its hole in a small picture.
            outer = radius if seen[joint] else radius + 1
            _disc(picture, points[joint], INK, outer + 1)
            _disc(picture, points[joint], side_colour(joint), outer)
            if not seen[joint]:
                _disc(picture, points[joint], INK, radius - radius // 3)


def draw_box(picture: np.ndarray, box: Box) -> None:
    """Draw the outline of a box, inside of it."""
    corners = (box.x, box.y), (box.x + box.width - 1, box.y + box.height - 1)
    width = max(1, round(min(picture.shape[:2]) / 540))  # 2 pixels in a picture of 1080 lines
    cv2.rectangle(picture, *corners, bgr(INK), 3 * width, cv2.LINE_AA)
    cv2.rectangle(picture, *corners, bgr(PAPER), width, cv2.LINE_AA)


def _disc(picture: np.ndarray, point: np.ndarray, colour: RGB, radius: int) -> None:
    cv2.circle(picture, _fixed(point), radius << _SHIFT, bgr(colour), cv2.FILLED, cv2.LINE_AA, _SHIFT)


def _line(picture: np.ndarray, ends: np.ndarray, colour: RGB, width: int) -> None:
    cv2.line(picture, _fixed(ends[0]), _fixed(ends[1]), bgr(colour), width, cv2.LINE_AA, _SHIFT)


def _fixed(point: np.ndarray) -> tuple[int, int]:
    x, y = np.rint(point * (1 << _SHIFT)).astype(int).tolist()
    return x, y
