"""Looking through a video in a process of its own, which ends when the work in hand does; see look.py."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

import numpy as np

from .. import stop
from ..errors import InputError, InputTooLarge
from .kept import kept, room
from .look import Limits, Looked
from .opening import unreadable

_SILENCE = ("OPENCV_FFMPEG_LOGLEVEL", "OPENCV_FFMPEG_DEBUG")  # what FFmpeg complains of is wanted there


def look_through(path: Path, limits: Limits) -> tuple[Looked, np.ndarray | None]:
    """Decode every frame of a video once, elsewhere.

    Returns:
        What was found; and all frames, uint8 (count, height, width, 3), BGR, unless they are more than `kept_bytes`.

    Raises:
        InputError: it cannot be decoded, or its decoder crashed.
        InputTooLarge: it is over a limit.
        PoseParityError: the work in hand is to end.
        RuntimeError: the other process cannot work at all.
    """
    environment = {name: value for name, value in os.environ.items() if name not in _SILENCE}
    with room(limits.kept_bytes) as frames:
        command = [sys.executable, "-P", "-m", f"{__package__}.look", json.dumps(asdict(limits)), str(frames)]
        with (
            path.open("rb") as video,
            subprocess.Popen(
                command,
                stdin=video,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                env=environment,
                pass_fds=[frames],
            ) as process,
        ):
            try:
                status = stop.wait(process)
                answer = process.stdout.read()
            finally:
                process.kill()
        found = _understood(command, status, answer)
        return found, kept(frames, found.count, found.height, found.width)


def _understood(command: list[str], status: int, answer: bytes) -> Looked:
    if status < 0:
        # FFmpeg has a fault, or got no memory where it did not expect that.
        raise unreadable(f"its decoder was ended by signal {-status}")
    if status != 0 or not answer:
        raise RuntimeError(f"{' '.join(command)} ended with status {status}: run it by hand")
    found = json.loads(answer)
    if "error" in found:
        error = found["error"]
        kind = InputTooLarge if error.pop("http_status") == InputTooLarge.http_status else InputError
        raise kind(error.pop("message"), **error)
    return Looked(**found)
