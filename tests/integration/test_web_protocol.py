"""Requests that are no good HTTP: one JSON shape for each refusal, and nothing of what they hold in the log."""

from __future__ import annotations

import gzip
import json
import socket
from http.client import HTTPResponse

import pytest

from tests.integration.web_server import error_of

SECRET = "c2VjcmV0LXRva2Vu"
POST = "POST /v1/predictions HTTP/1.1\r\nHost: a\r\nContent-Type: multipart/form-data; boundary=B\r\n"
JSON = "POST /mmaction_stgcn_test HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n"
CHUNKED = "Transfer-Encoding: chunked\r\n\r\n"
# What is sent; the status and the code of the answer.
UNREADABLE = {
    "no-http": ("hello\r\n\r\n", 400, "bad-request"),
    "method": ("GE(T / HTTP/1.1\r\nHost: a\r\n\r\n", 400, "bad-request"),
    "version": ("GET / HTTP/9.9\r\nHost: a\r\n\r\n", 400, "bad-request"),
    "header": (f"GET / HTTP/1.1\r\nHost: a\r\nAuthorization {SECRET}\r\n\r\n", 400, "bad-request"),
    "header-name": (f"GET / HTTP/1.1\r\nHost: a\r\nAuth(orization: {SECRET}\r\n\r\n", 400, "bad-request"),
    "header-too-long": (
        f"GET / HTTP/1.1\r\nHost: a\r\nA: {'x' * 20_000}\r\n\r\n",
        431,
        "request-header-fields-too-large",
    ),
    "too-many-headers": (
        "GET / HTTP/1.1\r\nHost: a\r\n" + "".join(f"A{n}: x\r\n" for n in range(200)) + "\r\n",
        431,
        "request-header-fields-too-large",
    ),
    "line-too-long": (f"GET /{'x' * 9_000} HTTP/1.1\r\nHost: a\r\n\r\n", 414, "request-uri-too-long"),
    "transfer-coding": (f"{POST}Transfer-Encoding: x-lzw\r\n\r\n", 501, "not-implemented"),
    "length": (f"{POST}Content-Length: many\r\n\r\n", 400, "bad-request"),
    "no-host": ("GET /healthz HTTP/1.1\r\n\r\n", 400, "bad-request"),
    "odd-host": ("GET /healthz HTTP/1.1\r\nHost: a/b?c\r\n\r\n", 400, "bad-request"),
    "chunk-size": (f"{POST}{CHUNKED}zz\r\nabc\r\n0\r\n\r\n", 400, "bad-request"),
    "chunk-end": (f"{POST}{CHUNKED}3\r\nabcdef\r\n0\r\n\r\n", 400, "bad-request"),
    "chunk-extension": (f"{POST}{CHUNKED}3;=\r\nabc\r\n0\r\n\r\n", 400, "bad-request"),
    "chunk-size-json": (f"{JSON}{CHUNKED}-1\r\nabc\r\n0\r\n\r\n", 400, "bad-request"),
    "chunk-trailer": (f"{JSON}{CHUNKED}2\r\n" + "{}\r\n0\r\nbad trailer\r\n\r\n", 400, "bad-request"),
    "compressed": (f"{JSON}Content-Encoding: gzip\r\nContent-Length: 0\r\n\r\n", 415, "unsupported-media-type"),
}


def answer_to(server, request: bytes, *, end: bool = False) -> tuple[HTTPResponse, dict]:
    with socket.create_connection(("127.0.0.1", server.port), timeout=20) as connection:
        connection.sendall(request)
        if end:
            connection.shutdown(socket.SHUT_WR)
        response = HTTPResponse(connection)
        response.begin()
        return response, json.loads(response.read())


@pytest.mark.parametrize("sent", UNREADABLE.values(), ids=UNREADABLE.keys())
def test_an_unreadable_request_is_refused_in_the_one_shape(server, sent):
    request, status, code = sent
    before = len(server.log())
    response, answer = answer_to(server, request.encode())
    assert response.status == status and response.headers.get_content_type() == "application/json"
    assert set(answer) == {"error", "request_id"} and answer["request_id"] == response.headers["X-Request-Id"]
    assert set(answer["error"]) == {"code", "message", "fix", "details"} and answer["error"]["code"] == code
    assert response.headers["X-Content-Type-Options"] == "nosniff" and response.headers["Cache-Control"] == "no-store"
    log = server.log()[before:]
    assert "Traceback" not in log and SECRET not in log and "xxxx" not in log


@pytest.mark.parametrize("head", [POST, JSON], ids=["form", "json"])
def test_a_chunked_body_that_breaks_off_is_refused(server, head):
    response, answer = answer_to(server, f"{head}{CHUNKED}9\r\nabc".encode(), end=True)
    assert response.status in (400, 499) and answer["error"]["code"] in ("bad-request", "client-left")
    assert "Traceback" not in server.log()


def test_without_a_host_http_1_0_is_answered(server):
    response, answer = answer_to(server, b"GET /healthz HTTP/1.0\r\n\r\n")
    assert response.status == 200 and answer == {"status": "alive"}


@pytest.mark.parametrize("chunked", [True, False])
def test_json_over_the_limit_is_too_large_also_in_chunks(server, chunked):
    body = b'{"csv_base64": "' + b"A" * (33 * 2**20) + b'"}'
    data = (body[start : start + 2**20] for start in range(0, len(body), 2**20)) if chunked else body
    response = server.post("/mmaction_stgcn_test", data=data, headers={"Content-Type": "application/json"})
    error_of(response, 413, "input-too-large")


def test_a_compressed_body_is_refused_by_name(server):
    headers = {"Content-Type": "application/json", "Content-Encoding": "gzip"}
    response = server.post("/mmaction_stgcn_test", data=gzip.compress(b"{}"), headers=headers)
    assert "Content-Encoding is gzip" in error_of(response, 415, "unsupported-media-type")["message"]


def test_a_line_of_the_log_bears_no_other_requests_id(server):
    for _ in range(20):  # whichever thread the next request gets
        server.get("/nowhere", headers={"X-Request-Id": "another-clients"})
        answer_to(server, b"hello\r\n\r\n")
    assert {line["request_id"] for line in server.log_lines("unreadable")} & {"another-clients"} == set()


def test_every_answer_has_the_headers(server):
    for response in (server.get("/healthz"), server.get("/nowhere"), server.post("/v1/predictions")):
        assert response.headers["X-Content-Type-Options"] == "nosniff"
        assert response.headers["Cache-Control"] == "no-store"
