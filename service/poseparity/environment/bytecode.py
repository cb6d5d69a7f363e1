"""Byte code that Python runs in place of a source, and that is not the one of that source."""

from __future__ import annotations

import importlib.util
import itertools
import marshal
import os
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

from .imports import described

UNCHECKED = 1  # the flags of byte code that Python runs without looking at its source; see PEP 552
CHECKED = 3
ALWAYS_COMPILED = {"cv2", "mmaction", "mmcv", "mmengine", "numpy", "ultralytics"}  # the Python of the stages, 0.4 s
MOST_COMPILED = 1_000_000  # bytes of source of what nobody has loaded, the smallest files first: 0.2 s


def describe_bytecode(root: Path, loaded: Iterable[str]) -> dict[str, str]:
    """{file: what is wrong with it} of byte code that Python runs in place of a source and that is not that source's.

    A header cannot tell, as it may name time and size of a source that it was not made from. So sources are compiled
    again: what is loaded, the project's, the packages above, all that Python would not check, and some of the rest.
    """
    own = [root / "service", root / "scripts"]
    folders = dict.fromkeys([*own, *(Path(entry) for entry in sys.path if entry)])
    cached = dict(pair for folder in folders for pair in cached_sources(folder))
    chosen = {source for source, header in cached.items()
              if flags_of(header) == UNCHECKED or set(own).intersection(source.parents)
              or (ALWAYS_COMPILED.intersection(source.parts) and "tests" not in source.parts)}
    chosen.update(map(Path, loaded))
    rest = smallest(set(cached) - chosen, MOST_COMPILED)
    faults = {source: bytecode_fault(source) for source in (*sorted(chosen), *rest)}
    return {described(Path(importlib.util.cache_from_source(str(source))), root): fault
            for source, fault in faults.items() if fault}


def smallest(files: Iterable[Path], most: int) -> list[Path]:
    """As many files as have no more than `most` bytes together, the smallest first."""
    sizes = sorted((file.stat().st_size, file) for file in files)
    ends = list(itertools.accumulate(size for size, _ in sizes))
    return [sizes[index][1] for index in range(len(sizes)) if ends[index] <= most]


def cached_sources(folder: Path) -> Iterator[tuple[Path, bytes]]:
    """The sources below a folder of which this Python has byte code, and its header."""
    beneath = Path(importlib.util.cache_from_source(str(folder / "x.py"))).parent if sys.pycache_prefix else folder
    for parent, folders, files in os.walk(str(beneath)):
        folders.sort()
        for name in sorted(files):
            if name.endswith(".pyc") and f".{sys.implementation.cache_tag}" in name:
                yield from cached_source(Path(parent, name))


def cached_source(cached: Path) -> Iterator[tuple[Path, bytes]]:
    """The source, where there is one, of a file of byte code that this Python would run, and its header."""
    try:
        source = Path(importlib.util.source_from_cache(str(cached)))
        if source.is_file() and importlib.util.cache_from_source(str(source)) == str(cached):
            with cached.open("rb") as stream:
                yield source, stream.read(16)
    except (OSError, ValueError):  # its name is none that Python gives, or nobody may read it, Python neither
        return


def flags_of(header: bytes) -> int:
    return int.from_bytes(header[4:8], "little")


def bytecode_fault(source: Path) -> str | None:
    """What is wrong with the byte code that Python would run in place of a source file, if it would run any."""
    try:
        text, cached = source.read_bytes(), Path(importlib.util.cache_from_source(str(source))).read_bytes()
    except OSError:
        return None
    if not is_run(cached[:16], text, source):
        return None
    try:
        code = marshal.loads(cached[16:])
    except (EOFError, TypeError, ValueError):
        return "no byte code"
    try:
        return None if code == compile(text, str(source), "exec", dont_inherit=True) else "not what its source gives"
    except (SyntaxError, ValueError):
        return "its source cannot be compiled"


def is_run(header: bytes, text: bytes, source: Path) -> bool:
    """Whether Python would run the byte code with that header, and not the source."""
    if len(header) < 16 or header[:4] != importlib.util.MAGIC_NUMBER:
        return False
    if flags_of(header) in (UNCHECKED, CHECKED):
        return flags_of(header) == UNCHECKED or header[8:] == importlib.util.source_hash(text)
    made_from = (int(source.stat().st_mtime) & 0xFFFFFFFF).to_bytes(4, "little"), len(text).to_bytes(4, "little")
    return header[8:] == b"".join(made_from)
