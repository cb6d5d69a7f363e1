"""What was uploaded: told by its content, and handed to the pipeline without ever having a name on disk."""

from __future__ import annotations

import mimetypes
from functools import wraps
from pathlib import Path
from typing import Literal

from flask import current_app, request
from werkzeug.datastructures import FileStorage

from ..errors import InputError, InputTooLarge
from ..settings import Settings
from ..skeleton_csv import HEADER
from .errors import UnsupportedMediaType

Kind = Literal["video", "csv"]

_HEAD_BYTES = 4096
# Python's longest float64 is 24 characters; a separator, a quote at each side and some spaces belong to it.
_CSV_BYTES_A_NUMBER = 32
_JSON_BESIDE_CSV_BYTES = 64 * 1024
_FIX = "send a video (H.264 or MPEG-4 in .mp4, .avi, .mov, .mkv) or a skeleton CSV"

# Only these reach the video decoder. It would open more by itself, playlists among them: text that names other files
# of this machine, or addresses, which it then reads.
_VIDEO_STARTS = {
    0: (b"\x1aE\xdf\xa3", b"\x00\x00\x01\xba", b"\x00\x00\x01\xb3", b"FLV\x01", b"OggS", b"0&\xb2u\x8ef\xcf\x11"),
    4: (b"ftyp", b"moov", b"mdat", b"free", b"skip", b"wide", b"pnot", b"styp"),
    8: (b"AVI ",),
}
_MPEG_TS_PACKET = 188


def accepts(mimetype: str):
    """A decorator: refuse a request with another Content-Type before its body is read.

    Raises:
        UnsupportedMediaType: when the decorated view is called.
    """

    def decorate(view):
        @wraps(view)
        def checked(*args, **kwargs):
            if request.mimetype != mimetype:
                raise UnsupportedMediaType(
                    f"the request's Content-Type is {request.mimetype or 'missing'}, expected {mimetype}",
                    fix=f"send {mimetype}, as /openapi.json describes it",
                )
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


def kind_of(upload: FileStorage) -> Kind:
    """Tell a video from a skeleton CSV by the first bytes; the name only decides what an error says.

    Raises:
        InputError: it is empty, or neither.
    """
    head = upload.stream.read(_HEAD_BYTES)
    upload.stream.seek(0)
    if not head:
        raise InputError("the file is empty (0 bytes)", code="empty-file", fix=_FIX)
    if _starts_like_video(head):
        return "video"
    named = mimetypes.guess_type(upload.filename or "")[0] or ""
    if named.startswith("video/") and not _starts_like_csv(head):
        what = "text" if _is_text(head) else "no video that is known here"
        raise InputError(f"{upload.filename!r} has a video's name and holds {what}", code="unreadable-video", fix=_FIX)
    if not _is_text(head) and named != "text/csv":
        raise InputError("the file is neither a video nor text", code="unknown-format", fix=_FIX)
    return "csv"


def video_path(upload: FileStorage) -> Path:
    """A path under which this process can open the uploaded bytes, as long as the request lives.

    The file behind it was never linked into a folder, so nothing is left behind, whatever ends the request: not even
    the worker's being killed.
    """
    descriptor = upload.stream.fileno()  # Werkzeug's spooled file leaves the memory here
    upload.stream.flush()
    return Path(f"/proc/self/fd/{descriptor}")


def csv_content(upload: FileStorage) -> bytes:
    """The whole CSV; refuses one that is longer than the frames that are allowed can make it.

    Raises:
        InputTooLarge: it is.
    """
    limit = csv_limit()
    content = upload.stream.read(limit + 1)
    if len(content) > limit:
        frames = settings().max_frames
        raise InputTooLarge(
            f"the skeleton CSV has more than {limit} bytes, which is more than {frames} frames",
            code="too-many-frames",
            fix=f"send at most {frames} frames: cut the recording to the action",
            details={"max_frames": frames, "max_bytes": limit},
        )
    return content


def csv_limit() -> int:
    """Most bytes of a skeleton CSV: the header and `max_frames` rows, generously."""
    return (1 + settings().max_frames) * len(HEADER) * _CSV_BYTES_A_NUMBER


def settings() -> Settings:
    """The settings of the current application."""
    return current_app.config["POSEPARITY"]


def _starts_like_video(head: bytes) -> bool:
    known = any(head.startswith(starts, offset) for offset, starts in _VIDEO_STARTS.items())
    packets = head[: 3 * _MPEG_TS_PACKET : _MPEG_TS_PACKET]
    return known or (packets == b"GGG" and not _is_text(head))


def _starts_like_csv(head: bytes) -> bool:
    first_line = head.split(b"\n", 1)[0]
    return any(name.encode() in first_line for name in HEADER[:3])


def _is_text(head: bytes) -> bool:
    if b"\0" in head:
        return False
    try:
        head.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        # A character that the cut at _HEAD_BYTES halves is still text.
        return len(head) == _HEAD_BYTES and error.start > _HEAD_BYTES - 4
    return True
