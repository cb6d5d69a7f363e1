"""From a skeleton CSV's bytes to the skeleton that the stages start from, as a bundle takes it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from . import skeleton_csv
from .bundle.bundle import Bundle
from .plausible import checked, without_unseen
from .records import Box, Notice, Size, Skeleton
from .stages.crop import padded_union

_UNKNOWN_FRAME = Size(100_000, 100_000)  # more than any video has


def skeleton_of_csv(
    content: bytes, bundle: Bundle, *, max_frames: int, frame_size: Size | None, crop: Box | None, assume_crop: bool
) -> Skeleton:
    """Read a skeleton, in the frame and the crop that it has, or that the bundle takes it to have.

    Args:
        content: the CSV's bytes.
        frame_size, crop: what the video was, where that is known.
        assume_crop: where the bundle needs a crop and none is given, take that of the joints' own extent.

    Raises:
        InputError: see skeleton_csv.py and plausible.py.
    """
    sent = skeleton_csv.read_with_notices(content, max_frames=max_frames)
    skeleton = without_unseen(Skeleton(sent.keypoints, frame_size=frame_size, crop=crop, notices=sent.notices))
    if skeleton.frame_size is None and bundle.input.frame_size is not None:
        size = Size(*bundle.input.frame_size)
        notices = list(skeleton.notices)
        if bundle.normalise.reference == "frame":  # elsewhere no score depends on it
            notices += [Notice("frame-size-assumed", f"no frame size was given: the bundle's own is taken, {size}")]
        skeleton = replace(skeleton, frame_size=size, notices=tuple(notices))
    if assume_crop:
        skeleton = _in_the_crop_of_its_joints(skeleton, bundle)
    return checked(skeleton, bundle.normalise)


def _in_the_crop_of_its_joints(skeleton: Skeleton, bundle: Bundle) -> Skeleton:
    """A skeleton of an unknown crop, which the bundle needs, in the crop that its joints alone would give."""
    if skeleton.crop is not None or bundle.normalise.reference != "crop" or skeleton.missing.all():
        return skeleton
    frame = skeleton.frame_size
    if bundle.crop.strategy == "none" and frame is not None:
        crop, what = Box(0, 0, frame.width, frame.height), "the whole frame"
    else:
        # Padded and clipped as the bundle's own crop is; of an unknown frame no far edge is known.
        positions = skeleton.keypoints[~skeleton.missing][:, :2]
        padding = getattr(bundle.crop, "padding", 0.0)  # a strategy without a crop of its own has none
        # A joint is a box without an extent.
        crop = padded_union(np.hstack([positions, positions]), padding, frame or _UNKNOWN_FRAME)
        what = f"the extent of all joints, padded by {padding:.0%}"
    box = f"{crop.x},{crop.y},{crop.width},{crop.height}"
    notice = Notice("crop-assumed", f"no crop was given: {what} is taken, {box}; send crop_bbox, the crop of the video")
    return replace(skeleton, crop=crop, notices=(*skeleton.notices, notice))
