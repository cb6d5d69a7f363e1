"""Both sides' folders, with small traces and environments made by hand."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from pathlib import Path

from poseparity.gate.judge import Image, Report, judge
from tests.handmade_traces import document, stage, value
from tests.unit.environment.support import POLICY, small_snapshot

IMAGE = Image("poseparity/app:1", "sha256:" + "a" * 64, "server-1")
CLIP = "clip.mp4"


class Folders:
    """`local` and `server`; both ran CLIP, and everything is equal.

    Attributes:
        policy: the file by which is judged.
    """

    def __init__(self, folder: Path) -> None:
        self.local, self.server, self.policy = folder / "local", folder / "server", POLICY
        for side in (self.local, self.server):
            side.mkdir()
        self.describe(self.local, small_snapshot())
        for side in (self.local, self.server):
            self.ran(side)

    def ran(self, side: Path, clip: str = CLIP, *, box: float = 4.0, change: Callable[[dict], None] = lambda _: None,
            **changes) -> None:  # fmt: skip
        """Write a trace: of one stage with the value `box`, of an environment that `change` was made to."""
        environment = copy.deepcopy(small_snapshot())
        change(environment)
        padding = changes.pop("padding", 0.15)
        made = document(stage("crop", value("box", box), padding=padding), **{"environment": environment, **changes})
        self.write(side, f"{clip}.trace.json", json.dumps(made))

    def describe(self, side: Path, environment: object) -> None:
        self.write(side, "environment.json", json.dumps(environment))

    def failed(self, clip: str = CLIP, said: str = "") -> None:
        """The image could not run a clip."""
        (self.server / f"{clip}.trace.json").unlink(missing_ok=True)
        self.write(self.server, f"{clip}.error.txt", said)

    def write(self, side: Path, name: str, content: str) -> None:
        (side / name).write_text(content, "utf-8")

    def judged(self, *clips: str) -> Report:
        return judge(self.local, self.server, self.policy, IMAGE, clips)

    def differs(self, *clips: str) -> list[str]:
        """What a refusal rests on."""
        report = self.judged(*clips)
        assert report.verdict == "refused"
        assert report.to_dict()["differs"] == report.differs and len(report.differs) <= 5
        return report.differs
