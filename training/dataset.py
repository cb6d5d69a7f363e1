"""Single frames of many clips, as the detector and the pose network see them in the service."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from poseparity.engines.openpose.image import fit_to_network
from poseparity.keypoints import Coco17, Coco18
from poseparity.records import Box, Size
from poseparity.stages.crop import padded_union
from training.rendering.clip import Clip

COCO18_FROM_COCO17 = [Coco17[part.name] if part != Coco18.NECK else -1 for part in Coco18]
_FACE = range(Coco17.L_SHOULDER)
_REACHING = ("kick", "kick", "golf_swing")


@dataclass(frozen=True)
class PoseSample:
    """A network input (3, height, width) uint8 BGR and its joints (18, 2) in network pixels, NaN where not taught."""

    picture: np.ndarray
    joints: np.ndarray


@dataclass(frozen=True)
class BoxSample:
    """A letterboxed frame (3, side, side) uint8 RGB and the box (4,): its centre and size as shares of the side."""

    picture: np.ndarray
    box: np.ndarray


def taught_joints(joints: np.ndarray, visible: np.ndarray) -> np.ndarray:
    """COCO-18 joints (18, 2) that the pose network is to find; NaN where it is to find none.

    A hidden limb is taught, because its place follows from the rest of the body; the far side of the face is not.
    """
    taught = joints.copy()
    hidden_face = [joint for joint in _FACE if not visible[joint]]
    taught[hidden_face] = np.nan
    neck = (joints[Coco17.L_SHOULDER] + joints[Coco17.R_SHOULDER]) / 2
    return np.concatenate([taught, neck[None]])[COCO18_FROM_COCO17]


def pose_samples(seed: int, net_height: int, width_multiple: int, frames: int = 3) -> list[PoseSample]:
    """Frames of clip `seed`, cut out and scaled as stages/crop.py and openpose/image.py do, with jittered boxes."""
    rng = np.random.default_rng([seed, 2])
    clip = Clip(seed)
    indices = sorted(rng.choice(len(clip), frames, replace=False).tolist())
    samples = []
    for index, frame in zip(indices, clip.frames(indices), strict=True):
        box = _jittered_crop(rng, clip)
        network = fit_to_network(_compressed(rng, frame)[box.y : box.y + box.height, box.x : box.x + box.width],
                                 net_height=net_height, width_multiple=width_multiple)  # fmt: skip
        picture = ((network.pixels[0] + 0.5) * 256).round().astype(np.uint8)
        joints = taught_joints(clip.truth.joints[index], clip.truth.visible[index])
        scale = np.array([network.scale_x, network.scale_y])
        samples.append(PoseSample(picture, (joints - (box.x, box.y) + 0.5) * scale - 0.5))
    return samples


def box_sample(seed: int, side: int, wide_share: float) -> BoxSample:
    """One frame of clip `seed`, letterboxed to a square with grey as ultralytics does it.

    With probability `wide_share` it is one of those in which the figure is widest: a stretched leg or arm is rare
    among all frames, but it is what decides how large the service's one crop has to be.
    """
    rng = np.random.default_rng([seed, 3])
    clip = Clip(seed)
    widths = clip.truth.boxes[:, 2] - clip.truth.boxes[:, 0]
    wide = np.flatnonzero(widths >= 0.9 * widths.max())
    index = int(rng.choice(wide)) if rng.random() < wide_share else int(rng.integers(len(clip)))
    return _letterboxed(rng, next(clip.frames([index])), clip.truth.boxes[index], side)


def reach_samples(seed: int, side: int) -> list[BoxSample]:
    """The frames of clip `seed` in which the figure reaches furthest to the left, to the right and up, and any other.

    The service's crop is the union over a clip, so these frames alone decide it. Half of the clips are kicks and golf
    swings, whose limbs reach furthest.
    """
    rng = np.random.default_rng([seed, 4])
    clip = Clip(seed, str(rng.choice(_REACHING)) if rng.random() < 0.5 else None)
    boxes = clip.truth.boxes
    furthest = {int(boxes[:, 0].argmin()), int(boxes[:, 2].argmax()), int(boxes[:, 1].argmin())}
    indices = sorted(furthest | {int(rng.integers(len(clip)))})
    return [_letterboxed(rng, frame, boxes[index], side)
            for index, frame in zip(indices, clip.frames(indices), strict=True)]  # fmt: skip


def _letterboxed(rng: np.random.Generator, frame: np.ndarray, box: np.ndarray, side: int) -> BoxSample:
    """A frame and the figure's box in it (4,), x1, y1, x2, y2 in pixels, as the detector sees them."""
    frame = _compressed(rng, frame)
    height, width = frame.shape[:2]
    scale = side / max(height, width)
    small = cv2.resize(frame, (round(width * scale), round(height * scale)), interpolation=cv2.INTER_LINEAR)
    canvas = np.full((side, side, 3), 114, np.uint8)
    left, top = (side - small.shape[1]) // 2, (side - small.shape[0]) // 2
    canvas[top : top + small.shape[0], left : left + small.shape[1]] = small
    x1, y1, x2, y2 = (box * scale + (left, top, left, top)) / side
    target = np.array([(x1 + x2) / 2, (y1 + y2) / 2, x2 - x1, y2 - y1], np.float32)
    return BoxSample(np.ascontiguousarray(canvas[..., ::-1].transpose(2, 0, 1)), target)


def _jittered_crop(rng: np.random.Generator, clip: Clip) -> Box:
    """The service's crop: the union over the sampled frames, here with boxes as inexact as a detector's."""
    boxes = clip.truth.boxes[:: int(rng.integers(1, 5))]
    size = boxes[:, 2:].max(0) - boxes[:, :2].min(0)
    boxes = boxes + rng.normal(0, 0.04, 4) * np.tile(size, 2)
    return padded_union(boxes, rng.uniform(0.08, 0.24), Size(*clip.camera.size))


def _compressed(rng: np.random.Generator, frame: np.ndarray) -> np.ndarray:
    """What a video codec leaves of a frame, imitated with JPEG."""
    quality = int(rng.integers(35, 96))
    return cv2.imdecode(cv2.imencode(".jpg", frame, [cv2.IMWRITE_JPEG_QUALITY, quality])[1], cv2.IMREAD_COLOR)
