"""Keypoints on the crop of every frame."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from ..bundle import Bundle
from ..engines.base import PoseEngine
from ..follow import follow
from ..keypoints import Coco17
from ..observe import Observe, Observed, unobserved
from ..records import CroppedVideo, Skeleton
from .crop import no_person
from .decode import frames


class Pose(Observed):
    """Run the pose engine on each frame's crop, keep the person whom the bundle follows, move it to the full frame.

    Reads: CroppedVideo. Adds: the skeleton, COCO-17, pixels of the full frame; a missing joint is 0, 0, 0.
    Raises: NoPersonFound when no frame has a single joint. What the engine raises.
    """

    name = "pose"

    def __init__(self, bundle: Bundle, engine: PoseEngine) -> None:
        self._follow = bundle.pose.follow
        self.engine = engine
        self.observed = engine.observed

    def __call__(self, cropped: CroppedVideo, observe: Observe = unobserved) -> Skeleton:
        box, video = cropped.crop, cropped.video
        keypoints, several = np.zeros((video.frame_count, len(Coco17), 3)), 0
        followed = follow(self.engine.persons(_crops(cropped), observe), self._follow)
        for index, (person, count) in zip(range(video.frame_count), followed, strict=True):
            several += count > 1
            if person is not None:
                keypoints[index] = person
        if not keypoints.any():
            raise no_person("the pose engine found no joint in any frame", **_counts(cropped))
        return Skeleton(_moved(keypoints, box.x, box.y), frame_size=video.size, crop=box, several_persons=several)

    def describe(self) -> dict:
        """What the engine says of itself; see observe.Described."""
        return self.engine.describe()


def _crops(cropped: CroppedVideo) -> Iterator[np.ndarray]:
    box = cropped.crop
    for _, frame in frames(cropped.video):
        yield frame[box.y : box.y + box.height, box.x : box.x + box.width]


def _counts(cropped: CroppedVideo) -> dict[str, int]:
    """The frame counts of the error; those of sampling where frames were sampled."""
    counts = {"decoded": cropped.video.frame_count}
    if cropped.frames_sampled is not None:
        counts |= {"sampled": cropped.frames_sampled, "with_person": cropped.frames_with_person}
    return counts


def _moved(keypoints: np.ndarray, x: int, y: int) -> np.ndarray:
    """Move joints from the crop to the full frame; missing ones stay 0, 0, 0."""
    present = keypoints.any(axis=-1)
    keypoints[present, :2] += (x, y)
    return keypoints
