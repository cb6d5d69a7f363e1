"""Keypoints on the crop of every frame."""

from __future__ import annotations

import numpy as np

from ..bundle.bundle import Bundle
from ..engines.base import PoseEngine
from ..engines.company import company_of, notices_of
from ..engines.follow import follow
from ..keypoints import Coco17
from ..observe import Observe, Observed, unobserved
from ..records import CroppedVideo, Skeleton
from .base import POSE, Stage
from .crop import no_person
from .decode import frames


class Pose(Stage, Observed):
    """Run the pose engine on each frame's crop, keep the person whom the bundle follows, move it to the full frame.

    Reads: CroppedVideo. Adds: the skeleton, COCO-17, pixels of the full frame; a missing joint is 0, 0, 0; who else was
    there, and what an answer should say of it.
    Raises: NoPersonFound when no frame has a single joint. What the engine raises.
    """

    row = POSE
    name = row.name

    def __init__(self, bundle: Bundle, engine: PoseEngine) -> None:
        self._follow = bundle.pose.follow
        steps = [step for step in bundle.normalise.transforms if step.get("type") == "FormatGCNInput"]
        self._model_persons = max((step.get("num_person", 2) for step in steps), default=1)  # 2 is MMAction2's default
        self.engine = engine
        self.observed = engine.observed

    def __call__(self, cropped: CroppedVideo, observe: Observe = unobserved) -> Skeleton:
        box, video = cropped.crop, cropped.video
        # A few joints a frame: what is large, the frames, passes by one at a time.
        crops = (frame[box.y : box.y + box.height, box.x : box.x + box.width] for _, frame in frames(video))
        persons = list(self.engine.persons(crops, observe))
        keypoints = np.zeros((video.frame_count, len(Coco17), 3))
        for index, person in zip(range(video.frame_count), follow(persons, self._follow), strict=True):
            if person is not None:
                keypoints[index] = person
        if not keypoints.any():
            counts = {"decoded": video.frame_count}
            if cropped.frames_sampled is not None:
                counts |= {"sampled": cropped.frames_sampled, "with_person": cropped.frames_with_person}
            raise no_person("the pose engine found no joint in any frame", **counts)
        company = company_of(keypoints, persons)
        return Skeleton(
            _moved(keypoints, box.x, box.y),
            frame_size=video.size,
            crop=box,
            company=company,
            notices=(*video.notices, *notices_of(company, self._follow, self._model_persons)),
        )

    @staticmethod
    def values(skeleton: Skeleton) -> dict[str, np.ndarray]:
        return {"keypoints": skeleton.keypoints}

    def describe(self) -> dict:
        """What the engine says of itself; see observe.Described."""
        return self.engine.describe()


def _moved(keypoints: np.ndarray, x: int, y: int) -> np.ndarray:
    """Move joints from the crop to the full frame; missing ones stay 0, 0, 0."""
    present = keypoints.any(axis=-1)
    keypoints[present, :2] += (x, y)
    return keypoints
