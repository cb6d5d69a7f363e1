"""Skeleton CSVs from elsewhere: an answer or a refusal, soon, and never a fault of the service."""

from __future__ import annotations

import time

import numpy as np

from poseparity.errors import PoseParityError
from poseparity.records import Box, Size
from tests import hostile_csvs


def outcome(pipeline, content: bytes) -> int:
    try:
        result = pipeline.run_csv(content, frame_size=Size(480, 360), crop=Box(0, 0, 480, 360))
    except PoseParityError as error:
        return error.http_status
    assert np.isfinite(result.prediction.scores).all()
    return 200


def test_no_hostile_csv_fails_or_hangs(pipeline, figures):
    statuses, slowest = [], 0.0
    for name, content in hostile_csvs.hostile():
        began = time.monotonic()
        statuses.append(outcome(pipeline, content))
        seconds = time.monotonic() - began
        assert statuses[-1] < 500, name
        assert seconds < 10, name
        slowest = max(slowest, seconds)
    figures.append(f"{len(statuses)} hostile CSVs: {statuses.count(200)} answered, the slowest {slowest:.1f} s")
    assert len(statuses) >= 400
    assert set(statuses) <= {200, 400, 413, 422}
