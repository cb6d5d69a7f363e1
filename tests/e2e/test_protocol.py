"""Requests that are no good HTTP, sent to the proxy: whoever refuses them says so, and nobody behind it is hurt."""

from __future__ import annotations

import json
import socket
import time
from http.client import HTTPResponse

import pytest
import requests

from tests.e2e.containers import proxy
from tests.e2e.playbooks import PORT, URL
from tests.integration.test_web_protocol import SECRET, UNREADABLE

pytestmark = [pytest.mark.docker, pytest.mark.slow]


# Where the proxy is the one that judges, and judges otherwise than the service: it speaks HTTP/1.1 to the service
# whatever version a client names, and has one status for whatever it cannot read.
OF_THE_PROXY = {"version": 404, "too-many-headers": 400, "transfer-coding": 400}


# HAProxy answers what it cannot read as HTTP with a page of its own, which no setting of it changes.
PAGE = b"<html><body><h1>400 Bad request</h1>\nYour browser sent an invalid request.\n</body></html>\n"


def answer_to(request: bytes) -> tuple[HTTPResponse, bytes]:
    with socket.create_connection(("127.0.0.1", PORT), timeout=20) as connection:
        connection.sendall(request)
        response = HTTPResponse(connection)
        response.begin()
        return response, response.read()


@pytest.mark.parametrize("kind", UNREADABLE)
def test_an_unreadable_request_is_refused_by_the_proxy_or_by_the_service(kind, deployment, container):
    request, status, _ = UNREADABLE[kind]
    response, answer = answer_to(request.encode())
    assert response.status == OF_THE_PROXY.get(kind, status)
    if answer != PAGE:
        answer = json.loads(answer)
        assert set(answer) == {"error", "request_id"} and set(answer["error"]) == {"code", "message", "fix", "details"}
    assert requests.get(f"{URL}/healthz", timeout=10).status_code == 200
    assert SECRET.encode() not in container.logs() and b"Traceback" not in container.logs()


def test_each_line_of_the_proxys_log_is_whole(deployment, engine):
    """Of the longest path, each of its characters written as an escape, too."""
    answer_to(f"GET /{'%' * 8} HTTP/1.1\r\nHost: a\r\n\r\n".encode())
    answer_to(f"GET /{chr(34) * 7_000} HTTP/1.1\r\nHost: a\r\n\r\n".encode())
    deadline = time.monotonic() + 10
    lines = []
    while not any('"' * 900 in line["path"] for line in lines) and time.monotonic() < deadline:
        lines = [json.loads(line) for line in proxy(engine).logs().splitlines() if b'"event":"request"' in line]
    assert any('"' * 900 in line["path"] for line in lines)
