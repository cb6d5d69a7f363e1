"""How the service starts, refuses to start, is overloaded and stops: a Gunicorn for each."""

from __future__ import annotations

import os
import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from poseparity.numerics import read_pins
from poseparity.skeleton_csv import HEADER
from tests.integration.web_server import CONFIG, Server, error_of

CSV = ("\n".join([",".join(HEADER), *[",".join(["1"] * len(HEADER))] * 3]) + "\n").encode()


def refusal(folder, **options) -> str:
    """The log of a Gunicorn that must refuse to start."""
    with Server(folder, **options) as server:
        assert server.process.wait(timeout=60) not in (0, None)
        return server.log()


@pytest.mark.parametrize("pin", ["OMP_NUM_THREADS", "MKL_CBWR"])
def test_without_a_pin_it_does_not_start(tmp_path, pin):
    log = refusal(tmp_path, unset=(pin,))
    assert f"{pin}='{read_pins()[pin]}'" in log
    assert "lockfiles/numerics.env" in log
    assert "Traceback" not in log and "Booting worker" not in log


def test_with_a_wrong_setting_it_does_not_start(tmp_path):
    log = refusal(tmp_path, queue_limit=-1)
    assert "POSEPARITY_QUEUE_LIMIT='-1'" in log
    assert "Traceback" not in log


def test_a_pin_that_did_not_take_effect_is_named_and_nothing_is_answered(tmp_path):
    """As if something in the worker changed the variable before the libraries were loaded."""
    config = tmp_path / "gunicorn.conf.py"
    changed = "def post_fork(server, worker):\n    os.environ['ATEN_CPU_CAPABILITY'] = 'default'\n"
    config.write_text(CONFIG.read_text() + changed)
    with Server(tmp_path, config=config) as server:
        error = error_of(server.wait_failed(), 503, "not-ready")
        assert "pin ATEN_CPU_CAPABILITY=avx2 did not take effect" in error["message"]
        assert error["details"]["cause"]["code"] == "pin-not-in-effect"
        assert error_of(server.predict("a.csv", CSV), 503, "not-ready")["message"] == error["message"]
        assert server.get("/healthz").status_code == 200
        assert server.get("/health").json() == {"status": "ok", "ready": False}
        assert server.log_lines("refuses to work")[0]["details"] == {"pin": "ATEN_CPU_CAPABILITY"}


def test_a_missing_bundle_is_named(tmp_path):
    with Server(tmp_path, bundle=tmp_path / "nowhere") as server:
        error = error_of(server.wait_failed(), 503, "not-ready")
        assert "nowhere" in error["message"] and "bundle.toml" in error["message"]
        assert error["details"]["cause"]["code"] == "bad-bundle"


def test_a_prediction_that_comes_while_the_models_load_waits_for_them(tmp_path, demo_clip, demo_bundle):
    with Server(tmp_path) as server:
        server.wait_alive()
        assert server.get("/readyz").status_code == 503
        response = server.predict("clip.mp4", demo_clip.read_bytes())
        assert response.status_code == 200, response.text
        assert response.json()["prediction"]["label"] == demo_bundle.demo.label


@pytest.fixture(scope="module")
def small_server(tmp_path_factory):
    """One worker that lets nobody wait."""
    with Server(tmp_path_factory.mktemp("small"), queue_limit=0) as server:
        server.wait_ready()
        yield server


def test_beyond_the_queue_it_says_when_to_come_back(small_server, demo_clip):
    video = demo_clip.read_bytes()
    with ThreadPoolExecutor(6) as clients:
        responses = list(clients.map(lambda _: small_server.predict("clip.mp4", video), range(6)))
    statuses = [response.status_code for response in responses]
    assert set(statuses) == {200, 429}
    for response in responses:
        if response.status_code == 429:
            error = error_of(response, 429, "queue-full")
            assert int(response.headers["Retry-After"]) == error["details"]["retry_after_s"] >= 1
    assert small_server.predict("clip.mp4", video).status_code == 200, "the place is free again"


def test_a_killed_worker_leaves_nothing_and_is_replaced(small_server, demo_clip):
    (worker,) = small_server.workers()
    interrupted = ThreadPoolExecutor(1).submit(small_server.predict, "clip.mp4", demo_clip.read_bytes())
    deadline = time.monotonic() + 30
    while not small_server.left_behind():
        assert time.monotonic() < deadline, "the upload was never seen"
    os.kill(worker, signal.SIGKILL)
    assert interrupted.exception() is not None, "nobody was left to answer"
    small_server.wait_ready()
    assert small_server.workers() != [worker]
    assert small_server.left_behind() == []


def test_stopping_lets_the_request_in_progress_finish(tmp_path, demo_clip):
    with Server(tmp_path) as server:
        server.wait_ready()
        answers = []
        client = threading.Thread(
            target=lambda: answers.append(server.predict("clip.mp4", demo_clip.read_bytes())), daemon=True
        )
        client.start()
        while not server.left_behind():
            time.sleep(0.01)
        server.process.send_signal(signal.SIGTERM)
        client.join(timeout=90)
        assert [response.status_code for response in answers] == [200]
        assert server.process.wait(timeout=60) == 0
        assert list(server.temporary.iterdir()) == []
