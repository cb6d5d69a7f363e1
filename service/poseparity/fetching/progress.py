"""What a download says while it runs: one line that is rewritten on a terminal, else a line every few seconds."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import TextIO

# Called with the bytes that are there, and those of the whole file, or None.
Report = Callable[[int, int | None], None]

_ON_TERMINAL_S, _ELSEWHERE_S = 0.2, 10.0  # a terminal's line is written over, those of a log stay
_UNITS = ("B", "KiB", "MiB", "GiB")


class Progress:
    """Writes to `stream`: standard error, so that an output that is read by a program stays clean."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = sys.stderr if stream is None else stream
        self._terminal = self._stream.isatty()
        self._every = _ON_TERMINAL_S if self._terminal else _ELSEWHERE_S
        self._line = ""

    def note(self, text: str) -> None:
        """A line that stays."""
        self._end_line()
        print(text, file=self._stream, flush=True)

    def of(self, name: str) -> Report:
        """What to call when `name` begins to come in, and after each piece."""
        started = last = time.monotonic()
        first: int | None = None

        def report(done: int, total: int | None) -> None:
            nonlocal last, first
            now, complete = time.monotonic(), done == total
            first = done if first is None else first
            if now - last >= self._every or complete:
                # The first report may come at once.
                last, speed = now, (done - first) / max(now - started, 1e-3)
                amount = f"{size(done)} of {size(total)} ({done / total:.0%})" if total else size(done)
                self._show(f"{name}: {amount}, {size(int(speed))}/s")
                if complete:
                    self._end_line()

        return report

    def _show(self, text: str) -> None:
        if not self._terminal:
            print(text, file=self._stream, flush=True)
            return
        # Spaces over the end of a line that was longer.
        print(f"\r{text:<{len(self._line)}}", end="", file=self._stream, flush=True)
        self._line = text

    def _end_line(self) -> None:
        if self._line:
            print(file=self._stream)
            self._line = ""


def size(count: int) -> str:
    """1536 to "1.5 KiB"."""
    value, unit = float(count), 0
    while value >= 1024 and unit < len(_UNITS) - 1:
        value, unit = value / 1024, unit + 1
    return f"{count} B" if unit == 0 else f"{value:.1f} {_UNITS[unit]}"
