"""What a record holds that is worth comparing: one array a value, with its unit."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..records import CroppedVideo, Detections, NormalisedClips, Prediction, Skeleton, Video


@dataclass(frozen=True)
class Result:
    """A value of a record.

    Attributes:
        by_frame: its first axis counts the frames that the stage holds.
    """

    name: str
    unit: str
    array: np.ndarray
    by_frame: bool = False


def results_of(stage: str, record: object) -> list[Result]:
    """The values that a stage added; a record says what is in it, whatever made it.

    Args:
        stage: its name: some stages return the same kind of record and add different things to it.

    Raises:
        TypeError: no stage is known to return such a record.
    """
    match record:
        case Video():
            return _of_video(record)
        case Detections():
            return _of_detections(record)
        case CroppedVideo():
            return [_integers("box", "pixels", record.crop.x, record.crop.y, record.crop.width, record.crop.height)]
        case Skeleton():
            return _of_skeleton(stage, record)
        case NormalisedClips():
            reference = np.array(record.reference, dtype=np.float64)
            return [Result("inputs", "normalised", record.inputs), Result("reference", "pixels", reference)]
        case Prediction():
            logits = [] if record.logits is None else [Result("logits", "logits", record.logits)]
            return [*logits, Result("scores", "probability", record.scores)]
    raise TypeError(f"stage {stage} returned {type(record).__name__}, which no trace knows: add it to results_of")


def _of_video(video: Video) -> list[Result]:
    return [
        _integers("size", "pixels", video.size.width, video.size.height),
        Result("frames_per_second", "frames per second", np.array(video.frames_per_second, dtype=np.float64)),
        _integer("frame_count", "frames", video.frame_count),
    ]


def _of_detections(found: Detections) -> list[Result]:
    """Boxes of all sampled frames one after the other; `people` says how many belong to each frame."""
    return [
        _integers("frame_indices", "frames", *found.frame_indices),
        _integers("people", "persons", *map(len, found.boxes)),
        Result("boxes", "pixels", np.concatenate(found.boxes)),
        Result("confidences", "confidence", np.concatenate(found.confidences)),
    ]


def _of_skeleton(stage: str, skeleton: Skeleton) -> list[Result]:
    if stage == "inspect":
        return [_integer("missing", "joints", int(skeleton.missing.sum()))]
    keypoints = Result("keypoints", "pixels", skeleton.keypoints, by_frame=True)
    if stage == "trim":
        kept = ("first_frame", skeleton.first_frame), ("frame_count", skeleton.frame_count)
        return [*(_integer(name, "frames", value) for name, value in kept), keypoints]
    return [keypoints]


def _integer(name: str, unit: str, value: int) -> Result:
    return Result(name, unit, np.array(value, dtype=np.int64))


def _integers(name: str, unit: str, *values: int) -> Result:
    return Result(name, unit, np.array(values, dtype=np.int64))
