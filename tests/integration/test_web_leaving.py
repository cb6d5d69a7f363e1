"""Work that nobody waits for ends: clients leave, take too long, or the service stops. A Gunicorn for each."""

from __future__ import annotations

import os
import signal
import socket
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import cv2
import numpy as np
import pytest
import requests

from poseparity.skeleton_csv import HEADER
from tests.integration.web_server import Server, error_of

CSV = ("\n".join([",".join(HEADER), *[",".join(str(100 + 7 * i + j) for j in range(51)) for i in range(30)]])).encode()


def begun(server: Server, content: bytes) -> socket.socket:
    """A prediction that was sent whole, and whose answer is still to come."""
    head = b'--B\r\nContent-Disposition: form-data; name="file"; filename="clip"\r\n\r\n'
    body = head + content + b"\r\n--B--\r\n"
    kind = "Content-Type: multipart/form-data; boundary=B"
    connection = socket.create_connection(("127.0.0.1", server.port), timeout=30)
    connection.sendall(
        f"POST /v1/predictions HTTP/1.1\r\nHost: a\r\n{kind}\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body
    )
    return connection


def ended(server: Server) -> list[dict]:
    return [line for line in server.log_lines("refused") if line["code"] == "client-left"]


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    settings = {"lanes": 1, "requests_at_once": 1, "queue_limit": 2, "inference_timeout_s": 1.5}
    with Server(tmp_path_factory.mktemp("leaving"), **settings) as server:
        server.wait_ready()
        yield server


@pytest.mark.slow
def test_an_inference_ends_after_the_time_that_it_may_take(server, demo_clip):
    began = time.monotonic()
    error = error_of(server.predict("clip.mp4", demo_clip.read_bytes()), 422, "took-too-long")
    assert 1.5 <= time.monotonic() - began < 3.5
    assert error["details"]["max_seconds"] == 1.5 and error["details"]["stage"]


@pytest.mark.slow
def test_who_leaves_the_queue_is_never_begun_and_who_leaves_the_slot_ends(server, demo_clip):
    before, video = len(ended(server)), demo_clip.read_bytes()
    with ExitStack() as connections:
        first, second, third = (connections.enter_context(begun(server, video)) for _ in range(3))
        server.wait_for(lambda: server.get("/readyz").status_code == 503)
        busy = server.get("/readyz")
        assert error_of(busy, 503, "busy")["details"]["retry_after_s"] == int(busy.headers["Retry-After"]) >= 1
        assert server.get("/healthz").status_code == 200
        for connection in (first, second, third):
            connection.close()
        left = time.monotonic()
        server.wait_for(lambda: len(ended(server)) == before + 3)
        assert time.monotonic() - left < 1.5
    assert sum("stage" in line["details"] for line in ended(server)[before:]) == 1, "only the first was begun"
    assert server.get("/readyz").status_code == 200
    assert server.predict("a.csv", CSV).status_code == 200


@pytest.fixture(scope="module")
def black_video(tmp_path_factory) -> bytes:
    """Small for what it takes: 400 frames of 4096x2304."""
    path = tmp_path_factory.mktemp("black") / "black.avi"
    writer = cv2.VideoWriter(str(path), cv2.CAP_FFMPEG, cv2.VideoWriter_fourcc(*"XVID"), 30, (4096, 2304))
    frame = np.zeros((2304, 4096, 3), np.uint8)
    for _ in range(60):
        writer.write(frame)
    writer.release()
    return path.read_bytes()


@pytest.mark.slow
def test_sixteen_clients_that_leave_black_videos_cost_others_nothing(server, black_video):
    for _ in range(4):
        for connection in [begun(server, black_video) for _ in range(4)]:
            connection.close()
    time.sleep(1)
    with ThreadPoolExecutor(2) as clients:
        answers = list(clients.map(lambda _: server.predict("a.csv", CSV), range(20)))
    assert {answer.status_code for answer in answers} == {200}


@pytest.mark.slow
def test_the_end_of_the_time_to_finish_is_told_and_nobody_hangs(tmp_path, demo_clip):
    with Server(tmp_path, graceful_timeout_s=3, requests_at_once=1, queue_limit=4) as server:
        server.wait_ready()
        slow = [begun(server, demo_clip.read_bytes()) for _ in range(3)]
        time.sleep(0.5)
        server.process.send_signal(signal.SIGTERM)
        began = time.monotonic()
        while time.monotonic() - began < 1:
            try:
                assert requests.get(f"{server.url}/healthz", timeout=2).status_code == 200
            except requests.ConnectionError:
                break  # refused at once, and not left waiting
        answers = [connection.recv(2**16) for connection in slow]
        statuses = sorted(answer[9:12] for answer in answers)
        assert statuses[1:] == [b"503", b"503"], "whoever had the first turn may have got an answer in time"
        assert server.process.wait(timeout=10) == 0
        assert time.monotonic() - began < 4.5
        assert {line["code"] for line in server.log_lines("refused")} == {"stopping"}


@pytest.mark.slow
def test_connections_that_wait_at_the_port_are_answered_when_it_stops(tmp_path, demo_clip):
    with Server(tmp_path, graceful_timeout_s=20) as server:
        server.wait_ready()
        server.process.send_signal(signal.SIGSTOP)
        worker = server.worker()
        os.kill(worker, signal.SIGSTOP)
        waiting = []
        for _ in range(12):
            connection = socket.create_connection(("127.0.0.1", server.port), timeout=10)
            connection.sendall(b"GET /healthz HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
            waiting.append(connection)
        os.kill(worker, signal.SIGTERM)
        server.process.send_signal(signal.SIGTERM)
        os.kill(worker, signal.SIGCONT)
        server.process.send_signal(signal.SIGCONT)
        for connection in waiting:
            assert connection.recv(2**16)[:12] == b"HTTP/1.1 200"
            connection.close()
        assert server.process.wait(timeout=20) == 0


@pytest.mark.slow
def test_a_client_that_does_not_close_its_end_holds_nobody_up(server):
    with ExitStack() as connections:
        for _ in range(4):
            connection = connections.enter_context(socket.create_connection(("127.0.0.1", server.port), timeout=10))
            connection.sendall(b"GET /healthz HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
            assert connection.recv(2**16).startswith(b"HTTP/1.1 200")
        began = time.monotonic()
        assert server.get("/healthz").status_code == 200
        assert time.monotonic() - began < 1
