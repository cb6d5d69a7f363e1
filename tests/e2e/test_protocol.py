"""Requests that are no good HTTP, sent to the proxy: whoever refuses them says so, and nobody behind it is hurt."""

from __future__ import annotations

import socket
from http.client import HTTPResponse

import pytest
import requests

from tests.e2e.playbooks import PORT, URL
from tests.integration.test_web_protocol import SECRET, UNREADABLE

pytestmark = [pytest.mark.docker, pytest.mark.slow]


def answer_to(request: bytes) -> HTTPResponse:
    with socket.create_connection(("127.0.0.1", PORT), timeout=20) as connection:
        connection.sendall(request)
        response = HTTPResponse(connection)
        response.begin()
        response.read()
        return response


@pytest.mark.parametrize("sent", UNREADABLE.values(), ids=UNREADABLE.keys())
def test_an_unreadable_request_is_refused_by_the_proxy_or_by_the_service(sent, deployment, container):
    request, status, _ = sent
    assert answer_to(request.encode()).status == status
    assert requests.get(f"{URL}/healthz", timeout=10).status_code == 200
    assert SECRET.encode() not in container.logs() and b"Traceback" not in container.logs()
