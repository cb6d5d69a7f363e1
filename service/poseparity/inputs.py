"""What a pipeline is given. What a file is, its content tells: a name is only what somebody called it."""

from __future__ import annotations

import codecs
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from .errors import InputError
from .records import Box, Size
from .skeleton_csv import SEPARATORS, is_utf16

Kind = Literal["video", "csv"]
_HEAD_BYTES = 4096  # the header of a skeleton CSV has 428, and what is binary shows that sooner
_LARGEST = 100_000  # pixels: more than any video has, and little enough for every computation with it
_FIX = "send a video (H.264 or MPEG-4 in .mp4, .avi, .mov, .mkv) or a skeleton CSV (header Nose_x,Nose_y,Nose_c,...)"


@dataclass(frozen=True)
class Input:
    """A video, or a skeleton CSV with what is known of the video that it came from.

    Attributes:
        source: the file, or the content of a skeleton CSV.
        name: what a trace calls it; by default the file's own name.
        frame_size, crop: of the video that a skeleton CSV came from, where the bundle needs to know it.
        assume_crop: where the bundle needs a crop and none is given, take that of the joints' own extent.
    """

    source: Path | bytes
    kind: Kind
    name: str | None = None
    frame_size: Size | None = None
    crop: Box | None = None
    assume_crop: bool = False

    @classmethod
    def of_file(cls, path: Path) -> Input:
        """Raises InputError where `kind_of` does."""
        return cls(path, kind_of(path))

    def content(self) -> bytes:
        """The whole of it: for a skeleton CSV, not for a video."""
        return self.source if isinstance(self.source, bytes) else self.source.read_bytes()


def kind_of(path: Path) -> Kind:
    """Whether a file is to be read as a video or as a skeleton CSV.

    Raises:
        InputError: it is empty, or text without a header of several columns.
    """
    with path.open("rb") as file:
        head = file.read(_HEAD_BYTES)
    if not head.removeprefix(codecs.BOM_UTF8).strip():
        raise InputError(f"the file is empty ({len(head)} bytes)", code="empty-file", fix=_FIX)
    if is_utf16(head):
        return "csv"  # whose reader says what is wrong with it
    if not _is_text(head):
        return "video"
    first_line = head.removeprefix(codecs.BOM_UTF8).lstrip().splitlines()[0]
    if not any(separator.encode() in first_line for separator in SEPARATORS):
        beginning = first_line.decode(errors="replace")[:40]
        raise InputError(
            f"the file is text, neither a video nor a skeleton CSV; it begins {beginning!r}",
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
    parts = [part.strip() for part in text.split(separator)]
    fix = f"give the {what} as {expected}"
    # Nine digits are more than any size, and few enough for int().
    if len(parts) != count or not all(part.isascii() and part.isdigit() and len(part) < 10 for part in parts):
        raise InputError(f"the {what} is {text[:40]!r}, expected {expected}", fix=fix)
    values = [int(part) for part in parts]
    if min(values[-2:]) < 1:
        raise InputError(f"the {what} {text[:40]!r} has no area", fix=fix)
    if max(values) > _LARGEST:
        raise InputError(f"the {what} {text[:40]!r} is larger than {_LARGEST} pixels", fix=fix)
    return values
