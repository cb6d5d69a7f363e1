"""What flows from stage to stage. Every record is frozen; a stage reads one and returns the next."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np


@dataclass(frozen=True)
class Size:
    """Width and height in pixels."""

    width: int
    height: int

    def __str__(self) -> str:
        return f"{self.width}x{self.height}"


@dataclass(frozen=True)
class Box:
    """An axis-aligned box in pixels of the full frame: its upper left corner, its width and its height."""

    x: int
    y: int
    width: int
    height: int


@dataclass(frozen=True)
class VideoFile:
    """A video that nobody has looked into yet."""

    path: Path


@dataclass(frozen=True)
class Video:
    """A video of which every frame could be decoded.

    Attributes:
        notices: what an answer should say of it.
        kept: its frames, uint8 (frame_count, height, width, 3), BGR, where it is short; None where they are to be
            streamed from `path`, because together they would take too much memory.
    """

    path: Path
    size: Size
    frames_per_second: float
    frame_count: int
    notices: tuple[Notice, ...] = ()
    kept: np.ndarray | None = field(default=None, repr=False, compare=False)


@dataclass(frozen=True)
class Detections:
    """Person boxes on a sample of the frames.

    Attributes:
        frame_indices: the sampled frames, ascending.
        boxes: for each sampled frame a float32 array (people, 4): x1, y1, x2, y2 in pixels of the full frame.
        confidences: for each sampled frame a float32 array (people,).
    """

    video: Video
    frame_indices: tuple[int, ...]
    boxes: tuple[np.ndarray, ...]
    confidences: tuple[np.ndarray, ...]

    @property
    def frames_with_person(self) -> int:
        return sum(len(boxes) > 0 for boxes in self.boxes)


@dataclass(frozen=True)
class CroppedVideo:
    """A video and the one region of it that is looked at in every frame.

    Attributes:
        frames_sampled: frames that were looked at to find the region; None when it is the whole frame.
        frames_with_person: of those, frames with a person.
    """

    video: Video
    crop: Box
    frames_sampled: int | None = None
    frames_with_person: int | None = None


@dataclass(frozen=True)
class Notice:
    """Something that an answer says beside its scores, because it may make them wrong.

    Attributes:
        code: stable identifier in kebab-case, for programs.
        message: what was found, and what was done about it, one line.
    """

    code: str
    message: str


@dataclass(frozen=True)
class Company:
    """Who else was in the video beside the followed person; see company.py.

    Attributes:
        most: plausible persons, at most, in one frame.
        several: boolean (frames,): more than one plausible person.
        mixed: boolean (frames,): joints of two people may be mixed.
        changed: boolean (frames,): the followed person may be another than in the frame before.
    """

    most: int
    several: np.ndarray
    mixed: np.ndarray
    changed: np.ndarray


@dataclass(frozen=True)
class Skeleton:
    """One person's joints over time.

    Attributes:
        keypoints: float64 (frames, 17, 3): x, y in pixels of the full frame and a confidence; COCO-17 order.
            A missing joint is 0, 0, 0.
        frame_size: size of the full frame; None when only a CSV is known.
        crop: the region that was looked at; None when only a CSV is known.
        first_frame: index, in what was recorded, of the first frame held here.
        company: who else was there, of all frames that were recorded; None when only a CSV is known.
        notices: what was found on the way here that the answer should say.
    """

    keypoints: np.ndarray
    frame_size: Size | None = None
    crop: Box | None = None
    first_frame: int = 0
    company: Company | None = None
    notices: tuple[Notice, ...] = ()

    @property
    def frame_count(self) -> int:
        return len(self.keypoints)

    @property
    def several_persons(self) -> int | None:
        """Frames, of all that were recorded, with more than one plausible person; None when only a CSV is known."""
        return None if self.company is None else int(self.company.several.sum())

    @property
    def missing(self) -> np.ndarray:
        """Boolean (frames, 17): True where a joint is 0, 0, 0."""
        return ~self.keypoints.any(axis=-1)


@dataclass(frozen=True)
class NormalisedClips:
    """What the recogniser reads.

    Attributes:
        inputs: float32 (clips, people, frames, joints, channels).
        sample: MMAction2's data sample that belongs to it.
        reference: the box, in pixels, that coordinates were taken relative to: x, y, width, height.
    """

    inputs: np.ndarray
    sample: object
    reference: tuple[float, float, float, float]


@dataclass(frozen=True)
class Prediction:
    """The recogniser's answer.

    Attributes:
        labels: class names, in the order of the scores.
        scores: float32 (classes,), the average over the clips of their softmax.
        logits: float32 (clips, classes), what the softmax was taken of; None where nobody looked at them.
    """

    labels: tuple[str, ...]
    scores: np.ndarray
    logits: np.ndarray | None = None

    @property
    def index(self) -> int:
        return int(self.scores.argmax())

    @property
    def label(self) -> str:
        return self.labels[self.index]

    def to_dict(self) -> dict:
        """JSON-ready; each score is exactly the float32 that was computed."""
        scores = zip(self.labels, self.scores.tolist(), strict=True)
        return {
            "index": self.index,
            "label": self.label,
            "scores": [{"label": label, "score": score} for label, score in scores],
        }
