"""Traces as somebody sends them: JSON of any origin, and the arrays beside it. Nothing in them is trusted."""

from __future__ import annotations

import base64
import binascii
import json
import re
import zipfile
import zlib
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import BinaryIO

import numpy as np
from pydantic import ValidationError

from ..bundle.bundle import first_problem
from ..environment.files import sha256_file
from ..errors import TraceError
from .digests import SHORT, digest
from .model import FORMAT, Trace, TracedValue

MOST_BYTES = 64 * 2**20  # a trace of 9000 frames has about 2 MB
_MOST_ARRAY_BYTES = 2**30  # of one value, unpacked: a compressed one may promise any number
_DTYPE = re.compile(r"[<|][biuf][1248]")  # numbers, little-endian: no objects, no texts, no structures
_RECORD = "record one with `poseparity run INPUT --trace FILE.json`, or ask a server with `-F trace=1`"


@dataclass(frozen=True)
class TraceFile:
    """A trace, where it was read from, and its arrays where they lie beside it.

    Attributes:
        name: what the report calls the file.
        arrays: the .npz, None where the trace has none or it is not there.
        notes: what the reader should know of this file, a line each.
    """

    name: str
    trace: Trace
    arrays: ArrayReader | None = None
    notes: tuple[str, ...] = ()

    def array(self, stage: str, value: TracedValue) -> np.ndarray | None:
        """A result, where the trace or its .npz holds it.

        Raises:
            TraceError: it is not what its digest says.
        """
        if value.kind != "result":
            return None
        if value.data is not None:
            return inline(value, self.name)
        held = self.arrays and self.arrays.read(f"{stage}.{value.name}")
        if held is not None and digest(held).hex() != value.sha256:
            raise _damaged(self.name, f"{stage}.{value.name} is not what its sha256 says")
        return held

    def item(self, stage: str, value: TracedValue, frame: int) -> np.ndarray | None:
        """One frame's item of an observed value, where the .npz holds it; raises as `array` does."""
        held = self.arrays and self.arrays.read(f"{stage}.{value.name}/{frame}")
        if held is not None and digest(held).hex()[:SHORT] != value.frames[frame]:
            raise _damaged(self.name, f"frame {frame} of {stage}.{value.name} is not what its digest says")
        return held

    def result(self, stage: str, name: str) -> np.ndarray | None:
        """The array of a stage's result by its name; None where there is none or it is not held."""
        found = self.trace.stage(stage)
        value = found and found.value(name)
        return self.array(stage, value) if value else None

    def observed(self, stage: str, name: str, frame: int) -> np.ndarray | None:
        """One frame's item by its name; None where there is none or it is not held."""
        found = self.trace.stage(stage)
        value = found and found.value(name)
        return self.item(stage, value, frame) if value and value.frames and frame < len(value.frames) else None


class ArrayReader:
    """A .npz whose content nobody vouches for: no pickles, nothing larger than memory should hold."""

    def __init__(self, path: Path) -> None:
        self._path = path

    @cached_property
    def _file(self) -> zipfile.ZipFile:
        try:
            return zipfile.ZipFile(self._path)
        except (zipfile.BadZipFile, OSError) as error:
            raise _damaged(str(self._path), f"it is no .npz ({error!s:.80})") from error

    def read(self, name: str) -> np.ndarray | None:
        """An array by its name; None where the file holds none of that name.

        Raises:
            TraceError: it is damaged, holds Python objects or is too large.
        """
        try:
            member = self._file.getinfo(f"{name}.npy")
        except KeyError:
            return None
        if member.file_size > _MOST_ARRAY_BYTES:
            raise _damaged(str(self._path), f"{name} has {member.file_size} bytes, more than {_MOST_ARRAY_BYTES}")
        try:
            with self._file.open(member) as stream:
                return _plain_array(stream)
        except (ValueError, EOFError, OSError, NotImplementedError, zipfile.BadZipFile, zlib.error) as error:
            raise _damaged(str(self._path), f"{name} cannot be read ({error!s:.80})") from error


