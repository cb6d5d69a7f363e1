"""How the service starts, refuses to start, is overloaded and stops: a Gunicorn for each."""

from __future__ import annotations

import json
import os
import signal
import socket
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPResponse

import pytest
import requests

from poseparity.numerics import read_pins
from poseparity.skeleton_csv import HEADER
from tests.integration.web_server import CONFIG, Server, error_of

CSV = ("\n".join([",".join(HEADER), *[",".join(["1"] * len(HEADER))] * 3]) + "\n").encode()


HEADS = {
    "/v1/predictions": "Content-Type: multipart/form-data; boundary=B",
    "/mmaction_stgcn_test": "Content-Type: application/json",
}


def answer_to_the_head(server, path: str) -> tuple[int, str]:
    """Status and code of the answer to a request whose body never comes, after which the connection is closed."""
    head = f"POST {path} HTTP/1.1\r\nHost: a\r\n{HEADS[path]}\r\nContent-Length: {2**20}\r\n\r\n"
    with socket.create_connection(("127.0.0.1", server.port), timeout=20) as connection:
        connection.sendall(head.encode())
        answer = HTTPResponse(connection)
        answer.begin()
        code = json.loads(answer.read())["error"]["code"]
        assert connection.recv(1) == b"", "the end of the connection, and no reset"
        return answer.status, code


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


def test_a_setting_of_earlier_versions_is_refused_with_the_one_in_its_place(tmp_path):
    log = refusal(tmp_path, workers=2)
    assert "POSEPARITY_WORKERS is set but is no setting any more" in log and "POSEPARITY_LANES" in log


def test_with_a_wrong_setting_it_does_not_start(tmp_path):
    log = refusal(tmp_path, queue_limit=-1)
    assert "POSEPARITY_QUEUE_LIMIT='-1'" in log
    assert "Traceback" not in log


@pytest.mark.slow
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


@pytest.mark.slow
def test_a_missing_bundle_is_named(tmp_path):
    with Server(tmp_path, bundle=tmp_path / "nowhere") as server:
        error = error_of(server.wait_failed(), 503, "not-ready")
        assert "nowhere" in error["message"] and "bundle.toml" in error["message"]
        assert error["details"]["cause"]["code"] == "bad-bundle"
        assert [answer_to_the_head(server, path) for path in HEADS] == [(503, "not-ready")] * 2


@pytest.fixture(scope="module")
def small_server(tmp_path_factory):
    """One request at a time, and nobody waits."""
    with Server(tmp_path_factory.mktemp("small"), requests_at_once=1, queue_limit=0) as server:
        yield server


@pytest.mark.slow
def test_a_prediction_that_comes_while_the_models_load_waits_for_them(small_server, demo_clip, demo_bundle):
    small_server.wait_alive()
    assert small_server.get("/readyz").status_code == 503
    response = small_server.predict("clip.mp4", demo_clip.read_bytes())
    assert response.status_code == 200, response.text
    assert response.json()["prediction"]["label"] == demo_bundle.demo.label


@pytest.mark.slow
def test_beyond_the_queue_it_says_when_to_come_back(small_server, demo_clip):
    small_server.wait_ready()
    video = demo_clip.read_bytes()
    with ThreadPoolExecutor(6) as clients:
        responses = list(clients.map(lambda _: small_server.predict("clip.mp4", video), range(6)))
    assert {response.status_code for response in responses} == {200, 429}
    for response in responses:
        if response.status_code == 429:
            error = error_of(response, 429, "queue-full")
            assert int(response.headers["Retry-After"]) == error["details"]["retry_after_s"] >= 1
    assert small_server.predict("clip.mp4", video).status_code == 200, "the place is free again"


@pytest.mark.slow
def test_beyond_the_queue_a_body_is_refused_unread(small_server, demo_clip):
    small_server.wait_ready()
    begun = f"POST /v1/predictions HTTP/1.1\r\nHost: a\r\n{HEADS['/v1/predictions']}\r\nContent-Length: 9\r\n\r\n"
    with socket.create_connection(("127.0.0.1", small_server.port)) as holder:
        holder.sendall(begun.encode())
        small_server.wait_for(lambda: small_server.get("/readyz").status_code == 503)  # it has the place
        assert [answer_to_the_head(small_server, path) for path in HEADS] == [(429, "queue-full")] * 2
        error_of(small_server.predict("clip.mp4", bytes(64 * 2**20)), 429, "queue-full")
        assert small_server.uploads_held() == []
    small_server.wait_for(lambda: small_server.predict("a.csv", CSV).status_code != 429)
    assert small_server.predict("clip.mp4", demo_clip.read_bytes()).status_code == 200, "the place is free again"


@pytest.mark.slow
def test_a_killed_worker_leaves_nothing_and_is_replaced(small_server, demo_clip):
    small_server.wait_ready()
    before = small_server.left_behind()
    worker = small_server.worker()
    with ThreadPoolExecutor(1) as client:
        interrupted = client.submit(small_server.predict, "clip.mp4", demo_clip.read_bytes())
        small_server.wait_for_upload()
        os.kill(worker, signal.SIGKILL)
        assert isinstance(interrupted.exception(), requests.ConnectionError), "nobody was left to answer"
    small_server.wait_ready()
    assert worker != small_server.worker()
    assert small_server.left_behind() == before


@pytest.mark.slow
def test_stopping_lets_the_request_in_progress_finish(small_server, demo_clip):
    """The last test of this server: it ends it."""
    small_server.wait_ready()
    with ThreadPoolExecutor(1) as client:
        running = client.submit(small_server.predict, "clip.mp4", demo_clip.read_bytes())
        small_server.wait_for_upload()
        small_server.process.send_signal(signal.SIGTERM)
        assert running.result().status_code == 200
    assert small_server.process.wait(timeout=60) == 0
