"""Look through a whole video once: `python -m poseparity.video.look`, in a process whose memory and time are limited.

A file from elsewhere may make FFmpeg take gigabytes, go on for hours, or crash: here it does so alone. What FFmpeg
complains of while it decodes is counted, because OpenCV hides that a frame is damaged.

Reads JSON, the fields of `Limits`, from the first argument and the video from standard input; prints JSON, either the
fields of `Looked` or {"error": ...}. A second argument is the number of an open file of kept.py's.
"""

from __future__ import annotations

import fcntl
import json
import math
import os
import resource
import sys
from dataclasses import asdict, dataclass
from pathlib import Path

from ..errors import InputError, InputTooLarge

_FIX = "write the video again in a common format, such as H.264 in .mp4"
_INPUT = Path("/proc/self/fd/0")
_MOST_WORDS = 2**20  # bytes of complaints that are kept at a time
# What FFmpeg calls an error and no picture suffers from.
_HARMLESS = (b"APP fields", b"co located POCs", b"mmco: unref short", b"number of reference frames", b"[ WARN:")
_CUT = b"ended prematurely"
_END = 4  # frames: a decoder is ahead of what it hands out
_NO_MEMORY = (b"Cannot allocate memory", b"get_buffer() failed")
_OPENCV_NO_MEMORY = "Insufficient memory"


@dataclass(frozen=True)
class Limits:
    """What a video may have and take.

    Attributes:
        frames: most frames.
        pixels: most pixels of one frame.
        total_pixels: most pixels of all frames together.
        memory_bytes: most memory, of addresses, that decoding may take; None for any.
        seconds: of a core, that decoding may take: for a process that nobody is left to end.
        kept_bytes: most bytes of frames that are kept; those of a video with more are not.
    """

    frames: int
    pixels: int
    total_pixels: int | None = None
    memory_bytes: int | None = None
    seconds: int = 3600
    kept_bytes: int = 0


@dataclass(frozen=True)
class Looked:
    """What was found.

    Attributes:
        count: frames that could be decoded, all of this width and height.
        declared: frames that OpenCV says the container declares or promises; 0 where it says nothing of use.
        rate: frames a second.
        last_s: time of the last frame from the first, seconds; 0 where the container has no times.
        damaged: frames at which FFmpeg complained.
        damaged_end: whether it complained at one of the last frames.
        cut: whether FFmpeg said that the file ends too early.
    """

    width: int
    height: int
    count: int
    declared: int
    rate: float
    last_s: float
    damaged: int
    damaged_end: bool
    cut: bool


def look(path: Path, limits: Limits, complaints: Complaints, file: int | None) -> Looked:
    """Decode every frame, and keep all in the file of kept.py's where there is room.

    Raises:
        InputError: it cannot be decoded, or its frames are not all of one size.
        InputTooLarge: it is over a limit.
    """
    import cv2  # here, where the limits are set

    from .containers import container_of
    from .kept import Keeper
    from .opening import opened, unreadable

    keeper = Keeper(file)
    with opened(path) as capture:
        width, height = (int(capture.get(side)) for side in (cv2.CAP_PROP_FRAME_WIDTH, cv2.CAP_PROP_FRAME_HEIGHT))
        declared, rate = (_finite(capture.get(fact)) for fact in (cv2.CAP_PROP_FRAME_COUNT, cv2.CAP_PROP_FPS))
        _check_size(width, height, limits)
        if container_of(path) == "mp4":  # whose table of frames is what is read: no need to decode so many
            _check_count(int(declared), width * height, limits)
        complaints.take()  # opening decodes some frames, which come again
        count, damaged, last_s, parent = 0, [0], 0.0, os.getppid()
        while capture.grab():
            count += 1
            if os.getppid() != parent:  # whoever wanted this was killed
                raise SystemExit
            _check_count(count, width * height, limits)
            decoded, frame = capture.retrieve()
            if not decoded:
                raise unreadable(f"frame {count - 1} could not be converted to BGR")
            if frame.shape != (height, width, 3):
                raise _changes(count - 1, frame.shape, (height, width))
            keeper.keep(frame)
            last_s = max(last_s, _finite(capture.get(cv2.CAP_PROP_POS_MSEC)) / 1000)
            damaged += [count] * complaints.take()
    damaged_end = complaints.take() or damaged[-1] > count - _END
    return Looked(
        width, height, count, max(0, int(declared)), rate, last_s, len(damaged) - 1, damaged_end, complaints.cut
    )


