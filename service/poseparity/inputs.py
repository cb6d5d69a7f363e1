"""Tell what a file is by its content: a name is only what somebody called it."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from .errors import InputError
from .records import Box, Size

_HEAD_BYTES = 4096
_FIX = "send a video (H.264 or MPEG-4 in .mp4, .avi, .mov, .mkv) or a skeleton CSV (header Nose_x,Nose_y,Nose_c,...)"


def kind_of(path: Path) -> Literal["video", "csv"]:
    """Whether a file is to be read as a video or as a skeleton CSV.

    Raises:
        InputError: it is empty, or text without a comma-separated header.
    """
    with path.open("rb") as file:
        head = file.read(_HEAD_BYTES)
    if not head:
        raise InputError("the file is empty (0 bytes)", code="empty-file", fix=_FIX)
    if not _is_text(head):
        return "video"
    first_line = head.lstrip(b"\xef\xbb\xbf").split(b"\n", 1)[0]
    if b"," not in first_line:
        raise InputError(
            f"the file is text, neither a video nor a skeleton CSV; it begins {first_line[:40].decode()!r}",
            code="unreadable-video",
            fix=_FIX,
        )
    return "csv"


def parse_size(text: str) -> Size:
    """Read WIDTHxHEIGHT, pixels.

    Raises:
        InputError: it is something else.
    """
    return Size(*_positive_integers(text, "x", 2, "frame size", "WIDTHxHEIGHT, for example 1920x1080"))


def parse_box(text: str) -> Box:
    """Read X,Y,WIDTH,HEIGHT, pixels of the full frame.

    Raises:
        InputError: it is something else.
    """
    x, y, width, height = _positive_integers(text, ",", 4, "crop", "X,Y,WIDTH,HEIGHT, for example 320,80,640,900")
    return Box(x, y, width, height)


def _is_text(head: bytes) -> bool:
    # The last character may be cut by the read; UTF-8 has at most four bytes a character.
    for cut in range(4):
        try:
            text = head[: len(head) - cut].decode("utf-8")
        except UnicodeDecodeError:
            continue
        return "\0" not in text
    return False


def _positive_integers(text: str, separator: str, count: int, what: str, expected: str) -> list[int]:
    parts = text.split(separator)
    if len(parts) != count or not all(part.strip().isascii() and part.strip().isdigit() for part in parts):
        raise InputError(f"the {what} is {text!r}, expected {expected}", fix=f"give the {what} as {expected}")
    values = [int(part) for part in parts]
    if min(values[-2:]) < 1:
        raise InputError(f"the {what} {text!r} has no area", fix=f"give the {what} as {expected}")
    return values
