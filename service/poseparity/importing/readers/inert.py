"""Read a checkpoint without running anything in it.

A pickle is a program: it names classes and functions and has them called. Here no name is ever looked up. Plain data
and torch's tensors are rebuilt by the code below; whatever else a pickle names becomes a `Recorded`, which keeps what
it would have been called with. Names that no checkpoint has a use for are refused.
"""

from __future__ import annotations

import io
import itertools
import pickle
import reprlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from ...bundle.plain_files import shown
from ...errors import ImportRefused
from .archive import Archive
from .names import is_pythons_own, verdict
from .pickle_program import check_program

_STORAGES = {
    "FloatStorage": torch.float32,
    "HalfStorage": torch.float16,
    "DoubleStorage": torch.float64,
    "BFloat16Storage": torch.bfloat16,
    "LongStorage": torch.int64,
    "IntStorage": torch.int32,
    "ShortStorage": torch.int16,
    "CharStorage": torch.int8,
    "ByteStorage": torch.uint8,
    "BoolStorage": torch.bool,
}
_GETATTR = "builtins.getattr"
_MOST_LETTERS = 200  # in one part of a dotted name, where honest ones have some tens; it is repeated in messages
_MOST_MODULES = 20_000  # yolov9e has 2,000
_SCALARS = {type(None), bool, int, float, str, bytes}
# What unpickling a malformed or a malicious stream raises, with nothing but our own stand-ins in it.
MALFORMED = (
    pickle.UnpicklingError,
    TypeError,
    AttributeError,
    ValueError,
    LookupError,
    EOFError,
    RecursionError,
    MemoryError,
    OverflowError,
    RuntimeError,
)


class Recorded:
    """An object that was not made: the name of its class or function, and what it would have been made from.

    Attributes:
        origin: "module.name", as the pickle spells it.
        args, kwargs: what the class or function would have been called with.
        state: what it would have been filled with; None when nothing.
        entries: list items, or pairs of key and value, that would have been added.
    """

    origin = ""

    def __new__(cls, *args: Any, **kwargs: Any) -> Recorded:
        # Here and not in __init__, which a pickle need not call.
        self = super().__new__(cls)
        self.args, self.kwargs, self.state, self.entries = args, kwargs, None, []
        return self

    def __setstate__(self, state: Any) -> None:
        self.state = state

    def __setitem__(self, key: Any, value: Any) -> None:
        self.entries.append((key, value))

    def append(self, value: Any) -> None:
        self.entries.append(value)

    def __repr__(self) -> str:
        return f"<{self.origin}, not made>"


class _Mapping(dict):
    """Stands for OrderedDict: a dict that takes no attributes from a pickle (state dicts carry `_metadata`)."""

    __slots__ = ()

    def __setstate__(self, state: Any) -> None:
        pass


class Function:
    """One of our own functions, in a wrapper that a pickle cannot change."""

    __slots__ = ("_call",)

    def __init__(self, call: Callable) -> None:
        object.__setattr__(self, "_call", call)

    def __call__(self, *args: Any) -> Any:
        return self._call(*args)

    def __setattr__(self, name: str, value: Any) -> None:
        raise pickle.UnpicklingError(f"it sets {name!r} of a function")


@dataclass(frozen=True)
class _StorageType:
    dtype: torch.dtype

    def __setstate__(self, state: Any) -> None:
        raise pickle.UnpicklingError("it sets the state of a storage type")


@dataclass(frozen=True)
class Checkpoint:
    """What a file holds.

    Attributes:
        content: dicts, lists, numbers, strings, tensors and `Recorded`.
        recorded: "module.name" of all that was recorded and not made, sorted.
        unknown: those of them that are of no package that training saves objects of, see names.py.
    """

    path: Path
    content: Any
    recorded: tuple[str, ...]
    unknown: tuple[str, ...] = ()

    def warnings(self) -> tuple[str, ...]:
        """What a person should think about before anything else reads the file, one line each."""
        if not self.unknown:
            return ()
        return (
            f"WARNING: {self.path.name} names {', '.join(self.unknown[:5])}"
            f"{' and others' if len(self.unknown) > 5 else ''}, which no package of the training saves. Nothing was "
            "run here, but whatever unpickles the file runs it: unless it is yours, ask before you load it elsewhere",
        )


