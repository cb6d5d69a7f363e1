"""Whether a file is the one that was asked for: size, known hashes, and the hash of the first time."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

from ..errors import FetchError
from .named import RemoteFile

_BLOCK = 2**20  # bytes of a read: the file may be larger than the memory


@dataclass(frozen=True)
class Digests:
    """What a file is, by its content."""

    bytes: int
    md5: str
    sha256: str


def digests(path: Path) -> Digests:
    """Read a file once.

    Raises:
        OSError: it cannot be read.
    """
    md5, sha256, size = hashlib.md5(usedforsecurity=False), hashlib.sha256(), 0
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            md5.update(block)
            sha256.update(block)
            size += len(block)
    return Digests(size, md5.hexdigest(), sha256.hexdigest())


def problem(file: RemoteFile, found: Digests, locked: str | None) -> FetchError | None:
    """The error for the first difference, None when all is as expected.

    Args:
        locked: sha256 that was recorded at the first fetch, None when this is the first.
    """
    if locked and found.sha256 != locked:
        return FetchError(
            f"it has changed: sha256 is {found.sha256}, the lock file has {locked}",
            code="changed-file",
            fix=f"find out why; if the new content is right, remove {file.urls[0]} from the lock file and fetch again",
        )
    difference = None
    if file.bytes and found.bytes != file.bytes:
        difference = f"{found.bytes} bytes, expected {file.bytes}"
    elif file.sha256 and not found.sha256.startswith(file.sha256):
        start = "" if len(file.sha256) == len(found.sha256) else " at its start"
        difference = f"sha256 is {found.sha256}, expected {file.sha256}{start}"
    elif file.md5 and found.md5 != file.md5:
        difference = f"md5 is {found.md5}, expected {file.md5}"
    if difference:
        return FetchError(f"wrong content: {difference}", code="wrong-content", fix="get it from where it is the same")
    return None
