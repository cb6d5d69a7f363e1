"""OpenPose's executable as the pose engine, against tests/openpose_for_tests: its command line and JSON, real poses."""

from __future__ import annotations

import dataclasses
import tempfile
from pathlib import Path

import numpy as np
import psutil
import pytest

from poseparity.bundle.tables import OpenPoseBinaryParameters
from poseparity.engines.openpose_binary import engine as openpose_binary
from poseparity.engines.openpose_binary.engine import OpenPoseBinaryEngine
from poseparity.engines.openpose_binary.program import Installation, find_program
from poseparity.errors import EngineError
from poseparity.pipeline import Pipeline
from poseparity.settings import load_settings
from poseparity.startup import load_pipeline
from tests.bundle_variants import middle_of, variant
from tests.openpose_for_tests import FAULT

PIXEL_TOLERANCE = 1e-3  # the JSON files have six digits
PICTURES = [np.full((40, 60, 3), value, np.uint8) for value in (10, 200)]


@pytest.fixture(scope="module")
def short_clip(demo_clip, tmp_path_factory) -> Path:
    """The middle of the demo clip."""
    return middle_of(demo_clip, tmp_path_factory.mktemp("clip") / "short.avi", frames=24)


@pytest.fixture
def temporary(tmp_path, monkeypatch) -> Path:
    """The folder for temporary files; none of ours is in it after the test (torch makes one of its own)."""
    folder = tmp_path / "tmp"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    yield folder
    assert list(folder.glob("poseparity-*")) == []


def engine(executable: dict, installation: Installation) -> OpenPoseBinaryEngine:
    return OpenPoseBinaryEngine(OpenPoseBinaryParameters(**executable), installation)


def test_it_gives_the_skeleton_that_the_network_in_torch_gives(
    demo_bundle, short_clip, installation, executable, temporary, monkeypatch
):
    monkeypatch.setattr(openpose_binary, "BATCH", 20)
    # OpenPose asks for a multiple of 16, where the demo bundle has a height of 184.
    pose = demo_bundle.pose.model_copy(update={"net_height": 176})
    whole = variant(demo_bundle, temporary.parent / "torch", pose=pose.model_dump(), crop={"strategy": "none"})
    in_torch = Pipeline(whole, max_frames=1000, max_pixels=10**6)
    expected = in_torch.run_video(short_clip)
    bundle = variant(demo_bundle, temporary.parent / "bundle", pose=executable, crop={"strategy": "none"})
    settings = load_settings(
        bundle=bundle.folder, openpose_binary=installation.executable, openpose_models=installation.models
    )
    pipeline = load_pipeline(settings)
    seen = []
    found = pipeline.run_video(short_clip, observe=lambda name, value: seen.append(name))
    assert seen.count("pose.persons") == expected.video.frame_count
    assert np.array_equal(found.skeleton.missing, expected.skeleton.missing)
    assert np.abs(found.skeleton.keypoints - expected.skeleton.keypoints).max() < PIXEL_TOLERANCE
    np.testing.assert_allclose(found.prediction.scores, expected.prediction.scores, atol=1e-3)
    described = next(stage for stage in pipeline.stages if stage.name == "pose").describe()
    assert described["version"] == "openpose_for_tests.bin"
    assert "--net_resolution=-1x176" in described["flags"]
    assert described["executable_sha256"] == executable["executable_sha256"]


@pytest.mark.parametrize(
    "fault, words",
    [
        ("status", "ended with status 255, expected 0: Error: Cuda check failed .* out of memory Coming from"),
        ("frame-left-out", "OpenPose wrote no 000001_keypoints.json: a frame was left out"),
        ("no-json", "000001_keypoints.json of OpenPose is no JSON"),
        ("no-people", '000001_keypoints.json of OpenPose has no list "people"'),
        ("body-25", 'has 75 values in "pose_keypoints_2d", expected 54'),
        ("old-key", 'has a person without a list "pose_keypoints_2d"'),
        ("not-finite", "that is no finite number"),
    ],
)
def test_what_goes_wrong_is_told(fault, words, installation, executable, temporary, monkeypatch):
    monkeypatch.setenv(FAULT, fault)
    with pytest.raises(EngineError, match=words) as error:
        list(engine(executable, installation).persons(iter(PICTURES)))
    assert error.value.fix


