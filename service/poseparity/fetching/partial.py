"""A download that is not complete: the bytes so far, and what tells whether a server still has the same file."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import timedelta
from email.utils import parsedate_to_datetime
from pathlib import Path

from requests import Response

# RFC 9110, 8.8.2.2: a file may have changed twice within the second that a date can name, and clocks differ.
_SETTLED = timedelta(minutes=1)


@dataclass(frozen=True)
class Start:
    """Where a download begins.

    Attributes:
        byte: 0 for the first.
        validator: for If-Range: says whether the server still has the same file.
        total: bytes of the whole file as the server said, None when it did not.
    """

    byte: int
    validator: str
    total: int | None


_FIRST_BYTE = Start(0, "", None)


class Partial:
    """NAME.part and NAME.part.json, beside the place of the whole file."""

    def __init__(self, target: Path) -> None:
        self.path = target.with_name(f"{target.name}.part")
        self._state = target.with_name(f"{target.name}.part.json")

    def size(self) -> int:
        return self.path.stat().st_size if self.path.is_file() else 0

    def resumable(self, url: str) -> Start:
        """From where `url` can go on: its first byte, unless a begun download of it says more."""
        try:
            state = json.loads(self._state.read_text(encoding="utf-8"))
            begun = Start(self.size(), state["validator"], state["total"]) if state["url"] == url else _FIRST_BYTE
        except (OSError, ValueError, LookupError, TypeError):  # never begun, or left by a process that was killed
            return _FIRST_BYTE
        return begun if begun.byte and begun.validator else _FIRST_BYTE

    def begin(self, url: str, response: Response, total: int | None) -> None:
        """Forget what is there: the whole of `url` follows."""
        self.discard()
        self.path.parent.mkdir(parents=True, exist_ok=True)
        state = {"url": url, "validator": validator_of(response), "total": total}
        self._state.write_text(json.dumps(state), encoding="utf-8")

    def discard(self) -> None:
        self.path.unlink(missing_ok=True)
        self._state.unlink(missing_ok=True)

    def complete(self, target: Path) -> None:
        """Put the file in its place, at once and whole."""
        self.path.replace(target)
        self._state.unlink(missing_ok=True)


def validator_of(response: Response) -> str:
    """A strong validator for If-Range: an ETag, or a date of the last change that is old enough; "" for none."""
    etag = response.headers.get("ETag", "")
    if etag.startswith('"'):
        return etag
    try:
        changed = parsedate_to_datetime(response.headers["Last-Modified"])
        settled = parsedate_to_datetime(response.headers["Date"]) - changed >= _SETTLED
    except (LookupError, ValueError, TypeError):
        return ""
    return response.headers["Last-Modified"] if settled else ""
