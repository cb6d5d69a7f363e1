"""The arrays of a trace: a .npz that grows while the pipeline runs, so that no video is ever held in memory."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np

_LEVEL = 1  # of 9: frames hardly become smaller with more, and take many times as long


class ArrayFile:
    """A .npz being written. A context manager: it can be read after the block.

    Size: about half of the frames' bytes (width * height * 3 each) and of the network's input (four bytes a value).
    """

    def __init__(self, path: Path) -> None:
        self._file = zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=_LEVEL)

    def __enter__(self) -> ArrayFile:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def add(self, name: str, array: np.ndarray) -> None:
        """Write an array under a name that it has not used yet."""
        with self._file.open(f"{name}.npy", "w", force_zip64=True) as member:
            np.lib.format.write_array(member, np.asarray(array), allow_pickle=False)
