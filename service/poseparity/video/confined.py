"""Looking through a video in a process of its own, which ends when the work in hand does; see look.py."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

from .. import stop
from ..errors import InputError, InputTooLarge
from .look import Limits, Looked
from .opening import unreadable

_SILENCE = ("OPENCV_FFMPEG_LOGLEVEL", "OPENCV_FFMPEG_DEBUG")  # what FFmpeg complains of is wanted there


def look_through(path: Path, limits: Limits) -> Looked:
    """Decode every frame of a video once, elsewhere.

    Raises:
        InputError: it cannot be decoded, or its decoder crashed.
        InputTooLarge: it is over a limit.
        PoseParityError: the work in hand is to end.
        RuntimeError: the other process cannot work at all.
    """
    command = [sys.executable, "-P", "-m", f"{__package__}.look", json.dumps(asdict(limits))]
    environment = {name: value for name, value in os.environ.items() if name not in _SILENCE}
    with path.open("rb") as video, subprocess.Popen(
        command, stdin=video, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=environment
    ) as process:  # fmt: skip
        try:
            status = stop.wait(process)
            answer = process.stdout.read()
        finally:
            process.kill()
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
