"""Which workers can take a request. They share one port: a connection should go to one that can.

A worker that can take requests holds a lock, and the kernel gives it back when the worker dies, whatever it died of.
"""

from __future__ import annotations

import fcntl
import os
import struct
import threading

_FLOCK = "hhqqi4x"  # struct flock of Linux on 64 bits: type, whence, start, length, pid


class Doors:
    """One worker's own door, and a look at those of the others. Made before the workers are forked.

    Record locks belong to a process, are not inherited, and another process's can be asked for.
    """

    def __init__(self) -> None:
        self._file = os.memfd_create("poseparity-doors")
        self._lock = threading.Lock()
        self._open = False

    def set_open(self, is_open: bool) -> None:
        """Say whether this worker can take a request."""
        with self._lock:
            if is_open != self._open:
                fcntl.lockf(self._file, fcntl.LOCK_SH if is_open else fcntl.LOCK_UN)
                self._open = is_open

    def another_is_open(self) -> bool:
        """Whether another worker can take one."""
        asked = struct.pack(_FLOCK, fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0)
        found = fcntl.fcntl(self._file, fcntl.F_GETLK, asked)
        return struct.unpack(_FLOCK, found)[0] != fcntl.F_UNLCK


# Read first by Gunicorn's master, through its configuration, so that every worker has the same file.
DOORS = Doors()
