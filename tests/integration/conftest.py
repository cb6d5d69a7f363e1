"""Fixtures of the tests that need a running service, and of those that import what training leaves behind."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.integration.web_server import Server

UPLOAD_LIMIT = 32 * 2**20
STALL_SECONDS = 5


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
def restored(tmp_path_factory) -> Path:
    """What training left behind when it made the bundle in git."""
    from training.restore import restore

    out = tmp_path_factory.mktemp("restored")
    restore(out)
    return out
