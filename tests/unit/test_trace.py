"""Traces without a pipeline: digests as the format defines them, and what is refused as no trace."""

from __future__ import annotations

import hashlib
import json
import struct

import numpy as np
import pytest

from poseparity.errors import TraceError
from poseparity.records import Box, CroppedVideo, Detections, Prediction, Size, Skeleton, Video
from poseparity.stages.base import Stage, Value
from poseparity.stages.crop import Crop
from poseparity.stages.decode import Decode
from poseparity.stages.detect import Detect
from poseparity.stages.inspect import Inspect
from poseparity.stages.pose import Pose
from poseparity.stages.recognise import Recognise
from poseparity.stages.trim import Trim
from poseparity.trace import arrays, digests, model, tracer
from poseparity.trace import writing as files

SHA = "0" * 64


def minimal(**changes) -> dict:
    stage = {"name": "decode", "parameters": {}, "seconds": 0.1, "digest": SHA, "values": []}
    return {
        "format": model.FORMAT,
        "created": "2026-01-02T03:04:05+00:00",
        "poseparity": "0.1.0",
        "bundle": {"name": "demo", "version": "1", "sha256": SHA},
        "input": {"name": "clip.mp4", "kind": "video", "bytes": 5, "sha256": SHA},
        "environment": {"kind": "environment"},
        "prediction": {"index": 0, "label": "a", "scores": [{"label": "a", "score": 1.0}]},
        "stages": [stage],
        "arrays": None,
        **changes,
    }


def test_a_digest_is_over_type_shape_and_bytes():
    array = np.array([[1.5, -2.0], [0.0, 3.0]])
    expected = hashlib.sha256(b"<f8|2,2|" + struct.pack("<4d", 1.5, -2.0, 0.0, 3.0)).digest()
    assert digests.digest(array) == expected
    assert digests.digest(array.astype(">f8")) == expected
    assert digests.digest(np.asfortranarray(array)) == expected
    assert digests.digest(array.reshape(4)) != expected
    assert digests.digest(-array * 0) != digests.digest(array * 0)  # minus zero is another value


def test_a_digest_of_a_scalar_and_of_nothing():
    assert digests.digest(np.array(7)) == hashlib.sha256(b"<i8||" + struct.pack("<q", 7)).digest()
    assert digests.digest(np.zeros((0, 18, 3))) == hashlib.sha256(b"<f8|0,18,3|").digest()
    assert digests.digest(np.array([255], np.uint8)) == hashlib.sha256(b"|u1|1|\xff").digest()


def test_what_passes_by_has_null_for_a_length_that_varies():
    stream = tracer._Stream("<f8", [2, 18, 3])
    stream.add(np.zeros((2, 18, 3)))
    stream.add(np.zeros((1, 18, 3)))
    stream.add(np.zeros((2, 18, 3)))
    assert stream.shape == [None, 18, 3]


def test_boxes_of_all_frames_and_how_many_belong_to_each():
    video = Video(path="clip.mp4", size=Size(8, 6), frames_per_second=30.0, frame_count=4)
    empty, two = np.zeros((0, 4), np.float32), np.arange(8, dtype=np.float32).reshape(2, 4)
    found = Detections(video, (0, 2), (empty, two), (np.zeros(0, np.float32), np.ones(2, np.float32)))
    by_name = Detect.values(found)
    assert by_name["people"].tolist() == [0, 2]
    assert by_name["boxes"].tolist() == two.tolist()
    assert by_name["confidences"].shape == (2,)


def test_each_record_gives_its_values():
    skeleton = Skeleton(np.zeros((3, 17, 3)), first_frame=2)
    video = Video(path="clip.mp4", size=Size(8, 6), frames_per_second=30.0, frame_count=4)
    cropped = CroppedVideo(video, Box(1, 2, 3, 4), frames_sampled=1, frames_with_person=1)
    scores = np.array([0.25, 0.75], np.float32)
    expected = [
        (Decode, video, ["size", "frames_per_second", "frame_count"]),
        (Crop, cropped, ["box"]),
        (Inspect, skeleton, ["missing"]),
        (Pose, skeleton, ["keypoints"]),
        (Trim, skeleton, ["first_frame", "frame_count", "keypoints"]),
        (Recognise, Prediction(("a", "b"), scores), ["scores"]),
    ]
    for stage, record, names in expected:
        assert list(stage.values(record)) == names


def test_a_stage_without_values_for_a_trace_is_no_silence():
    class Forgetful(Stage):
        def __call__(self, record):
            return record

    with pytest.raises(TypeError, match="values"):
        Forgetful()


def test_what_was_written_is_read(tmp_path):
    trace = model.Trace.model_validate(minimal(added_later=5))
    files.write_trace(tmp_path / "a.json", trace)
    assert files.read_trace(tmp_path / "a.json") == trace
    content = json.loads((tmp_path / "a.json").read_text())
    assert content["added_later"] == 5
    assert "warnings" not in content, "golden traces of earlier releases keep their bytes"


def test_a_small_value_is_in_the_trace():
    array = np.array([1.5, 2.5], ">f4")
    traced = tracer._traced("box", Value("pixels"), array)
    assert traced.array().tolist() == [1.5, 2.5]
    assert traced.dtype == "<f4"
    assert tracer._traced("box", Value("pixels"), np.zeros(513)).data is None


@pytest.mark.parametrize(
    "content, words",
    [
        (b"", "is not JSON"),
        (json.dumps(minimal()).encode()[:-20], "is not JSON"),
        (b"\xff\xfe", "is not JSON"),
        (b"[" * 100_000, "is not JSON"),
        (b"[]", "is no trace: its format is None"),
        (b'{"format": "something-else/1"}', "is no trace: its format is 'something-else/1'"),
        (b'{"format": 1}', "is no trace: its format is 1"),
        (
            json.dumps(minimal(format="poseparity-trace/2")).encode(),
            "the format 'poseparity-trace/2', this version",
        ),
        (json.dumps({k: v for k, v in minimal().items() if k != "stages"}).encode(), "is damaged: stages: Field req"),
        (json.dumps(minimal(stages=[{"name": "crop"}])).encode(), r"is damaged: stages\.0\.parameters: Field req"),
        (json.dumps(minimal(input={"name": "x", "kind": "audio", "bytes": 1, "sha256": SHA})).encode(), "input.kind"),
    ],
)
def test_what_is_no_trace_is_refused_in_one_line(tmp_path, content, words):
    path = tmp_path / "trace.json"
    path.write_bytes(content)
    with pytest.raises(TraceError, match=words) as error:
        files.read_trace(path)
    assert "\n" not in str(error.value)
    assert error.value.fix


def test_arrays_are_an_npz(tmp_path):
    frames = np.arange(12, dtype=np.uint8).reshape(2, 2, 3)
    with arrays.ArrayFile(tmp_path / "a.npz") as file:
        file.add("decode.frame/0", frames)
        file.add("decode.frame_count", np.array(1))
    with np.load(tmp_path / "a.npz", allow_pickle=False) as read:
        assert read["decode.frame/0"].tolist() == frames.tolist()
        assert read["decode.frame_count"] == 1
