"""What was sent: checked for its kind and size, and handed on without ever having a name on disk."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import wraps
from pathlib import Path

from flask import Flask, current_app, request
from gunicorn.http.errors import ParseException
from werkzeug.datastructures import FileStorage
from werkzeug.exceptions import BadRequest, ClientDisconnected, RequestEntityTooLarge, UnsupportedMediaType

from ..errors import CapacityError, InputTooLarge, UploadTooSlow
from ..settings import Settings
from ..skeleton_csv import HEADER
from .errors import NO_ROOM, SHOWN, invalid_request

# Python's longest float64 is 24 characters; a separator, a quote at each side and some spaces belong to it.
_CSV_BYTES_A_NUMBER = 32
_JSON_BESIDE_CSV_BYTES = 64 * 1024  # of the other fields, which need some hundred
_FIELD_CHARACTERS = 200  # the longest right field, a crop, has 27
_RETRY_S = 5  # what an upload takes is the client's matter, and not known here
EXTENSION = "uploads"
# Largest uploads that are held at once: as many as are computed at once, in a folder of 2 GB in the container.
_UPLOADS_HELD = 4


def init_app(app: Flask) -> None:
    """Give up uploads that stall: whoever vanished in the middle of one would hold an HTTP thread for ever."""
    app.extensions[EXTENSION] = Held(app.config["POSEPARITY"])
    app.before_request(_limit_stalls)


class Held:
    """The uploads that this process holds at once: their folder may be memory, which whoever shares it would lose.

    Args:
        settings: its limit; an upload of the largest size always has room where no other is held.
    """

    def __init__(self, settings: Settings) -> None:
        largest = settings.max_upload_bytes
        self._limit = max(settings.max_held_bytes or _UPLOADS_HELD * largest, largest)
        self._lock = threading.Lock()
        self._bytes = 0

    @contextmanager
    def room(self, size: int) -> Iterator[Callable[[int], None]]:
        """Room for an upload of at most that size within the block; the function is told what it really has.

        Raises:
            CapacityError: the uploads that are held leave too little.
        """
        has = [size]
        with self._lock:
            if self._bytes + size > self._limit:
                raise self._full(size)
            self._bytes += size

        def really(size: int) -> None:
            with self._lock:
                self._bytes += size - has[0]
                has[0] = size

        try:
            yield really
        finally:
            really(0)

    def _full(self, size: int) -> CapacityError:
        return CapacityError(
            f"the upload has {size} bytes, and the service holds {self._bytes} of at most {self._limit}",
            code="uploads-full",
            fix=f"send it again after {_RETRY_S} seconds, or send a smaller file",
            details={"retry_after_s": _RETRY_S, "max_bytes": self._limit, "held_bytes": self._bytes},
        )


def accepts(mimetype: str):
    """A decorator: refuse a request with another Content-Type, or compressed, before its body is read.

    Raises:
        UnsupportedMediaType: when the decorated view is called.
    """

    def decorate(view):
        @wraps(view)
        def checked(*args, **kwargs):
            if request.mimetype != mimetype:
                found = request.mimetype[:SHOWN] or "missing"
                raise UnsupportedMediaType(f"the request's Content-Type is {found}, expected {mimetype}")
            coding = request.headers.get("Content-Encoding", "").strip().lower()
            if coding not in ("", "identity"):
                raise UnsupportedMediaType(
                    f"the request's Content-Encoding is {coding[:SHOWN]}, expected none: send the body uncompressed"
                )
            return view(*args, **kwargs)

        return checked

    return decorate


def limit_body_to_csv(view):
    """A decorator for a view whose JSON holds a CSV: such a body is held in memory, so its limit is the CSV's."""

    @wraps(view)
    def limited(*args, **kwargs):
        in_base64 = 4 * (csv_limit() // 3 + 1)  # four letters for each three bytes
        request.max_content_length = min(settings().max_upload_bytes, in_base64 + _JSON_BESIDE_CSV_BYTES)
        return view(*args, **kwargs)

    return limited


def receives(read: Callable[[], None]):
    """A decorator: receive the body with `read` within the time that is allowed, before the view is called.

    Raises:
        UploadTooSlow: when the decorated view is called.
        CapacityError: the same, where the uploads that are held leave no room.
        InputError: the same, for a body that `read` refuses.
    """

    def decorate(view):
        @wraps(view)
        def received(*args, **kwargs):
            announced = request.content_length
            size = request.max_content_length if announced is None else announced  # or what it may have at most
            # A body that trickles in holds a place that others wait for.
            seconds = min(settings().timeout_s, settings().stall_timeout_s + size // settings().min_upload_rate)
            with current_app.extensions[EXTENSION].room(size) as really:
                with _deadline(seconds), _told_apart():
                    read()
                if announced is None:
                    really(_received())
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
        RequestEntityTooLarge: it comes in chunks and is as long as it may be: Werkzeug reads no more.
    """
    if request.content_length is None and len(request.get_data()) >= request.max_content_length:
        raise RequestEntityTooLarge
    try:
        request.get_json(silent=True)
    except RecursionError as error:
        raise invalid_request(
            "the request's JSON is nested too deeply", fix="send one flat object, as /openapi.json describes it"
        ) from error


@contextmanager
def _told_apart() -> Iterator[None]:
    """A body that does not come, or not as it should, is the client's fault; that no room is left is not."""
    try:
        yield
    except ParseException as error:
        raise BadRequest("the request's body is not in chunks as HTTP/1.1 has them") from error
    except OSError as error:
        if error.errno in NO_ROOM:
            raise
        raise ClientDisconnected() from error


def _received() -> int:
    """Bytes of the body that came."""
    size = 0
    for stream in (file.stream for _, of_name in request.files.lists() for file in of_name):
        size += stream.seek(0, os.SEEK_END)
        stream.seek(0)
    return size or len(request.get_data())


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
