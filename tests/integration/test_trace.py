"""Traces of real runs: what is in them, that they are small, and that recording changes nothing."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys

import numpy as np
import pytest

from poseparity.environment import snapshots
from poseparity.inputs import Input
from poseparity.stages.normalise import Normalise
from poseparity.trace.recording import record
from poseparity.trace.writing import to_json, write_trace

ENVIRONMENT = {"kind": "taken elsewhere"}
FROM_CSV = ["inspect", "interpolate", "trim", "normalise", "recognise"]

# Reads a trace and its arrays as the documentation describes them, with nothing of the project.
READER = """
import hashlib, json, sys
import numpy as np

def digest(array):
    header = f"{array.dtype.str}|{','.join(map(str, array.shape))}|"
    return hashlib.sha256(header.encode() + array.tobytes()).digest()

trace, arrays = json.load(open(sys.argv[1])), np.load(sys.argv[2])
checked = 0
for stage in trace["stages"]:
    for value in stage["values"]:
        name = f"{stage['name']}.{value['name']}"
        if name in arrays:
            assert digest(arrays[name]).hex() == value["sha256"], name
            rows = arrays[name] if value["frames"] else ()
            assert [digest(row).hex()[:12] for row in rows] == (value["frames"] or []), name
        elif name + "/0" in arrays:
            found = [digest(arrays[f"{name}/{frame}"]) for frame in range(value["shape"][0])]
            assert hashlib.sha256(b"".join(found)).hexdigest() == value["sha256"], name
            assert [each.hex()[:12] for each in found] == value["frames"], name
        else:
            raise KeyError(name)
        checked += 1
    lines = "".join(f"{value['name']}:{value['sha256']}\\n" for value in stage["values"])
    assert hashlib.sha256(lines.encode()).hexdigest() == stage["digest"]
assert "poseparity" not in sys.modules
print(checked)
"""


@pytest.fixture(scope="module")
def traced(pipeline, demo_clip, tmp_path_factory):
    """The demo clip's trace with its arrays: the result, the trace, the folder with trace.json and trace.npz."""
    folder = tmp_path_factory.mktemp("trace")
    given = Input(demo_clip, "video")
    result, trace = record(pipeline, given, environment=ENVIRONMENT, arrays=folder / "trace.npz")
    write_trace(folder / "trace.json", trace)
    return result, trace, folder


def csv_trace(pipeline, content: bytes):
    return record(pipeline, Input(content, "csv"), environment=ENVIRONMENT)[1]


def test_recording_changes_no_bit(traced, demo_result):
    result, _, _ = traced
    assert result.csv == demo_result.csv
    assert result.prediction.scores.tobytes() == demo_result.prediction.scores.tobytes()


def test_a_script_without_the_package_reads_it(traced):
    _, trace, folder = traced
    command = [sys.executable, "-I", "-c", READER, folder / "trace.json", folder / "trace.npz"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) == sum(len(stage.values) for stage in trace.stages)


def test_it_says_what_was_run_and_with_what(traced, pipeline, demo_clip):
    result, trace, _ = traced
    assert trace.input.sha256 == hashlib.sha256(demo_clip.read_bytes()).hexdigest()
    assert (trace.input.name, trace.input.kind, trace.input.bytes) == ("clip.mp4", "video", demo_clip.stat().st_size)
    assert trace.bundle.model_dump() == pipeline.bundle.identity()
    assert trace.prediction.model_dump() == result.to_dict()["prediction"]
    assert [stage.name for stage in trace.stages] == [stage.name for stage in pipeline.stages]
    assert trace.stage("crop").parameters["padding"] == pipeline.bundle.crop.padding
    assert trace.stage("pose").parameters["weights_sha256"] == pipeline.bundle.weights["pose"].sha256
    assert trace.stage("recognise").parameters["labels"] == list(pipeline.bundle.labels.names)
    assert all(len(stage.parameters["code"]["sha256"]) == 64 for stage in trace.stages)


def test_it_holds_small_values_and_the_logits_of_each_clip(traced):
    result, trace, _ = traced
    assert trace.stage("trim").value("first_frame").array() == result.kept.first_frame
    scores, logits = (trace.stage("recognise").value(name).array() for name in ("scores", "logits"))
    assert scores.tobytes() == result.prediction.scores.tobytes()
    exponents = np.exp(logits - logits.max(axis=1, keepdims=True))
    softmax = (exponents / exponents.sum(axis=1, keepdims=True)).mean(axis=0)
    np.testing.assert_allclose(softmax, scores, rtol=1e-5)


def test_the_class_behind_a_transform_shows(demo_bundle, traced):
    _, trace, _ = traced
    recorded = trace.stage("normalise").parameters["transform_classes"]
    normalise = Normalise(demo_bundle)
    assert normalise.describe()["transform_classes"] == recorded
    assert recorded[0]["module"] == "mmaction.datasets.transforms.pose_transforms"
    normalise._transforms[0] = PreNormalize2D()
    found = normalise.describe()["transform_classes"][0]
    assert found["name"] == recorded[0]["name"]
    assert found["module"] != recorded[0]["module"]
    assert found["sha256"] != recorded[0]["sha256"]


class PreNormalize2D:
    """What somebody might register under the name of a transform of MMAction2's."""


def test_a_csv_is_traced_from_where_it_enters(pipeline, demo_result, traced):
    _, of_video, _ = traced
    trace = csv_trace(pipeline, demo_result.csv)
    assert trace.input.kind == "csv"
    assert [stage.name for stage in trace.stages] == FROM_CSV
    for stage in trace.stages:
        assert stage.digest == of_video.stage(stage.name).digest


def test_one_joint_moved_by_the_last_bit_changes_the_digests_from_there_on(pipeline, demo_result, traced):
    keypoints = demo_result.skeleton.keypoints.copy()
    x = keypoints[70, 0, 0]
    text = demo_result.csv.decode().splitlines()
    row = text[71].split(",")
    row[0] = repr(float(np.nextafter(x, np.inf)))
    text[71] = ",".join(row)
    moved = csv_trace(pipeline, ("\n".join(text) + "\n").encode())
    was = csv_trace(pipeline, demo_result.csv)
    assert moved.stage("inspect").digest == was.stage("inspect").digest
    then, now = (trace.stage("interpolate").value("keypoints").frames for trace in (was, moved))
    assert [frame for frame in range(len(now)) if now[frame] != then[frame]] == [70]


@pytest.mark.slow
def test_ten_seconds_make_less_than_200_kb(pipeline, demo_clip, tmp_path):
    """300 frames with everything but the arrays, the environment included."""
    import cv2

    capture, path = cv2.VideoCapture(str(demo_clip)), tmp_path / "long.mp4"
    frames = []
    while (read := capture.read())[0]:
        frames.append(read[1])
    height, width = frames[0].shape[:2]
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"mp4v"), 30, (width, height))
    for number in range(300):
        writer.write(frames[number % len(frames)])
    writer.release()
    _, trace = record(pipeline, Input(path, "video"), environment=snapshots.of(pipeline.bundle.folder))
    assert trace.stage("decode").value("frame_count").array() == 300
    assert len(to_json(trace).encode()) < 200_000


def test_the_trace_is_plain_json(traced):
    _, trace, folder = traced
    assert json.loads((folder / "trace.json").read_text()) == trace.model_dump(mode="json")
