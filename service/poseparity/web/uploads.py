"""What was sent: checked for its kind and size, and handed on without ever having a name on disk."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import wraps
from pathlib import Path

from flask import Flask, current_app, request
from werkzeug.datastructures import FileStorage
from werkzeug.exceptions import UnsupportedMediaType

from ..errors import InputTooLarge, UploadTooSlow
from ..settings import Settings
from ..skeleton_csv import HEADER
from .errors import SHOWN, invalid_request

# Python's longest float64 is 24 characters; a separator, a quote at each side and some spaces belong to it.
_CSV_BYTES_A_NUMBER = 32
_JSON_BESIDE_CSV_BYTES = 64 * 1024
_FIELD_CHARACTERS = 200


def init_app(app: Flask) -> None:
    """Give up uploads that stall: whoever vanished in the middle of one would hold an HTTP thread for ever."""
    app.before_request(_limit_stalls)


def accepts(mimetype: str):
    """A decorator: refuse a request with another Content-Type before its body is read.

    Raises:
        UnsupportedMediaType: when the decorated view is called.
    """

    def decorate(view):
        @wraps(view)
        def checked(*args, **kwargs):
            if request.mimetype != mimetype:
                found = request.mimetype[:SHOWN] or "missing"
                raise UnsupportedMediaType(f"the request's Content-Type is {found}, expected {mimetype}")
            return view(*args, **kwargs)

        return checked

    return decorate


def limit_body_to_csv(view):
    """A decorator for a view whose JSON holds a CSV: such a body is held in memory, so its limit is the CSV's."""

    @wraps(view)
    def limited(*args, **kwargs):
        in_base64 = 4 * (csv_limit() // 3 + 1)
        request.max_content_length = min(settings().max_upload_bytes, in_base64 + _JSON_BESIDE_CSV_BYTES)
        return view(*args, **kwargs)

    return limited


def receives(read: Callable[[], None]):
    """A decorator: receive the body with `read` within the time that is allowed, before the view is called.

    Raises:
        UploadTooSlow: when the decorated view is called.
        InputError: the same, for a body that `read` refuses.
    """

    def decorate(view):
        @wraps(view)
        def received(*args, **kwargs):
            with _deadline(settings().timeout_s):
                read()
            return view(*args, **kwargs)

        return received

    return decorate


def form_body() -> None:
    """Receive the form.

    Raises:
        InputError: a field is longer than any right one. Fields are tried as JSON, where such a one can nest deeper, or
            have a longer number, than Python reads.
    """
    for name, text in request.form.items(multi=True):
        if len(text) > _FIELD_CHARACTERS:
            raise invalid_request(
                f"the field {name[:SHOWN]!r} has {len(text)} characters, expected at most {_FIELD_CHARACTERS}",
                fix="send the file as a file, with a file name, and the other fields as /openapi.json describes them",
            )


def json_body() -> None:
    """Receive the JSON; what is none is left to the validation.

    Raises:
        InputError: it nests deeper than Python reads.
    """
    try:
        request.get_json(silent=True)
    except RecursionError as error:
        raise invalid_request(
            "the request's JSON is nested too deeply", fix="send one flat object, as /openapi.json describes it"
        ) from error


@contextmanager
def _deadline(seconds: int) -> Iterator[None]:
    """Give up the request's body after that time, however steadily it trickles in."""
    connection = request.environ.get("gunicorn.socket")
    if connection is None:  # not under Gunicorn: the whole body is there already
        yield
        return
    passed = threading.Event()
    # Gunicorn loops in a read until it has all its bytes: only the end of the input, from outside, can end that.
    timer = threading.Timer(seconds, _stop_receiving, (connection, passed))
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
        timer.join()
        if passed.is_set():
            raise UploadTooSlow(
                f"the request's body did not arrive in {seconds} seconds",
                fix="send it over a faster connection, or cut the recording to the action",
                details={"max_seconds": seconds},
            )


def _stop_receiving(connection: socket.socket, passed: threading.Event) -> None:
    passed.set()
    with suppress(OSError):  # the client has gone
        connection.shutdown(socket.SHUT_RD)


def path_of(upload: FileStorage) -> Path:
    """A path under which this process can open the uploaded bytes, as long as the request lives.

    The file behind it was never linked into a folder, so nothing is left behind, whatever ends the request: not even
    the worker's being killed.
    """
    descriptor = upload.stream.fileno()  # Werkzeug's spooled file leaves the memory here
    upload.stream.flush()
    return Path(f"/proc/self/fd/{descriptor}")


def read_csv(path: Path) -> bytes:
    """The whole CSV; one that is longer than the allowed frames can make it is refused unread.

    Raises:
        InputTooLarge: it is.
    """
    size, limit, frames = path.stat().st_size, csv_limit(), settings().max_frames
    if size > limit:
        raise InputTooLarge(
            f"the skeleton CSV has {size} bytes; {frames} frames, which are the most, have less than {limit}",
            code="too-many-frames",
            fix=f"send at most {frames} frames: cut the recording to the action",
            details={"max_frames": frames, "max_bytes": limit},
        )
    return path.read_bytes()


def csv_limit() -> int:
    """Most bytes of a skeleton CSV: the header and `max_frames` rows, generously."""
    return (1 + settings().max_frames) * len(HEADER) * _CSV_BYTES_A_NUMBER


def _limit_stalls() -> None:
    connection = request.environ.get("gunicorn.socket")
    if connection is not None:
        # Gunicorn has no such limit for its threads; it takes the socket back to blocking before each request.
        connection.settimeout(settings().stall_timeout_s)


def settings() -> Settings:
    """The settings of the current application."""
    return current_app.config["POSEPARITY"]
