"""Skeleton CSVs from elsewhere, through the whole pipeline: what they mean, and what the answer says of them."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from poseparity import skeleton_csv
from poseparity.errors import InputError
from poseparity.records import Size
from tests.conftest import ROOT

POSEPARITY = Path(sys.executable).with_name("poseparity")


def codes(result) -> list[str]:
    return [warning["code"] for warning in result.to_dict()["warnings"]]


@pytest.fixture(scope="module")
def joints(demo_result) -> np.ndarray:
    """The demo clip's skeleton, of which some joints are missing."""
    return demo_result.skeleton.keypoints


def marked(joints: np.ndarray, marker: tuple[float, float, float]) -> bytes:
    """A CSV whose missing joints are written as `marker`."""
    changed = joints.copy()
    changed[~joints.any(axis=-1)] = marker
    return skeleton_csv.write(changed)


MARKERS = {(-1, -1, 0): "zero-confidence", (80, 20, 0): "zero-confidence", (-1, -1, -1): "missing-marker"}


@pytest.mark.parametrize("marker, code", MARKERS.items())
def test_missing_joints_may_be_written_otherwise(pipeline, demo_result, joints, marker, code):
    found = pipeline.run_csv(marked(joints, marker))
    assert found.prediction.scores.tobytes() == demo_result.prediction.scores.tobytes()
    assert found.csv == demo_result.csv
    assert codes(found) == [code]


def test_a_marker_with_a_confidence_is_told(pipeline, joints):
    assert codes(pipeline.run_csv(marked(joints, (-1, -1, 0.3)))) == ["constant-position"]


def test_confidences_that_were_never_written_are_told(pipeline, joints):
    without = joints.copy()
    without[..., 2] = 0
    found = pipeline.run_csv(skeleton_csv.write(without), frame_size=Size(480, 360))
    assert codes(found) == ["no-confidences"]
    assert found.skeleton.missing.sum() == (~joints.any(axis=-1)).sum()


def test_a_plain_csv_is_answered_without_a_warning(pipeline, demo_result):
    found = pipeline.run_csv(demo_result.csv, frame_size=Size(480, 360), crop=demo_result.skeleton.crop)
    assert codes(found) == codes(demo_result) == []
    assert found.prediction.scores.tobytes() == demo_result.prediction.scores.tobytes()


def test_a_real_swing_is_answered_without_a_warning(pipeline, real_data):
    content = (real_data / "golf/skeleton2d.csv").read_bytes()
    for size in (None, Size(432, 432), Size(1920, 1080)):
        assert codes(pipeline.run_csv(content, frame_size=size)) == []


def test_a_frame_that_the_joints_are_not_in_is_told(pipeline, real_data):
    found = pipeline.run_csv((real_data / "golf/skeleton2d.csv").read_bytes(), frame_size=Size(100, 100))
    (warning,) = found.to_dict()["warnings"]
    assert warning["code"] == "joints-outside-frame"
    assert warning["message"].startswith("2994 of 2994 joints are outside of the frame 100x100, by up to 320 pixels")


def test_coordinates_that_were_divided_are_refused(pipeline, joints):
    with pytest.raises(InputError, match="look normalised already") as caught:
        pipeline.run_csv(skeleton_csv.write(joints / (480, 360, 1)))
    assert caught.value.code == "coordinates-normalised"


@pytest.mark.slow
def test_the_command_reads_it_as_the_service_does(pipeline, joints, demo_result, tmp_path):
    path = tmp_path / "skeleton.txt"
    path.write_bytes(b"\xef\xbb\xbf" + marked(joints, (-1, -1, 0)).replace(b",", b"\t"))
    command = [POSEPARITY, "run", path]
    done = subprocess.run([*command, "--json"], cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    assert [score["score"] for score in answer["prediction"]["scores"]] == demo_result.prediction.scores.tolist()
    assert [warning["code"] for warning in answer["warnings"]] == ["zero-confidence"]
