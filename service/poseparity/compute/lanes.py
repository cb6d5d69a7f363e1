"""Lanes: threads that compute single items, a frame or a clip, shared fairly by all that have items to compute.

An item is computed on one thread, whichever lane takes it and whatever runs beside it: its bits do not depend on how
many lanes there are. Torch, OpenCV and NumPy release the interpreter's lock while they compute, so threads of one
process, which hold the weights once, use as many cores.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, wait
from itertools import count
from time import perf_counter
from typing import Generic, TypeVar

from .. import stop

Item = TypeVar("Item")
Made = TypeVar("Made")

_LOOK_S = 0.2  # how often a request that waits for a lane looks whether it is to end


class InPlace:
    """No lanes: every item is computed by whoever asks, when he takes it."""

    count = 1

    def map(self, work: Callable[[Item], Made], items: Iterable[Item], *, weight: float = 1) -> Iterator[Made]:
        """As `Lanes.map`."""
        return map(work, items)


class Lanes(InPlace):
    """A fixed number of threads that compute items for any number of callers at once.

    A free lane takes its next item from the caller who had the least of the lanes' time in proportion to his weight, as
    an operating system shares a processor: one caller alone uses every lane, several get equal parts of their time
    whatever an item of theirs takes, and who comes later neither waits for who came before nor is owed their past.

    Args:
        count: of the threads.
        ahead: items of one caller that are computed, or are done and not yet taken, at most: what bounds the memory.
            Twice the lanes when None, so that none waits while the caller prepares the next item.
        prepare: called once in each thread before its first item.
    """

    def __init__(self, count: int, *, ahead: int | None = None, prepare: Callable[[], None] | None = None) -> None:
        self.count = count
        self._ahead = ahead or 2 * count
        self._prepare = prepare
        self._changed = threading.Condition()
        self._callers: list[_Caller] = []
        self._clock = 0.0  # the least time that a caller with items had: where one who comes now begins
        self._closed = False
        self._threads = [threading.Thread(target=self._lane, name=f"lane-{n}", daemon=True) for n in range(count)]
        for thread in self._threads:
            thread.start()

    def map(self, work: Callable[[Item], Made], items: Iterable[Item], *, weight: float = 1) -> Iterator[Made]:
        """`work` of each item, in the items' order.

        Args:
            work: called in a lane's thread, at the same time for several items.
            items: taken in the caller's thread, at most `ahead` of them before the first result is.
            weight: of the caller: twice as much gets twice the lanes' time where others want it too.

        Raises:
            Whatever `work` raises, in its item's turn; whatever `items` raises; PoseParityError: see stop.check.
        """
        caller = _Caller(work, weight)
        pending: deque[Future[Made]] = deque()
        with self._changed:
            caller.had = self._clock
            self._callers.append(caller)
        try:
            for item in items:
                pending.append(self._put(caller, item))
                if len(pending) == self._ahead:
                    yield _result(pending.popleft())
            while pending:
                yield _result(pending.popleft())
        finally:
            # Whoever goes before the end, because of an error or because nobody waits, leaves nothing behind.
            with self._changed:
                self._callers.remove(caller)
            wait(future for future in pending if not future.cancel())

    def close(self) -> None:
        """End the threads, each after the item that it computes."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        for thread in self._threads:
            thread.join()

    def _put(self, caller: _Caller[Item, Made], item: Item) -> Future[Made]:
        future: Future[Made] = Future()
        with self._changed:
            if not caller.items:
                # What he left unused while he had nothing to compute is gone.
                caller.had = max(caller.had, self._clock)
            caller.items.append((item, future))
            self._changed.notify()
        return future

    def _lane(self) -> None:
        if self._prepare:
            self._prepare()
        while True:
            with self._changed:
                while not self._closed and not any(caller.items for caller in self._callers):
                    self._changed.wait()
                if self._closed:
                    return
                caller = min((each for each in self._callers if each.items), key=_Caller.turn)
                self._clock = max(self._clock, caller.had)
                item, future = caller.items.popleft()
                expected = caller.begin()
            began = perf_counter()
            if future.set_running_or_notify_cancel():
                try:
                    future.set_result(caller.work(item))
                except BaseException as error:  # noqa: BLE001  whoever takes the result gets it
                    future.set_exception(error)
            del item, future  # a frame is not held while a lane waits
            with self._changed:
                caller.end(perf_counter() - began, expected)


class _Caller(Generic[Item, Made]):
    """One `map`: its items that no lane has taken, and what it had of the lanes' time, in seconds by its weight."""

    _numbers = count()

    def __init__(self, work: Callable[[Item], Made], weight: float) -> None:
        self.work = work
        self.items: deque[tuple[Item, Future[Made]]] = deque()
        self.had = 0.0
        self._weight = weight
        self._number = next(self._numbers)
        self._in_lanes = 0
        self._last_s = 0.0

    def turn(self) -> tuple:
        """The least goes first: who had least, then who has fewest items in lanes, then who came first."""
        return self.had, self._in_lanes, self._number

    def begin(self) -> float:
        """One item enters a lane; it is taken to last as long as the last one, until it is known."""
        self._in_lanes += 1
        self.had += self._last_s / self._weight
        return self._last_s

    def end(self, seconds: float, expected: float) -> None:
        self._in_lanes -= 1
        self._last_s = seconds
        self.had += (seconds - expected) / self._weight


def _result(future: Future[Made]) -> Made:
    while not wait([future], timeout=_LOOK_S).done:
        stop.check()
    return future.result()
