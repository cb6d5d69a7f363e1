"""A page on each clip that differs."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from ..parity.traces.page.drawings import figures_of
from ..parity.traces.page.page import write_page
from .comparing import Clip


def write_pages(folder: Path, clips: Iterable[Clip]) -> list[Path]:
    """Write FOLDER/CLIP.html of each clip that differs; return those that were written."""
    written = []
    for clip in clips:
        if not clip.differs:
            continue
        page = folder / f"{clip.name}.html"
        try:
            write_page(page, clip.comparison, figures_of(*clip.traces))
        except Exception:  # noqa: BLE001  the verdict stands without a picture, and the report is named in its place
            page.unlink(missing_ok=True)
        else:
            written.append(page)
    return written
