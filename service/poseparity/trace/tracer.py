"""Recording a trace: an observer while the pipeline runs, and the whole when it has an answer."""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass, field
from datetime import UTC, datetime

import numpy as np

from .. import __version__
from ..environment.files import sha256_file
from ..inputs import Input
from ..observe import Observed
from ..pipeline import Pipeline, PipelineResult
from ..stages.base import Stage, Value
from .arrays import ArrayFile
from .digests import SHORT, digest, digest_of_frames, digest_of_stage, little_endian
from .model import FORMAT, Trace, TracedInput, TracedStage, TracedValue
from .parameters import parameters_of

_UNNAMED = "skeleton.csv"  # content that came without a file
_MOST_DATA = 4096  # bytes of a value that a trace holds itself: scores and boxes; a skeleton has 408 a frame


@dataclass
class _Stream:
    """One value that passes by: its type, its items' shapes and digests."""

    dtype: str
    shape: list[int | None]
    digests: list[bytes] = field(default_factory=list)

    def add(self, item: np.ndarray) -> None:
        self.digests.append(digest(item))
        self.shape = [mine if mine == other else None for mine, other in zip(self.shape, item.shape, strict=True)]


class Tracer:
    """Pass it to a run as its observer, then ask it for the trace. One tracer for one run; see recording.py.

    Args:
        arrays: where the arrays themselves are written; see arrays.py.
    """

    def __init__(self, arrays: ArrayFile | None = None) -> None:
        self._arrays = arrays
        self._streams: dict[str, _Stream] = {}

    def __call__(self, name: str, value: np.ndarray) -> None:
        stream = self._streams.get(name)
        if stream is None:
            # Of no items: only the type is asked for.
            stream = self._streams[name] = _Stream(little_endian(value[:0]).dtype.str, list(value.shape))
        if self._arrays and self._arrays.observed:
            self._arrays.add(f"{name}/{len(stream.digests)}", value)
        stream.add(value)

    def finish(self, pipeline: Pipeline, result: PipelineResult, given: Input, environment: dict | None) -> Trace:
        """The trace of the run that this observed.

        Args:
            environment: a snapshot, see environment.py; None where it is of no interest.
        """
        source = given.source
        if isinstance(source, bytes):
            name, size, sha256 = _UNNAMED, len(source), hashlib.sha256(source).hexdigest()
        else:
            name, size, sha256 = source.name, source.stat().st_size, sha256_file(source).hexdigest()
        return Trace(
            format=FORMAT,
            created=datetime.now(UTC).isoformat(timespec="seconds"),
            poseparity=__version__,
            bundle=result.bundle,
            input=TracedInput(name=given.name or name, kind=given.kind, bytes=size, sha256=sha256),
            environment=environment,
            prediction=result.prediction.to_dict(),
            warnings=result.warnings(),
            stages=[self._stage(stage, pipeline, result) for stage in pipeline.stages if stage.name in result.records],
        )

    def _stage(self, stage: Stage, pipeline: Pipeline, result: PipelineResult) -> TracedStage:
        arrays = stage.values(result.records[stage.name])
        if self._arrays:
            for name, array in arrays.items():
                self._arrays.add(f"{stage.name}.{name}", array)
        results = [_traced(name, stage.row.values[name], array) for name, array in arrays.items()]
        values = [*results, *self._observed(stage)]
        return TracedStage(
            name=stage.name,
            parameters=parameters_of(stage, pipeline.bundle),
            seconds=round(result.seconds[stage.name], 6),
            digest=digest_of_stage((value.name, value.sha256) for value in values),
            values=values,
        )

    def _observed(self, stage: Stage) -> list[TracedValue]:
        units = stage.observed if isinstance(stage, Observed) else {}
        streams = {name: self._streams[key] for name in units if (key := f"{stage.name}.{name}") in self._streams}
        return [
            TracedValue(
                name=name,
                kind="observed",
                unit=units[name],
                dtype=stream.dtype,
                shape=[len(stream.digests), *stream.shape],
                sha256=digest_of_frames(stream.digests),
                frames=[each.hex()[:SHORT] for each in stream.digests],
            )
            for name, stream in streams.items()
        ]


def _traced(name: str, value: Value, array: np.ndarray) -> TracedValue:
    array = little_endian(array)
    return TracedValue(
        name=name,
        kind="result",
        unit=value.unit,
        dtype=array.dtype.str,
        shape=list(array.shape),
        sha256=digest(array).hex(),
        frames=[digest(item).hex()[:SHORT] for item in array] if value.by_frame else None,
        data=base64.b64encode(array.tobytes()).decode() if array.nbytes <= _MOST_DATA else None,
    )
