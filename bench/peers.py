"""scripts/bench peers: how fast the service is beside what people would use in its place, as one table.

Runs the benchmarks `pose`, `recognition`, `clip` and `service`, each of which takes turns between its ways and says
what they are (`scripts/bench NAME --help`); `clip` has in OpenPose's place the engine that was fastest in `pose`. A row
is ours, the other's, and the other's time over ours: the median over the rounds, the smallest and the largest in
brackets.

`ratios` of --json are ours against the fastest that is free of pins: `pose_per_core` and `pose_all_cores` (368x368),
`recognise_57`, `clip`. Use an idle machine; on two cores it takes half an hour.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from bench import clip, pose, recognition, service
from bench._processes import CORES
from bench._report import report
from poseparity.environment.machine import describe_cpu
from training.manifest import BUNDLE


@dataclass(frozen=True)
class Row:
    """What is compared, ours, the other, and {"median", "min", "max"} of how many times as long the other takes."""

    what: str
    ours: str
    other: str
    ratio: dict[str, float]


def of_pose(figures: dict) -> list[Row]:
    """Ours against the fastest that is free, and against the direct convolution."""
    rows = []
    for threads, sizes in figures["threads"].items():
        for size, ways in sizes.items():
            for way in (fastest_free(ways), "direct"):
                cores = "one core" if threads == "1" else f"{threads} cores"
                rows.append(Row(f"pose network {size}, {cores}", _seconds(ways["fast"]),
                                f"{way} {_seconds(ways[way])}", ways[way]["over_fast"]))  # fmt: skip
    return rows


def fastest_free(ways: dict[str, dict]) -> str:
    """The name of the peer without pins that is fastest."""
    return min((way for way in ways if way not in pose.OURS), key=lambda way: ways[way]["over_fast"]["median"])


def of_recognition(figures: dict) -> list[Row]:
    """Ours on all lanes against every other way."""
    return [
        Row(f"recognition, {frames} frames", _seconds(found["ways"][recognition.OURS]), f"{way} {_seconds(facts)}",
            facts["over_ours"])
        for frames, found in figures["frames"].items()
        for way, facts in found["ways"].items()
        if way != recognition.OURS
    ]  # fmt: skip


def of_clip(figures: dict) -> list[Row]:
    """Ours on all lanes against every other way."""
    named = {clip.REPLACED: f"{clip.REPLACED}, {figures['engine']}"}
    return [
        Row(f"clip of {figures['frames']} frames", _seconds(figures["ways"][clip.OURS]),
            f"{named.get(way, way)} {_seconds(facts)}", facts["over_ours"])
        for way, facts in figures["ways"].items()
        if way != clip.OURS
    ]  # fmt: skip


def of_service(figures: dict) -> list[Row]:
    """What HTTP costs and what many clients get, each a ratio of its own."""
    rounds = figures["rounds"]
    return [
        Row(f"service: {name}", "", "", recognition.spread(values)) for name, values in rounds.items() if " / " in name
    ]


def _seconds(way: dict) -> str:
    return f"{way['seconds']['median']:.3f} s"


def table(rows: list[Row]) -> str:
    """The rows as a table in Markdown."""
    lines = ["| what | ours | the other | ratio |", "| --- | --- | --- | --- |"]
    for row in rows:
        ratio = "{median:.2f} [{min:.2f}, {max:.2f}]".format(**row.ratio)
        lines.append(f"| {row.what} | {row.ours} | {row.other} | {ratio} |")
    return "\n".join(lines)


def measure(rounds: int) -> dict:
    """The figures of every benchmark, ready for JSON."""
    found = {"machine": {"cpu": describe_cpu()["model"], "cores": CORES, "load": os.getloadavg()}}
    pose.install_peers()
    with tempfile.TemporaryDirectory() as folder:
        found["pose"] = pose.measure_all(rounds, Path(folder))
    every_core = found["pose"]["threads"][str(CORES)]
    found["recognition"] = recognition.measure("stgcn", rounds)
    found["clip"] = clip.measure(rounds, frames=104, engine=fastest_free(every_core["368x208"]))
    found["service"] = service.measure(
        argparse.Namespace(rounds=rounds, bundle=BUNDLE, clip=None, csv=BUNDLE / "gaps.csv")
    )
    wanted = {**found["pose"]["ratios"], "recognise_57": found["recognition"]["ratios"]["recognise_57"],
              "clip": found["clip"]["ratios"]["clip"]}  # fmt: skip
    return found | {"ratios": wanted}


def main() -> int:
    """Command line; see the module's docstring. Exits with 1 when a goal of `recognition` or `clip` is missed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there, too")
    options = parser.parse_args()
    if options.rounds < 1:
        parser.error(f"--rounds is {options.rounds}, expected at least 1")
    found = measure(options.rounds)
    machine = "{cpu}, {cores} cores, load before {load[0]:.1f}".format(**found["machine"])
    rows = (of(found[name]) for name, of in (("pose", of_pose), ("recognition", of_recognition), ("clip", of_clip),
                                             ("service", of_service)))  # fmt: skip
    text = f"{machine}, {options.rounds} rounds\n\n" + table([row for each in rows for row in each])
    missed = [*recognition.missed_goals(found["recognition"]), *clip.missed_goals(found["clip"])]
    return report(text, found, options.json, missed)


if __name__ == "__main__":
    sys.exit(main())
