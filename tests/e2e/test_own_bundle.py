"""A model of one's own: imported from what MMAction2's training wrote, deployed, and asked over HTTP."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import requests

from tests.e2e.client import post_file
from tests.e2e.playbooks import ANSIBLE, CONTAINER, PORT, ROOT, playbook, run
from tests.mmaction2_bundles import Imported, scores_of_mmaction2

pytestmark = [pytest.mark.docker, pytest.mark.slow]

URL = f"http://127.0.0.1:{PORT + 1}"
OTHER = (
    *("-e", f"poseparity_container_name={CONTAINER}-bundle", "-e", f"poseparity_port={PORT + 1}"),
    *("-e", "poseparity_workers=1"),
)


@pytest.fixture(scope="module")
def imported(imported_bundle) -> Imported:
    return imported_bundle("stgcn++-b")


@pytest.fixture(scope="module")
def deployed(deployment, imported) -> Iterator[Imported]:
    """The imported bundle in service, deployed from the folder beside it as a user would write it."""
    folder = imported.folder.parent
    result = run([ROOT / "scripts/deploy", *OTHER, "-e", f"bundle={imported.folder.name}"], folder=folder)
    assert result.status == 0, result.output
    assert "bit for bit" in " ".join(result.output.split())
    yield imported
    removed = playbook("destroy", *OTHER)
    assert removed.status == 0, removed.output


def test_the_service_answers_what_mmaction2_answers(deployed, demo_clip, demo_result):
    assert requests.get(f"{URL}/readyz", timeout=10).json()["bundle"]["name"] == "mine"
    status, answer = post_file(URL, demo_clip)
    assert status == 200, answer
    scores = np.array([entry["score"] for entry in answer["prediction"]["scores"]], dtype=np.float32)
    assert scores.tobytes() == scores_of_mmaction2(deployed.run, demo_result.kept).tobytes()


def test_the_same_bundle_from_elsewhere_changes_nothing(deployed, tmp_path):
    copy = shutil.copytree(deployed.folder, tmp_path / "my bundle")
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
