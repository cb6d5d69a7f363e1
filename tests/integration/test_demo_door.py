"""The demo bundle comes through the door that users take, and the door gives the bytes that are in git."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from poseparity.importing.readers.mmaction2 import read_recogniser
from poseparity.importing.readers.small_pose import read_small_pose
from poseparity.importing.readers.yolo import read_detector
from training import assemble, detector, manifest, outputs, pose, recogniser
from training.rendering.motion import LABELS

pytestmark = pytest.mark.slow


def content(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_the_command_makes_the_bundle_that_is_in_git(restored, tmp_path, capfd):
    assemble.write_bundle(restored, tmp_path / "demo")
    assert "the clip is recognised as 'golf_swing'" in capfd.readouterr().out
    assert content(tmp_path / "demo") == content(manifest.BUNDLE)


def test_the_detectors_file_is_one_that_ultralytics_reads(restored):
    from ultralytics.nn.tasks import load_checkpoint

    model, _ = load_checkpoint(restored / outputs.DETECTOR)
    assert model.names == {0: "person"}
    taken = read_detector(restored / outputs.DETECTOR)
    ours = yaml.safe_load(manifest.ARCHITECTURE.read_text(encoding="utf-8"))
    assert yaml.safe_load(taken.architecture) == {**ours, "channels": 3}
    assert taken.licence == "Apache-2.0"


def test_the_recognisers_files_are_ones_that_mmaction2_reads(restored):
    from mmaction.apis import init_recognizer

    model = init_recognizer(str(restored / outputs.CONFIG), str(restored / outputs.CHECKPOINT), device="cpu")
    assert model.cls_head.num_classes == len(LABELS)


def test_training_in_miniature_leaves_what_the_door_takes(tmp_path):
    """The way to retrain stays open: a few steps of each network, and each file is read as the import reads it."""
    detector.train(tmp_path, clips=20, steps=10, batch=4)
    pose.train(tmp_path, clips=16, steps=2, batch=2)
    recogniser.train(tmp_path, clips=8, steps=2, batch=4)
    assert read_detector(tmp_path / outputs.DETECTOR).classes == ("person",)
    assert read_small_pose(tmp_path / outputs.POSE).network == manifest.read_template()["pose"]["network"]
    taken = read_recogniser(tmp_path / outputs.CONFIG, tmp_path / outputs.CHECKPOINT, LABELS)
    assert taken.transforms == manifest.read_template()["normalise"]["transforms"]
    assemble.write_clip(tmp_path)
    assert 0 < (tmp_path / manifest.read_template()["demo"]["clip"]).stat().st_size < 400_000


def test_what_the_import_refuses_is_not_written(restored, tmp_path, capfd):
    with pytest.raises(SystemExit) as error:
        assemble.write_bundle(restored, tmp_path)
    assert error.value.code == 2
    assert f"{tmp_path} exists" in capfd.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_a_bundle_without_networks_is_not_written(tmp_path):
    with pytest.raises(SystemExit, match="lacks detector, pose, recogniser: train them first"):
        assemble.write_bundle(tmp_path, tmp_path / "bundle")
