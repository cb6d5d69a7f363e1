"""In the place of the service that this project replaces: its kind of model, its preprocessing, its clients.

The model is trained as its users train (golf_model.py), and every answer is held to the bit to MMAction2's own on the
preprocessing that is written out there.
"""

from __future__ import annotations

import base64
import json
import subprocess
import sys
from dataclasses import replace
from functools import cache
from pathlib import Path

import cv2
import numpy as np
import pytest
import requests

from poseparity import skeleton_csv
from poseparity.bundle.bundle import load_bundle
from poseparity.errors import ImportRefused
from poseparity.importing.assemble import Request
from poseparity.settings import load_settings
from poseparity.startup import load_pipeline
from tests.bundle_variants import middle_of
from tests.conftest import DEMO_BUNDLE
from tests.golf_model import LABELS, read_csv, scores_of_the_service, swing
from tests.integration.web_server import Server
from tests.mmaction2_bundles import import_by_fork

pytestmark = pytest.mark.slow

SIZES = ((480, 360), (1280, 720), (1920, 1080))
SEEDS = range(20)  # none of golf_model.SEEDS


@pytest.fixture(scope="module")
def golf_pipeline(golf_import):
    return load_pipeline(load_settings(bundle=golf_import[0]))


@pytest.fixture(scope="module")
def golf_server(golf_import, tmp_path_factory):
    with Server(tmp_path_factory.mktemp("golf_service"), bundle=golf_import[0]) as server:
        server.wait_ready()
        yield server


@cache
def swings() -> tuple[bytes, ...]:
    """Rendered swings as skeleton CSVs, forwards and backwards by turns."""
    skeletons = [swing(seed, SIZES[seed % len(SIZES)]) for seed in SEEDS]
    return tuple(skeleton_csv.write(ordered) for forwards in skeletons for ordered in (forwards, forwards[::-1]))


def both_ways(content: bytes) -> tuple[bytes, bytes]:
    return content, skeleton_csv.write(read_csv(content)[::-1])


@pytest.fixture(scope="module")
def backwards(demo_clip, tmp_path_factory) -> Path:
    """The demo clip backwards, without loss."""
    capture, frames = cv2.VideoCapture(str(demo_clip)), []
    while (read := capture.read())[0]:
        frames.append(read[1])
    path = tmp_path_factory.mktemp("backwards") / "swing.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"FFV1"), 30, frames[0].shape[1::-1])
    for frame in frames[::-1]:
        writer.write(frame)
    writer.release()
    return path


# --- the import -------------------------------------------------------------------------------------------------------


def test_the_import_finds_what_the_model_saw(golf_import):
    folder, printed = golf_import
    table = load_bundle(folder).normalise
    assert (table.coordinates, table.confidence, table.precision) == ("unit", "ones", "float32")
    assert (table.reference, table.size) == ("fixed", (1920, 1080))
    assert "train.pkl: 48 skeletons in [0, 1]" in printed and "all confidences 1, float32" in printed
    assert "older clients get true for 'Professional'" in printed
    assert "nobody has said" not in printed


@pytest.fixture
def import_golf(golf_model, demo_clip, tmp_path):
    """`import_golf(*options)`: the command without --training-data, and with these options."""

    def run(*options: object) -> subprocess.CompletedProcess:
        command = [
            Path(sys.executable).with_name("poseparity"), "bundle", "import", tmp_path / "golf", "--name", "golf",
            "--licence", "CC0-1.0", "--labels", "Ordinary,Professional", "--recogniser-config", golf_model.config,
            "--recogniser-checkpoint", golf_model.checkpoint, "--like", DEMO_BUNDLE, "--clip", demo_clip, *options,
        ]  # fmt: skip
        return subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)

    return run


def test_without_being_told_it_asks(import_golf, tmp_path):
    done = import_golf("--clip-label", "Professional")
    assert done.returncode == 2
    assert "the test pipeline has no PreNormalize2D" in done.stderr and "--coordinates" in done.stderr
    assert not (tmp_path / "golf").exists()


def test_a_clip_that_is_refused_comes_with_what_was_taken_for_granted(import_golf, tmp_path):
    said = ("--coordinates", "unit", "--confidence", "ones", "--precision", "float32", "--reference", "1920x1080")
    done = import_golf("--clip-label", "Ordinary", *said)
    assert done.returncode == 2
    assert "reference=fixed, coordinates=unit, confidence=ones, precision=float32, size=1920x1080" in done.stdout
    assert "no config says what lies between video and model; here it is crop.strategy=yolo" in done.stdout
    assert "the clip is recognised as 'Professional'" in done.stderr
    for word in ("labels", "trimming", "interpolation", "crop", "--coordinates"):
        assert word in done.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.fixture
