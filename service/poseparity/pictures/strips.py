"""The strips above and below a frame: text and time line stand beside the picture, never on it."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import cv2
import matplotlib
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from ..records import Company
from .palette import FAINT, INK, KEPT, MISSING, MUTED, PAPER, RGB, bgr

_SEEN, _FILLED = "●", "○"


class Header:
    """Two lines: the answer and the frame; how many joints were seen, filled in (with their signs), not known.

    Args:
        width, height: of the picture, pixels.
        label, score: the answer. A label that is too long for its place is cut, the score is not.
    """

    def __init__(self, width: int, height: int, label: str, score: float) -> None:
        self._text = _text_size(width, height)
        self._width = width
        self._label, self._score = label, f"  {score:.4f}"
        self.height = 3 * self._text + self._text // 2  # two lines, 1.4 texts apart, between margins of half a text

    def draw(self, index: int, total: int, kept: bool, counts: tuple[int, int, int]) -> np.ndarray:
        """The strip of frame `index` of `total`: uint8 (height, width, 3), BGR.

        Args:
            counts: joints seen, filled in, not known.
        """
        image = Image.new("RGB", (self._width, self.height), INK)
        canvas, half = ImageDraw.Draw(image), self._text // 2
        position = f"frame {index} of {total}, {'kept' if kept else 'trimmed'}"
        self._line(canvas, half, (self._label, self._score), position, PAPER)
        seen, filled, unknown = counts
        joints = f"{_SEEN} {seen} seen   {_FILLED} {filled} interpolated"
        self._line(canvas, half + round(1.4 * self._text), (joints, ""), f"{unknown} not known", FAINT)
        return np.asarray(image)[..., ::-1]

    def _line(self, canvas: ImageDraw.ImageDraw, y: int, left: tuple[str, str], right: str, colour: RGB) -> None:
        """Two texts at the two margins; where they would meet, the first part of the left one is cut."""
        margin, font = self._text // 2, _font(self._text)
        start = self._width - margin - font.getlength(right)
        canvas.text((start, y), right, font=font, fill=colour)
        text, end = left
        room = start - 3 * margin - font.getlength(end)
        canvas.text((margin, y), _cut(text, font, room) + end, font=font, fill=colour)


class Caption:
    """One line about others in the frame: orange red where joints of two people may be mixed, empty without others.

    Args:
        width, height: of the picture, pixels.
    """

    def __init__(self, width: int, height: int, company: Company) -> None:
        self._text, self._width, self._company = _text_size(width, height), width, company
        self.height = self._text + self._text // 2

    def draw(self, index: int) -> np.ndarray:
        """The strip of frame `index`: uint8 (height, width, 3), BGR."""
        words, ground = "several persons, one is followed" if self._company.several[index] else "", INK
        if self._company.changed[index]:
            words, ground = "from here on perhaps another person", MISSING
        elif self._company.mixed[index]:
            words, ground = "joints of two people may be mixed", MISSING
        image = Image.new("RGB", (self._width, self.height), ground)
        font, margin = _font(self._text), self._text // 2
        text = _cut(words, font, self._width - 2 * margin)
        ImageDraw.Draw(image).text((margin, self._text // 8), text, font=font, fill=PAPER)
        return np.asarray(image)[..., ::-1]


class Footer:
    """The time line: the kept frames in green, the trimmed ones grey, the frame that is shown marked.

    Args:
        width, height: of the picture, pixels.
        total: number of frames.
        kept: those that were kept.
        doubtful: boolean (total,): the frames that have an orange red line above.
    """

    def __init__(self, width: int, height: int, total: int, kept: range, doubtful: np.ndarray) -> None:
        text = _text_size(width, height)
        self._margin, self._total = text // 2, total
        self.height = text + text // 2
        self._bar = slice(self.height // 3, self.height - self.height // 3)
        self._strip = np.full((self.height, width, 3), bgr(INK), np.uint8)
        self._strip[self._bar, self._x(0) : self._x(total)] = bgr(MUTED)
        self._strip[self._bar, self._x(kept.start) : self._x(kept.stop)] = bgr(KEPT)
        above = slice(self._bar.start - max(2, self.height // 8), self._bar.start)
        for frame in np.flatnonzero(doubtful).tolist():
            # A long video has more frames than the strip has pixels: one is a pixel wide at least.
            self._strip[above, self._x(frame) : max(self._x(frame) + 1, self._x(frame + 1))] = bgr(MISSING)

    def draw(self, index: int) -> np.ndarray:
        """The strip of frame `index`: uint8 (height, width, 3), BGR."""
        strip = self._strip.copy()
        # Two pixels at least, or the mark of a long video would vanish.
        left, right = self._x(index), max(self._x(index) + 2, self._x(index + 1))
        cv2.rectangle(strip, (left, self.height // 6), (right, self.height - self.height // 6), bgr(PAPER), cv2.FILLED)
        return strip

    def _x(self, frame: int) -> int:
        return self._margin + frame * (self._strip.shape[1] - 2 * self._margin) // self._total


def _text_size(width: int, height: int) -> int:
    """Pixels; two short texts fit side by side in a line."""
    return max(10, round(min(width / 32, height / 22)))


@cache
def _font(size: int) -> ImageFont.FreeTypeFont:
    """DejaVu Sans, which comes with matplotlib: the machine need not have a font."""
    return ImageFont.truetype(Path(matplotlib.get_data_path()) / "fonts/ttf/DejaVuSans.ttf", size)


def _cut(text: str, font: ImageFont.FreeTypeFont, room: float) -> str:
    if font.getlength(text) <= room:
        return text
    while text and font.getlength(text + "…") > room:
        text = text[:-1]
    return text and text + "…"
