"""One line of the log for each request."""

from __future__ import annotations

import time

import structlog
from flask import Flask, Response, g, request

from ..serving.logs import SHARED

_SHOWN = 120  # characters of a path that are logged at most

log = structlog.get_logger("poseparity.web")


def init_app(app: Flask) -> None:
    """Send structlog's events through `logging`, and log every request once."""
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *SHARED,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
    )
    app.before_request(_start_clock)
    app.after_request(_log_request)


def _start_clock() -> None:
    g.began = time.perf_counter()


def _log_request(response: Response) -> Response:
    seconds = round(time.perf_counter() - g.began, 4)
    # A probe asks every few seconds: its lines would bury the others.
    write = log.debug if request.path in ("/healthz", "/readyz", "/health") else log.info
    write(
        "request",
        client=request.remote_addr,
        method=request.method[:_SHOWN],
        path=request.path[:_SHOWN],
        status=response.status_code,
        seconds=seconds,
    )
    return response
