"""What an image is made from: a list of files, their hash, and the tar that a build gets.

Hash and tar come from the same list, so a tag cannot miss a file that the image has. Times, owners and umask play no
part in either: two clones of one revision give one tag and use one build cache.
"""

import hashlib
import tarfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from scripts.locking.errors import BuildError

EPOCH = 1577836800  # 2020-01-01: the time of every file that a build copies
_LEFT_OUT = {"__pycache__", ".pytest_cache", ".ruff_cache"}


@dataclass(frozen=True)
class Entry:
    """A file of a build's context: its name there and where it lies here."""

    name: str
    path: Path

    @property
    def mode(self) -> int:
        """0755 or 0644: git keeps only whether a file is executable."""
        return 0o755 if self.path.stat().st_mode & 0o100 else 0o644


def files(root: Path, *names: str) -> list[Entry]:
    """Return the files of `names` (files, or folders with all that is in them) below `root`, sorted by name."""
    paths = [path for name in names for path in _walk(root / name)]
    return sorted((Entry(str(path.relative_to(root)), path) for path in paths), key=lambda entry: entry.name)


def digest(entries: Iterable[Entry], *more: str) -> str:
    """Return the SHA-256 over the names, modes and bytes of files, and over more text, as hex digits."""
    total = hashlib.sha256()
    for text in more:
        total.update(f"text {len(text)} {text}\n".encode())
    for entry in entries:
        content = hashlib.sha256(entry.path.read_bytes()).hexdigest()
        total.update(f"file {entry.mode:o} {content} {entry.name}\n".encode())
    return total.hexdigest()


def write_tar(stream: BinaryIO, entries: Iterable[Entry]) -> None:
    """Write the files as an uncompressed tar stream, the same bytes for the same content."""
    with tarfile.open(fileobj=stream, mode="w|") as tar:
        for entry in entries:
            member = tarfile.TarInfo(entry.name)
            member.size, member.mode, member.mtime = entry.path.stat().st_size, entry.mode, EPOCH
            with entry.path.open("rb") as content:
                tar.addfile(member, content)


def _walk(path: Path) -> Iterator[Path]:
    if path.is_symlink() or not path.exists():
        raise BuildError(f"{path} is missing or is a link", fix="restore the file: git status shows it")
    if path.is_file():
        yield path
    elif path.is_dir():
        children = (child for child in path.iterdir() if not _is_left_out(child))
        yield from (found for child in sorted(children) for found in _walk(child))


def _is_left_out(path: Path) -> bool:
    """What tools leave behind in a checkout is no part of any image."""
    return path.name in _LEFT_OUT or path.suffix == ".egg-info" or path.suffix == ".pyc"
