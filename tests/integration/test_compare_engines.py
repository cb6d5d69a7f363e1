"""Traces of every pose engine and crop strategy hold what ran, and comparing two of them names what differs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from poseparity.bundle.bundle import Bundle
from poseparity.engines.openpose_binary import engine as openpose_binary
from poseparity.engines.openpose_binary.program import Installation
from poseparity.inputs import Input
from poseparity.parity.traces.compare import TraceComparison, compare_trace_files
from poseparity.pipeline import Pipeline
from poseparity.trace.writing import read_trace
from tests.bundle_variants import CROPS, middle_of, saved_pose_model, ultralytics_pose, variant
from tests.integration.traces import trace_of
from tests.openpose_for_tests import install

# Every trace is of a pipeline of its own.
pytestmark = pytest.mark.slow

WHOLE, FIRST_PASS = CROPS["none"], CROPS["two_pass"]


@pytest.fixture(scope="module")
def clip(demo_clip, tmp_path_factory) -> Path:
    return middle_of(demo_clip, tmp_path_factory.mktemp("clip") / "middle.avi", frames=6)


@pytest.fixture(scope="module")
def pose_model(tmp_path_factory) -> Path:
    return saved_pose_model(tmp_path_factory.mktemp("ultralytics"))


@pytest.fixture(scope="module")
def record(demo_bundle, clip, installation, tmp_path_factory) -> Callable[..., Path]:
    """`record(crop=..., pose=...)`: the trace of the clip through the demo bundle with these tables."""

    def run(*, openpose: Installation = installation, model: Path | None = None, **tables) -> Path:
        folder = tmp_path_factory.mktemp("run")
        bundle = bundle_with(demo_bundle, folder / "bundle", model, tables)
        pipeline = Pipeline(bundle, max_frames=100, max_pixels=10**6, openpose=openpose)
        return trace_of(pipeline, Input(clip, "video"), folder)

    return run


def bundle_with(demo: Bundle, folder: Path, model: Path | None, tables: dict) -> Bundle:
    """The demo bundle with other tables, and with a pose model of ultralytics where one is given."""
    tables["quality"] = {"max_missing_share": 1}
    if model is not None:
        tables["pose"], weights = ultralytics_pose(model, folder, **tables.get("pose", {}))
        return variant(demo, folder, weights=weights, **tables)
    return variant(demo, folder, **tables)


@pytest.fixture(scope="module")
def in_torch(record) -> Path:
    return record(crop=WHOLE)


@pytest.fixture(scope="module")
def in_two_passes(record) -> Path:
    return record(crop=FIRST_PASS)


@pytest.fixture(scope="module")
def by_executable(record, executable) -> Path:
    return record(crop=WHOLE, pose=executable)


@pytest.fixture(scope="module")
def by_ultralytics(record, pose_model) -> Path:
    return record(crop=WHOLE, model=pose_model)


def named(comparison: TraceComparison) -> list[tuple[str, str, object]]:
    """Stage, code and parameter of what explains that the first stage differs; what is sure of it alone."""
    first = comparison.first.stage
    found = [cause for cause in comparison.causes if cause.stage == first and cause.score > 0.5]
    return [(first, cause.code, cause.evidence.get("parameter")) for cause in found]


def test_every_trace_holds_what_estimated_the_poses(in_torch, by_executable, by_ultralytics, executable):
    stages = [read_trace(path).stage("pose") for path in (in_torch, by_executable, by_ultralytics)]
    parameters = [stage.parameters for stage in stages]
    assert [each["engine"] for each in parameters] == ["openpose", "openpose-binary", "ultralytics"]
    modules = [each["engine_code"]["module"].removeprefix("poseparity.engines.") for each in parameters]
    assert modules == ["openpose.engine", "openpose_binary.engine", "ultralytics_pose"]
    assert executable.items() <= parameters[1].items()
    assert "--net_resolution=-1x176" in parameters[1]["flags"] and "weights_sha256" not in parameters[1]
    assert len(parameters[0]["weights_sha256"]) == len(parameters[2]["weights_sha256"]) == 64
    assert parameters[2]["rect"] is True and parameters[2]["keypoint_confidence"] == 0.5
    assert all(stage.value("persons").unit == "pixels of the crop" for stage in stages)


def test_the_first_pass_is_in_the_trace_with_all_that_it_ran_with(in_two_passes):
    crop, pose = (read_trace(in_two_passes).stage(name) for name in ("crop", "pose"))
    told = {name: value for name, value in pose.parameters.items() if name not in ("code", "engine_code")}
    assert crop.parameters["engine"] == told
    assert crop.parameters["engine_code"] == pose.parameters["engine_code"]
    assert crop.parameters["sample_share"] == FIRST_PASS["sample_share"]
    assert crop.value("persons").unit == "pixels"


def test_another_strategy_is_named(record, in_torch, in_two_passes):
    strategy = [("crop", "crop-strategy", "crop.strategy")]
    with_detector = record()
    assert named(compare_trace_files(with_detector, in_torch)) == strategy
    assert named(compare_trace_files(with_detector, in_two_passes)) == strategy
    assert named(compare_trace_files(in_two_passes, in_torch)) == strategy


def test_another_engine_is_named(in_torch, by_executable, by_ultralytics):
    engine = [("pose", "pose-engine", "pose.engine")]
    assert named(compare_trace_files(in_torch, by_executable)) == engine
    assert named(compare_trace_files(by_executable, by_ultralytics)) == engine
    assert named(compare_trace_files(by_ultralytics, in_torch)) == engine


@pytest.mark.parametrize(
    ("crop", "pose", "expected"),
    [
        ({"sample_share": 0.5}, {}, ("crop", "sampling-share", "crop.sample_share")),
        ({"padding": 0.1}, {}, ("crop", "crop-padding", "crop.padding")),
        ({}, {"net_height": 176}, ("crop", "pose-network-size", "pose.net_height")),
    ],
)
def test_another_first_pass_is_named(crop, pose, expected, record, in_two_passes, demo_bundle):
    changed = record(crop=FIRST_PASS | crop, pose=demo_bundle.pose.model_dump() | pose)
    assert named(compare_trace_files(in_two_passes, changed)) == [expected]


def test_another_build_of_openpose_is_named_though_it_has_no_effect(record, by_executable, executable, demo_bundle,
                                                                    tmp_path):  # fmt: skip
    weights = demo_bundle.folder / demo_bundle.weights["pose"].file
    other = Installation(*install(tmp_path, weights, version="another_build"))
    table = {name: value for name, value in executable.items() if name != "executable_sha256"}
    changed = record(crop=WHOLE, pose=table | {"version": "another_build"}, openpose=other)
    comparison = compare_trace_files(by_executable, changed)
    assert comparison.verdict == "identical"
    assert {cause.code for cause in comparison.warnings} == {"pose-program"}
    assert {cause.evidence["parameter"] for cause in comparison.warnings} == {"pose.version", "pose.executable_sha256"}


def test_another_size_and_another_flag_are_named(record, by_executable, executable, monkeypatch):
    smaller = record(crop=WHOLE, pose=executable | {"net_resolution": "-1x160"})
    size = [("pose", "pose-network-size", "pose.net_resolution")]
    assert named(compare_trace_files(by_executable, smaller)) == size
    own = openpose_binary.OpenPoseBinaryEngine.flags
    monkeypatch.setattr(openpose_binary.OpenPoseBinaryEngine, "flags", lambda self: [*own(self), "--scale_gap=0.4"])
    (warning,) = compare_trace_files(by_executable, record(crop=WHOLE, pose=executable)).warnings
    assert warning.code == "pose-flags" and "--scale_gap=0.4 in B" in warning.title


def test_another_confidence_of_a_joint_is_named(record, by_ultralytics, pose_model):
    changed = record(crop=WHOLE, model=pose_model, pose={"keypoint_confidence": 0.51})
    expected = ("pose", "pose-joints", "pose.keypoint_confidence")
    assert named(compare_trace_files(by_ultralytics, changed))[0] == expected
