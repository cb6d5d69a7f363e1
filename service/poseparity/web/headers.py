"""The headers that every request needs, and those that every answer has."""

from __future__ import annotations

import re

from flask import Flask, Response, request
from werkzeug.exceptions import BadRequest

ANSWERED = {
    "X-Content-Type-Options": "nosniff",  # an answer is JSON, whatever a browser makes of its text
    "Cache-Control": "no-store",  # it is one client's, and of one moment
}
_HOST = re.compile(r"[A-Za-z0-9._~:\[\]-]{0,255}")


def init_app(app: Flask) -> None:
    """Look at each request, and complete each answer."""
    app.before_request(_check_host)
    app.after_request(_complete)


def _check_host() -> None:
    """HTTP/1.1 wants one Host in every request: what lies between could take it for another server's."""
    host = request.environ.get("HTTP_HOST")
    if host is None and request.environ.get("SERVER_PROTOCOL") == "HTTP/1.0":
        return
    if host is None or not _HOST.fullmatch(host):
        found = "no header" if host is None else "an unusable header"
        raise BadRequest(f"the request has {found} Host, expected one that names this server")


def _complete(response: Response) -> Response:
    response.headers.update(ANSWERED)
    return response
