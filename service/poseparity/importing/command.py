"""`poseparity bundle import`."""

from __future__ import annotations

import argparse
from pathlib import Path

from .. import numerics
from ..errors import ImportRefused

_HELP = "make a bundle of an MMAction2 config and checkpoint, and what else you have"


def add_parser(actions) -> None:
    """Add `import` to the actions of `poseparity bundle`. Nothing heavy is imported here."""
    action = actions.add_parser("import", help=_HELP, description=_HELP)
    action.add_argument("output", type=Path, metavar="OUTPUT", help="folder to write; it must not exist")
    action.add_argument("--recogniser-config", type=Path, required=True, metavar="FILE",
                        help="MMAction2 config; it is Python and is run, in a process of its own")  # fmt: skip
    action.add_argument("--recogniser-checkpoint", type=Path, required=True, metavar="FILE",
                        help="what MMAction2's training wrote; nothing in it is run")  # fmt: skip
    action.add_argument("--labels", required=True, metavar="FILE|NAMES",
                        help="a file with one name a line, or NAME,NAME,... in the model's order")  # fmt: skip
    action.add_argument("--detector", type=Path, metavar="FILE.pt", help="saved by ultralytics; nothing in it is run")
    action.add_argument("--pose", type=Path, metavar="FILE",
                        help="OpenPose's COCO model, pose_iter_440000.caffemodel; a pose model of ultralytics, .pt; a "
                        "small network, .safetensors with its pose.network table in the metadata")  # fmt: skip
    action.add_argument("--pose-engine", choices=["openpose-binary"],
                        help="instead of --pose: OpenPose's executable, as the settings name it")  # fmt: skip
    action.add_argument("--like", type=Path, metavar="DIR", help="bundle that gives the parts that are not given")
    action.add_argument("--clip", type=Path, metavar="FILE", help="video that a service answers before it is ready")
    action.add_argument("--clip-label", metavar="NAME", help="what the clip shows")
    action.add_argument("--set", action="append", default=[], metavar="SECTION.KEY=VALUE",
                        help="a parameter, such as crop.padding=0.10; may be repeated")  # fmt: skip
    action.add_argument("--name", required=True, help="of the bundle")
    action.add_argument("--version", default="1", help="of the bundle (default: 1)")
    action.add_argument("--summary", metavar="TEXT", help="one line on the bundle (default: its classes)")
    action.add_argument("--licence", required=True, help="of the recogniser, and of what does not say its own")
    action.set_defaults(command=_run)


def _run(options: argparse.Namespace) -> int:
    numerics.restart_with_pins()
    labels = read_labels(options.labels)
    from .assemble import Request, import_bundle  # imports torch: a wrong option is told before that
    from .config import WARNING

    print(f"{options.recogniser_config}: {WARNING}", flush=True)
    notes = import_bundle(
        Request(
            output=options.output,
            name=options.name,
            version=options.version,
            licence=options.licence,
            summary=options.summary,
            recogniser_config=options.recogniser_config,
            recogniser_checkpoint=options.recogniser_checkpoint,
            labels=labels,
            detector=options.detector,
            pose=options.pose,
            pose_engine=options.pose_engine,
            like=options.like,
            clip=options.clip,
            clip_label=options.clip_label,
            settings=tuple(options.set),
        )
    )
    print("\n".join((*notes, f"{options.output}: done")))
    return 0


def read_labels(text: str) -> tuple[str, ...]:
    """Names from a file, one a line, or from the text itself, with commas between.

    Raises:
        ImportRefused: there are fewer than two, one is empty, or one is there twice.
    """
    if Path(text).is_file():
        content = Path(text).read_text(encoding="utf-8-sig", errors="replace")
        names = [line.strip() for line in content.rstrip().splitlines()]
    else:
        names = [name.strip() for name in text.split(",")]
    if len(names) < 2:
        raise ImportRefused(f"--labels {text} is no file, or has one name: {names}", fix="give a file or NAME,NAME,...")
    if not all(names) or len(set(names)) != len(names):
        raise ImportRefused(f"--labels {text} has an empty name, or one name twice", fix="one name a class")
    return tuple(names)