def read_checkpoint(path: Path) -> Checkpoint:
    """Read a file that torch.save wrote (torch 1.6 and later).

    Raises:
        ImportRefused: it is no such file, it is damaged, or it names what only an attack needs.
    """
    with Archive(Path(path)) as archive:
        program = archive.pickle()
        try:
            check_program(program)
            reader = _Reader(program, archive)
            content = reader.load()
        except MALFORMED as error:
            raise archive.refused(f"holds a pickle that is no plain checkpoint: {error}") from error
    return Checkpoint(Path(path), content, tuple(sorted(reader.recorded)), tuple(sorted(reader.unknown)))


class InertUnpickler(pickle.Unpickler):
    """An unpickler that looks no name up: it takes ours from a table, and records every other.

    Args:
        program: `check_program` has passed it.
        name: of the file, for messages.
        known: (module, name) to what stands for it here.
    """

    def __init__(self, program: bytes, name: str, known: dict[tuple[str, str], Any]) -> None:
        super().__init__(io.BytesIO(program))
        self._name = name
        self._known = known
        self.recorded: dict[str, type[Recorded]] = {}
        self.unknown: list[str] = []

    def find_class(self, module: str, name: str) -> Any:
        """Ours, or a stand-in; nothing is imported.

        Raises:
            ImportRefused: no honest file has a use for that name.
        """
        # Python 2 called it so, and pickles up to protocol 2 do.
        module = "builtins" if module == "__builtin__" else module
        if not all(part.isidentifier() and len(part) < _MOST_LETTERS for part in f"{module}.{name}".split(".")):
            raise pickle.UnpicklingError(f"it names {shown(f'{module}.{name}')}, which is no name")
        if known := self._known.get((module, name)):
            return known
        origin = f"{module}.{name}"
        judged = verdict(module, name)
        if judged == "hostile":
            raise self._hostile(origin)
        if origin not in self.recorded:
            self.recorded[origin] = type("Recorded", (Recorded,), {"origin": origin})
            if judged == "unknown":
                self.unknown.append(origin)
        return Function(self._attribute) if origin == _GETATTR else self.recorded[origin]

    def _attribute(self, owner: Any, name: Any) -> Recorded:
        """How a method or a member of an enum is pickled: getattr(HistoryBuffer, "mean")."""
        if not (isinstance(owner, type) and issubclass(owner, Recorded)) or not isinstance(name, str):
            raise pickle.UnpicklingError("it takes an attribute of something that is no class")
        if not name.isidentifier() or name.startswith("_") or is_pythons_own(owner.origin):
            raise self._hostile(f"{owner.origin}.{name[:_MOST_LETTERS]!r}")
        return self.recorded[_GETATTR](owner, name)

    def _hostile(self, origin: str) -> ImportRefused:
        return ImportRefused(
            f"{self._name} names {origin}, which would run in whatever unpickles it; nothing was run here",
            fix="do not use this file, and do not load it with anything else: ask where it came from",
        )


class _Reader(InertUnpickler):
    """Of a torch file: its tensors lie beside the pickle."""

    def __init__(self, program: bytes, archive: Archive) -> None:
        super().__init__(program, archive.path.name, _KNOWN)
        self._archive = archive

    def persistent_load(self, pid: Any) -> torch.Tensor:
        """The storages: ("storage", type, key, device, count)."""
        if not (isinstance(pid, tuple) and len(pid) == 5 and pid[0] == "storage"):
            raise pickle.UnpicklingError("it refers to something outside that is no storage")
        # The device is left aside: everything comes into this memory.
        _, kind, key, _, count = pid
        if not isinstance(kind, _StorageType) or not (isinstance(key, str) and key.isdecimal() and key.isascii()):
            raise pickle.UnpicklingError(f"it refers to a storage {key!r} of a type unknown to us")
        if type(count) is not int or count < 0:
            raise pickle.UnpicklingError(f"it says that storage {key!r} holds {count!r} values")
        return self._archive.storage(key, kind.dtype, count)


