"""Opening a video: the same way wherever it is decoded, so that it has the same bits everywhere."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import cv2

from ..errors import InputError

FIX = "send a whole video in a common format (H.264 or MPEG-4 in .mp4, .avi, .mov, .mkv)"

# FFmpeg tells a format by its content, and some are playlists that name other files: containers of video only. It is
# read at every open.
os.environ["OPENCV_FFMPEG_CAPTURE_OPTIONS"] = (
    "format_whitelist;mov,mp4,m4a,3gp,3g2,mj2,avi,matroska,webm,mpegts,mpeg,flv,asf,ogg"
)


@contextmanager
def opened(path: Path) -> Iterator[cv2.VideoCapture]:
    """The video, closed after the block.

    Raises:
        InputError: it cannot be opened, or OpenCV gives up on it within the block.
    """
    # FFmpeg only: another backend found on the machine would decode other pixels. One decoder thread: no hardware.
    options = [cv2.CAP_PROP_HW_ACCELERATION, cv2.VIDEO_ACCELERATION_NONE, cv2.CAP_PROP_N_THREADS, 1]
    capture = cv2.VideoCapture(str(path), cv2.CAP_FFMPEG, options)
    try:
        if not capture.isOpened():
            raise unreadable("the file is not a video that can be decoded, or it was cut before its index")
        yield capture
    except cv2.error as error:
        raise unreadable(f"OpenCV cannot decode it: {str(error).splitlines()[0][:80]}") from error
    finally:
        capture.release()


def unreadable(message: str) -> InputError:
    """The error for a file that is no video, or none that can be decoded."""
    return InputError(message, code="unreadable-video", fix=FIX)
