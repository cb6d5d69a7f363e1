"""Where modules come from: the search path, what is in the place of what, and code that came with no package."""

from __future__ import annotations

import importlib.machinery
import itertools
import os
import platform
import re
import site
import sys
import sysconfig
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from .files import hash_tree, optional_text, readable_digest, script_file, sha256_file
from .packages import LISTED_FILES, Distribution, shortened_list

STANDARD, SITE, PROJECT, PROGRAM = "<standard library>", "<site-packages>", "<poseparity>", "<program>"
CODE_SUFFIXES = tuple(sorted(importlib.machinery.all_suffixes(), key=len, reverse=True))  # ".py", ".pyc", ".so", ...
HASHED_FILES = 2000  # of one folder: sys.path may hold a home


def described(file: Path, root: Path) -> str:
    """A file's place as a snapshot names it: relative to the environment, the standard library or the checkout."""
    prefix, standard = Path(sys.prefix), standard_library()
    named = ((prefix, ""), (prefix.resolve(), ""), (standard, STANDARD + "/"), (root, "<checkout>/"))
    place = next(((folder, name) for folder, name in named if folder in file.parents), None)
    return place[1] + file.relative_to(place[0]).as_posix() if place else str(file)


def standard_library() -> Path:
    """The folder of Python's own modules; in an embedded Python it is an archive."""
    folder = Path(sysconfig.get_path("stdlib"))
    return folder.resolve() if folder.is_dir() else Path(os.__file__).resolve().parent


def kinds_of_folders(root: Path) -> dict[Path, str]:
    """What the folders are that sys.path holds everywhere, whatever their paths."""
    base, standard = Path(sys.base_prefix), standard_library()
    compiled = sysconfig.get_config_var("DESTSHARED") or standard / "lib-dynload"
    kinds = {
        PROGRAM: [root, root / "scripts", Path(sys.executable).parent, *folders_of_program()],
        PROJECT: [root / "service"],
        SITE: [*site.getsitepackages(), site.getusersitepackages(), *map(sysconfig.get_path, ("purelib", "platlib"))],
        STANDARD: [standard, standard / "lib-dynload", compiled, sysconfig.get_path("platstdlib"),
                   *([base, base / "DLLs"] if platform.system() == "Windows" else [])],
    }
    return {Path(folder).resolve(): kind for kind, folders in kinds.items() for folder in folders}


def folders_of_program() -> list[Path]:
    """The folder from which the program was started, which Python puts first on sys.path, and Gunicorn its own."""
    folders = [Path(sysconfig.get_path("scripts"))]
    if sys.argv and sys.argv[0] not in ("", "-c", "-m"):
        folders.append(Path(sys.argv[0]).resolve().parent)
    if sys.path and sys.path[0] in ("", str(Path.cwd())):
        folders.append(Path.cwd())
    return folders


class Entry(NamedTuple):
    """A folder or an archive of sys.path, and its kind: None where it is none that every environment has."""

    path: Path
    kind: str | None


def search_path(root: Path) -> list[Entry]:
    """What is on sys.path and exists, once each; but for this script's folder, which is there for this script alone."""
    kinds, script = kinds_of_folders(root), script_file()
    alone = bool(sys.argv) and Path(sys.argv[0]).resolve() == script and Path(sys.path[0]).resolve() == script.parent
    paths = dict.fromkeys(Path(entry or ".").resolve() for entry in sys.path[1 if alone else 0:])
    return [Entry(path, kinds.get(path)) for path in paths if path.exists()]


def describe_imports(root: Path, groups: dict[str, list[Distribution]]) -> dict:
    """Where modules come from: the search path, what on it is in another's place, and the code of foreign folders.

    A program's own folder comes first on sys.path and is another one for each program, so it is not named; what it
    holds in another's place is.
    """
    entries = search_path(root)
    named = [entry.kind or described(entry.path, root) for entry in entries if entry.kind not in (PROGRAM, PROJECT)]
    foreign = [entry.path for entry in entries if entry.kind is None]
    return {"path": list(dict.fromkeys(named)), "folders": {described(path, root): code_in(path) for path in foreign},
            "shadowed": describe_shadowed(entries, root, groups), "standard_library": describe_standard_library(root)}


