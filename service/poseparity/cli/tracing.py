"""`poseparity run --trace`: the options, and the files that they ask for."""

from __future__ import annotations

import argparse
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

from ..environment import snapshots
from ..errors import OutputError
from ..outputs import check_output

if TYPE_CHECKING:
    from ..inputs import Input
    from ..pipeline import Pipeline, PipelineResult


def add_options(run: argparse.ArgumentParser) -> None:
    """Add the options to `poseparity run`. Nothing heavy is imported here."""
    run.add_argument("--trace", type=Path, metavar="FILE.json", help="write what every stage was given, made and took")
    run.add_argument("--trace-arrays", action="store_true",
                     help="write the arrays themselves too, frames included, to FILE.npz beside the trace")  # fmt: skip


def check_options(options: argparse.Namespace) -> None:
    """Refuse, before the work, what could not be written.

    Raises:
        OutputError: see outputs.check_output; or --trace-arrays came without --trace.
    """
    if options.trace:
        check_output(options.trace, source=options.input, suffix=".json")
    elif options.trace_arrays:
        raise OutputError("--trace-arrays came without --trace", fix="say where: --trace FILE.json")
    if options.trace_arrays:
        check_output(_arrays_path(options), source=options.input)


def begin_snapshot(bundle: Path) -> Future[dict]:
    """The environment as it is now, described while the models are loaded: ultralytics changes variables then."""
    background = ThreadPoolExecutor(1)
    try:
        return background.submit(snapshots.of, bundle)
    finally:
        background.shutdown(wait=False)


def answer(
    pipeline: Pipeline, given: Input, options: argparse.Namespace, environment: Future[dict] | None
) -> PipelineResult:
    """Run, and write the trace that was asked for; nothing is written when there is no answer."""
    if environment is None:
        return pipeline.run(given)
    from ..trace.recording import record
    from ..trace.writing import write_trace

    snapshot = environment.result()  # not beside the run, whose seconds it would disturb
    arrays = _arrays_path(options) if options.trace_arrays else None
    result, trace = record(pipeline, given, environment=snapshot, arrays=arrays)
    write_trace(options.trace, trace)
    return result


def _arrays_path(options: argparse.Namespace) -> Path:
    return options.trace.with_suffix(".npz")
