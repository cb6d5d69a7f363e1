"""Files that a command writes: refused before the work where they cannot be written, and whole or not there."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from .errors import OutputError


def check_output(path: Path, *, source: Path, suffix: str | None = None) -> None:
    """Refuse a path that could not be written after minutes of work.

    Args:
        path: where a file is to be written; an existing file will be replaced.
        source: the command's input, which is never overwritten.
        suffix: that the path must have, with its dot; None for any.

    Raises:
        OutputError: another suffix, a folder, the input itself, or a folder that is missing or cannot be written.
    """
    if path.is_dir():
        raise OutputError(f"{path} is a folder, expected the path of a file", fix=f"name a file in it: {path / 'out'}")
    if suffix and path.suffix.lower() != suffix:
        found = f"ends in {path.suffix}" if path.suffix else "has no suffix"
        raise OutputError(f"{path} {found}, expected {suffix}", fix=f"name it {path.with_suffix(suffix)}")
    if path.exists() and path.samefile(source):
        raise OutputError(f"{path} is the input, which is not overwritten", fix="name another file")
    if not path.exists() or path.is_file():
        check_folder(path.resolve().parent)


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A path to write to, beside `path` and with its suffix; it takes the place of `path` when all went well."""
    target = path.resolve()
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=".poseparity-") as folder:
        partial = Path(folder) / target.name
        yield partial
        partial.replace(target)


def check_folder(folder: Path) -> None:
    """Refuse a folder in which no file can be made.

    Raises:
        OutputError: it is missing, or cannot be written.
    """
    if not folder.is_dir():
        raise OutputError(f"{folder} is no folder, so nothing can be written there", fix=f"make it: mkdir -p {folder}")
    try:
        # Permission bits do not tell of a read-only or a full file system.
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise OutputError(
            f"{folder} cannot be written: {error.strerror}", fix="name a file in a folder of your own"
        ) from error