def test_a_program_that_hangs_is_ended_with_its_children(installation, executable, temporary, monkeypatch):
    monkeypatch.setenv(FAULT, "hang")
    slow = engine(executable, dataclasses.replace(installation, timeout_s=2))
    with pytest.raises(EngineError, match="did not end within 2 seconds, and said nothing"):
        list(slow.persons(iter(PICTURES)))
    assert not [
        process for process in psutil.process_iter(["cmdline"]) if str(temporary) in str(process.info["cmdline"])
    ]


def test_it_runs_with_the_pins_whatever_the_environment_is(installation, executable, temporary, monkeypatch):
    monkeypatch.setenv(FAULT, "nobody")
    monkeypatch.delenv("OMP_NUM_THREADS")
    monkeypatch.setenv("MKL_CBWR", "AVX2")
    persons = list(engine(executable, installation).persons(iter(PICTURES)))
    assert [of_frame.shape for of_frame in persons] == [(1, 17, 3), (0, 17, 3)]


def test_persons_come_in_the_order_of_their_confidence_and_nobody_is_empty(tmp_path):
    from poseparity.engines.openpose_binary.answers import read_persons

    def person(first: float) -> str:
        values = [1.5, 2.5, first, *[7, 8, 0.9], *[0] * 48]  # the nose, and the neck, which COCO-17 lacks
        return f'{{"pose_keypoints_2d": {values}}}'

    path = tmp_path / "0_keypoints.json"
    path.write_text(f'{{"version": 1.3, "people": [{person(0.2)}, {person(0)}, {person(0.6)}]}}')
    found = read_persons(path)
    assert found[:, 0].tolist() == [[1.5, 2.5, 0.6], [1.5, 2.5, 0.2]]
    assert not found[:, 1:].any()


@pytest.mark.parametrize(
    "key, value, words",
    [
        ("version", "openpose.bin version 2", "has version 'openpose_for_tests.bin', the bundle was made with 'open"),
        ("executable_sha256", "0" * 64, "has sha256 .* the bundle was made with '000"),
        ("model_sha256", "0" * 64, "COCO model .* has sha256 .* the bundle was made with 000"),
    ],
)
def test_another_openpose_than_the_bundles_is_refused(key, value, words, installation, executable):
    with pytest.raises(EngineError, match=words) as error:
        engine({**executable, key: value}, installation)
    assert "make the bundle again" in error.value.fix


def test_a_bundle_may_leave_the_build_open(installation, executable):
    assert engine({**executable, "executable_sha256": None}, installation).describe()["executable_sha256"]


@pytest.mark.parametrize(
    "changes, words",
    [
        ({"executable": None}, "POSEPARITY_OPENPOSE_BINARY is unset"),
        ({"models": None}, "POSEPARITY_OPENPOSE_MODELS is unset"),
        ({"executable": Path("/nowhere/openpose.bin")}, "/nowhere/openpose.bin is no file"),
        ({"models": Path("/nowhere")}, r"/nowhere/pose/coco/pose_iter_440000\.caffemodel is no file"),
        ({"executable": Path(__file__)}, "cannot be started: Permission denied"),
    ],
)
def test_an_openpose_that_is_not_there(changes, words, installation, executable):
    with pytest.raises(EngineError, match=words) as error:
        engine(executable, dataclasses.replace(installation, **changes))
    assert error.value.fix


def test_a_program_that_dies_is_told_by_its_signal(installation, tmp_path):
    deadly = tmp_path / "openpose.bin"
    deadly.write_text("#!/bin/sh\necho loading\nkill -SEGV $$\n")
    deadly.chmod(0o755)
    with pytest.raises(EngineError, match=r"openpose.bin was killed by signal 11: loading"):
        find_program(dataclasses.replace(installation, executable=deadly))
