"""The lock file: which content each file had when it was first fetched.

JSON, meant to be kept under version control: {"format": 1, "files": {URL: {"name", "bytes", "sha256", "licence"}}}. The
URL is the first one of the manifest, wherever the bytes came from. To accept a changed file, its entry is removed.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from ..errors import FetchError
from ..outputs import replacing
from .checks import Digests, problem
from .named import RemoteFile

DEFAULT = Path("poseparity-fetch.lock")


class LockFile:
    """A lock file, which need not exist yet.

    Raises:
        FetchError: it exists and is no such file.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._entries = _read(path)

    def sha256(self, file: RemoteFile) -> str | None:
        """What was recorded, None when this file is fetched for the first time."""
        entry = self._entries.get(file.urls[0])
        return entry["sha256"] if entry else None

    def record(self, fetched: list[tuple[RemoteFile, Digests]]) -> list[str]:
        """Add what is not recorded yet, and return its names. An entry is never changed.

        Raises:
            FetchError: another fetch has meanwhile recorded another content of one of them.
        """
        # Another fetch may have written it meanwhile.
        self._entries = _read(self.path)
        added = []
        for file, found in fetched:
            if error := problem(file, found, self.sha256(file)):
                raise error
            if not self.sha256(file):
                content = {"name": file.name, "bytes": found.bytes, "sha256": found.sha256, "licence": file.licence}
                self._entries[file.urls[0]] = content
                added.append(file.name)
        if added:
            content = {"format": 1, "files": dict(sorted(self._entries.items()))}
            with replacing(self.path) as partial:
                partial.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
        return added


def _read(path: Path) -> dict[str, Any]:
    if not path.exists():
        return {}
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        digests = [entry["sha256"] for entry in content["files"].values()]
        whole = all(len(digest) == 64 and not set(digest) - set("0123456789abcdef") for digest in digests)
        if content["format"] == 1 and whole:
            return content["files"]
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        raise _damaged(path) from error
    raise _damaged(path)


def _damaged(path: Path) -> FetchError:
    return FetchError(
        f"{path} is no lock file of poseparity, format 1", fix="restore it, or give another path with --lock"
    )
