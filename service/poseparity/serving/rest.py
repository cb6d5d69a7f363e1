"""A process at rest gives back the memory that it holds free."""

from __future__ import annotations

import ctypes
import threading
from collections.abc import Iterator
from contextlib import contextmanager

_QUIET_S = 2.0  # whoever sends one request after the other does not wait for the same pages again
# glibc's: it keeps what each lane freed, on OpenPose's network 100 to 150 MB a lane. Elsewhere there is nothing to do.
_give_back = getattr(ctypes.CDLL(None), "malloc_trim", None)


class Rest:
    """Counts what is in hand; once nothing has been for two seconds, free memory goes back to the system."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._in_hand = 0
        self._timer: threading.Timer | None = None

    @contextmanager
    def interrupted(self) -> Iterator[None]:
        """There is something in hand within the block."""
        with self._lock:
            self._in_hand += 1
            if self._timer:
                self._timer.cancel()
        try:
            yield
        finally:
            with self._lock:
                self._in_hand -= 1
                if not self._in_hand and _give_back:
                    self._timer = threading.Timer(_QUIET_S, _give_back, [0])
                    self._timer.daemon = True
                    self._timer.start()
