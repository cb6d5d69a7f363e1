"""The demo bundle as it ships: its files, its size, and what it knows about clips that it was not trained on."""

from __future__ import annotations

import hashlib
import json
import struct
import tomllib

import cv2
import pytest
import yaml

from bench import demo as bench_demo
from training import manifest
from training.rendering.motion import LABELS

MAX_BYTES = 12 * 2**20
CLIPS = 4
# Not those of scripts/bench demo: what is measured there should not be tuned to here.
FIRST_SEED = bench_demo.FIRST_SEED + 500_000
WEIGHTS = ("detector", "pose", "recogniser")


@pytest.fixture(scope="module")
def tables() -> dict:
    return tomllib.loads((manifest.BUNDLE / "bundle.toml").read_text(encoding="utf-8"))


def test_files_are_those_of_the_manifest(tables: dict) -> None:
    names = {table["file"] for table in tables["weights"].values()}
    expected = {"bundle.toml", tables["detect"]["architecture"], tables["demo"]["clip"], *names}
    for golden in tables["golden"]:
        trace = manifest.BUNDLE / golden["trace"]
        expected |= {golden["input"], golden["trace"], f"golden/{json.loads(trace.read_text())['arrays']['file']}"}
    files = (path for path in manifest.BUNDLE.rglob("*") if path.is_file())
    assert {str(path.relative_to(manifest.BUNDLE)) for path in files} == expected


@pytest.mark.parametrize("name", WEIGHTS)
def test_weights_have_the_size_and_checksum_of_the_manifest(tables: dict, name: str) -> None:
    table = tables["weights"][name]
    content = (manifest.BUNDLE / table["file"]).read_bytes()
    assert len(content) == table["bytes"]
    assert hashlib.sha256(content).hexdigest() == table["sha256"]
    assert table["source"] and table["licence"]


def test_all_weights_together_are_small_enough_for_git(tables: dict) -> None:
    assert sum(table["bytes"] for table in tables["weights"].values()) <= MAX_BYTES
    assert (manifest.BUNDLE / tables["demo"]["clip"]).stat().st_size < 400_000


@pytest.mark.parametrize("name", WEIGHTS)
def test_weights_are_safetensors_and_hold_no_pickle(tables: dict, name: str) -> None:
    content = (manifest.BUNDLE / tables["weights"][name]["file"]).read_bytes()
    (header_size,) = struct.unpack("<Q", content[:8])
    header = json.loads(content[8 : 8 + header_size])
    ends = [tensor["data_offsets"][1] for key, tensor in header.items() if key != "__metadata__"]
    assert max(ends) == len(content) - 8 - header_size, "bytes that belong to no tensor"


def test_parameters_are_those_that_training_used(tables: dict) -> None:
    parameters = {name: table for name, table in tables.items() if name not in ("weights", "source", "golden")}
    assert parameters == manifest.read_template()
    architecture = yaml.safe_load((manifest.BUNDLE / tables["detect"]["architecture"]).read_text(encoding="utf-8"))
    assert architecture == {**yaml.safe_load(manifest.ARCHITECTURE.read_text(encoding="utf-8")), "channels": 3}
    assert tables["labels"]["names"] == list(LABELS)


def test_demo_clip_is_a_readable_video(tables: dict) -> None:
    video = cv2.VideoCapture(str(manifest.BUNDLE / tables["demo"]["clip"]))
    assert video.isOpened()
    assert 60 <= video.get(cv2.CAP_PROP_FRAME_COUNT) <= 130


@pytest.mark.slow
def test_unseen_clips_are_recognised(pipeline) -> None:
    """A small version of scripts/bench demo, without room for a mistake in so few clips."""
    scores = list(bench_demo.score_clips(pipeline, range(FIRST_SEED, FIRST_SEED + CLIPS)))
    figures = bench_demo.summary(scores)
    assert figures["found"]["clips"] == CLIPS
    assert figures["labels"]["right"] == CLIPS, figures["labels"]["mistakes"]
    assert figures["pck"]["share"] >= 0.93, figures["pck"]["by_joint"]


def test_crop_alone_can_be_scored(pipeline) -> None:
    """What `scripts/bench demo --only detector` does."""
    scores = list(bench_demo.score_clips(pipeline, range(FIRST_SEED, FIRST_SEED + 2), only_detector=True))
    figures = bench_demo.crop_summary(scores)
    assert figures["found"] == {"clips": 2, "share": 1.0, "missed": {}}
    assert bench_demo.missed_goals(figures) == []
