"""One crop for the whole video: the union of all person boxes, padded."""

from __future__ import annotations

import math

import numpy as np

from ..bundle import Bundle
from ..errors import NoPersonFound
from ..records import Box, CroppedVideo, Detections, Size


class Crop:
    """Take the union of all boxes, add a share of its width and height on each side, clip it to the frame.

    Reads: Detections. Adds: the crop, whole pixels of the full frame.
    Raises: NoPersonFound when no sampled frame has a person.
    """

    name = "crop"

    def __init__(self, bundle: Bundle) -> None:
        self._padding = bundle.crop.padding

    def __call__(self, detections: Detections) -> CroppedVideo:
        if not detections.frames_with_person:
            raise no_person(
                "the detector found nobody",
                decoded=detections.video.frame_count,
                sampled=len(detections.frame_indices),
                with_person=0,
            )
        boxes = np.concatenate(detections.boxes).astype(np.float64)
        return CroppedVideo(
            video=detections.video,
            crop=padded_union(boxes, self._padding, detections.video.size),
            frames_sampled=len(detections.frame_indices),
            frames_with_person=detections.frames_with_person,
        )


def padded_union(boxes: np.ndarray, padding: float, frame: Size) -> Box:
    """The union of boxes (n, 4), x1, y1, x2, y2 in pixels, padded by a share on each side and clipped to the frame."""
    left, top = boxes[:, :2].min(axis=0)
    right, bottom = boxes[:, 2:].max(axis=0)
    pad_x, pad_y = padding * (right - left), padding * (bottom - top)
    x1, y1 = max(0, math.floor(left - pad_x)), max(0, math.floor(top - pad_y))
    x2, y2 = min(frame.width, math.ceil(right + pad_x)), min(frame.height, math.ceil(bottom + pad_y))
    return Box(x=x1, y=y1, width=max(1, x2 - x1), height=max(1, y2 - y1))


def no_person(what: str, **counts: int) -> NoPersonFound:
    """The error for a video without a usable person; `counts` are its frame counts."""
    figures = ", ".join(f"{count} frames {name.replace('_', ' ')}" for name, count in counts.items())
    return NoPersonFound(
        f"no person found: {what} ({figures})",
        fix="show one person whole, larger and well lit, or use a bundle that was trained on such video",
        details={"frames": counts},
    )
