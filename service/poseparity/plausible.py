"""What the numbers of a skeleton CSV mean, and whether they can be what they are said to be: pixels of the full frame.

A pipeline that estimated the joints itself knows that. A CSV comes from anywhere, and what is wrong with it shows in
the scores alone: 50:50, or a wrong class with full confidence.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, replace

import numpy as np

from .bundle.bundle import NormaliseParameters
from .errors import InputError
from .keypoints import CSV_NAMES, Coco17
from .records import Box, Notice, Skeleton

_OUTSIDE_PX = 1.0  # estimators round, and place a joint on the edge
_REFUSED_SHARE = 0.5  # of the seen joints: somebody who is cut by the frame has more in it than outside
_NORMALISED_SHARE = 0.95  # of the seen joints within -1 and 1
_NORMALISED_LIMIT = 2.0  # a joint beyond the frame is beyond 1 as well, and a body of so few pixels is none
_PARTS_AT_ONCE = 3  # wrists meet at a club, hips in a side view; three parts of a body are not at one pixel
_FACE = (Coco17.NOSE, Coco17.L_EYE, Coco17.R_EYE, Coco17.L_EAR, Coco17.R_EAR)  # small: they may share one
_COMMONEST = 32  # positions that are looked at: joints of somebody who stands still may be commoner than the one sought
_MISSING_IS_ZERO = "write a joint that was not seen as 0,0,0"


def without_unseen(skeleton: Skeleton) -> Skeleton:
    """A joint with confidence 0 was not seen, wherever it is written to be: it becomes 0, 0, 0.

    Where all confidences are 0, none were written: then all positions stay.
    """
    placed = (skeleton.keypoints[..., 2] == 0) & ~skeleton.missing
    if not placed.any():
        return skeleton
    if not skeleton.keypoints[..., 2].any():
        message = "every confidence is 0: positions are kept, and a model that was trained with confidences sees none"
        return _with(skeleton, Notice("no-confidences", message))
    positions, times = np.unique(skeleton.keypoints[placed, :2], axis=0, return_counts=True)
    commonest = _position(positions[times.argmax()])
    keypoints = skeleton.keypoints.copy()
    keypoints[placed] = 0
    message = (
        f"{int(placed.sum())} of {placed.size} joints have confidence 0 and a position ({times.max()} of them "
        f"{commonest}): "
        f"they are taken as missing; {_MISSING_IS_ZERO}"
    )
    return _with(replace(skeleton, keypoints=keypoints), Notice("zero-confidence", message))


def checked(skeleton: Skeleton, normalise: NormaliseParameters) -> Skeleton:
    """The skeleton with a notice for each thing that its numbers speak against.

    Raises:
        InputError: the numbers are certainly no pixels, or not of the box that scores are relative to.
    """
    seen = ~skeleton.missing
    if not seen.any():
        return skeleton
    doubts = [*_normalised(skeleton.keypoints[seen, :2]), *_constant_position(skeleton, seen)]
    boxes = {}
    if skeleton.frame_size is not None:
        boxes["frame"] = Box(0, 0, skeleton.frame_size.width, skeleton.frame_size.height)
    if skeleton.crop is not None:
        boxes["crop"] = skeleton.crop
    if normalise.reference == "fixed":
        boxes["reference"] = Box(0, 0, *normalise.size)
    for what, box in boxes.items():
        doubts += _outside(skeleton, seen, what, box, refuse=normalise.reference == what)
    return _with(skeleton, *doubts)


def told(skeleton: Skeleton) -> dict:
    """What an error's details say of the notices so far: no answer will."""
    return {"warnings": [asdict(notice) for notice in skeleton.notices]} if skeleton.notices else {}


def _with(skeleton: Skeleton, *notices: Notice) -> Skeleton:
    return replace(skeleton, notices=(*skeleton.notices, *notices)) if notices else skeleton


# --- coordinates in [0, 1] -------------------------------------------------------------------------------------------


