"""Real videos through bundles that need not know real people: an answer, or one of the two clear errors."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from poseparity.errors import NoPersonFound, PoseParityError, TooManyMissingJoints
from poseparity.pipeline import Pipeline, PipelineResult
from poseparity.records import Video
from poseparity.stages.crop import padded_union

REAL_VIDEOS = ("video/demo_skeleton.mp4", "video/ntu_S001C001P001R001A001_rgb.avi")


def outcome(pipeline: Pipeline, path: Path) -> PipelineResult | PoseParityError:
    """The answer, or the error that says that nobody was seen, or too little of somebody."""
    try:
        return pipeline.run_video(path)
    except (NoPersonFound, TooManyMissingJoints) as error:
        return error


def check_outcome(pipeline: Pipeline, path: Path, video: Video, boxes: list[np.ndarray]) -> PipelineResult | None:
    """Run a video whose sampled frames hold `boxes` (each (people, 4), x1, y1, x2, y2) and hold what comes out to them.

    Returns:
        The answer, None where there is an error.
    """
    result = outcome(pipeline, path)
    counts = {"sampled": len(boxes), "with_person": sum(len(found) > 0 for found in boxes)}
    if isinstance(result, NoPersonFound):
        assert result.details["frames"] == {"decoded": video.frame_count, **counts}
        assert result.fix
        return None
    union = np.concatenate(boxes).astype(np.float64)
    assert result.skeleton.crop == padded_union(union, pipeline.bundle.crop.padding, video.size)
    if isinstance(result, TooManyMissingJoints):
        assert result.details["missing_joints"]["share"] > pipeline.bundle.quality.max_missing_share
        return None
    assert counts.items() <= result.to_dict()["frames"].items()
    return result
