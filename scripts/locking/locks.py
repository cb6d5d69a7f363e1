"""Reading the locks that `scripts/lock` writes (pip's requirements format, every entry hashed)."""

import contextlib
import fcntl
import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from scripts.locking.errors import BuildError

ROOT = Path(__file__).resolve().parents[2]
LOCKFILES = ROOT / "lockfiles"

_PIN = re.compile(r"^(?P<name>[A-Za-z0-9._-]+)==(?P<version>[^\s;\\]+)")
_HASH = re.compile(r"--hash=sha256:([0-9a-f]{64})")


@dataclass(frozen=True)
class Pin:
    """One entry of a lock: a distribution, its exact version and the SHA-256 of every file that may be installed."""

    name: str
    version: str
    hashes: frozenset[str]

    def __str__(self) -> str:
        return f"{self.name}=={self.version}"

    @property
    def is_local_build(self) -> bool:
        """Whether the version has a local label (`2.13.0+cpu`): such builds are not on the main index."""
        return "+" in self.version


def normalise(name: str) -> str:
    """Return the name of a distribution as indexes and file names compare it (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()


def lock_path(name: str) -> Path:
    """Return the path of the lock called `name` ("cpu"); raises BuildError naming the locks that exist."""
    path = LOCKFILES / f"{name}.lock"
    if not path.is_file():
        known = sorted(entry.stem for entry in LOCKFILES.glob("*.in") if entry.with_suffix(".lock").is_file())
        raise BuildError(f"there is no lockfiles/{name}.lock", fix=f"use one of: {', '.join(known)}")
    return path


def read_lock(path: Path) -> dict[str, Pin]:
    """Return the pins of a lock by normalised name; raises BuildError for an entry without a version or a hash."""
    pins = [_parse(entry, path) for entry in _entries(path.read_text("utf-8"))]
    return {normalise(pin.name): pin for pin in pins}


def sha256(path: Path) -> str:
    """Return the SHA-256 of a file as hex digits, read in pieces."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


@contextlib.contextmanager
def alone(purpose: str) -> Iterator[None]:
    """Wait for another program of this checkout that is at the same work."""
    path = ROOT / ".cache" / f"{purpose}.lock"
    path.parent.mkdir(exist_ok=True)
    with path.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _entries(text: str) -> list[str]:
    """Join continued lines; comments and blank lines are left out."""
    joined = text.replace("\\\n", " ")
    return [line for line in joined.splitlines() if line.strip() and not line.lstrip().startswith("#")]


def _parse(entry: str, path: Path) -> Pin:
    match, hashes = _PIN.match(entry), frozenset(_HASH.findall(entry))
    if not match or not hashes:
        raise BuildError(f"{path.name} has an entry without version or hash: {entry.strip()!r}", fix="run scripts/lock")
    return Pin(match["name"], match["version"], hashes)
