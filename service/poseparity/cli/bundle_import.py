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
    action.add_argument("output", type=Path, metavar="OUTPUT", help="folder to write; it must not exist, see --replace")
    action.add_argument("--recogniser-config", type=Path, required=True, metavar="FILE",
                        help="MMAction2 config; it is Python and is run, in a process of its own")  # fmt: skip
    action.add_argument("--recogniser-checkpoint", type=Path, required=True, metavar="FILE",
                        help="what MMAction2's training wrote; nothing in it is run")  # fmt: skip
    action.add_argument("--labels", required=True, metavar="FILE|NAMES",
                        help="a file with one name a line, or NAME,NAME,... in the model's order: of two classes, "
                        "older clients get true for the second")  # fmt: skip
    action.add_argument("--detector", type=Path, metavar="FILE.pt", help="saved by ultralytics; nothing in it is run")
    action.add_argument("--pose", type=Path, metavar="FILE",
                        help="OpenPose's COCO model, pose_iter_440000.caffemodel; a pose model of ultralytics, .pt; a "
                        "small network, .safetensors with its pose.network table in the metadata")  # fmt: skip
    action.add_argument("--pose-engine", choices=["openpose-binary"],
                        help="instead of --pose: OpenPose's executable, as the settings name it")  # fmt: skip
    action.add_argument("--like", type=Path, metavar="DIR", help="bundle that gives the parts that are not given")
    action.add_argument("--clip", type=Path, metavar="FILE", help="video that a service answers before it is ready")
    action.add_argument("--clip-label", metavar="NAME", help="what the clip shows")
    seen = action.add_argument_group("what the model saw in training, where its config does not say it")
    seen.add_argument("--training-data", type=Path, metavar="FILE",
                      help="find it out: the annotation file that training read (.pkl; nothing in it is run), or one "
                      "of its skeleton CSVs")  # fmt: skip
    seen.add_argument("--coordinates", choices=["pixels", "unit", "signed"],
                      help="as they were stored: pixels, [0, 1] or [-1, 1]")  # fmt: skip
    seen.add_argument("--confidence", metavar="estimated|ones|THRESHOLD",
                      help="as estimated, all 1, or 0 below a threshold")  # fmt: skip
    seen.add_argument("--precision", choices=["float16", "float32", "float64"], help="of the stored keypoints")
    seen.add_argument("--reference", metavar="frame|crop|skeleton|WIDTHxHEIGHT",
                      help="what coordinates are relative to: a size, for every video, whatever its own")  # fmt: skip
    seen.add_argument("--frame-size", metavar="WIDTHxHEIGHT",
                      help="of the data set's videos: taken for a skeleton CSV that comes without one (default: the "
                      "clip's)")  # fmt: skip
    action.add_argument(
        "--replace", action="store_true", help="OUTPUT may be a bundle: it goes when the new one is done"
    )
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
    from ..importing.assemble import Request, import_bundle  # imports torch: a wrong option is told before that
    from ..importing.readers.config import warning_of

    print(f"{options.recogniser_config}: {warning_of(options.recogniser_config)}", flush=True)
    import_bundle(
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
            settings=(*options.set, *_as_settings(options)),
            training_data=options.training_data,
            replace=options.replace,
        ),
        tell=_tell,
    )
    _tell(f"{options.output}: done")
    return 0


def _tell(line: str) -> None:
    print(line, flush=True)  # a refusal that follows goes to standard error


def _as_settings(options: argparse.Namespace) -> list[str]:
    """What has an option of its own, as --set has it: one way to a parameter, and given twice is told.

    Raises:
        ImportRefused, InputError: a size or a threshold is none.
    """
    from ..inputs import parse_size  # loads NumPy, which is for after the command line looked at the processor

    settings = [f"normalise.{name}={getattr(options, name)}" for name in ("coordinates", "precision")
                if getattr(options, name) is not None]  # fmt: skip
    if options.confidence in ("estimated", "ones"):
        settings.append(f"normalise.confidence={options.confidence}")
    elif options.confidence is not None:
        settings += ["normalise.confidence=threshold", f"normalise.confidence_threshold={options.confidence}"]
    if options.reference in ("frame", "crop", "skeleton"):
        settings.append(f"normalise.reference={options.reference}")
    elif options.reference is not None:
        size = parse_size(options.reference)
        settings += ["normalise.reference=fixed", f"normalise.size=[{size.width}, {size.height}]"]
    if options.frame_size is not None:
        size = parse_size(options.frame_size)
        settings.append(f"input.frame_size=[{size.width}, {size.height}]")
    return settings


def read_labels(text: str) -> tuple[str, ...]:
    """Names from a file, one a line, or from the text itself, with commas between.

    Raises:
        ImportRefused: there are fewer than two, one is empty, or one is there twice.
    """
    try:
        is_file = Path(text).is_file()
    except OSError:  # many names are longer than any path
        is_file = False
    if is_file:
        content = Path(text).read_text(encoding="utf-8-sig", errors="replace")
        names = [line.strip() for line in content.rstrip().splitlines()]
    else:
        names = [name.strip() for name in text.split(",")]
    if len(names) < 2:
        raise ImportRefused(f"--labels {text} is no file, or has one name: {names}", fix="give a file or NAME,NAME,...")
    if not all(names) or len(set(names)) != len(names):
        raise ImportRefused(f"--labels {text} has an empty name, or one name twice", fix="one name a class")
    return tuple(names)