def describe_shadowed(entries: list[Entry], root: Path, groups: dict[str, list[Distribution]]) -> dict[str, str]:
    """{module: the file that is imported in its place, and its digest}, of Python's own modules, packages, poseparity.

    Looked at is what comes before them, and where the programs of this environment and Gunicorn start. A package that
    is installed before another version of it is no such file: it is compared as a package.
    """
    started = [Path(sys.executable).parent.resolve(), *([root] if (root / "service" / "poseparity").is_dir() else [])]
    search = [*(Entry(path, PROGRAM) for path in started), *entries]
    owned, installed, found = owned_modules(entries), installed_modules(groups), {}
    for index, (folder, kind) in enumerate(search):
        # A package that brings what a later Python has itself lies behind Python's own, and is in nobody's place.
        earlier = {entry.kind for entry in search[:index + 1]}
        behind = {owner: names for owner, names in owned.items() if owner not in earlier}
        if SITE in behind:
            behind[SITE] = behind[SITE] - installed.get(folder, set())
        later = set().union(*behind.values()) - set(found)
        if kind != STANDARD:
            found.update({name: file for name, file in modules_in(folder).items() if name in later})
    return {name: f"{described(file, root)} {short_digest(file)}" for name, file in sorted(found.items())}


def installed_modules(groups: dict[str, list[Distribution]]) -> dict[Path, set[str]]:
    """The names of the modules that distributions installed, folder by folder."""
    names: dict[Path, set[str]] = {}
    for item in (item for group in groups.values() for item in group):
        first = [row.path.split("/") for row in item.rows or ()]
        modules = {parts[0] if len(parts) > 1 else module_name(parts[0]) for parts in first}
        names.setdefault(item.location.resolve(), set()).update(modules)
    return names


def owned_modules(entries: list[Entry]) -> dict[str, set[str]]:
    """The names of the modules that Python itself, packages and the project have, as far as they are on sys.path."""
    owned: dict[str, set[str]] = {}
    for folder, kind in entries:
        if kind in (STANDARD, SITE, PROJECT):
            owned.setdefault(kind, set()).update(modules_in(folder))
    owned.setdefault(STANDARD, set()).update(sys.builtin_module_names)
    return owned


def short_digest(path: Path) -> str:
    """12 digits of the digest of a module: a file, a package's folder, or the archive that it is in."""
    existing = next(each for each in (path, *path.parents) if each.exists())
    return code_in(existing).split()[-1] if existing.is_dir() else readable_digest(existing)[:12]


def modules_in(folder: Path) -> dict[str, Path]:
    """The modules that a folder or an archive offers to `import`, and where each is; folders without code are none."""
    if folder.is_file():
        names = {name.replace("/__init__.", ".", 1): folder / name for name in zip_names(folder)}
        return {module_name(name): file for name, file in names.items() if "/" not in name and module_name(name)}
    try:
        items = sorted(folder.iterdir())
    except OSError:  # one that may not be read offers nothing to this process either
        return {}
    found = {module_name(item.name): item for item in items if module_name(item.name) and item.is_file()}
    packages = {item.name: item for item in items if item.is_dir() and item.name.isidentifier()
                and any((item / f"__init__{suffix}").is_file() for suffix in CODE_SUFFIXES)}
    return {**found, **packages}  # of a package and a module of one name the package is imported


def zip_names(path: Path) -> list[str]:
    try:
        with zipfile.ZipFile(path) as archive:
            return archive.namelist()
    except (OSError, zipfile.BadZipFile):
        return []


