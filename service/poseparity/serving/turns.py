"""How many requests are computed at once, and whose turn it is."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from ..inputs import Kind

_LOOK_S = 0.25  # how often it is looked whether an answer is still wanted


class Turns:
    """Lets a number of requests at once be computed, each kind first come, first served.

    Videos leave one turn to skeleton CSVs, whose few clips are computed between the frames of the others: a CSV never
    waits for videos.

    Args:
        most: requests at once.
    """

    def __init__(self, most: int) -> None:
        self._most: dict[Kind, int] = {"csv": most, "video": max(1, most - 1)}
        self._changed = threading.Condition()
        self._has: list[Kind] = []
        self._waits: dict[Kind, list[object]] = {"csv": [], "video": []}

    @contextmanager
    def turn(self, kind: Kind, look: Callable[[], None]) -> Iterator[None]:
        """One turn for the block, waited for.

        Args:
            look: raises when it is not wanted any more; called a few times a second.
        """
        me = object()
        with self._changed:
            self._waits[kind].append(me)
        try:
            while True:
                with self._changed:
                    leaves_one = kind == "csv" or self._has.count("video") < self._most["video"]
                    if self._waits[kind][0] is me and len(self._has) < self._most["csv"] and leaves_one:
                        self._has.append(kind)
                        break
                    self._changed.wait(_LOOK_S)
                look()
        finally:
            with self._changed:
                self._waits[kind].remove(me)
                self._changed.notify_all()
        try:
            yield
        finally:
            with self._changed:
                self._has.remove(kind)
                self._changed.notify_all()
