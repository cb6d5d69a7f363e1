"""One crop for the whole video, found as the bundle's `[crop] strategy` says."""

from __future__ import annotations

import math

import numpy as np

from ..bundle.bundle import Bundle
from ..engines.base import PoseEngine
from ..engines.follow import follow
from ..errors import NoPersonFound
from ..observe import Observe, Observed, unobserved
from ..records import Box, CroppedVideo, Detections, Size, Video
from .base import CROP, Stage
from .decode import frames, sampled_indices


class _CropStage(Stage):
    row = CROP
    name = row.name

    @staticmethod
    def values(cropped: CroppedVideo) -> dict[str, np.ndarray]:
        box = cropped.crop
        return {"box": np.array([box.x, box.y, box.width, box.height], dtype=np.int64)}


class Crop(_CropStage):
    """Strategy "yolo": the union of all boxes of the detector, padded by a share of its size and clipped to the frame.

    Reads: Detections. Adds: the crop, whole pixels of the full frame.
    Raises: NoPersonFound when no sampled frame has a person.
    """

    def __init__(self, bundle: Bundle) -> None:
        self._parameters = bundle.crop

    def __call__(self, detections: Detections) -> CroppedVideo:
        return _cropped(
            detections.video,
            [boxes.astype(np.float64) for boxes in detections.boxes],
            self._parameters.padding,
            nobody="the detector found nobody",
        )


class WholeFrame(_CropStage):
    """Strategy "none": the whole frame.

    Reads: Video. Adds: the crop, which is the frame.
    Raises: nothing.
    """

    def __call__(self, video: Video) -> CroppedVideo:
        return CroppedVideo(video, Box(0, 0, video.size.width, video.size.height))


class TwoPass(_CropStage, Observed):
    """Strategy "two_pass": the extent of the followed person's joints over some whole frames, padded as a box is.

    The pose engine looks at an evenly spaced share of the whole frames, and the person whom `[pose] follow` says is
    followed from one to the next. Joints end at eyes, wrists and ankles: the padding is what holds hair and feet.

    Reads: Video. Adds: the crop, whole pixels of the full frame.
    Raises: NoPersonFound when the engine finds nobody in any of these frames. What the engine raises.
    """

    def __init__(self, bundle: Bundle, engine: PoseEngine) -> None:
        self._parameters = bundle.crop
        self._follow = bundle.pose.follow
        self.engine = engine
        self.observed = {**engine.observed, "persons": "pixels"}  # its pictures are whole frames

    def __call__(self, video: Video, observe: Observe = unobserved) -> CroppedVideo:
        indices = sampled_indices(video.frame_count, self._parameters.sample_share)
        pictures = (frame for _, frame in frames(video, wanted=frozenset(indices)))
        followed = follow(self.engine.persons(pictures, observe), self._follow)
        joints = [np.empty((0, 2)) if person is None else person[person.any(axis=1), :2] for person in followed]
        return _cropped(
            video,
            [np.hstack([each, each]) for each in joints],  # boxes without extent
            self._parameters.padding,
            nobody="the pose engine found nobody in the whole frames of the first pass",
        )

    def describe(self) -> dict:
        """The engine of the first pass; see observe.Described."""
        return {"engine": self.engine.describe()}


def _cropped(video: Video, boxes: list[np.ndarray], padding: float, *, nobody: str) -> CroppedVideo:
    """The crop around the boxes (n, 4) of the sampled frames."""
    with_person = sum(len(of_frame) > 0 for of_frame in boxes)
    if not with_person:
        raise no_person(nobody, decoded=video.frame_count, sampled=len(boxes), with_person=0)
    crop = padded_union(np.concatenate(boxes), padding, video.size)
    return CroppedVideo(video, crop, frames_sampled=len(boxes), frames_with_person=with_person)


def padded_union(boxes: np.ndarray, padding: float, frame: Size) -> Box:
    """The union of boxes (n, 4), x1, y1, x2, y2 in pixels, padded by a share on each side and clipped to the frame."""
    left, top = boxes[:, :2].min(axis=0)
    right, bottom = boxes[:, 2:].max(axis=0)
    pad_x, pad_y = padding * (right - left), padding * (bottom - top)
    # An engine may place a joint a little outside of the frame: the box keeps a pixel of it at least.
    x1 = min(max(0, math.floor(left - pad_x)), frame.width - 1)
    y1 = min(max(0, math.floor(top - pad_y)), frame.height - 1)
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
