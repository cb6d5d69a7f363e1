"""Ending work that nobody waits for: between two frames, and between two stages, the work asks whether to go on.

What is being worked on is known by its context, as a request's id is for the log, so that no stage hands it on.
"""

from __future__ import annotations

import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from .errors import PoseParityError, TookTooLong

_ASK_S = 0.2  # how often is asked while another program works: nobody waits longer for a place that got free


class Stop:
    """Whether one piece of work is to end, and why. Another thread may say so; the work finds out when it asks.

    Args:
        seconds: that the work may take, from `watched` on; None for any time.
        tell: called, in the work's thread, with where it is, by name ("stage", "frame"), whenever that changes.
    """

    def __init__(self, seconds: float | None = None, tell: Callable[[dict], None] | None = None) -> None:
        self._seconds = seconds
        self._tell = tell
        self._at: dict = {}
        self._ends = float("inf")
        self._lock = threading.Lock()
        self._reason: PoseParityError | None = None

    def because(self, reason: PoseParityError) -> None:
        """End the work with this error; the first reason stays."""
        with self._lock:
            self._reason = self._reason or reason

    @property
    def reason(self) -> PoseParityError | None:
        """Why it is to end; None while it is to go on."""
        if self._reason is None and time.monotonic() > self._ends:
            late = TookTooLong(
                f"the answer was not computed within {self._seconds:g} seconds",
                fix="send a shorter or smaller video, or let the service raise POSEPARITY_INFERENCE_TIMEOUT_S",
                details={"max_seconds": self._seconds},
            )
            self.because(late)
        return self._reason

    def passes(self, at: dict) -> None:
        """The work is somewhere else now."""
        self._at |= at
        if self._tell and at:
            self._tell(self._at)

    @contextmanager
    def watched(self) -> Iterator[None]:
        """What is done within the block asks this one; the clock starts."""
        if self._seconds is not None:
            self._ends = time.monotonic() + self._seconds
        before = _current.set(self)
        try:
            yield
        finally:
            _current.reset(before)


_current: ContextVar[Stop | None] = ContextVar("poseparity-stop", default=None)


def check(**at: str | int | None) -> None:
    """Go on, or end.

    Args:
        at: where the work is: `stage`, `frame`.

    Raises:
        PoseParityError: the work in hand is to end; the error says why.
    """
    stop = _current.get()
    if stop is None:
        return
    if stop.reason is not None:
        raise stop.reason
    stop.passes(at)


def wait(process: subprocess.Popen, seconds: float | None = None) -> int:
    """The exit status of a program that works for the work in hand, asking meanwhile whether to go on.

    Raises:
        subprocess.TimeoutExpired: it runs longer than that; it is left running, also where another error is raised.
        PoseParityError: see `check`.
    """
    ends = float("inf") if seconds is None else time.monotonic() + seconds
    while True:
        check()
        left = ends - time.monotonic()
        try:
            return process.wait(min(_ASK_S, max(left, 0)))
        except subprocess.TimeoutExpired:
            if left <= _ASK_S:
                raise
