"""Golden traces: the demo bundle's, which is committed, and what recording and replaying does to a bundle."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from poseparity import skeleton_csv
from poseparity.bundle.bundle import MANIFEST, load_bundle
from poseparity.errors import BundleError, TraceError
from poseparity.golden.record import entered, record
from poseparity.golden.replay import compared, read_golden, replay
from poseparity.records import Skeleton
from poseparity.settings import load_settings
from poseparity.stages.interpolate import filled
from poseparity.startup import load_pipeline


@pytest.fixture
def copied(demo_bundle, tmp_path) -> Path:
    return Path(shutil.copytree(demo_bundle.folder, tmp_path / "bundle"))


def edit(folder: Path, old: str, new: str) -> None:
    path = folder / MANIFEST
    text = path.read_text(encoding="utf-8")
    assert text.count(old) == 1
    path.write_text(text.replace(old, new), encoding="utf-8")


def content(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def loaded(folder: Path):
    return load_pipeline(load_settings(bundle=folder))


def test_the_committed_golden_traces_are_replayed_to_the_bit(pipeline):
    clip, gaps = replay(pipeline)
    assert (clip.input, clip.differing, clip.first) == (pipeline.bundle.demo.clip, (), None)
    assert clip.stages == tuple(stage.name for stage in pipeline.stages)
    assert str(clip) == "clip.mp4: 9 of 9 stages identical"
    assert str(gaps) == "gaps.csv: 5 of 5 stages identical"


def test_the_second_golden_input_has_gaps_between_seen_joints(demo_bundle):
    """The clip has none, so that a server which holds the last value there gave the same bits."""
    keypoints = skeleton_csv.read((demo_bundle.folder / "gaps.csv").read_bytes(), max_frames=9000)
    missing = Skeleton(keypoints).missing
    assert not missing[[0, -1]].any(axis=1)[0] and (missing[1:-1].sum(axis=0) > 3).all()
    held = keypoints.copy()
    for frame in range(1, len(held)):
        held[frame, missing[frame]] = held[frame - 1, missing[frame]]
    kept = demo_bundle.trim.margin
    assert np.abs(filled(keypoints, missing) - held)[20:-20, :, :2].max() > 10 > kept


def test_it_says_nothing_of_time_machine_and_code(demo_bundle):
    entry = demo_bundle.golden[0]
    trace = read_golden(demo_bundle, entry)
    assert (trace.created, trace.poseparity, trace.environment, trace.bundle.sha256, trace.warnings) == (None,) * 5
    for stage in trace.stages:
        assert stage.seconds is None
        assert "code" not in stage.parameters
    text = (demo_bundle.folder / entry.trace).read_text(encoding="utf-8")
    assert str(Path.home()) not in text and str(demo_bundle.folder) not in text


def test_recording_again_gives_the_same_bytes_and_a_csv_may_join(copied, demo_result):
    before = content(copied)
    pipeline = loaded(copied)
    inputs = tuple(entry.input for entry in pipeline.bundle.golden)
    record(pipeline, inputs)
    assert content(copied) == before
    (copied / "skeleton.csv").write_bytes(demo_result.csv)
    record(pipeline, (*inputs, "skeleton.csv"))
    clip, _, skeleton = load_bundle(copied).golden
    assert clip.model_dump() == pipeline.bundle.golden[0].model_dump()
    trace = read_golden(load_bundle(copied), skeleton)
    assert [stage.name for stage in trace.stages] == ["inspect", "interpolate", "trim", "normalise", "recognise"]
    # Everything else in bundle.toml is as it was, to the byte.
    assert (copied / MANIFEST).read_bytes().startswith(before[MANIFEST])


def test_the_first_stage_that_differs_is_named(copied):
    edit(copied, "margin = 4", "margin = 5")
    found, _ = replay(loaded(copied))
    assert found.differing == ("trim", "normalise", "recognise")
    assert found.first.startswith("first_frame, frame_count, keypoints is <f8 [61, 17, 3], expected <f8 [59, 17, 3]")


def test_frames_that_differ_are_counted(demo_bundle):
    golden = read_golden(demo_bundle, demo_bundle.golden[0])
    text = json.loads(golden.model_dump_json())
    value = next(value for value in text["stages"][3]["values"] if value["name"] == "network_output")
    value["sha256"] = "0" * 64
    value["frames"][7:9] = ["0" * 12] * 2
    found = compared("clip.mp4", golden, type(golden).model_validate(text))
    assert found.first == "network_output in 2 of 104 frames, the first is 7"
    text["stages"].pop()
    text["stages"][0]["values"].append({**value, "name": "known to this release only"})
    found = compared("clip.mp4", golden, type(golden).model_validate(text))
    assert found.differing == ("pose", "recognise")


@pytest.mark.parametrize("name", ["clip.mp4", "golden/clip.json", "golden/clip.npz"])
def test_a_changed_or_missing_file_is_told(copied, name):
    bundle = load_bundle(copied)
    (copied / name).write_bytes((copied / name).read_bytes() + b"\0")
    with pytest.raises(BundleError, match=r"has sha256 .*, expected .*: its content changed"):
        read_golden(bundle, bundle.golden[0])
    (copied / name).unlink()
    with pytest.raises(BundleError, match="is missing"):
        read_golden(bundle, bundle.golden[0])


def test_a_golden_file_that_is_no_trace(copied):
    entry = load_bundle(copied).golden[0]
    (copied / entry.trace).write_bytes(b"{}")
    edit(copied, entry.sha256, hashlib.sha256(b"{}").hexdigest())
    bundle = load_bundle(copied)
    with pytest.raises(TraceError, match="is no trace"):
        read_golden(bundle, bundle.golden[0])


def test_a_bundle_without_golden_traces_cannot_be_replayed(pipeline, monkeypatch):
    monkeypatch.setattr(pipeline, "bundle", pipeline.bundle.model_copy(update={"golden": ()}))
    with pytest.raises(BundleError, match="has no golden traces") as error:
        replay(pipeline)
    assert "poseparity bundle record" in error.value.fix


@pytest.mark.parametrize(
    "inputs, words",
    [
        (("absent.mp4",), "absent.mp4 is no file of"),
        (("../bundle/clip.mp4",), "is no file of"),
        (("clip.mp4", "clip.csv"), "two have one name before the dot"),
    ],
)
def test_inputs_that_cannot_be_recorded(pipeline, copied, monkeypatch, inputs, words):
    (copied / "clip.csv").write_bytes(b"")
    monkeypatch.setattr(pipeline, "bundle", pipeline.bundle.model_copy(update={"folder": copied}))
    before = content(copied)
    with pytest.raises(BundleError, match=words):
        record(pipeline, inputs)
    assert content(copied) == before


def test_entries_are_replaced_and_nothing_else_is_touched():
    text = '# a comment\nname = "x"\n\n[demo]\nclip = "a"  # another\n'
    one, two = ({"input": name, "trace": f"golden/{name}.json", "sha256": "0"} for name in ("a", "b"))
    first = entered(text, [one])
    assert first.startswith(text) and first.count("[[golden]]") == 1
    assert entered(first, [one, two]).count("[[golden]]") == 2
    assert entered(entered(first, [one, two]), [one]) == first
    with pytest.raises(BundleError, match=r"something follows \[\[golden\]\]"):
        entered(first + "\n[more]\nkey = 1\n", [two])
