"""One JSON shape for every error, whoever raised it.

{"error": {"code", "message", "fix", "details"}, "request_id"}
"""

from __future__ import annotations

import errno
from typing import NoReturn

from flask import Flask, Response, jsonify, request
from pydantic import ValidationError
from werkzeug.exceptions import (
    ClientDisconnected,
    HTTPException,
    InternalServerError,
    MethodNotAllowed,
    RequestEntityTooLarge,
)

from ..errors import InputError, InputTooLarge, NoRoomForUpload, NotReadyError, PoseParityError
from . import request_ids
from .logs import log

NO_ROOM = (errno.ENOSPC, errno.EDQUOT)
SHOWN = 60  # characters of what was sent that a message repeats at most

_SEE_ROUTES = "see /openapi.json for the routes, their methods and their fields"
_RETRY_AFTER = "retry_after_s"
_PLACES = ("stage", "column")  # our own names
_ASKED_OFTEN = ("not-ready", "busy")  # by probes


def invalid_request(message: str, *, fix: str, details: dict | None = None) -> InputError:
    """The error for a form or a body that does not have the fields that its route documents."""
    return InputError(message, fix=fix, code="invalid-request", details=details)


def init_app(app: Flask) -> None:
    """Register the handlers."""
    app.register_error_handler(PoseParityError, _answer)
    app.register_error_handler(HTTPException, _answer_http)
    app.register_error_handler(RequestEntityTooLarge, _answer_too_large)
    app.register_error_handler(OSError, _answer_no_room)
    app.register_error_handler(InternalServerError, _answer_unexpected)


def refuse_invalid(error: ValidationError) -> NoReturn:
    """Turn pydantic's findings about a request into one error that names the first of them.

    Raises:
        InputError: always.
    """
    problems = [_problem(found) for found in error.errors(include_url=False, include_context=False)]
    raise invalid_request(problems[0], fix=_SEE_ROUTES, details={"problems": problems}) from error


def _problem(found: dict) -> str:
    field = ".".join(str(part) for part in found["loc"])[:SHOWN]
    if found["type"] == "extra_forbidden":
        return f"{field!r} is no field of this request"
    if found["type"] == "missing":
        return f"the field {field!r} is missing"
    if not field:
        return "the request's body is not a JSON object"
    return f"the field {field!r} is {str(found['input'])[:SHOWN]!r}: {found['msg'].removeprefix('Value error, ')}"


def _answer(error: PoseParityError) -> Response:
    _log(error)
    response = _reply(error.http_status, error.to_dict())
    if _RETRY_AFTER in error.details:
        response.headers["Retry-After"] = str(error.details[_RETRY_AFTER])
    return response


def _log(error: PoseParityError) -> None:
    """A refused input is everyday business, and what it holds is its sender's: codes and figures are logged."""
    if error.http_status >= 500 and not isinstance(error, NotReadyError):
        log.error("failed", code=error.code, message=str(error), details=error.details)
        return
    # Why the service is not ready was logged once, when it arose.
    write = log.debug if error.code in _ASKED_OFTEN else log.info
    figures = {name: value for name, value in error.details.items() if isinstance(value, int | float)}
    where = {name: error.details[name] for name in _PLACES if name in error.details}
    write("refused", code=error.code, details=figures | where)


def _answer_http(error: HTTPException) -> Response:
    """Werkzeug's own errors: an unknown route, a wrong method, a broken upload."""
    body = {
        "code": error.name.lower().replace(" ", "-"),
        "message": _message(error),
        "fix": _SEE_ROUTES,
        "details": {},
    }
    response = _reply(error.code, body)
    if isinstance(error, MethodNotAllowed) and error.valid_methods:
        response.headers["Allow"] = ", ".join(sorted(error.valid_methods))
    return response


def _message(error: HTTPException) -> str:
    if error.code == 404:
        return f"there is no {request.path[:SHOWN]!r}"
    if error.code == 405:
        return f"{request.path[:SHOWN]!r} does not answer {request.method[:SHOWN]}"
    if isinstance(error, ClientDisconnected):
        return "the request's body broke off or stalled"
    return error.description or error.name


def _answer_too_large(_: RequestEntityTooLarge) -> Response:
    limit = request.max_content_length
    return _answer(
        InputTooLarge(
            f"the request is over a limit: {limit} bytes, {request.max_form_parts} form parts, "
            f"{request.max_form_memory_size} bytes of form text",
            fix=f"send at most {limit} bytes: cut the recording to the action, or scale it down",
            details={"max_bytes": limit},
        )
    )


def _answer_no_room(error: OSError) -> Response:
    if error.errno not in NO_ROOM:
        raise error
    return _answer(
        NoRoomForUpload(
            "the service has no room left for the upload in its temporary folder",
            fix="send it again later, or give the service's temporary folder (TMPDIR, else /tmp) more room",
        )
    )


def _answer_unexpected(error: InternalServerError) -> Response:
    """A fault of the service's own; Flask has logged its traceback by now, with this request's id."""
    body = {
        "code": "internal-error",
        "message": "the service met an error that it did not expect",
        "fix": f"look for request_id {request_ids.current()} in the service's log, and report the traceback there",
        "details": {},
    }
    return _reply(error.code, body)


def _reply(status: int, error: dict) -> Response:
    response = jsonify(error=error, request_id=request_ids.current())
    response.status_code = status
    return response