def module_name(file: str) -> str:
    """The module that a file's name stands for; "" where it is none, or one of another Python."""
    suffix = next((each for each in CODE_SUFFIXES if file.endswith(each)), None)
    name = file[:-len(suffix)] if suffix else ""
    return name if name.isidentifier() else ""


def code_files(folder: Path, skipped: tuple = ("__pycache__",)) -> Iterator[Path]:
    """The files below a folder that Python could import, in order; none of folders with a name in `skipped`."""
    for parent, folders, files in os.walk(str(folder)):
        folders[:] = sorted(name for name in folders if name not in skipped)
        found = (Path(parent, name) for name in sorted(files) if name.endswith(CODE_SUFFIXES))
        yield from (file for file in found if os.access(str(file), os.R_OK))


def code_in(path: Path) -> str:
    """How many files of code a folder of sys.path holds, or that it is an archive, and 12 digits of their digest."""
    if path.is_file():
        return f"archive {readable_digest(path)[:12]}"
    files = list(itertools.islice(code_files(path), HASHED_FILES + 1))
    count = f"{len(files)} files" if len(files) <= HASHED_FILES else f"over {HASHED_FILES} files"
    return f"{count} {hash_tree(path, files[:HASHED_FILES])['digest'][:12]}"


DPKG = Path("/var/lib/dpkg")
NO_STANDARD_MODULES = ("__pycache__", "site-packages", "dist-packages")


def describe_standard_library(root: Path) -> dict[str, str]:
    """{file: what is wrong with it} of Python's own modules; {} where no dpkg installed them.

    A package's files are in its RECORD; of these only the system knows.
    """
    folder, sums = standard_library(), dpkg_sums()
    if not any(folder in path.parents for path in sums):
        return {}
    faults = {file: standard_fault(file, sums) for file in code_files(folder, NO_STANDARD_MODULES)}
    return {described(file, root): fault for file, fault in faults.items() if fault}


def dpkg_sums() -> dict[Path, str]:
    """The MD5 sums of the files of Debian's packages of Python, configuration included."""
    lists = (optional_text(path) or "" for path in sorted(DPKG.glob("info/*python3*.md5sums")))
    installed = (row for text in lists for row in re.findall(r"^(\w{32})  (.+)$", text, re.MULTILINE))
    configuration = re.findall(r"^ (/etc/python3\S+) (\w{32})$", optional_text(DPKG / "status") or "", re.MULTILINE)
    return {**{Path("/", path): value for value, path in installed},
            **{Path(path): value for path, value in configuration}}


def standard_fault(file: Path, sums: dict[Path, str]) -> str | None:
    """What is wrong with a file of the standard library; None: nothing, or nobody may read it or hash so here."""
    wanted = sums.get(file, sums.get(file.resolve()))
    if wanted is None:
        return "not of Debian's packages"
    try:
        return None if sha256_file(file, "md5").hexdigest() == wanted else "not Debian's"
    except (OSError, ValueError):
        return None


def describe_unrecorded(groups: dict[str, list[Distribution]]) -> dict[str, list[str]]:
    """Files of code in packages' folders that came with no distribution: {folder: files}.

    Python prefers a compiled module and a package's folder to the module of that name that RECORD lists, and takes byte
    code where there is no source. Folders of sites where some distribution has no RECORD cannot be judged.
    """
    found: dict[str, list[str]] = {}
    everything = [item for group in groups.values() for item in group]
    for location in dict.fromkeys(item.location for item in everything):
        here = [item for item in everything if item.location == location]
        if any(item.rows is None for item in here):
            continue
        recorded = {os.path.normpath(row.path) for item in here for row in item.rows}
        for top in sorted({row.path.split("/")[0] for item in here for row in item.rows if "/" in row.path} - {".."}):
            files = [file.relative_to(location) for file in code_files(location / top)]
            extra = [file.as_posix() for file in files if str(file) not in recorded]
            found.update({top: shortened_list(extra, LISTED_FILES)} if extra else {})
    return found
