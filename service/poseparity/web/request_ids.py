"""One id a request: taken from X-Request-Id or made here, in every log line and every answer."""

from __future__ import annotations

import re
import uuid

import structlog
from flask import Flask, Response, g, request

HEADER = "X-Request-Id"
_SANE = re.compile(r"[A-Za-z0-9._-]{1,64}")


def init_app(app: Flask) -> None:
    """Give each request its id, and each answer the header that repeats it."""
    app.before_request(_bind)
    app.after_request(_repeat)
    app.teardown_request(_unbind)


def current() -> str:
    """The id of the request that is being answered."""
    if "request_id" not in g:
        sent = request.headers.get(HEADER, "")
        g.request_id = sent if _SANE.fullmatch(sent) else new()
    return g.request_id


def new() -> str:
    """An id for a request that has none."""
    return uuid.uuid4().hex


def _bind() -> None:
    structlog.contextvars.bind_contextvars(request_id=current())


def _unbind(_: BaseException | None) -> None:
    # The HTTP threads are reused: what is logged next, of a request that cannot be read too, is not of this one.
    structlog.contextvars.clear_contextvars()


def _repeat(response: Response) -> Response:
    response.headers[HEADER] = current()
    return response
