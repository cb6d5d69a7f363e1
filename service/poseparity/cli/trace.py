"""`poseparity trace`: the traces of several inputs, from one start and with one description of the environment."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from .. import numerics
from ..errors import OutputError, PoseParityError
from ..outputs import check_folder
from ..settings import load_settings
from . import tracing, words

if TYPE_CHECKING:
    from ..gate.side import Side
    from ..pipeline import Pipeline

_HELP = "record the traces of several inputs; exit 0 all have one, 2 some have none"
_DESCRIPTION = (
    "Run each CLIP and write FOLDER/CLIP.trace.json, as `poseparity run CLIP --trace` does, but start once for all of "
    "them. A CLIP that has no answer leaves FOLDER/CLIP.error.txt in place of a trace, and the others are run all the "
    "same. FOLDER is what `poseparity gate` reads."
)


def add_parser(commands) -> None:
    """Add `trace` to the commands of `poseparity`."""
    trace = commands.add_parser("trace", help=_HELP, description=_DESCRIPTION)
    trace.add_argument("clips", type=Path, nargs="+", metavar="CLIP", help="a video or a skeleton CSV")
    trace.add_argument("--output", type=Path, required=True, metavar="FOLDER", help="where the traces are written")
    trace.add_argument("--bundle", type=Path, metavar="DIR", help="model bundle, as for `poseparity run`")
    trace.add_argument("--unpinned", action="store_true",
                       help="run without the numerical pins, in the environment as it is: only to compare")  # fmt: skip
    trace.add_argument("--trace-arrays", action="store_true",
                       help="write the arrays themselves too, to FOLDER/CLIP.trace.npz")  # fmt: skip
    trace.add_argument("--json", action="store_true", help="print the whole answers as JSON, by the clips' names")
    trace.set_defaults(command=_run)


def _run(options: argparse.Namespace) -> int:
    if options.unpinned:
        print(words.UNPINNED, file=sys.stderr)
    else:
        numerics.restart_with_pins()
    from ..gate.side import Side  # imports NumPy

    settings = load_settings(**({} if options.bundle is None else {"bundle": options.bundle}))
    side = Side(options.output)
    _clear(side, options.clips)
    from ..startup import load_pipeline  # imports torch

    environment = tracing.begin_snapshot(settings.bundle)

    @cache  # loaded for the first clip that gets so far; a bundle that cannot be loaded is what each clip says then
    def prepared() -> tuple[Pipeline, dict]:
        return load_pipeline(settings, pinned=not options.unpinned), environment.result()

    answers = {clip.name: _answer(clip, side, prepared, options) for clip in options.clips}
    if options.json:
        print(json.dumps(answers, indent=2))
    return 2 if None in answers.values() else 0


def _clear(side: Side, clips: list[Path]) -> None:
    """Take away what an earlier call left of these clips: what is there afterwards is the answer.

    Raises:
        OutputError: two clips have one name, a clip would be overwritten, or nothing can be written there.
    """
    check_folder(side.folder)
    by_name = {clip.name: clip for clip in clips}
    if len(by_name) < len(clips):
        again = next(clip for clip in clips if by_name[clip.name] is not clip)
        raise OutputError(f"{again} and {by_name[again.name]} have one name, so their traces would, too",
                          fix="give each clip a name of its own, or trace them into two folders")  # fmt: skip
    written = [name(clip) for clip in by_name for name in (side.trace, side.arrays, side.error)]
    inputs = {clip.resolve() for clip in clips}
    for path in written:
        if path.resolve() in inputs:
            raise OutputError(f"{path} is an input, which is not overwritten", fix="name another folder")
    for path in written:
        path.unlink(missing_ok=True)


def _answer(
    clip: Path, side: Side, prepared: Callable[[], tuple[Pipeline, dict]], options: argparse.Namespace
) -> dict | None:
    """Write a clip's trace; returns what `poseparity run --json` prints of it. Or write why there is none: None."""
    from ..inputs import Input
    from ..trace.recording import record
    from ..trace.writing import write_trace

    try:
        given = Input.of_file(clip)
        pipeline, snapshot = prepared()
        arrays = side.arrays(clip.name) if options.trace_arrays else None
        result, trace = record(pipeline, given, environment=snapshot, arrays=arrays)
        write_trace(side.trace(clip.name), trace)
    except (PoseParityError, OSError) as error:
        said = words.failure(error)
        side.error(clip.name).write_text(f"{said}\n", encoding="utf-8")
        print(said, file=sys.stderr)
        if not options.json:
            print(f"{clip}: no trace, see {side.error(clip.name)}")
        return None
    if not options.json:
        print(f"{clip}: {side.trace(clip.name)}")
    return result.to_dict()
