"""The command line: run, trace, compare, gate, env, serve, bundle."""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from .. import numerics
from ..errors import OutputError, PoseParityError, TooManyMissingJoints
from ..outputs import check_output
from ..settings import ROOT, Settings, load_settings
from . import bundle as bundle_actions
from . import bundle_fetch, bundle_import, bundle_sign, compare, gate, trace, tracing, words

if TYPE_CHECKING:
    from ..pipeline import PipelineResult
    from ..records import Skeleton

_PIPE_CLOSED = 141  # what a shell shows of a program that SIGPIPE ended
_LONGEST = 3  # stretches that the summary names; --json has more


def main(arguments: list[str] | None = None) -> int:
    """Entry point of `poseparity`. Exit status: 0 done, 1 a difference (`compare`, `gate`), 2 an error (two lines)."""
    options = _parser().parse_args(arguments)
    try:
        numerics.require_processor()  # nothing above loads NumPy, whose pinned kernels would end the process there
        status = options.command(options)
        sys.stdout.flush()
        return status
    except BrokenPipeError:
        # Whoever read what we print has enough, as `head` has: the rest goes nowhere, Python's own last flush included.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return _PIPE_CLOSED
    except (PoseParityError, OSError) as error:
        print(words.failure(error), file=sys.stderr)
        return 2


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="poseparity", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    run = commands.add_parser("run", help="recognise the action in a video or a skeleton CSV")
    run.add_argument("input", type=Path, metavar="INPUT")
    run.add_argument("--bundle", type=Path, metavar="DIR", help="model bundle (default: POSEPARITY_BUNDLE or the demo)")
    run.add_argument("--csv", type=Path, metavar="FILE", help="write the skeleton CSV, before interpolation")
    run.add_argument("--overlay", type=Path, metavar="FILE.mp4", help="write the video with the skeleton drawn over it")
    run.add_argument("--plot", type=Path, metavar="FILE.png", help="write a picture of missing joints over time")
    run.add_argument("--json", action="store_true", help="print the whole answer as JSON")
    run.add_argument("--frame-size", metavar="WIDTHxHEIGHT", help="of the video that a skeleton CSV came from")
    run.add_argument("--crop", metavar="X,Y,WIDTH,HEIGHT", help="that a skeleton CSV was estimated on")
    run.add_argument("--unpinned", action="store_true",
                     help="run without the numerical pins, in the environment as it is: only to compare")  # fmt: skip
    tracing.add_options(run)
    run.set_defaults(command=_run)

    trace.add_parser(commands)
    compare.add_parser(commands)
    gate.add_parser(commands)

    env = commands.add_parser("env", help="show whether each numerical pin took effect")
    env.add_argument("--json", action="store_true", help="print the whole environment snapshot")
    env.set_defaults(command=_env)

    serve = commands.add_parser("serve", help="serve HTTP with Gunicorn; settings are POSEPARITY_... variables")
    serve.set_defaults(command=_serve)

    bundle = commands.add_parser("bundle", help="make a model bundle, or look at one")
    actions = bundle.add_subparsers(required=True, metavar="ACTION")
    show = actions.add_parser("show", help="print a bundle's parameters")
    show.add_argument("folder", type=Path, nargs="?", metavar="DIR")
    show.set_defaults(command=_bundle_show)
    bundle_actions.add_parsers(actions)
    bundle_sign.add_parser(actions)
    bundle_import.add_parser(actions)
    bundle_fetch.add_parser(actions)
    return parser


def _run(options: argparse.Namespace) -> int:
    from ..inputs import Input, kind_of, parse_box, parse_size

    if options.unpinned:
        print(words.UNPINNED, file=sys.stderr)
    else:
        numerics.restart_with_pins()
    settings = _settings(options.bundle)
    frame_size = parse_size(options.frame_size) if options.frame_size else None
    crop = parse_box(options.crop) if options.crop else None
    given = Input(options.input, kind_of(options.input), frame_size=frame_size, crop=crop)
    _check_outputs(options, given.kind)
    from ..startup import load_pipeline  # imports torch: a wrong path or option is told before that

    try:
        environment = tracing.begin_snapshot(settings.bundle) if options.trace else None
        pipeline = load_pipeline(settings, pinned=not options.unpinned)
        result = tracing.answer(pipeline, given, options, environment)
    except TooManyMissingJoints as error:
        # What was lost is worth a look most of all when the answer is refused.
        _write_skeleton(options, error.skeleton, None, "no answer: too many joints are missing")
        raise
    _write_result(options, result)
    answer = result.to_dict()
    print(json.dumps(answer, indent=2) if options.json else _summary(answer))
    return 0


