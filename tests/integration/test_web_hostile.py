"""What is hostile, over HTTP: a sample of the files of the unit tests, sent by several clients at once."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests import hostile_csvs, hostile_media
from tests.integration.web_server import Server


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with Server(tmp_path_factory.mktemp("hostile"), inference_timeout_s=3, requests_at_once=1, queue_limit=4) as server:
        server.wait_ready()
        yield server


def outcome(server: Server, content: bytes) -> tuple[int, float]:
    began = time.monotonic()
    status = server.predict("clip", content).status_code
    return status, time.monotonic() - began


@pytest.mark.slow
def test_hostile_files_cost_the_service_nothing(server, tmp_path, figures):
    files = [
        *[content for _, content in hostile_media.hostile(tmp_path)][::20],
        *[content for _, content in hostile_csvs.hostile()][::12],
    ]
    process = server.compute()
    before = server.left_behind()
    with ThreadPoolExecutor(2) as clients:
        outcomes = list(clients.map(lambda content: outcome(server, content), files))
    slowest = max(seconds for _, seconds in outcomes)
    peak = int(Path(f"/proc/{process}/status").read_text().split("VmHWM:")[1].split()[0]) / 1024
    figures.append(f"{len(files)} hostile files over HTTP: the slowest {slowest:.1f} s, {peak:.0f} MiB of the process")
    assert {status for status, _ in outcomes} <= {200, 400, 413, 422}
    assert slowest < 10, "two clients: one waits for the other, and each has 3 seconds"
    assert peak < 1024
    assert server.compute() == process and server.left_behind() == before
    assert "Traceback" not in server.log()
