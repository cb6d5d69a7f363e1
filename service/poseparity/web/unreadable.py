"""Requests that Gunicorn cannot read: answered in the one shape of every error, and logged without what they hold."""

from __future__ import annotations

import json
import socket
from contextlib import suppress
from http import HTTPStatus

from gunicorn import util
from gunicorn.http import errors

from . import request_ids
from .headers import ANSWERED
from .logs import log

_FIX = "send HTTP/1.1 as RFC 9112 has it; see /openapi.json for the routes"
# The first that fits.
_PROBLEMS: tuple[tuple[type[Exception], HTTPStatus, str], ...] = (
    (errors.LimitRequestLine, HTTPStatus.REQUEST_URI_TOO_LONG, "the request's first line is too long"),
    (errors.LimitRequestHeaders, HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, "too many headers, or too long ones"),
    (errors.UnsupportedTransferCoding, HTTPStatus.NOT_IMPLEMENTED, "the Transfer-Encoding is not chunked"),
    (errors.ExpectationFailed, HTTPStatus.EXPECTATION_FAILED, "the Expect is not 100-continue"),
    (errors.ForbiddenProxyRequest, HTTPStatus.FORBIDDEN, "this proxy may not send requests"),
    (errors.InvalidRequestLine, HTTPStatus.BAD_REQUEST, "the request's first line is malformed"),
    (errors.InvalidRequestMethod, HTTPStatus.BAD_REQUEST, "the request's method is malformed"),
    (errors.InvalidHTTPVersion, HTTPStatus.BAD_REQUEST, "the request's HTTP version is not known"),
    (errors.InvalidHeader, HTTPStatus.BAD_REQUEST, "a header of the request is malformed"),
    (errors.InvalidHeaderName, HTTPStatus.BAD_REQUEST, "a header of the request has a malformed name"),
    (errors.ParseException, HTTPStatus.BAD_REQUEST, "the request is malformed"),
)
_FAULTS = (errors.InvalidResponseHeader, errors.InvalidResponseHeaderName, errors.ConfigurationProblem)  # our own


def answer(connection: socket.socket, address: tuple | None, error: Exception) -> None:
    """Answer a request that was not read to its end; the connection ends with it."""
    request_id = request_ids.new()
    if isinstance(error, errors.ParseException) and not isinstance(error, _FAULTS):
        status, message = next(found for kind, *found in _PROBLEMS if isinstance(error, kind))
        code = status.phrase.lower().replace(" ", "-")
        fix, peer = _FIX, address[0] if address else None
        log.info("unreadable", code=code, message=message, status=status.value, peer=peer, request_id=request_id)
    else:
        status, code = HTTPStatus.INTERNAL_SERVER_ERROR, "internal-error"
        message = "the service met an error that it did not expect"
        fix = f"look for request_id {request_id} in the service's log, and report the traceback there"
        log.error("failed outside of the application", exc_info=error, request_id=request_id)
    body = {"error": {"code": code, "message": message, "fix": fix, "details": {}}, "request_id": request_id}
    with suppress(OSError):  # the client has gone
        util.write(connection, _response(status, json.dumps(body).encode(), request_id))


def _response(status: HTTPStatus, body: bytes, request_id: str) -> bytes:
    headers = {
        "Connection": "close",
        "Content-Type": "application/json",
        "Content-Length": str(len(body)),
        request_ids.HEADER: request_id,
        **ANSWERED,
    }
    lines = [f"HTTP/1.1 {status.value} {status.phrase}", *(f"{name}: {value}" for name, value in headers.items())]
    return "\r\n".join([*lines, "", ""]).encode() + body
