"""Plant a fault, record the server's trace, compare it with the local one."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import cv2

from poseparity import skeleton_csv
from poseparity.environment.project import describe_bundle
from poseparity.inputs import Input
from poseparity.parity.result import Cause
from poseparity.parity.traces.compare import TraceComparison, compare_traces
from poseparity.pipeline import Pipeline
from poseparity.settings import load_settings
from poseparity.startup import load_pipeline
from poseparity.trace.reading import TraceFile, load_trace
from poseparity.trace.recording import record
from poseparity.trace.writing import write_trace

from . import bundles, code, processes
from .fault import BundleFault, Fault, ProcessFault

FAULTS: tuple[Fault, ...] = (*bundles.FAULTS, *code.FAULTS, *processes.FAULTS)
_EVERY = 3  # frames of the demo clip: the whole action in a third of the time, with joints missing in between


@dataclass(frozen=True)
class Outcome:
    """What a comparison said of a fault."""

    fault: Fault
    comparison: TraceComparison
    without_arrays: TraceComparison

    @property
    def stage(self) -> str | None:
        """The first stage that differs."""
        return self.comparison.first and self.comparison.first.stage

    @property
    def cause(self) -> Cause | None:
        """The likeliest cause; where every stage is identical, the first difference that had no effect."""
        return _first_cause(self.comparison)

    @property
    def problems(self) -> list[str]:
        """What is not named rightly; empty when all is."""
        fault, cause = self.fault, self.cause
        found = []
        if self.stage != fault.stage:
            found.append(f"the first stage is {self.stage}, expected {fault.stage}")
        if cause is None or cause.code != fault.cause:
            found.append(f"the first cause is {cause and cause.code}, expected {fault.cause}")
        else:
            found += [f"the cause says {cause.title!r}, not {text!r}" for text in fault.says if text not in cause.title]
        blind = _first_cause(self.without_arrays)
        if not fault.from_arrays and (blind is None or blind.code != fault.cause):
            found.append(f"without arrays the first cause is {blind and blind.code}, expected {fault.cause}")
        return found


def _first_cause(comparison: TraceComparison) -> Cause | None:
    return next(iter(comparison.causes or comparison.warnings), None)


class Suite:
    """The local side, recorded once, and every fault beside it.

    Args:
        folder: an empty one, for clips, traces and bundles.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._begun: dict[str, Future[Path]] = {}
        self.clip = folder / "clip.mp4"
        self._local_bundle = load_settings().bundle
        shorten(self._local_bundle / "clip.mp4", self.clip)

    @cached_property
    def local(self) -> TraceFile:
        """The local trace, as `poseparity run` records it."""
        path = self.new_folder("local") / "trace.json"
        processes.record(self.clip, path)
        return load_trace(path)

    def csv_of_local(self) -> Path:
        """The local skeleton as a CSV."""
        path = self.new_folder("csv") / "skeleton.csv"
        path.write_bytes(skeleton_csv.write(self.local.result("pose", "keypoints")))
        return path

    @cached_property
    def pipeline(self) -> Pipeline:
        return self._load(self._local_bundle)

    def begin(self, faults: Iterable[Fault]) -> None:
        """Start recording those servers that are processes of their own, beside what this process does."""
        with_process = [fault for fault in faults if isinstance(fault, ProcessFault)]
        pool = ThreadPoolExecutor(max_workers=2)
        self._begun |= {fault.name: pool.submit(self._process, fault) for fault in with_process}
        pool.shutdown(wait=False)

    def examine(self, fault: Fault) -> Outcome:
        """Record the server's trace with a fault and compare it with the local one."""
        local, server = self._sides(fault)
        return Outcome(fault, compare_traces(local, server), compare_traces(_blind(local), _blind(server)))

    def _sides(self, fault: Fault) -> tuple[TraceFile, TraceFile]:
        if isinstance(fault, BundleFault):
            return self.local, self.trace(self._changed(fault.change))
        if isinstance(fault, ProcessFault):
            if fault.name not in self._begun:
                self.begin([fault])
            return self.local, load_trace(self._begun[fault.name].result())
        both = self._changed(fault.both) if fault.both else None
        local = self.trace(both) if both else self.local
        with fault.patch():
            return local, self.trace(both or self._load(self._local_bundle))

    def _process(self, fault: ProcessFault) -> Path:
        path = self.new_folder("process") / "trace.json"
        processes.record(self.clip, path, fault)
        return path

    def _changed(self, change: Callable[[Path], None]) -> Pipeline:
        return self._load(bundles.copied(self._local_bundle, self.new_folder("bundle") / "bundle", change))

    def _load(self, bundle: Path) -> Pipeline:
        return load_pipeline(load_settings(bundle=bundle))

    def new_folder(self, purpose: str) -> Path:
        return Path(tempfile.mkdtemp(prefix=f"{purpose}-", dir=self._folder))

    def trace(self, pipeline: Pipeline) -> TraceFile:
        """Run the clip in this process, whose environment is that of the local trace."""
        return self._trace(pipeline, Input(self.clip, "video"))

    def trace_of_csv(self, pipeline: Pipeline, csv: Path) -> TraceFile:
        """The same from a skeleton CSV on."""
        return self._trace(pipeline, Input(csv, "csv"))

    def _trace(self, pipeline: Pipeline, given: Input) -> TraceFile:
        path = self.new_folder("trace") / "trace.json"
        bundle = describe_bundle(pipeline.bundle.folder)
        environment = {**self.local.trace.environment, "bundle": bundle}
        _, trace = record(pipeline, given, environment=environment, arrays=path.with_suffix(".npz"))
        write_trace(path, trace)
        return load_trace(path)


def _blind(side: TraceFile) -> TraceFile:
    """A trace as it is without --trace-arrays."""
    return TraceFile(side.name, side.trace.model_copy(update={"arrays": None}))


def shorten(clip: Path, short: Path) -> None:
    """Write every third frame of a clip."""
    capture, writer = cv2.VideoCapture(str(clip)), None
    index = 0
    while capture.grab():
        if index % _EVERY == 0:
            _, frame = capture.retrieve()
            size = frame.shape[1], frame.shape[0]
            writer = writer or cv2.VideoWriter(str(short), cv2.VideoWriter_fourcc(*"mp4v"), 10, size)
            writer.write(frame)
        index += 1
    capture.release()
    writer.release()
