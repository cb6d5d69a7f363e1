"""Video decoding: OpenCV's own FFmpeg, frames streamed one at a time."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import ClassVar

import cv2
import numpy as np

from ..errors import InputError, InputTooLarge
from ..observe import Observe, Observed, unobserved
from ..records import Size, Video, VideoFile

_FIX = "send a whole video in a common format (H.264 or MPEG-4 in .mp4, .avi, .mov, .mkv)"
# Containers round their frame count; a cut file lacks more than this share of it.
_COUNT_TOLERANCE = 0.02


# FFmpeg tells a format by its content, and some are playlists that name other files: containers of video only. It is
# read at every open.
os.environ["OPENCV_FFMPEG_CAPTURE_OPTIONS"] = (
    "format_whitelist;mov,mp4,m4a,3gp,3g2,mj2,avi,matroska,webm,mpegts,mpeg,flv,asf,ogg"
)


class Decode(Observed):
    """Decode every frame once, so that a damaged or endless video is refused before any model runs.

    Reads: VideoFile. Adds: size, frame rate and the number of frames that can be decoded.
    Raises: InputError (empty, unreadable or truncated), InputTooLarge (too many frames or pixels).
    """

    name = "decode"
    observed: ClassVar = {"frame": "grey levels"}

    def __init__(self, *, max_frames: int, max_pixels: int) -> None:
        self._max_frames = max_frames
        self._max_pixels = max_pixels

    def __call__(self, file: VideoFile, observe: Observe = unobserved) -> Video:
        if file.path.stat().st_size == 0:
            raise InputError("the video file is empty (0 bytes)", code="empty-file", fix=_FIX)
        with _opened(file.path) as capture:
            size = self._checked_size(capture)
            declared = int(capture.get(cv2.CAP_PROP_FRAME_COUNT))
            count = self._count(capture, observe)
            rate = float(capture.get(cv2.CAP_PROP_FPS))
        _check_count(count, declared if _counts_frames(file.path) else 0)
        if not 0 < rate <= 100_000:  # a browser's WebM has 1000
            raise InputError(f"the video's frame rate is {rate}", code="unreadable-video", fix=_FIX)
        return Video(path=file.path, size=size, frames_per_second=rate, frame_count=count)

    def _checked_size(self, capture: cv2.VideoCapture) -> Size:
        size = Size(int(capture.get(cv2.CAP_PROP_FRAME_WIDTH)), int(capture.get(cv2.CAP_PROP_FRAME_HEIGHT)))
        if size.width * size.height > self._max_pixels:
            raise InputTooLarge(
                f"the video's frames are {size.width}x{size.height}, more than {self._max_pixels} pixels",
                code="frame-too-large",
                fix="scale the video down, for example to 1920x1080",
            )
        return size

    def _count(self, capture: cv2.VideoCapture, observe: Observe) -> int:
        count = 0
        while capture.grab():
            count += 1
            if observe is not unobserved:  # counting alone needs no pixels
                decoded, frame = capture.retrieve()
                if decoded:
                    observe("frame", frame)
            if count > self._max_frames:
                raise InputTooLarge(
                    f"the video has more than {self._max_frames} frames",
                    code="too-many-frames",
                    fix=f"send at most {self._max_frames} frames: cut the recording to the action",
                )
        return count


def frames(video: Video, wanted: frozenset[int] | None = None) -> Iterator[tuple[int, np.ndarray]]:
    """Stream a video's frames: index and uint8 (height, width, 3), BGR; only the `wanted` indices when given.

    Raises:
        InputError: a frame that `Decode` counted cannot be decoded now.
    """
    with _opened(video.path) as capture:
        for index in range(video.frame_count):
            if not capture.grab():
                raise _unreadable(f"frame {index} of {video.frame_count} could not be decoded")
            if wanted is not None and index not in wanted:
                continue
            decoded, frame = capture.retrieve()
            if not decoded:
                raise _unreadable(f"frame {index} of {video.frame_count} could not be converted to BGR")
            if frame.shape != (video.size.height, video.size.width, 3):
                raise _unreadable(f"frame {index} has another size than the first, {frame.shape[1]}x{frame.shape[0]}")
            yield index, frame


def sampled_indices(frame_count: int, share: float) -> tuple[int, ...]:
    """Evenly spaced frame indices, in integers only: ceil(share * frame_count) of them, the first frame among them."""
    count = min(frame_count, max(1, math.ceil(share * frame_count)))
    return tuple(position * frame_count // count for position in range(count))


@contextmanager
def _opened(path: Path) -> Iterator[cv2.VideoCapture]:
    # FFmpeg only: another backend found on the machine would decode other pixels. One decoder thread: no hardware.
    options = [cv2.CAP_PROP_HW_ACCELERATION, cv2.VIDEO_ACCELERATION_NONE, cv2.CAP_PROP_N_THREADS, 1]
    capture = cv2.VideoCapture(str(path), cv2.CAP_FFMPEG, options)
    try:
        if not capture.isOpened():
            raise _unreadable("the file is not a video that can be decoded, or it was cut before its index")
        yield capture
    except cv2.error as error:
        raise _unreadable(f"OpenCV cannot decode it: {str(error).splitlines()[0][:80]}") from error
    finally:
        capture.release()


def _counts_frames(path: Path) -> bool:
    """Whether the container itself counts its frames, as MP4 and AVI do; of others OpenCV estimates the number."""
    with path.open("rb") as file:
        head = file.read(8)
    return head[4:] == b"ftyp" or head[:4] == b"RIFF"


def _check_count(count: int, declared: int) -> None:
    if count == 0:
        raise _unreadable("no frame of the video could be decoded")
    if declared > 0 and count < declared - max(1, _COUNT_TOLERANCE * declared):
        raise InputError(
            f"the video is truncated: it declares {declared} frames, only {count} could be decoded",
            code="truncated-video",
            fix="send the whole file: record or copy it again",
            details={"declared": declared, "decoded": count},
        )
    if count < 2:
        raise InputError(f"the video has {count} frame; an action needs at least 2", code="too-few-frames", fix=_FIX)


def _unreadable(message: str) -> InputError:
    return InputError(message, code="unreadable-video", fix=_FIX)
