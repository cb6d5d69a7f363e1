"""The arrays of a trace: a .npz that grows while the pipeline runs, so that no video is ever held in memory."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np

_LEVEL = 1  # of 9: frames hardly become smaller with more, and take many times as long


class ArrayFile:
    """A .npz being written. A context manager: it can be read after the block.

    Size: about half of the bytes of the frames and of the pictures that the pose network is shown (width * height * 3
    each), and its output (57 * width / 8 * height / 8 * 4 bytes of that picture).

    Args:
        observed: whether it holds what passes by, too, or results only.
        compressed: whether it is compressed; the same arrays make the same bytes everywhere only when it is not.
    """

    def __init__(self, path: Path, *, observed: bool = True, compressed: bool = True) -> None:
        method = zipfile.ZIP_DEFLATED if compressed else zipfile.ZIP_STORED
        self._file = zipfile.ZipFile(path, "w", method, compresslevel=_LEVEL)
        self.observed = observed

    def __enter__(self) -> ArrayFile:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def add(self, name: str, array: np.ndarray) -> None:
        """Write an array under a name that it has not used yet."""
        with self._file.open(f"{name}.npy", "w", force_zip64=True) as member:
            np.lib.format.write_array(member, np.asarray(array), allow_pickle=False)
