"""Structured logs: every line on standard error is one JSON object, whoever wrote it."""

from __future__ import annotations

import structlog

SHARED = [
    structlog.contextvars.merge_contextvars,
    structlog.stdlib.add_log_level,
    structlog.stdlib.add_logger_name,
    structlog.processors.TimeStamper(fmt="iso", utc=True),
]


def logging_config(level: str) -> dict:
    """A `logging.config.dictConfig` that prints the records of all libraries, Gunicorn's too, as JSON lines."""
    json_lines = {
        "()": structlog.stdlib.ProcessorFormatter,
        "foreign_pre_chain": SHARED,
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
