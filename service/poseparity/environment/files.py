"""Errors, files and their digests."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

FORMAT = 1  # of snapshots, of policies and of the report as JSON


class VerifyError(Exception):
    """What was found, what was expected and the fix, in one line. The command line answers it with exit status 2."""


def read_text(path: Path, what: str) -> str:
    """The UTF-8 text of a file; raises VerifyError naming `what` it was to be."""
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise VerifyError(f"{what} {path} cannot be read ({error.strerror}): name a readable file") from error
    except UnicodeDecodeError as error:
        raise VerifyError(f"{what} {path} is not UTF-8 text (byte {error.start}): make it again") from error


def sha256_file(path: Path, algorithm: str = "sha256") -> hashlib._Hash:
    """The hash object over a file's bytes. hashlib releases the GIL for such pieces, so threads run in parallel."""
    digest = hashlib.new(algorithm)
    with path.open("rb", buffering=0) as stream:
        piece = stream.read(1 << 20)
        while piece:
            digest.update(piece)
            piece = stream.read(1 << 20)
    return digest


def digest_of(lines: Iterable[str]) -> str:
    """sha256 over lines, in their order."""
    return hashlib.sha256("\n".join(lines).encode("utf-8", "surrogateescape")).hexdigest()


def hash_tree(root: Path, paths: Iterable[Path]) -> dict:
    """{"digest", "files": {path relative to root, with "/": sha256}} of the files named."""
    files = {path.relative_to(root).as_posix(): path for path in paths}
    with ThreadPoolExecutor(worker_count()) as pool:
        digests = list(pool.map(lambda name: readable_digest(files[name]), sorted(files)))
    hashes = {name: digests[index] for index, name in enumerate(sorted(files))}
    return {"digest": digest_of(f"{name} {hashes[name]}" for name in sorted(hashes)), "files": hashes}


def readable_digest(path: Path) -> str:
    """A file's sha256; raises VerifyError where it cannot be read."""
    try:
        return sha256_file(path).hexdigest()
    except OSError as error:
        raise VerifyError(f"{path} cannot be read ({error.strerror}): run as a user who may") from error


def worker_count() -> int:
    """Threads for hashing: the processors that this process may use, at most 8."""
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(8, usable)


def optional_text(path: Path) -> str | None:
    """A file's text, None where there is no such file; raises VerifyError where it cannot be read."""
    try:
        return path.read_text(encoding="utf-8", errors="surrogateescape") if path.is_file() else None
    except OSError as error:
        raise VerifyError(f"{path} cannot be read ({error.strerror}): run as a user who may") from error


def script_file() -> Path:
    """scripts/verify_env.py: this very file where all is in one, and the one of the checkout for the package.

    Child processes run it, also those of a program that loaded the package: it runs wherever this interpreter does,
    whether or not the child would find poseparity.
    """
    own = Path(__file__).resolve()
    # Only the package has a module called `files`; the script may lie anywhere, and be run or imported.
    return own.parents[3] / "scripts" / "verify_env.py" if __name__.endswith(".files") else own