def _normalised(positions: np.ndarray) -> Iterator[Notice]:
    within = (np.abs(positions) <= 1).all(axis=-1)
    if within.mean() < _NORMALISED_SHARE or (positions == positions[0]).all():
        return
    (low_x, low_y), (high_x, high_y) = positions.min(axis=0), positions.max(axis=0)
    found = (
        f"the coordinates look normalised already: {int(within.sum())} of {len(within)} joints are within -1 and 1 "
        f"(x from {low_x:.4g} to {high_x:.4g}, y from {low_y:.4g} to {high_y:.4g}), expected pixels of the full frame"
    )
    fix = "send what the pose estimation wrote, or undo the division by the frame's width and height"
    if np.abs(positions).max() <= _NORMALISED_LIMIT:
        raise InputError(found, code="coordinates-normalised", fix=fix)
    yield Notice("coordinates-normalised", f"{found}; {fix}")


# --- one position for several joints ---------------------------------------------------------------------------------


def _constant_position(skeleton: Skeleton, seen: np.ndarray) -> Iterator[Notice]:
    """A position that stands for "not seen": it is warned of, because which joints are really there is not known."""
    frames, joints = np.nonzero(seen)
    found = np.unique(skeleton.keypoints[seen, :2], axis=0, return_inverse=True, return_counts=True)
    positions, index, times = found[0], found[1].reshape(-1), found[2]
    for place in np.argsort(-times, kind="stable")[:_COMMONEST]:
        at = index == place
        if _stands_for_missing(positions, place, frames[at], joints[at], skeleton.crop):
            names = [CSV_NAMES[joint] for joint in np.unique(joints[at])]
            listed = ", ".join(names[:4]) + ", ..." * (len(names) > 4)
            message = (
                f"{int(times[place])} of {len(frames)} joints ({listed}) have one and the same position, "
                f"{_position(positions[place])}, and count as seen; if that means missing, {_MISSING_IS_ZERO}"
            )
            yield Notice("constant-position", message)
            return


def _stands_for_missing(
    positions: np.ndarray, place: int, frames: np.ndarray, joints: np.ndarray, crop: Box | None
) -> bool:
    """Whether a position that occurs more than once is none of a body.

    Args:
        positions: all positions that occur, each once.
        place: which of them.
        frames, joints: where it occurs.
    """
    position = positions[place]
    if len(np.unique(frames)) < 2:
        return False
    if (position <= 0).all() or (crop is not None and position.tolist() == [crop.x, crop.y]):
        return True
    others = np.delete(positions, place, axis=0)
    at_a_corner = len(others) and any(
        (np.sign(others - position) * corner >= 0).all() for corner in ([1, 1], [-1, 1], [1, -1], [-1, -1])
    )
    if at_a_corner and len(np.unique(joints)) > 1:
        return True
    parts = np.where(np.isin(joints, _FACE), Coco17.NOSE, joints)
    _, parts_at_once = np.unique(np.unique(np.stack([frames, parts]), axis=1)[0], return_counts=True)
    return int((parts_at_once >= _PARTS_AT_ONCE).sum()) > 1


def _position(position: np.ndarray) -> str:
    return ",".join(f"{value:g}" for value in position.tolist())


# --- beyond the frame, beyond the crop -------------------------------------------------------------------------------


def _outside(skeleton: Skeleton, seen: np.ndarray, what: str, box: Box, *, refuse: bool) -> Iterator[Notice]:
    """Joints beyond a box.

    Args:
        what: the word for it.
        refuse: whether scores are relative to it, so that none can be right where most joints are outside.
    """
    positions = skeleton.keypoints[seen, :2]
    low, high = (box.x, box.y), (box.x + box.width, box.y + box.height)
    beyond = np.maximum(low - positions, positions - high).max(axis=-1)
    outside = beyond > _OUTSIDE_PX
    if not outside.any():
        return
    code = f"joints-outside-{what}"
    described = {
        "frame": f"frame {box.width}x{box.height}",
        "crop": f"crop {box.x},{box.y},{box.width},{box.height}",
        "reference": f"bundle's fixed box {box.width}x{box.height}",
    }[what]
    found = (
        f"{int(outside.sum())} of {len(outside)} joints are outside of the {described}, by up to "
        f"{beyond.max():.0f} pixels"
    )
    fix = f"check that the {what} and the CSV belong to one video, and that coordinates are pixels of the full frame"
    if refuse and outside.mean() > _REFUSED_SHARE:
        details = {"outside": int(outside.sum()), "seen": len(outside)}
        raise InputError(found, code=code, fix=fix, details=details | told(skeleton))
    yield Notice(code, f"{found}: {fix}")
