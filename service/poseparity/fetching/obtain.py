"""Where a file comes from: a folder, or the cache, or the network; it is checked in any case."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from filelock import FileLock, Timeout

from ..errors import FetchError
from .checks import Digests, digests, problem
from .download import Download, Patience
from .lockfile import LockFile
from .named import RemoteFile
from .progress import Progress


def default_cache() -> Path:
    """~/.cache/poseparity, or where XDG_CACHE_HOME says."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "poseparity"


@dataclass(frozen=True)
class Source:
    """What the command line says of where to get files.

    Attributes:
        cache: folder that keeps what was downloaded.
        folder: holds the files under their names; nothing is downloaded then.
        mirror: URL to which a file's name is added; the manifest's own URLs are not used then.
    """

    cache: Path = field(default_factory=default_cache)
    folder: Path | None = None
    mirror: str | None = None
    patience: Patience = field(default_factory=Patience)

    def place(self, file: RemoteFile) -> Path:
        """Where the file is, or will be. Two files of one name and of different URLs do not share a place."""
        if self.folder:
            return self.folder / file.name
        # 16 digits are 64 bits: no two URLs of a cache share them.
        return self.cache / hashlib.sha256(file.urls[0].encode()).hexdigest()[:16] / file.name

    def urls(self, file: RemoteFile) -> tuple[str, ...]:
        return (f"{self.mirror.rstrip('/')}/{file.name}",) if self.mirror else file.urls


@contextmanager
def alone(source: Source, progress: Progress) -> Iterator[None]:
    """Keep every other fetch out of the cache, until what was fetched has been used."""
    if source.folder:
        yield
        return
    source.cache.mkdir(parents=True, exist_ok=True)
    lock = FileLock(source.cache / ".lock")
    try:
        # At once or not at all: who has to wait is told so.
        held = lock.acquire(timeout=0)
    except Timeout:
        progress.note(f"another fetch is using {source.cache}: waiting for it")
        held = lock.acquire()
    with held:
        yield


def obtain(files: list[RemoteFile], source: Source, lock: LockFile, progress: Progress) -> dict[RemoteFile, Digests]:
    """Have every file in its place, checked.

    Raises:
        FetchError: one of them cannot be had, or is not what is expected.
    """
    if not source.folder:
        return {file: _from_network(file, source, lock.sha256(file), progress) for file in files}
    if absent := [file for file in files if not source.place(file).is_file()]:
        urls = ", ".join(file.urls[0] for file in absent)
        names = ", ".join(file.name for file in absent)
        raise FetchError(f"{source.folder} lacks {names}", fix=f"put what lacks there under its name, from {urls}")
    found = {}
    for file in files:
        found[file] = digests(source.place(file))
        if error := problem(file, found[file], lock.sha256(file)):
            raise FetchError(f"{source.place(file)}: {error}", code=error.code, fix=error.fix)
    return found


def _from_network(file: RemoteFile, source: Source, locked: str | None, progress: Progress) -> Digests:
    target = source.place(file)
    if target.is_file():
        found = digests(target)
        error = problem(file, found, locked)
        if not error:
            progress.note(f"{file.name}: in the cache, checked")
            return found
        progress.note(f"{file.name}: in the cache, but {error}; it is fetched again")
    return Download(file, target, locked, source.patience, progress).run(source.urls(file))
