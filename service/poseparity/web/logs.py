"""Structured logs: every line on standard error is one JSON object, whoever wrote it."""

from __future__ import annotations

import time

import structlog
from flask import Flask, Response, g, request

_SHOWN = 120  # characters of a path that are logged at most
_SHARED = [
    structlog.contextvars.merge_contextvars,
    structlog.stdlib.add_log_level,
    structlog.stdlib.add_logger_name,
    structlog.processors.TimeStamper(fmt="iso", utc=True),
]

log = structlog.get_logger("poseparity.web")


def logging_config(level: str) -> dict:
    """A `logging.config.dictConfig` that prints the records of all libraries, Gunicorn's too, as JSON lines."""
    json_lines = {
        "()": structlog.stdlib.ProcessorFormatter,
        "foreign_pre_chain": _SHARED,
        "processors": [
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(),
        ],
    }
    stderr = {"class": "logging.StreamHandler", "formatter": "json", "stream": "ext://sys.stderr"}
    own_level = {"level": level.upper(), "propagate": True, "handlers": []}
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"json": json_lines},
        "handlers": {"stderr": stderr},
        "root": {"level": "WARNING", "handlers": ["stderr"]},
        "loggers": {"poseparity": own_level, "gunicorn.error": own_level},
    }


def init_app(app: Flask) -> None:
    """Send structlog's events through `logging`, and log every request once."""
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *_SHARED,
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
