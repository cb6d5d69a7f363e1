"""The frames of a short video, in memory that the process which decodes it shares, so that nobody decodes it again.

All frames are kept or none: the memory has a fixed size, and a longer video is decoded again by whoever wants its
frames. It has no name and belongs to nobody but the two processes; the kernel frees it with its last user.
"""

from __future__ import annotations

import mmap
import os
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np


@contextmanager
def room(size: int) -> Iterator[int]:
    """A file in memory of that many bytes, closed after the block; what `kept` returned stays."""
    file = os.memfd_create("frames")
    try:
        os.ftruncate(file, size)  # takes no memory before something is written
        yield file
    finally:
        os.close(file)


def kept(file: int, count: int, height: int, width: int) -> np.ndarray | None:
    """The frames that were kept in it, uint8 (count, height, width, 3), BGR; None where they found no room.

    Writing to them changes this array alone.
    """
    shape = (count, height, width, 3)
    size = count * height * width * 3
    if not 0 < size <= os.fstat(file).st_size:
        return None
    return np.frombuffer(mmap.mmap(file, size, access=mmap.ACCESS_COPY), np.uint8).reshape(shape)


class Keeper:
    """Keeps a video's frames in the order in which they come, until there is no room for the next one.

    Args:
        file: of `room`; None where none are to be kept.
    """

    def __init__(self, file: int | None) -> None:
        self._file = file
        self._memory = None if file is None else mmap.mmap(file, 0)
        self._used = 0

    def keep(self, frame: np.ndarray) -> None:
        """Keep the next frame, uint8 (height, width, 3), or give back the memory of all."""
        if self._memory is None:
            return
        end = self._used + frame.nbytes
        if end > len(self._memory):
            self._memory.close()
            self._memory = None
            os.ftruncate(self._file, 0)
        else:
            self._memory[self._used : end] = np.ascontiguousarray(frame).data.cast("B")
            self._used = end