def _tensor(storage: Any, offset: Any, size: Any, stride: Any, *_: Any) -> torch.Tensor:
    """torch._utils._rebuild_tensor_v2: a view of a storage, never larger than it."""
    numbers = (offset, *size, *stride)
    if not isinstance(storage, torch.Tensor) or any(type(number) is not int or number < 0 for number in numbers):
        raise pickle.UnpicklingError(f"it has a tensor of size {size!r}, stride {stride!r}, offset {offset!r}")
    count = 1
    for length in size:
        count *= length
    # Of torch's layers a convolution in three dimensions has the most, five.
    if count > storage.numel() or len(size) != len(stride) or len(size) > 16:
        raise pickle.UnpicklingError(f"it has a tensor of size {size!r} in a storage of {storage.numel()} values")
    return storage.as_strided(size, stride, offset)


def _parameter(data: Any, *_: Any) -> torch.Tensor:
    if not isinstance(data, torch.Tensor):
        raise pickle.UnpicklingError("it has a parameter that is no tensor")
    return data


def _flat(values: Any, kind: str) -> list:
    """Plain values only: what is nested in them, `check_program` cannot have seen."""
    items = list(values)
    if any(type(item) not in _SCALARS for item in items):
        raise pickle.UnpicklingError(f"it has a {kind} of {reprlib.repr(items)}")
    return items


# Python's own, which every pickle may hold.
PLAIN: dict[tuple[str, str], Any] = {
    ("collections", "OrderedDict"): _Mapping,
    ("builtins", "dict"): _Mapping,
    ("builtins", "set"): Function(lambda values=(): set(_flat(values, "set"))),
    ("builtins", "frozenset"): Function(lambda values=(): frozenset(_flat(values, "set"))),
}
_KNOWN = {
    **PLAIN,
    ("torch", "Size"): Function(lambda values=(): tuple(_flat(values, "size"))),
    ("torch._utils", "_rebuild_tensor"): Function(_tensor),
    ("torch._utils", "_rebuild_tensor_v2"): Function(_tensor),
    ("torch._utils", "_rebuild_parameter"): Function(_parameter),
    ("torch._utils", "_rebuild_parameter_with_state"): Function(_parameter),
    **{("torch", name): _StorageType(dtype) for name, dtype in _STORAGES.items()},
}


def tensors_of_module(module: Any) -> Iterator[tuple[str, torch.Tensor]]:
    """The state dict of a recorded torch.nn.Module: names and tensors in the order of torch.

    Raises:
        ValueError: an object in it is no module, it is nested more than 64 deep, or holds more modules than any model.
    """
    yield from _tensors(module, "", 0, itertools.count())


def _tensors(module: Any, prefix: str, depth: int, visited: Iterator[int]) -> Iterator[tuple[str, torch.Tensor]]:
    state = module.state if isinstance(module, Recorded) else None
    if not isinstance(state, dict) or depth > 64 or next(visited) > _MOST_MODULES:
        raise ValueError(f"{prefix or 'the model'} is {reprlib.repr(module)}, expected a module of torch")
    # Torch leaves them out of a state dict, too.
    volatile = state.get("_non_persistent_buffers_set") or ()
    for table in ("_parameters", "_buffers"):
        for name, value in _entries(state, table, prefix):
            if isinstance(value, torch.Tensor) and not (table == "_buffers" and name in volatile):
                yield prefix + name, value
            elif value is not None and not isinstance(value, torch.Tensor):
                raise ValueError(f"{prefix}{name} is {reprlib.repr(value)}, expected a tensor")
    for name, child in _entries(state, "_modules", prefix):
        if child is not None:
            yield from _tensors(child, f"{prefix}{name}.", depth + 1, visited)


def _entries(state: dict, table: str, prefix: str) -> Iterator[tuple[str, Any]]:
    entries = state.get(table) or {}
    if not isinstance(entries, dict) or not all(isinstance(name, str) for name in entries):
        raise ValueError(f"{prefix}{table} is no dict of names")
    yield from entries.items()
