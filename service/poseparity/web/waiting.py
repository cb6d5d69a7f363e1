"""Who waits for his turn or has it, and how long that will take: what a refused client is told."""

from __future__ import annotations

import math
import threading
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal

from ..errors import TookTooLong
from ..stop import Stop

Kind = Literal["video", "csv"]
_REMEMBERED = 8  # inferences of a kind, the last ones, whose mean is expected of the next
_AT_FIRST_S = 1.0  # expected while nothing was measured


@dataclass
class _Work:
    kind: Kind
    began: float | None = None


class Waiting:
    """The inferences that wait, those that run, and what the last ones took.

    Args:
        longest: seconds after which any inference is ended.
    """

    def __init__(self, *, longest: float) -> None:
        self._longest = longest
        self._lock = threading.Lock()
        self._work: dict[Stop, _Work] = {}
        self._seconds: dict[Kind, deque[float]] = {}

    @contextmanager
    def joined(self, kind: Kind, stop: Stop) -> Iterator[None]:
        """One more, until the end of the block."""
        with self._lock:
            self._work[stop] = _Work(kind)
        try:
            yield
        finally:
            with self._lock:
                del self._work[stop]

    @contextmanager
    def begun(self, stop: Stop) -> Iterator[None]:
        """One that joined has its turn in the block; its time is remembered, unless nobody waits for it any more."""
        work = self._work[stop]
        work.began = time.monotonic()
        try:
            yield
        finally:
            if stop.reason is None or isinstance(stop.reason, TookTooLong):
                with self._lock:
                    measured = self._seconds.setdefault(work.kind, deque(maxlen=_REMEMBERED))
                    measured.append(time.monotonic() - work.began)

    def stops(self) -> list[Stop]:
        """Of all that wait or run."""
        with self._lock:
            return list(self._work)

    def seconds_left(self, *, places: int) -> int:
        """Whole seconds, at least 1, until all is answered that holds a place now.

        Args:
            places: that are held; who is still being received has not joined yet.
        """
        with self._lock:
            joined = sum(map(self._left, self._work.values()))
            receiving = max(0, places - len(self._work)) * self._expected(None)
            # Those that run share the lanes, so that each was measured to take as many times longer.
            running = sum(work.began is not None for work in self._work.values())
        return max(1, math.ceil((joined + receiving) / max(1, running)))

    def _left(self, work: _Work) -> float:
        expected = self._expected(work.kind)
        if work.began is None:
            return expected
        # What takes longer than others of its kind is expected to take as long again as it did.
        elapsed = time.monotonic() - work.began
        left = expected - elapsed if elapsed < expected else elapsed
        return max(0.0, min(left, self._longest - elapsed))

    def _expected(self, kind: Kind | None) -> float:
        """Mean seconds of the last inferences of a kind; of all, where there were none of it."""
        seconds = self._seconds.get(kind) or [each for kind in self._seconds.values() for each in kind]
        return sum(seconds) / len(seconds) if seconds else _AT_FIRST_S