def request_of_golf(golf_model, demo_clip, tmp_path) -> Request:
    """What the command asks for, with a short clip, for time."""
    (tmp_path / "out").mkdir()
    said = ("coordinates=unit", "confidence=ones", "precision=float32", "reference=fixed", "size=[1920, 1080]")
    return Request(
        output=tmp_path / "out/golf",
        name="golf",
        version="1",
        licence="CC0-1.0",
        recogniser_config=golf_model.config,
        recogniser_checkpoint=golf_model.checkpoint,
        labels=LABELS,
        like=DEMO_BUNDLE,
        clip=middle_of(demo_clip, tmp_path / "short.avi", frames=12),
        record_label=True,
        settings=tuple(f"normalise.{setting}" for setting in said),
    )


def test_a_bundle_makes_room_for_its_better_one_and_nothing_else_does(request_of_golf, golf_import):
    output = request_of_golf.output
    import_by_fork(request_of_golf)
    assert load_bundle(output).normalise == load_bundle(golf_import[0]).normalise
    better = replace(request_of_golf, settings=(*request_of_golf.settings, "trim.method=none"))
    with pytest.raises(ImportRefused, match="exists") as error:
        import_by_fork(better)
    assert "--replace" in error.value.fix
    with pytest.raises(ImportRefused):
        import_by_fork(replace(better, replace=True, record_label=False, clip_label="Nobody"))
    assert load_bundle(output).trim.method == "motion", "a refused import took the old bundle with it"
    import_by_fork(replace(better, replace=True))
    assert load_bundle(output).trim.method == "none"
    assert [path.name for path in output.parent.iterdir()] == ["golf"]
    (output / "bundle.toml").rename(output / "thesis.txt")
    with pytest.raises(ImportRefused, match="is no bundle"):
        import_by_fork(replace(better, replace=True))
    assert (output / "thesis.txt").exists()


# --- equal bits, and both labels right --------------------------------------------------------------------------------


def answer(pipeline, golf_model, content: bytes) -> str:
    """The bundle's label; its scores are the service's, to the bit."""
    result = pipeline.run_csv(content)
    assert result.prediction.scores.tobytes() == scores_of_the_service(golf_model, content).tobytes()
    return result.prediction.label


def test_twenty_rendered_swings_forwards_and_backwards(golf_pipeline, golf_model):
    labels = [answer(golf_pipeline, golf_model, content) for content in swings()]
    right = sum(label == LABELS[1 - index % 2] for index, label in enumerate(labels))
    assert right >= 36, f"{right} of {len(labels)}: a model that was trained for seconds need not know all"


def test_the_real_golf_swing_forwards_and_backwards(golf_pipeline, golf_model, real_data):
    both = both_ways((real_data / "golf/skeleton2d.csv").read_bytes())
    assert [answer(golf_pipeline, golf_model, content) for content in both] == ["Professional", "Ordinary"]


def test_a_video_forwards_and_backwards(golf_pipeline, golf_model, demo_clip, backwards):
    """The frame is 480x360: coordinates are divided by 1920 and 1080 all the same."""
    for path, label in ((demo_clip, "Professional"), (backwards, "Ordinary")):
        result = golf_pipeline.run_video(path)
        assert result.prediction.scores.tobytes() == scores_of_the_service(golf_model, result.csv).tobytes()
        assert result.prediction.label == label


# --- the two clients --------------------------------------------------------------------------------------------------


def ask(server: Server, content: bytes, **fields) -> dict:
    body = {"csv_base64": base64.b64encode(content).decode(), **fields}
    response = requests.post(f"{server.url}/mmaction_stgcn_test", json=body, timeout=60)
    assert response.ok, response.text
    return response.json()


def test_both_clients_get_the_service_s_answer(golf_server, golf_model, real_data):
    for content, label in zip(both_ways((real_data / "golf/skeleton2d.csv").read_bytes()), LABELS[::-1], strict=True):
        wanted = scores_of_the_service(golf_model, content)
        for fields in ({}, {"crop_bbox": None}, {"crop_bbox": [400, 100, 700, 900]}):
            answer = ask(golf_server, content, **fields)
            assert answer["result"] == {"num_samples": 1, "predictions": [label == "Professional"]}
            parsed = answer["parsed"]
            assert parsed["prediction"] == label and parsed["status"] == "ok"
            assert np.array(parsed["probs"], np.float32).tobytes() == wanted.tobytes()
            assert f"{parsed['confidence']:.3f}" == f"{wanted.max():.3f}"


def test_a_video_over_http_gets_the_scores_of_the_command_line(golf_server, golf_import, golf_model, backwards):
    answer = golf_server.predict("swing.avi", backwards.read_bytes(), csv="1").json()
    poseparity = Path(sys.executable).with_name("poseparity")
    done = subprocess.run(
        [poseparity, "run", backwards, "--bundle", golf_import[0], "--json"], capture_output=True, text=True, check=True
    )
    assert answer["prediction"] == json.loads(done.stdout)["prediction"]
    scores = np.array([entry["score"] for entry in answer["prediction"]["scores"]], np.float32)
    assert scores.tobytes() == scores_of_the_service(golf_model, answer["skeleton_csv"].encode()).tobytes()
