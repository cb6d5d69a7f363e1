"""The gate's judgement: one policy, one verdict, one report."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from ..errors import InputError
from ..trace.reading import load_trace
from . import words
from .comparing import Clip, compare_clip
from .environments import Fact, forbidden, load_measure
from .side import Side

FORMAT = "poseparity-verification/1"


@dataclass(frozen=True)
class Image:
    """What is judged: an image, and the host that it is to serve on."""

    name: str
    id: str | None
    host: str


@dataclass(frozen=True)
class Report:
    """What was found.

    Attributes:
        local, server: what both sides left.
        clips: each clip's comparison, or why there is none.
        facts: what the policy forbids of the image's environment.
    """

    image: Image
    local: Side
    server: Side
    clips: tuple[Clip, ...]
    facts: tuple[Fact, ...]
    when: str = field(default_factory=lambda: datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"))

    @property
    def verdict(self) -> Literal["passed", "refused"]:
        return "passed" if not self.facts and all(clip.passed for clip in self.clips) else "refused"

    @property
    def differs(self) -> list[str]:
        """What a refusal rests on, a few lines for people; none where the image passed."""
        if self.verdict == "passed":
            return []
        return words.differences(self.clips, self.facts, self.local, self.server)

    def to_dict(self) -> dict:
        """JSON-ready: format, when, host, image, bundle, verdict, differs, environment, unexplained, clips."""
        clips = [clip.to_dict() for clip in self.clips]
        return {
            "format": FORMAT,
            "when": self.when,
            "host": self.image.host,
            "image": {"name": self.image.name, "id": self.image.id},
            "bundle": next((clip["bundle"] for clip in clips if clip["bundle"]), None),
            "verdict": self.verdict,
            "differs": self.differs,
            "environment": words.rows(self.facts),
            "unexplained": [clip.name for clip in self.clips if clip.unexplained],
            "clips": clips,
        }


def judge(local: Path, server: Path, policy: Path, image: Image, names: Sequence[str] = ()) -> Report:
    """Hold what an image left in the folder `server` against what this machine left in `local`.

    Whatever the image left, it is judged: what cannot be read is refused, and only what is equal passes.

    Args:
        names: of the clips; those that have a local trace, where none is given.

    Raises:
        InputError, OSError: the local side or the policy is no measure.
    """
    for folder in (local, server):
        if not folder.is_dir():
            raise InputError(f"{folder} is no folder", fix="expected the folders in which both sides left their traces")
    mine, theirs = Side(local), Side(server)
    names = names or mine.clips()
    if not names:
        raise InputError(f"{local} holds no CLIP.trace.json, so there is nothing to compare with",
                         fix=f"poseparity trace CLIP --output {local}")  # fmt: skip
    measure = load_measure(mine, policy)
    traces = [load_trace(mine.trace(name)) for name in names]
    clips = tuple(compare_clip(name, trace, theirs, measure) for name, trace in zip(names, traces, strict=True))
    return Report(image, mine, theirs, clips, forbidden(theirs, names, measure))
