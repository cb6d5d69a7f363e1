"""Shared libraries that a process has loaded, and that came from nowhere known."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable
from pathlib import Path

from .files import optional_text, readable_digest
from .imports import described, standard_library
from .packages import Distribution
from .startup import recorded_files

# Where a system has its own libraries; their functions that compute are compared by their answers (libm).
SYSTEM_LIBRARIES = ("/lib", "/lib32", "/lib64", "/usr/lib", "/usr/lib32", "/usr/lib64", "/usr/libexec")
PRELOADED = Path("/etc/ld.so.preload")


def loaded_libraries() -> list[str]:
    """The shared libraries of this process; none where the system does not tell."""
    maps = Path("/proc/self/maps")
    text = maps.read_text(encoding="utf-8", errors="surrogateescape") if maps.is_file() else ""
    mapped = re.findall(r"^\S+ ..x. \S+ \S+ \d+ +(/.*)$", text, re.MULTILINE)
    return sorted(set(mapped) - {str(Path(sys.executable).resolve())})


def describe_libraries(loaded: Iterable[str], groups: dict[str, list[Distribution]], root: Path) -> dict[str, str]:
    """Shared libraries that were loaded and came neither with a package, nor with Python, nor with the system."""
    own = [Path(sys.base_prefix).resolve() / "lib", standard_library(), *map(Path, SYSTEM_LIBRARIES)]
    recorded = recorded_files(groups)
    foreign = [path for path in map(Path, loaded)
               if str(path) not in recorded and not set(own).intersection(path.parents)]
    preloaded = [PRELOADED] if (optional_text(PRELOADED) or "").strip() else []
    return {described(path, root): readable_digest(path)[:12] for path in (*preloaded, *foreign) if path.is_file()}
