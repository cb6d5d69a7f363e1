"""Video decoding: OpenCV's own FFmpeg, frames streamed one at a time."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

import numpy as np

from .. import stop
from ..errors import InputError
from ..observe import Observe, Observed, unobserved
from ..records import Notice, Size, Video, VideoFile
from ..video.confined import look_through
from ..video.containers import asf_seconds, container_of, ends_in_the_middle
from ..video.look import Limits, Looked
from ..video.opening import FIX, opened, unreadable
from .base import DECODE, Stage

# Share of a video that has to be there and sound, where the bundle does not say.
SOUND_SHARE = 0.95
_COUNTS_FRAMES = ("mp4", "avi")
_SAYS_ITS_LENGTH = (*_COUNTS_FRAMES, "matroska", "flv", "asf")
_COUNT_SLACK, _LENGTH_SLACK = 1, 4  # frames: counts are rounded; a length holds delays, and sound that goes on longer


class Decode(Stage, Observed):
    """Decode every frame once, in a process of its own, so that no damaged, huge or endless video reaches a model.

    Reads: VideoFile. Adds: size, frame rate, the number of frames that can be decoded, and what is damaged or lacks.
    Raises: InputError (empty, unreadable, truncated, damaged, of several sizes), InputTooLarge (too many frames or
    pixels, too much memory).
    """

    row = DECODE
    name = row.name
    observed: ClassVar = {"frame": "grey levels"}

    def __init__(
        self,
        *,
        max_frames: int,
        max_pixels: int,
        max_total_pixels: int | None = None,
        memory_bytes: int | None = None,
        kept_bytes: int = 0,
        min_share: float = SOUND_SHARE,
    ) -> None:
        self._limits = Limits(max_frames, max_pixels, max_total_pixels, memory_bytes, kept_bytes=kept_bytes)
        self._min_share = min_share

    def __call__(self, file: VideoFile, observe: Observe = unobserved) -> Video:
        if file.path.stat().st_size == 0:
            raise InputError("the video file is empty (0 bytes)", code="empty-file", fix=FIX)
        found, kept = look_through(file.path, self._limits)
        _check_count_and_rate(found)
        video = Video(
            path=file.path,
            size=Size(found.width, found.height),
            frames_per_second=found.rate,
            frame_count=found.count,
            notices=tuple(_what_lacks(file.path, found, self._min_share)),
            kept=kept,
        )
        if observe is not unobserved:  # counting alone needs no pixels here
            for _, frame in frames(video):
                observe("frame", frame)
        return video

    @staticmethod
    def values(video: Video) -> dict[str, np.ndarray]:
        return {
            "size": np.array([video.size.width, video.size.height], dtype=np.int64),
            "frames_per_second": np.array(video.frames_per_second, dtype=np.float64),
            "frame_count": np.array(video.frame_count, dtype=np.int64),
        }


def frames(video: Video, wanted: frozenset[int] | None = None) -> Iterator[tuple[int, np.ndarray]]:
    """A video's frames, kept or streamed: index and uint8 (height, width, 3), BGR; only the `wanted` ones when given.

    Raises:
        InputError: a frame that `Decode` counted cannot be decoded now.
    """
    if video.kept is not None:
        for index, frame in enumerate(video.kept):
            stop.check(frame=index)
            if wanted is None or index in wanted:
                yield index, frame
        return
    with opened(video.path) as capture:
        for index in range(video.frame_count):
            stop.check(frame=index)
            if not capture.grab():
                raise unreadable(f"frame {index} of {video.frame_count} could not be decoded")
            if wanted is not None and index not in wanted:
                continue
            decoded, frame = capture.retrieve()
            if not decoded:
                raise unreadable(f"frame {index} of {video.frame_count} could not be converted to BGR")
            if frame.shape != (video.size.height, video.size.width, 3):
                raise unreadable(f"frame {index} has another size than the first, {frame.shape[1]}x{frame.shape[0]}")
            yield index, frame


def sampled_indices(frame_count: int, share: float) -> tuple[int, ...]:
    """Evenly spaced frame indices, in integers only: ceil(share * frame_count) of them, the first frame among them."""
    count = min(frame_count, max(1, math.ceil(share * frame_count)))
    return tuple(position * frame_count // count for position in range(count))


def _check_count_and_rate(found: Looked) -> None:
    if found.count == 0:
        raise unreadable("no frame of the video could be decoded")
    if found.count < 2:
        raise InputError(
            f"the video has {found.count} frame; an action needs at least 2", code="too-few-frames", fix=FIX
        )
    if not 0 < found.rate <= 100_000:  # a browser's WebM has 1000
        raise InputError(f"the video's frame rate is {found.rate}", code="unreadable-video", fix=FIX)


def _what_lacks(path: Path, found: Looked, min_share: float) -> Iterator[Notice]:
    """What an answer says of frames that are not there or not sound.

    Raises:
        InputError: they are too many.
    """
    container = container_of(path)
    share = _share_read(path, container, found)
    if share is None and (found.cut or found.damaged_end or ends_in_the_middle(path, container)):
        words = f"nothing says how much is missing: {found.count} frames could be decoded"
        raise _truncated(f"the video ends in the middle of a frame, and {words}", {"decoded": found.count})
    declared = found.count if share is None else round(found.count / share)
    if declared > found.count and share < min_share:
        words = f"it declares {declared} frames, only {found.count} could be decoded"
        raise _truncated(f"the video is truncated: {words}", {"declared": declared, "decoded": found.count})
    if (found.count - found.damaged) / declared < min(min_share, 1 - 1 / declared):
        raise _damaged(found, declared, min_share)
    if declared > found.count:
        yield Notice("truncated-video", f"{found.count} of about {declared} frames could be decoded ({share:.1%})")
    if found.damaged:
        yield Notice("damaged-video", f"FFmpeg complained of {found.damaged} of {found.count} frames: they are damaged")


def _share_read(path: Path, container: str, found: Looked) -> float | None:
    """Share of the declared video that was decoded, 1 where it may be all; None where its length is not declared."""
    declared = found.declared
    if container == "asf":
        declared = round((asf_seconds(path) or 0.0) * found.rate)
    if container not in _SAYS_ITS_LENGTH or declared <= 0:
        return None
    read = found.count
    if container != "mp4" and found.last_s > 0:
        # A frame rate may be that of a clock, many times too high, and the count with it: then times tell more.
        read = max(read, round(found.last_s * found.rate) + 1)
    slack = _COUNT_SLACK if container in _COUNTS_FRAMES else _LENGTH_SLACK
    return 1.0 if read + slack >= declared else read / declared


def _truncated(message: str, details: dict) -> InputError:
    return InputError(
        message, code="truncated-video", fix="send the whole file: record or copy it again", details=details
    )


def _damaged(found: Looked, declared: int, min_share: float) -> InputError:
    return InputError(
        f"the video is damaged: FFmpeg complained of {found.damaged} of {found.count} frames; at least {min_share:.0%} "
        "have to be there and sound",
        code="damaged-video",
        fix="send the file again, or record it again",
        details={"declared": declared, "decoded": found.count, "damaged": found.damaged, "min_share": min_share},
    )
