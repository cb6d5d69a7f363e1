"""What runs whenever Python starts, and came with no package."""

from __future__ import annotations

import os
import site
import sys
import sysconfig
from pathlib import Path

from .files import sha256_file
from .packages import Distribution, relative_to_prefix


def describe_startup(groups: dict[str, list[Distribution]]) -> dict[str, str]:
    """What runs in every process before the program does, and came with no distribution: {file: sha256}.

    That is how functions of packages are replaced without a changed file.
    """
    recorded = recorded_files(groups)
    return {relative_to_prefix(path): sha256_file(path).hexdigest() for path in startup_files()
            if str(path) not in recorded}


def recorded_files(groups: dict[str, list[Distribution]]) -> set[str]:
    """Every file that came with a distribution: as text, because to make tens of thousands of paths takes seconds."""
    folders = [(str(item.location.resolve()), item) for group in groups.values() for item in group]
    return {folder + os.sep + row.path.replace("/", os.sep) for folder, item in folders for row in item.rows or ()}


def startup_files() -> list[Path]:
    """The files that the module `site` runs: .pth files, and the modules sitecustomize and usercustomize.

    Left out is the standard library's folder: the system's own sitecustomize lies there, which is Debian's.
    """
    sites = [*site.getsitepackages(), *([site.getusersitepackages()] if site.ENABLE_USER_SITE else [])]
    standard = Path(sysconfig.get_path("stdlib")).resolve()
    imported = dict.fromkeys(Path(entry).resolve() for entry in sys.path if entry)
    modules = [folder / f"{name}{ending}" for folder in imported if folder != standard
               for name in ("sitecustomize", "usercustomize") for ending in (".py", "/__init__.py")]
    hooks = {path for entry in sites for path in Path(entry).resolve().glob("*.pth")}
    return sorted(hooks.union(path for path in modules if path.is_file()))
