"""`poseparity run --trace`: the options, and the files that they ask for."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

from ..environment import snapshots
from ..environment.files import sha256_file
from ..errors import OutputError
from ..observe import Observe, unobserved
from ..outputs import check_output, replacing

if TYPE_CHECKING:
    from ..pipeline import Pipeline, PipelineResult
    from .model import Trace
    from .tracer import Source

Answer = Callable[[Observe], "PipelineResult"]


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


def begin_snapshot(options: argparse.Namespace, bundle: Path) -> Future[dict] | None:
    """The environment as it is now, described while the models are loaded: ultralytics changes variables then."""
    if not options.trace:
        return None
    background = ThreadPoolExecutor(1)
    try:
        return background.submit(snapshots.of, bundle)
    finally:
        background.shutdown(wait=False)


def answer_traced(
    answer: Answer, pipeline: Pipeline, options: argparse.Namespace, kind: str, environment: Future[dict] | None
) -> PipelineResult:
    """Run, and write the trace that was asked for; nothing is written when there is no answer."""
    if environment is None:
        return answer(unobserved)
    from .tracer import Source
    from .writing import write_trace

    snapshot = environment.result()  # not beside the run, whose seconds it would disturb
    source = Source.of_file(options.input, kind)
    if options.trace_arrays:
        result, trace = _with_arrays(answer, pipeline, source, snapshot, _arrays_path(options))
    else:
        result, trace = _without_arrays(answer, pipeline, source, snapshot)
    write_trace(options.trace, trace)
    return result


def _without_arrays(answer: Answer, pipeline: Pipeline, source: Source, snapshot: dict) -> tuple[PipelineResult, Trace]:
    from .tracer import Tracer

    tracer = Tracer()
    result = answer(tracer)
    return result, tracer.finish(pipeline, result, source, snapshot)


def _with_arrays(
    answer: Answer, pipeline: Pipeline, source: Source, snapshot: dict, path: Path
) -> tuple[PipelineResult, Trace]:
    from .arrays import ArrayFile
    from .model import TracedArrays
    from .tracer import Tracer

    with replacing(path) as partial:
        with ArrayFile(partial) as arrays:
            tracer = Tracer(arrays)
            result = answer(tracer)
            trace = tracer.finish(pipeline, result, source, snapshot)
        sha256 = sha256_file(partial).hexdigest()
    return result, trace.model_copy(update={"arrays": TracedArrays(file=path.name, sha256=sha256)})


def _arrays_path(options: argparse.Namespace) -> Path:
    return options.trace.with_suffix(".npz")
