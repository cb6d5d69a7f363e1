"""Digests of arrays; the package's docstring defines them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

import numpy as np

SHORT = 12  # hex digits of a frame's digest in a trace: two frames that differ share them once in 2**48


def little_endian(array: np.ndarray) -> np.ndarray:
    """The array in C order and little-endian; itself where it already is."""
    return np.asarray(array, dtype=array.dtype.newbyteorder("<"), order="C")


def digest(array: np.ndarray) -> bytes:
    """sha256 over the array's type, shape and bytes."""
    plain = little_endian(array)
    sha256 = hashlib.sha256(f"{plain.dtype.str}|{','.join(map(str, plain.shape))}|".encode())
    sha256.update(plain.data if plain.size else b"")
    return sha256.digest()


def digest_of_frames(digests: Iterable[bytes]) -> str:
    """sha256, in hex, over the digests of a value's items, one a frame."""
    return hashlib.sha256(b"".join(digests)).hexdigest()


def digest_of_stage(values: Iterable[tuple[str, str]]) -> str:
    """sha256, in hex, over the names and digests of a stage's values, in their order."""
    return hashlib.sha256("".join(f"{name}:{sha256}\n" for name, sha256 in values).encode()).hexdigest()
