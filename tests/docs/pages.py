"""The project's pages in Markdown: their headings, links, pictures and fenced blocks."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from tests.conftest import ROOT

_FENCE = re.compile(r"^```(?P<language>[a-z]*)\n(?P<content>.*?)^```$", re.S | re.M)
_LINK = re.compile(r"!?\[[^\]]*\]\((?P<target>[^()\s]+)\)", re.S)
_CODE_SPAN = re.compile(r"`[^`\n]+`")


@dataclass(frozen=True)
class Block:
    """A fenced block.

    Attributes:
        heading: the one that it stands under.
        language: what stands after the fence; "" for none.
    """

    heading: str
    language: str
    content: str


@dataclass(frozen=True)
class Page:
    """A Markdown file of the project."""

    path: Path

    @property
    def name(self) -> str:
        """The path within the project."""
        return self.path.relative_to(ROOT).as_posix()

    @cached_property
    def text(self) -> str:
        return self.path.read_text(encoding="utf-8")

    @cached_property
    def prose(self) -> str:
        """Without fenced blocks."""
        return _FENCE.sub("", self.text)

    @property
    def headings(self) -> list[str]:
        return re.findall(r"^#+ (.*)$", self.prose, re.M)

    @property
    def anchors(self) -> set[str]:
        """What a link may name after "#", as GitHub makes it of each heading."""
        return {anchor(heading) for heading in self.headings}

    @property
    def targets(self) -> list[str]:
        """Of every link and picture, outside of code."""
        return [match["target"] for match in _LINK.finditer(_CODE_SPAN.sub("", self.prose))]

    @property
    def code_spans(self) -> list[str]:
        return [match[0].strip("`") for match in _CODE_SPAN.finditer(self.prose)]

    @property
    def blocks(self) -> list[Block]:
        return [
            Block(self._heading_above(match.start()), match["language"], match["content"])
            for match in _FENCE.finditer(self.text)
        ]

    def _heading_above(self, place: int) -> str:
        return re.findall(r"^#+ (.*)$", _FENCE.sub("", self.text[:place]), re.M)[-1]


def anchor(heading: str) -> str:
    """GitHub's rule: lower case, spaces to hyphens, and nothing but letters, digits, hyphens and underscores."""
    words = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading)  # a link counts as its text
    return re.sub(r"[^\w\- ]", "", words.lower()).replace(" ", "-")


_NAMES = ("README.md", "CONTRIBUTING.md", "CHANGELOG.md", "*/README.md", "docs/*.md")
PAGES = [Page(path) for name in _NAMES for path in sorted(ROOT.glob(name))]
