"""Record a run: the way from an input to its answer and its trace.

The service alone takes the two steps of it apart, see tracer.py: only the run belongs into its inference slot.
"""

from __future__ import annotations

from pathlib import Path

from ..environment.files import sha256_file
from ..inputs import Input
from ..outputs import replacing
from ..pipeline import Pipeline, PipelineResult
from .arrays import ArrayFile
from .model import Trace, TracedArrays
from .tracer import Tracer


def record(
    pipeline: Pipeline,
    given: Input,
    *,
    environment: dict | None = None,
    arrays: Path | None = None,
    lasting: bool = False,
) -> tuple[PipelineResult, Trace]:
    """Run an input.

    Args:
        environment: a snapshot, see environment/; None where it is of no interest.
        arrays: the .npz to write the arrays to; it appears, or is replaced, when there is an answer.
        lasting: the .npz is that of a golden trace: it holds results only, and equal results make equal bytes.

    Returns:
        The answer and its trace, which names the .npz.

    Raises:
        PoseParityError: the input has no answer; see Pipeline.run.
    """
    if arrays is None:
        return _traced(pipeline, given, Tracer(), environment)
    with replacing(arrays) as partial:
        # What lasts is not compressed: another build of zlib would write other bytes.
        with ArrayFile(partial, observed=not lasting, compressed=not lasting) as file:
            result, trace = _traced(pipeline, given, Tracer(file), environment)
        named = TracedArrays(file=arrays.name, sha256=sha256_file(partial).hexdigest())
    return result, trace.model_copy(update={"arrays": named})


def _traced(pipeline: Pipeline, given: Input, tracer: Tracer, environment: dict | None) -> tuple[PipelineResult, Trace]:
    result = pipeline.run(given, observe=tracer)
    return result, tracer.finish(pipeline, result, given, environment)
