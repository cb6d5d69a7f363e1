"""A model of the replaced service's kind: imported as its users would, deployed, and asked by their clients."""

from __future__ import annotations

import base64
import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import requests

from poseparity import skeleton_csv
from poseparity.errors import PoseParityError
from poseparity.settings import load_settings
from poseparity.startup import load_pipeline
from tests.e2e.client import post_file
from tests.e2e.playbooks import ANSIBLE, CONTAINER, PORT, ROOT, playbook, run
from tests.golf_model import read_csv, scores_of_the_service
from tests.integration.real_videos import REAL_VIDEOS, outcome

pytestmark = [pytest.mark.docker, pytest.mark.slow]

URL = f"http://127.0.0.1:{PORT + 1}"
OTHER = (
    *("-e", f"poseparity_container_name={CONTAINER}-bundle", "-e", f"poseparity_port={PORT + 1}"),
    *("-e", "poseparity_lanes=1"),
)


@pytest.fixture(scope="module")
def deployed(deployment, golf_import) -> Iterator[Path]:
    """The imported bundle in service, deployed from the folder beside it as a user would write it."""
    folder, _ = golf_import
    result = run([ROOT / "scripts/deploy", *OTHER, "-e", f"bundle={folder.name}"], folder=folder.parent)
    assert result.status == 0, result.output
    assert "bit for bit" in " ".join(result.output.split())
    yield folder
    removed = playbook("destroy", *OTHER)
    assert removed.status == 0, removed.output


@pytest.fixture(scope="module")
def local(golf_import):
    return load_pipeline(load_settings(bundle=golf_import[0]))


def scores(entries: list[dict]) -> bytes:
    return np.array([entry["score"] for entry in entries], dtype=np.float32).tobytes()


def test_both_clients_get_the_scores_of_the_service_that_it_replaces(deployed, golf_model, real_data, local):
    assert requests.get(f"{URL}/readyz", timeout=10).json()["bundle"]["name"] == "golf"
    forwards = (real_data / "golf/skeleton2d.csv").read_bytes()
    backwards = skeleton_csv.write(read_csv(forwards)[::-1])
    for content, label in ((forwards, "Professional"), (backwards, "Ordinary")):
        body = {"csv_base64": base64.b64encode(content).decode()}
        answer = requests.post(f"{URL}/mmaction_stgcn_test", json=body, timeout=60).json()
        assert answer["message"] == "OK" and answer["result"]["predictions"] == [label == "Professional"]
        assert answer["parsed"]["prediction"] == label
        probabilities = np.array(answer["parsed"]["probs"], np.float32).tobytes()
        assert probabilities == scores_of_the_service(golf_model, content).tobytes()
        assert probabilities == local.run_csv(content).prediction.scores.tobytes()


def test_a_video_gets_the_scores_of_the_service_that_it_replaces(deployed, demo_clip, golf_model, local):
    status, answer = post_file(URL, demo_clip)
    assert status == 200, answer
    found = local.run_video(demo_clip)
    assert scores(answer["prediction"]["scores"]) == scores_of_the_service(golf_model, found.csv).tobytes()
    assert scores(answer["prediction"]["scores"]) == found.prediction.scores.tobytes()


@pytest.mark.parametrize("name", REAL_VIDEOS)
def test_a_real_video_gets_what_it_gets_here(deployed, local, real_data, name):
    """The eyes of this bundle are the demo bundle's, so a real person may be refused: by the same words then."""
    status, answer = post_file(URL, real_data / name)
    here = outcome(local, real_data / name)
    if isinstance(here, PoseParityError):
        assert (status, answer["error"]["message"]) == (here.http_status, str(here))
    else:
        assert status == 200 and scores(answer["prediction"]["scores"]) == here.prediction.scores.tobytes()
        assert answer["warnings"] == here.to_dict()["warnings"]


def test_the_same_bundle_from_elsewhere_changes_nothing(deployed, tmp_path):
    copy = shutil.copytree(deployed, tmp_path / "my bundle")
    unchanged = playbook("deploy", *OTHER, "-e", json.dumps({"bundle": str(copy), "poseparity_bundle": str(copy)}))
    assert unchanged.status == 0 and unchanged.changed == 0, unchanged.output


@pytest.mark.parametrize(
    "given, meant", [("relative/bundle", ANSIBLE / "relative/bundle"), ("~/nobundle", Path.home() / "nobundle")]
)
@pytest.mark.parametrize("name", ["bundle", "poseparity_bundle"])
def test_what_is_no_bundle_is_refused_before_anything_changes(name, given, meant):
    result = playbook("preflight", "-e", f"{name}={given}")
    assert result.status != 0, result.output
    assert f"poseparity_bundle is {meant}, expected a folder" in result.message