def _check_outputs(options: argparse.Namespace, kind: str) -> None:
    for path, suffix in ((options.csv, None), (options.overlay, ".mp4"), (options.plot, ".png")):
        if path:
            check_output(path, source=options.input, suffix=suffix)
    tracing.check_options(options)
    if options.overlay and kind == "csv":
        raise OutputError(
            f"--overlay draws over a video, {options.input} is a skeleton CSV",
            code="overlay-needs-video",
            fix="give the video, or leave --overlay out; --plot works with a skeleton CSV",
        )


def _write_result(options: argparse.Namespace, result: PipelineResult) -> None:
    prediction, kept = result.prediction, result.kept
    last = kept.first_frame + kept.frame_count - 1
    caption = f"{prediction.label} {prediction.scores[prediction.index]:.4f}, kept frames {kept.first_frame} to {last}"
    _write_skeleton(options, result.skeleton, kept, caption)
    if options.overlay:
        from ..pictures.overlay import write_overlay

        write_overlay(options.overlay, result)


def _write_skeleton(options: argparse.Namespace, skeleton: Skeleton, kept: Skeleton | None, caption: str) -> None:
    if options.csv:
        from .. import skeleton_csv

        options.csv.write_bytes(skeleton_csv.write(skeleton.keypoints))
    if options.plot:
        from ..pictures.plot import write_plot

        write_plot(options.plot, skeleton, kept, caption=f"{options.input.name}: {caption}")


def _summary(answer: dict) -> str:
    prediction, frames, missing = answer["prediction"], answer["frames"], answer["missing_joints"]
    ranked = sorted(prediction["scores"], key=lambda entry: -entry["score"])
    lines = [f"{prediction['label']}  {prediction['scores'][prediction['index']]['score']:.4f}", ""]
    lines += [f"  {entry['label']:<16} {entry['score']:.4f}" for entry in ranked]
    lines += ["", f"frames: {frames['total']}, kept after trimming: {frames['kept']}"]
    if (model := answer["persons"]["model"]) > 1:
        lines.append(f"persons: {answer['persons']['used']} of the up to {model} that the model takes")
    share = f"{missing['share']:.2%}"
    lines.append(f"missing joints before interpolation: {missing['count']} of {missing['total']} joints ({share})")
    if by_joint := missing["by_joint"]:
        most_first = sorted(by_joint.items(), key=lambda entry: -entry[1])
        lines.append("  by joint: " + ", ".join(f"{joint} {count}" for joint, count in most_first))
    if never := missing["never_seen"]:
        lines.append("  never seen: " + ", ".join(never))
    if empty := missing["empty_frames"]["count"]:
        longest = ", ".join(map(_span, missing["empty_frames"]["stretches"][:_LONGEST]))
        lines.append(f"  frames without any joint: {empty} (longest: {longest})")
    if stretches := missing["stretches"]:
        count = len(stretches) + missing["stretches_not_listed"]
        longest = ", ".join(f"{entry['joint']} {_span(entry)}" for entry in stretches[:_LONGEST])
        lines.append(f"  stretches of missing frames: {count} (longest: {longest})")
    lines += [f"warning: {entry['message']} [{entry['code']}]" for entry in answer["warnings"]]
    return "\n".join(lines)


def _span(stretch: dict) -> str:
    first, frames = stretch["first_frame"], stretch["frames"]
    return f"frame {first}" if frames == 1 else f"frames {first}-{first + frames - 1}"


def _env(options: argparse.Namespace) -> int:
    numerics.restart_with_pins()
    if options.json:
        from ..environment import take_snapshot

        print(json.dumps(take_snapshot(bundle=load_settings().bundle), indent=2))
        return 0
    numerics.make_deterministic()
    for pin in numerics.enforce():
        print(f"{pin['name']:<26} {pin['wanted']:<28.28} {pin['state']}: {pin['how']}")
    return 0


def _serve(options: argparse.Namespace) -> int:
    load_settings()  # a wrong setting is told here, in one line, and not by a worker
    environment = {**os.environ, **numerics.read_pins()}
    gunicorn = [sys.executable, "-m", "gunicorn", "-c", str(ROOT / "service/gunicorn.conf.py")]
    os.execve(sys.executable, [*gunicorn, "poseparity.web:create_app()"], environment)


def _bundle_show(options: argparse.Namespace) -> int:
    from ..bundle.bundle import load_bundle

    settings = _settings(options.folder)
    print(load_bundle(settings.bundle, settings.bundle_signers).model_dump_json(indent=2))
    return 0


def _settings(bundle: Path | None) -> Settings:
    return load_settings(**({} if bundle is None else {"bundle": bundle}))