class Complaints:
    """What FFmpeg writes to standard error, which this takes over.

    Attributes:
        cut: whether it has said so far that the file ends too early.
        memory: whether it has said that there was not enough memory.
    """

    def __init__(self) -> None:
        self._file = os.memfd_create("complaints")
        # At the end, wherever that is: what was read is cut off.
        fcntl.fcntl(self._file, fcntl.F_SETFL, fcntl.fcntl(self._file, fcntl.F_GETFL) | os.O_APPEND)
        os.dup2(self._file, 2)
        self.cut = self.memory = False

    def take(self) -> bool:
        """Whether a frame was complained of since the last time."""
        size = os.fstat(self._file).st_size
        if not size:
            return False
        lines = os.pread(self._file, size, 0).splitlines()
        os.ftruncate(self._file, 0)
        self.cut |= any(_CUT in line for line in lines)
        self.memory |= any(word in line for line in lines for word in _NO_MEMORY)
        return any(not any(word in line for word in (*_HARMLESS, _CUT)) for line in lines if line.strip())


def too_much_memory(limit: int) -> InputTooLarge:
    """The error for a video whose decoding takes more memory than it may."""
    return InputTooLarge(
        f"decoding the video takes more than {limit} bytes of memory",
        code="too-much-memory",
        fix="scale the video down, for example to 1920x1080, and write it again in a common format",
        details={"max_bytes": limit},
    )


def _check_size(width: int, height: int, limits: Limits) -> None:
    if width * height > limits.pixels:
        raise InputTooLarge(
            f"the video's frames are {width}x{height}, more than {limits.pixels} pixels",
            code="frame-too-large",
            fix="scale the video down, for example to 1920x1080",
        )


def _check_count(count: int, pixels: int, limits: Limits) -> None:
    if count > limits.frames:
        raise InputTooLarge(
            f"the video has more than {limits.frames} frames",
            code="too-many-frames",
            fix=f"send at most {limits.frames} frames: cut the recording to the action",
        )
    if limits.total_pixels is not None and count * pixels > limits.total_pixels:
        raise InputTooLarge(
            f"{count} frames of the video have more than {limits.total_pixels} pixels in all",
            code="too-many-pixels",
            fix="cut the recording to the action, or scale it down",
            details={"max_total_pixels": limits.total_pixels},
        )


def _changes(index: int, found: tuple[int, ...], first: tuple[int, int]) -> InputError:
    return InputError(
        f"frame {index} has another size than the first: {found[1]}x{found[0]}, expected {first[1]}x{first[0]}",
        code="size-changes",
        fix="write the video again with one size for all frames",
    )


def _finite(value: float) -> float:
    """FFmpeg's sums of what is not declared, such as -9e18, are nothing."""
    return value if math.isfinite(value) and abs(value) < 1e12 else 0.0


def _limit_this_process(limits: Limits) -> None:
    if limits.memory_bytes is not None:
        addresses = limits.memory_bytes + limits.kept_bytes
        resource.setrlimit(resource.RLIMIT_AS, (addresses, addresses))
    # First a signal that says what happened, a second later one that no handler keeps.
    resource.setrlimit(resource.RLIMIT_CPU, (limits.seconds, limits.seconds + 1))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (_MOST_WORDS, _MOST_WORDS))  # it writes nothing but complaints


def main() -> None:
    limits = Limits(**json.loads(sys.argv[1]))
    _limit_this_process(limits)
    complaints = Complaints()
    try:
        answer = asdict(look(_INPUT, limits, complaints, int(sys.argv[2]) if limits.kept_bytes else None))
        if complaints.memory and limits.memory_bytes is not None:
            raise too_much_memory(limits.memory_bytes)
    except InputError as error:
        complaints.take()
        if limits.memory_bytes is not None and (complaints.memory or _OPENCV_NO_MEMORY in str(error)):
            error = too_much_memory(limits.memory_bytes)
        answer = {"error": {**error.to_dict(), "http_status": error.http_status}}
    except MemoryError:
        answer = {"error": {**too_much_memory(limits.memory_bytes).to_dict(), "http_status": 413}}
    except Exception as error:  # noqa: BLE001  what a file from elsewhere brings about is no fault of the service
        problem = InputError(f"the video cannot be decoded: {type(error).__name__}", code="unreadable-video", fix=_FIX)
        answer = {"error": {**problem.to_dict(), "http_status": problem.http_status}}
    print(json.dumps(answer), flush=True)
    os._exit(0)  # whatever FFmpeg left behind is not tidied up


if __name__ == "__main__":
    main()
