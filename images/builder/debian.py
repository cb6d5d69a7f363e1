"""lockfiles/debian.lock: the Debian packages of the parent image, and how a build differs from them."""

from dataclasses import dataclass
from pathlib import Path

_HEADER = """\
# The Debian packages of one root file system: name, version, architecture, SHA-256 of the .deb.
# Written by: {command}
"""


@dataclass(frozen=True)
class Package:
    """One line of the lock."""

    name: str
    version: str
    architecture: str
    sha256: str


def parse(text: str) -> list[Package]:
    """Read the lines of a lock or of an image's own record."""
    return [Package(*line.split()) for line in text.splitlines() if line and not line.startswith("#")]


def write(path: Path, packages: list[Package], command: str) -> None:
    """Write the lock; `command` is what writes it again."""
    lines = (f"{item.name} {item.version} {item.architecture} {item.sha256}\n" for item in packages)
    path.write_text(_HEADER.format(command=command) + "".join(lines), "utf-8")


def drift(locked: list[Package], found: list[Package]) -> list[str]:
    """Return one line for each package that differs, by name; nothing when the build is what the lock says."""
    before, after = ({package.name: package for package in packages} for packages in (locked, found))
    names = sorted(before.keys() | after.keys())
    return [_difference(before.get(name), after.get(name)) for name in names if before.get(name) != after.get(name)]


def _difference(locked: Package | None, found: Package | None) -> str:
    if locked is None:
        return f"{found.name} {found.version} is new"
    if found is None:
        return f"{locked.name} {locked.version} is gone"
    if locked.version == found.version:
        return f"{locked.name} {locked.version} is another file (sha256 {found.sha256}, locked {locked.sha256})"
    return f"{locked.name} {locked.version} -> {found.version}"
