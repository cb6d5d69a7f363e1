"""What FFmpeg does not say of a container: whether it declares its length, and whether a file's end is there."""

from __future__ import annotations

import os
from pathlib import Path
from typing import BinaryIO, Literal

Container = Literal["mp4", "avi", "matroska", "flv", "asf", "ogg", "mpegts", "mpegps", "other"]

_ASF = bytes.fromhex("3026b2758e66cf11a6d900aa0062ce6c")
_ASF_PROPERTIES = bytes.fromhex("a1dcab8c47a9cf118ee400c00c205365")
_BEGINNINGS: tuple[tuple[bytes, Container], ...] = (
    (b"RIFF", "avi"),
    (b"\x1a\x45\xdf\xa3", "matroska"),
    (b"FLV", "flv"),
    (_ASF, "asf"),
    (b"OggS", "ogg"),
    (b"\0\0\1\xba", "mpegps"),
    (b"G", "mpegts"),
)
_MP4_BOXES = (b"ftyp", b"moov", b"mdat", b"free", b"wide", b"skip", b"pnot")
_PART = 64 * 1024  # of a file's beginning; twice as much of its end holds the last Ogg page or MPEG packet whole
_TS_PACKETS = (188, 192, 204)  # bytes: plain, with a time stamp before each, with error correction behind it


def container_of(path: Path) -> Container:
    """The container, by its first bytes."""
    with path.open("rb") as file:
        head = file.read(16)  # ASF's beginning is the longest
    if head[4:8] in _MP4_BOXES:
        return "mp4"
    return next((container for beginning, container in _BEGINNINGS if head.startswith(beginning)), "other")


def ends_in_the_middle(path: Path, container: Container) -> bool:
    """Whether a container that declares no length ends within one of its packets: what follows is not known."""
    size = path.stat().st_size
    with path.open("rb") as file:
        if container == "mpegts":
            return all(size % packet for packet in _TS_PACKETS)
        if container == "ogg":
            return not _last_page_is_the_last(_end_of(file, size))
        if container == "mpegps":
            return _packet_goes_on(_end_of(file, size))
    return False


def asf_seconds(path: Path) -> float | None:
    """The length that an ASF file declares; FFmpeg does not tell it of a file that was cut."""
    with path.open("rb") as file:
        head = file.read(_PART)
    at = head.find(_ASF_PROPERTIES)
    fields = head[at + 64 : at + 92]  # play duration, send duration, preroll, flags
    if at < 0 or len(fields) < 28 or fields[24] & 1:  # a broadcast's are not valid
        return None
    # In units of 100 ns; the preroll, which is part of it, in ms.
    seconds = int.from_bytes(fields[:8], "little") / 1e7 - int.from_bytes(fields[16:24], "little") / 1e3
    return seconds if 0 < seconds < 1e6 else None  # more than eleven days is a damaged number


def _end_of(file: BinaryIO, size: int) -> bytes:
    file.seek(max(0, size - 2 * _PART), os.SEEK_SET)
    return file.read()


def _last_page_is_the_last(end: bytes) -> bool:
    """An Ogg page says in its header whether it is its stream's last, and the length of each of its segments."""
    # RFC 3533: the header has 27 bytes, with the flags at 5 (4: the last page) and the number of segments at 26.
    at = end.rfind(b"OggS")
    if at < 0 or len(end) < at + 27:
        return False
    segments = end[at + 27 : at + 27 + end[at + 26]]
    whole = len(segments) == end[at + 26] and len(end) >= at + 27 + len(segments) + sum(segments)
    return whole and bool(end[at + 5] & 4)


def _packet_goes_on(end: bytes) -> bool:
    """The last packet of an MPEG program stream has its length after its start code, which no content looks like."""
    at = len(end)
    while (at := end.rfind(b"\0\0\1", 0, at)) >= 0:
        # Start codes of private stream 1, and of audio and video: what has packets with a length.
        if len(end) >= at + 6 and (end[at + 3] == 0xBD or 0xC0 <= end[at + 3] <= 0xEF):
            return at + 6 + int.from_bytes(end[at + 4 : at + 6], "big") > len(end)
    return False
