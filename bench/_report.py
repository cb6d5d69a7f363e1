"""How a benchmark ends: its table, its figures in a file, and the goals that it missed."""

from __future__ import annotations

import json
import sys
from pathlib import Path


def report(text: str, figures: dict, file: Path | None, missed: list[str]) -> int:
    """Print the text, write the figures, and name what was missed. Exit status: 1 when something was."""
    print(text)
    if file:
        file.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")
    for line in missed:
        print(f"goal missed: {line}", file=sys.stderr)
    return 1 if missed else 0