def _plain_array(stream: BinaryIO) -> np.ndarray:
    """The array of a .npy, made of what the file holds and not of what its header promises.

    Raises:
        ValueError: it holds something else than plain numbers, or not as many as its header says.
    """
    # Version 3.0 is for names of fields, which plain numbers have not.
    headers = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
    version = np.lib.format.read_magic(stream)
    if version not in headers:
        raise ValueError(f"version {version} of the .npy format")
    shape, fortran, dtype = headers[version](stream)
    if not _DTYPE.fullmatch(dtype.str):
        raise ValueError(f"it holds {dtype.str}, expected plain numbers")
    return np.frombuffer(stream.read(), dtype=dtype).reshape(shape, order="F" if fortran else "C")


def load_trace(path: Path) -> TraceFile:
    """Read a trace, or the answer of a service that holds one under "trace", and find its arrays.

    Raises:
        TraceError: it is none, damaged, of another format or larger than 64 MiB, or its arrays are not those it names.
    """
    with path.open("rb") as file:
        content = file.read(MOST_BYTES + 1)
    if len(content) > MOST_BYTES:
        raise TraceError(f"{path} has more than {MOST_BYTES} bytes, so it is no trace", fix=_RECORD)
    trace = parse_trace(content, str(path))
    arrays, notes = _arrays(path, trace)
    return TraceFile(str(path), trace, arrays, notes)


def parse_trace(content: bytes, name: str) -> Trace:
    """A trace's JSON, or an answer's; `name` is for the messages. Raises TraceError."""
    try:
        document = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise TraceError(f"{name} is not JSON ({error!s:.80})", fix=f"copy it again, or {_RECORD}") from error
    if isinstance(document, dict) and "format" not in document:  # an answer
        if "prediction" in document and not document.get("trace"):
            raise TraceError(f"{name} is an answer without a trace", fix="send the request with `-F trace=1`")
        document = document.get("trace", document)
    found = document.get("format") if isinstance(document, dict) else None
    if found != FORMAT:
        raise TraceError(f"{name} is no trace: its format is {found!r:.60}, expected {FORMAT!r}", fix=_RECORD)
    try:
        trace = Trace.model_validate(document)
    except ValidationError as error:
        raise _damaged(name, first_problem(error)) from error
    _check_values(trace, name)
    return trace


def inline(value: TracedValue, name: str) -> np.ndarray:
    """The array that a value holds itself. Raises TraceError where its shape or its digest says otherwise."""
    try:
        content = base64.b64decode(value.data, validate=True)
        array = np.frombuffer(content, dtype=value.dtype).reshape(value.shape)
    except (binascii.Error, TypeError, ValueError) as error:
        raise _damaged(name, f"{value.name}: {error!s:.80}") from error
    if digest(array).hex() != value.sha256:
        raise _damaged(name, f"{value.name} is not what its sha256 says")
    return array


def _check_values(trace: Trace, name: str) -> None:
    if not trace.stages:
        raise _damaged(name, "it has no stages")
    for stage in trace.stages:
        for value in stage.values:
            if not _DTYPE.fullmatch(value.dtype):
                raise _damaged(name, f"{stage.name}.{value.name} has the type {value.dtype!r:.40}, expected numbers")
            if value.frames is not None and value.shape[:1] != [len(value.frames)]:
                raise _damaged(name, f"{stage.name}.{value.name} has {len(value.frames)} frames, shape {value.shape}")
            if value.data is not None:
                inline(value, name)


def _arrays(path: Path, trace: Trace) -> tuple[ArrayReader | None, tuple[str, ...]]:
    if trace.arrays is None:
        return None, ()
    name = trace.arrays.file
    # A name alone, or a trace could have any file read.
    if not name.endswith(".npz") or Path(name).name != name or "\\" in name:
        raise _damaged(str(path), f"its arrays are to lie in {name!r:.60}, expected the name of a .npz beside it")
    beside = path.resolve().with_name(name)
    if not beside.is_file():
        return None, (f"{path}: its arrays, {name}, do not lie beside it, so only digests can be compared",)
    found = sha256_file(beside).hexdigest()
    if found != trace.arrays.sha256:
        raise _damaged(str(beside), f"it has sha256 {found[:12]}..., {path.name} names {trace.arrays.sha256[:12]}...")
    return ArrayReader(beside), ()


def _damaged(name: str, what: str) -> TraceError:
    return TraceError(f"{name} is damaged: {what}", fix=f"copy it and its .npz again, or {_RECORD}")
