"""Small videos in every container that OpenCV writes, and what is wrong with them: cut, corrupted, absurd.

All is made from a seed, so that a file that was refused wrongly can be made again.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import cv2
import numpy as np

FRAMES = 48
WIDTH, HEIGHT = 160, 128
# Containers that OpenCV's FFmpeg writes, with the codec in each.
KINDS = {
    "mp4": ("mp4v", "mp4"), "mov": ("MJPG", "mov"), "m4v": ("mp4v", "m4v"), "avi": ("XVID", "avi"),
    "mjpeg": ("MJPG", "avi"), "mkv": ("mp4v", "mkv"), "mkv-mjpeg": ("MJPG", "mkv"), "webm": ("VP80", "webm"),
    "webm-vp9": ("VP90", "webm"), "flv": ("FLV1", "flv"), "mpg": ("mpg1", "mpg"), "mpg2": ("mpg2", "mpg"),
    "ts": ("mpg2", "ts"), "ts-mpeg4": ("mp4v", "ts"), "asf": ("mp4v", "asf"), "wmv": ("WMV2", "wmv"),
    "ogv": ("VP80", "ogv"),
}  # fmt: skip
# Those whose codec finds damage by itself: VP8 and VP9 decode any bytes to some picture.
NOTICES_DAMAGE = sorted(set(KINDS) - {"webm", "webm-vp9", "ogv"})


def write(path: Path, codec: str, size: tuple[int, int] = (WIDTH, HEIGHT), frames: int = FRAMES) -> Path:
    """A video of something that moves over noise, so that its frames differ and take some bytes."""
    writer = cv2.VideoWriter(str(path), cv2.CAP_FFMPEG, cv2.VideoWriter_fourcc(*codec), 25, size)
    assert writer.isOpened(), path
    noise = np.random.default_rng(1).integers(0, 120, (size[1], size[0], 3), np.uint8)
    for index in range(frames):
        frame = np.roll(noise, 2 * index, axis=1)
        frame[20:60, 2 * index : 2 * index + 30] = (index * 5 % 255, 200, 90)
        writer.write(frame)
    writer.release()
    return path


@cache
def whole(folder: Path) -> dict[str, bytes]:
    """Each kind's name to a sound video, encoded once for a folder."""
    return {name: write(folder / f"{name}.{ending}", codec).read_bytes() for name, (codec, ending) in KINDS.items()}


def cut(content: bytes, share: float) -> bytes:
    """The beginning of a file, of an odd number of bytes: no container's packets end there."""
    return content[: int(share * len(content)) | 1]


def corrupted(content: bytes, seed: int, changes: int, first: float = 0.1) -> bytes:
    """Some bytes changed, from a share of the file on."""
    chance, changed = random.Random(seed), bytearray(content)
    for _ in range(changes):
        changed[chance.randrange(int(first * len(changed)), len(changed))] ^= chance.randrange(1, 256)
    return bytes(changed)


def with_a_faster_clock(avi: bytes, times: int) -> bytes:
    """An AVI with empty chunks between its frames, and a rate and a number of frames that count them."""
    head, start = bytearray(avi), avi.index(b"movi") + 4
    chunks, at = [], start
    while avi[at : at + 4] == b"00dc":
        length = 8 + int.from_bytes(avi[at + 4 : at + 8], "little")
        chunks.append(avi[at : at + length + length % 2] + (times - 1) * (b"00dc" + bytes(4)))
        at += length + length % 2
    stream = avi.index(b"strh") + 8
    for field in (stream + 24, stream + 32):  # rate, length
        head[field : field + 4] = (times * int.from_bytes(head[field : field + 4], "little")).to_bytes(4, "little")
    frames = b"".join(chunks)
    head[start - 8 : start - 4] = (len(frames) + 4).to_bytes(4, "little")
    head[4:8] = (start + len(frames) - 8).to_bytes(4, "little")
    return bytes(head[:start]) + frames


@cache
def size_changing(folder: Path) -> dict[str, bytes]:
    """Streams without an index, one after the other, of which the second has another size."""
    found = {}
    for name in ("ts", "mpg", "mpg2", "flv"):
        codec, ending = KINDS[name]
        first = write(folder / f"first-{name}.{ending}", codec, frames=12).read_bytes()
        second = write(folder / f"second-{name}.{ending}", codec, (320, 256), 12).read_bytes()
        found[f"size-{name}"] = first + (second[13:] if name == "flv" else second)
    return found


def absurd_headers(videos: dict[str, bytes]) -> dict[str, bytes]:
    """Sizes, rates and counts that no video has, in the fields of MP4, AVI and FLV, and in any 4 bytes of a head."""
    found = {}
    for name, field in (("mp4", b"mp4v"), ("mov", b"jpeg"), ("m4v", b"mp4v")):
        at = videos[name].rindex(field) + 28  # width and height of the sample description
        for label, value in (("huge", "ffffffff"), ("zero", "00000000"), ("wide", "7fff0001")):
            found[f"{name}-{label}"] = _with(videos[name], at, bytes.fromhex(value))
    for name in ("avi", "mjpeg"):
        content = videos[name]
        at = content.index(b"avih") + 8
        for label, offset, value in (("rate", 0, 1), ("frames", 16, 2**31 - 1), ("width", 32, 2**31 - 1)):
            found[f"{name}-{label}"] = _with(content, at + offset, value.to_bytes(4, "little"))
        scale = content.index(b"strh") + 28
        found[f"{name}-scale"] = _with(content, scale, bytes(8))
        found[f"{name}-clock"] = _with(content, scale, (1).to_bytes(4, "little") + (10**9).to_bytes(4, "little"))
        size = content.index(b"strf") + 12
        found[f"{name}-size"] = _with(content, size, (30_000).to_bytes(4, "little") * 2)
    for name, content in videos.items():
        chance = random.Random(name)
        for number in range(4):
            at = chance.randrange(4, min(600, len(content) - 4))
            found[f"{name}-head-{number}"] = _with(content, at, b"\xff\xff\xff\x7f")
    return found


def hostile(folder: Path) -> Iterator[tuple[str, bytes]]:
    """Name and content of each file: at least 250."""
    videos = whole(folder)
    for name, content in videos.items():
        for share in (0.02, 0.3, 0.5, 0.9):
            yield f"{name}-cut-{share}", cut(content, share)
        for seed, changes in enumerate((1, 4, 20, 200)):
            yield f"{name}-corrupted-{changes}", corrupted(content, seed, changes, first=0.0)
        yield f"{name}-middle-lost", content[: len(content) // 3] + content[len(content) // 2 :]
        yield f"{name}-zeros", content[: len(content) // 2] + bytes(len(content) // 2)
    yield from size_changing(folder).items()
    yield from absurd_headers(videos).items()


def _with(content: bytes, at: int, value: bytes) -> bytes:
    return content[:at] + value + content[at + len(value) :]
