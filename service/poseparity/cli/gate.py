"""`poseparity gate`."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from ..outputs import check_folder, check_output, replacing
from ..settings import ROOT

_HELP = "say whether an image may serve; exit 0 passed, 1 refused, 2 it cannot be judged"
_DESCRIPTION = (
    "Hold what an image said when it ran the clips (SERVER) against what this machine says (LOCAL): every stage of "
    "each CLIP.trace.json has to be equal to the last bit, and the policy must not forbid what differs between the "
    "environments. Where the image gave no trace of a clip, its CLIP.error.txt, environment.json and bundle.json "
    "tell why. LOCAL holds environment.json, bundle.json and a trace of each clip. Exit status: 0 passed, 1 refused, "
    "2 LOCAL or the policy is no measure."
)


def add_parser(commands) -> None:
    """Add `gate` to the commands of `poseparity`."""
    gate = commands.add_parser("gate", help=_HELP, description=_DESCRIPTION)
    gate.add_argument("local", type=Path, metavar="LOCAL", help="folder of what this machine said")
    gate.add_argument("server", type=Path, metavar="SERVER", help="folder of what the image said")
    gate.add_argument("--policy", type=Path, default=ROOT / "lockfiles/parity.toml", metavar="FILE",
                      help="what must be equal and what may differ (default: lockfiles/parity.toml)")  # fmt: skip
    gate.add_argument("--clip", action="append", default=[], metavar="CLIP",
                      help="name of a clip; may be given again (default: all that LOCAL has a trace of)")  # fmt: skip
    gate.add_argument("--host", default="the server", metavar="NAME", help="what to call the server")
    gate.add_argument("--image", default="the image", metavar="NAME", help="what to call the image")
    gate.add_argument("--image-id", metavar="ID", help="the image's id, for the report")
    gate.add_argument("--pages", type=Path, metavar="FOLDER", help="write CLIP.html on each clip that differs")
    gate.add_argument("--report", type=Path, metavar="FILE.json", help="write what --json prints to a file, too")
    gate.add_argument("--json", action="store_true", help="print the whole report as JSON")
    gate.set_defaults(command=_run)


def _run(options: argparse.Namespace) -> int:
    from ..gate import words
    from ..gate.judge import Image, judge  # imports NumPy

    if options.pages:
        check_folder(options.pages)
    if options.report:
        check_output(options.report, source=options.policy, suffix=".json")
    image = Image(options.image, options.image_id, options.host)
    report = judge(options.local, options.server, options.policy, image, options.clip)
    pages = []
    if options.pages:
        from ..gate.pages import write_pages

        pages = write_pages(options.pages, report.clips)
    document = json.dumps(report.to_dict(), indent=2, allow_nan=False)
    if options.report:
        with replacing(options.report) as partial:
            partial.write_text(document + "\n", encoding="utf-8")
    if options.json:
        print(document)
    elif report.verdict == "passed":
        clips = ", ".join(clip.name for clip in report.clips)
        print(f"{image.name} passes on {image.host}: every stage of {clips} gave the same bits")
    else:
        found = next(iter(pages), options.report)
        print(words.message(image.name, image.host, report.differs, options.policy, found))
    return 0 if report.verdict == "passed" else 1
