"""The folder that one side's run of the clips left. The image's is from anywhere: nothing in it is trusted."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from ..trace.reading import MOST_BYTES

_TRACE = ".trace.json"


@dataclass(frozen=True)
class Side:
    """CLIP.trace.json and, where arrays were recorded, CLIP.trace.npz; CLIP.error.txt; environment.json; bundle.json.

    Of the image's, CLIP.error.txt is what it said while it ran the clip. It describes its environment and its bundle by
    themselves only where a clip gave no trace.
    """

    folder: Path

    @property
    def environment(self) -> Path:
        return self.folder / "environment.json"

    @property
    def bundle(self) -> Path:
        return self.folder / "bundle.json"

    def trace(self, clip: str) -> Path:
        return self.folder / f"{clip}{_TRACE}"

    def arrays(self, clip: str) -> Path:
        """What `poseparity run --trace-arrays` writes beside that trace."""
        return self.trace(clip).with_suffix(".npz")

    def error(self, clip: str) -> Path:
        return self.folder / f"{clip}.error.txt"

    def clips(self) -> list[str]:
        """The names of the clips that have a trace."""
        return sorted(path.name.removesuffix(_TRACE) for path in self.folder.glob(f"*{_TRACE}"))

    def said(self, clip: str) -> str:
        """What was said while the clip ran; "" where nothing was."""
        return _text(self.error(clip))


def json_object(path: Path) -> dict | None:
    """The JSON object that a file holds; None where it holds anything else, or is not there."""
    try:
        found = json.loads(_text(path))
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def _text(path: Path) -> str:
    if not path.is_file():
        return ""
    with path.open("rb") as file:
        return file.read(MOST_BYTES).decode("utf-8", "replace")
