"""Fixtures of the tests that need a running service, and of those that need the files of other programs."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import torch

from poseparity.bundle.bundle import Bundle
from poseparity.engines.openpose_binary.program import Installation, find_program
from tests.golden_bundle import make_short_bundle
from tests.integration.web_server import Server
from tests.openpose_for_tests import install

# Those that `scripts/test --quick` takes along: one of each kind of thing, a second or two each.
QUICK = (
    "compare_command",
    "compare_page",
    "compare_traces",
    "csv_input",
    "gate_command",
    "pipeline",
    "replay",
    "web_protocol",
)
UPLOAD_LIMIT = 32 * 2**20
STALL_SECONDS = 5


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.parent == Path(__file__).parent and item.path.stem.removeprefix("test_") not in QUICK:
            item.add_marker(pytest.mark.slow)


@pytest.fixture(scope="session")
def starting_server(tmp_path_factory):
    """The service on the demo bundle with one worker, and the statuses that were seen while it started."""
    limits = {"max_upload_bytes": UPLOAD_LIMIT, "stall_timeout_s": STALL_SECONDS}
    with Server(tmp_path_factory.mktemp("service"), **limits) as server:
        yield server, server.wait_ready()


@pytest.fixture(scope="session")
def server(starting_server):
    return starting_server[0]


@pytest.fixture(scope="session")
def short_bundle(demo_bundle, demo_result, tmp_path_factory) -> Bundle:
    return make_short_bundle(demo_bundle, demo_result.csv, tmp_path_factory.mktemp("short") / "bundle")


@pytest.fixture(scope="session")
def restored(tmp_path_factory) -> Path:
    """What training left behind when it made the bundle in git."""
    from training.restore import restore

    out = tmp_path_factory.mktemp("restored")
    restore(out)
    return out


@pytest.fixture(scope="session")
def save(tmp_path_factory):
    """Write an official architecture with random weights as ultralytics' own save does; returns the file."""
    os.environ.setdefault("YOLO_OFFLINE", "true")
    from ultralytics import YOLO

    def save(name: str, **attributes):
        path = tmp_path_factory.mktemp(name) / f"{name}.pt"
        torch.manual_seed(3)
        yolo = YOLO(f"{name}.yaml")
        for key, value in attributes.items():
            setattr(yolo.model, key, value)
        yolo.save(path)
        return path

    return save


@pytest.fixture(scope="session")
def installation(demo_bundle, tmp_path_factory) -> Installation:
    """OpenPose's executable as the tests make it, with the demo bundle's network in it."""
    weights = demo_bundle.folder / demo_bundle.weights["pose"].file
    return Installation(*install(tmp_path_factory.mktemp("openpose"), weights))


@pytest.fixture(scope="session")
def executable(installation) -> dict:
    """The `[pose]` table of a bundle that was made with it."""
    found = find_program(installation)
    return {
        "engine": "openpose-binary",
        "version": found.version,
        "executable_sha256": found.sha256,
        "model_sha256": found.model_sha256,
        "net_resolution": "-1x176",
    }
