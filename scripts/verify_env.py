#!/usr/bin/env python3
# Written by scripts/one_file from the modules of service/poseparity/environment/: change those, and run it again.
"""Takes a snapshot of a Python environment and compares two of them: is the server what the local machine is?

    python verify_env.py snapshot [-o FILE]
    python verify_env.py compare REFERENCE [CURRENT] [--json] [--policy FILE]

REFERENCE is the local side, CURRENT the server's (absent: a snapshot taken now). lockfiles/parity.toml says which facts
must be equal, which may differ, and what a difference does to results. Exit status: 0 match, 1 mismatch, 2 error.

One file, standard library only, Python >= 3.8, Linux, macOS and Windows, so that it runs inside any environment that is
to be judged.
"""
# ruff: noqa: E402
from __future__ import annotations

import os
import sys

SEARCHED = list(sys.path)
if __name__ == "__main__":  # what takes the place of the modules below is to be described, and not to be run
    sys.path.sort(key=lambda entry: not entry.startswith(os.__file__.rpartition(os.sep)[0]))

import argparse
import base64
import contextlib
import csv
import ctypes
import functools
import hashlib
import importlib
import importlib.machinery
import importlib.util
import io
import itertools
import json
import marshal
import operator
import platform
import re
import shutil
import site
import struct
import subprocess
import sysconfig
import tempfile
import textwrap
import time
import warnings
import zipfile
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, NamedTuple

try:
    import tomllib
except ImportError:  # Python < 3.11: read_simple_toml() below reads the part of TOML that parity.toml uses
    tomllib = None
sys.path[:] = SEARCHED


# --- files.py --------------------------------------------------------------------------------------------------------
# Errors, files and their digests.

FORMAT = 1  # of snapshots, of policies and of the report as JSON


class VerifyError(Exception):
    """What was found, what was expected and the fix, in one line. The command line answers it with exit status 2."""


def read_text(path: Path, what: str) -> str:
    """The UTF-8 text of a file; raises VerifyError naming `what` it was to be."""
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise VerifyError(f"{what} {path} cannot be read ({error.strerror}): name a readable file") from error
    except UnicodeDecodeError as error:
        raise VerifyError(f"{what} {path} is not UTF-8 text (byte {error.start}): make it again") from error


def sha256_file(path: Path, algorithm: str = "sha256") -> hashlib._Hash:
    """The hash object over a file's bytes. hashlib releases the GIL for such pieces, so threads run in parallel."""
    digest = hashlib.new(algorithm)
    with path.open("rb", buffering=0) as stream:
        piece = stream.read(1 << 20)
        while piece:
            digest.update(piece)
            piece = stream.read(1 << 20)
    return digest


def digest_of(lines: Iterable[str]) -> str:
    """sha256 over lines, in their order."""
    return hashlib.sha256("\n".join(lines).encode("utf-8", "surrogateescape")).hexdigest()


def hash_tree(root: Path, paths: Iterable[Path]) -> dict:
    """{"digest", "files": {path relative to root, with "/": sha256}} of the files named."""
    files = {path.relative_to(root).as_posix(): path for path in paths}
    with ThreadPoolExecutor(worker_count()) as pool:
        digests = list(pool.map(lambda name: readable_digest(files[name]), sorted(files)))
    hashes = {name: digests[index] for index, name in enumerate(sorted(files))}
    return {"digest": digest_of(f"{name} {hashes[name]}" for name in sorted(hashes)), "files": hashes}


def readable_digest(path: Path) -> str:
    """A file's sha256; raises VerifyError where it cannot be read."""
    try:
        return sha256_file(path).hexdigest()
    except OSError as error:
        raise VerifyError(f"{path} cannot be read ({error.strerror}): run as a user who may") from error


def worker_count() -> int:
    """Threads for hashing: the processors that this process may use, at most 8."""
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(8, usable)


def optional_text(path: Path) -> str | None:
    """A file's text, None where there is no such file; raises VerifyError where it cannot be read."""
    try:
        return path.read_text(encoding="utf-8", errors="surrogateescape") if path.is_file() else None
    except OSError as error:
        raise VerifyError(f"{path} cannot be read ({error.strerror}): run as a user who may") from error


def script_file() -> Path:
    """scripts/verify_env.py: this very file where all is in one, and the one of the checkout for the package.

    Child processes run it, also those of a program that loaded the package: it runs wherever this interpreter does,
    whether or not the child would find poseparity.
    """
    own = Path(__file__).resolve()
    # Only the package has a module called `files`; the script may lie anywhere, and be run or imported.
    return own.parents[3] / "scripts" / "verify_env.py" if __name__.endswith(".files") else own


# --- machine.py ------------------------------------------------------------------------------------------------------
# What the system says of the interpreter, the operating system, the C library and the processor.

X86_FEATURES = ("sse4_2", "avx", "avx2", "fma", "f16c", "bmi2", "avx_vnni", "avx512f", "avx512dq", "avx512bw",
                "avx512vl", "avx512cd", "avx512_vnni", "avx512_bf16", "amx_tile")
# Numbers of IsProcessorFeaturePresent in winnt.h; Windows names no others of X86_FEATURES.
WINDOWS_FEATURES = {"sse4_2": 38, "avx": 39, "avx2": 40, "avx512f": 41}
# What NumPy calls a feature that the operating system did not tell.
NUMPY_FEATURES = {"sse4_2": "SSE42", "avx": "AVX", "avx2": "AVX2", "fma": "FMA3", "f16c": "F16C"}
# Bits of CPUID by glibc's numbering (sys/platform/x86.h): leaf, register, bit.
CPUID_BITS = {"avx2": (1, 1, 5), "fma": (0, 2, 12)}
ARCHITECTURES = {"amd64": "x86_64", "x64": "x86_64", "arm64": "aarch64"}


def describe_interpreter() -> dict:
    return {"version": platform.python_version(), "implementation": platform.python_implementation(),
            "cache_tag": sys.implementation.cache_tag, "executable": sys.executable, "prefix": sys.prefix,
            "optimize": sys.flags.optimize}


def parse_os_release(text: str) -> dict[str, str]:
    """/etc/os-release as a dictionary; values lose their shell quotes, lines without "=" are skipped."""
    pairs = (line.split("=", 1) for line in text.splitlines() if "=" in line and not line.lstrip().startswith("#"))
    return {key.strip(): value.strip().strip("\"'") for key, value in pairs}


def describe_distribution(system: str) -> dict:
    """The distribution's id and version; "unknown" where the system does not say."""
    if system == "Darwin":
        return {"distribution": "macos", "distribution_version": platform.mac_ver()[0]}
    if system == "Windows":
        return {"distribution": "windows", "distribution_version": platform.version()}
    for path in (Path("/etc/os-release"), Path("/usr/lib/os-release")):
        if path.is_file():
            values = parse_os_release(read_text(path, "the distribution's description"))
            version = values.get("VERSION_ID", "unknown")
            return {"distribution": values.get("ID", "unknown"), "distribution_version": version}
    return {"distribution": "unknown", "distribution_version": "unknown"}


def describe_os() -> dict:
    system = platform.system()
    return {"system": system, "release": platform.release(), **describe_distribution(system)}


def describe_libc() -> dict:
    """The C library's name and version; "unknown" where Python does not tell, as musl's version before Python 3.13."""
    if platform.system() in ("Darwin", "Windows"):
        name = {"Darwin": "libSystem", "Windows": "ucrt"}[platform.system()]
        return {"name": name, "version": platform.version()}
    name, version = platform.libc_ver()
    otherwise = "musl" if any(Path("/lib").glob("ld-musl-*")) else "unknown"
    return {"name": name or otherwise, "version": version or "unknown"}


def architecture() -> str:
    name = platform.machine().lower()
    return ARCHITECTURES.get(name, name or "unknown")


def describe_machine() -> dict:
    return {"architecture": architecture(), "byteorder": sys.byteorder, "pointer_bits": 8 * struct.calcsize("P"),
            "processors": os.cpu_count() or 0}


def parse_proc_cpuinfo(text: str) -> dict:
    """CPU facts of Linux's /proc/cpuinfo, first processor."""
    first = text.strip().split("\n\n")[0]
    pairs = (line.split(":", 1) for line in first.splitlines() if ":" in line)
    values = {key.strip(): value.strip() for key, value in pairs}
    flags = set(values.get("flags", "").split())
    features = {name: name in flags for name in X86_FEATURES} if flags else {}
    vendor = values.get("vendor_id", values.get("CPU implementer", "unknown"))
    return {"vendor": vendor, "model": values.get("model name", "unknown"), "features": features}


def parse_sysctl(text: str) -> dict:
    """CPU facts of macOS's `sysctl machdep.cpu hw.optional` ("name: value" a line)."""
    pairs = (line.split(":", 1) for line in text.splitlines() if ":" in line)
    values = {key.strip(): value.strip() for key, value in pairs}
    words = " ".join(values.get(f"machdep.cpu.{key}", "") for key in ("features", "leaf7_features")).lower().split()
    flags = {word.replace("avx1.0", "avx").replace("sse4.2", "sse4_2") for word in words}
    features = {name: name in flags or values.get(f"hw.optional.{name}") == "1" for name in X86_FEATURES}
    vendor = values.get("machdep.cpu.vendor", "Apple" if not flags else "unknown")
    return {"vendor": vendor, "model": values.get("machdep.cpu.brand_string", "unknown"),
            "features": features if flags else {}}


def windows_cpu(is_present: Callable[[int], int], model: str) -> dict:
    """CPU facts from Windows' IsProcessorFeaturePresent; features that it does not know are "unknown"."""
    features = {name: bool(is_present(WINDOWS_FEATURES[name])) if name in WINDOWS_FEATURES else "unknown"
                for name in X86_FEATURES}
    return {"vendor": "unknown", "model": model, "features": features}


def cpuid_features() -> dict[str, bool]:
    """Features of CPUID_BITS that this process may use, as glibc (2.33 or later) found them; {} where it does not tell.

    /proc/cpuinfo describes the host's processor, also to a program that runs on an emulated one.
    """
    leaf_of = getattr(ctypes.CDLL(None), "__x86_get_cpuid_feature_leaf", None)
    if leaf_of is None:
        return {}
    leaf_of.restype, leaf_of.argtypes = ctypes.POINTER(ctypes.c_uint * 8), [ctypes.c_uint]
    usable = {name: leaf_of(leaf).contents[4 + register] >> bit for name, (leaf, register, bit) in CPUID_BITS.items()}
    return {name: bool(bits & 1) for name, bits in usable.items()}


def describe_cpu() -> dict:
    """Vendor, model and features; a system that tells none of them gives "unknown" and no features."""
    unknown = {"vendor": "unknown", "model": platform.processor() or "unknown", "features": {}}
    system = platform.system()
    if system == "Linux":
        cpu = parse_proc_cpuinfo(read_text(Path("/proc/cpuinfo"), "the processor's description"))
        return {**cpu, "features": {**cpu["features"], **cpuid_features()}}
    if system == "Darwin":
        answer = subprocess.run(["sysctl", "machdep.cpu", "hw.optional"], capture_output=True, text=True, check=False)
        return parse_sysctl(answer.stdout)
    if system == "Windows" and architecture() == "x86_64":
        return windows_cpu(ctypes.windll.kernel32.IsProcessorFeaturePresent, platform.processor())
    return unknown


def fill_unknown_features(features: dict, seen_by_numpy: Iterable[str]) -> dict:
    """Features that the system left "unknown" as NumPy found them by CPUID, where NumPy knows their name."""
    seen = set(seen_by_numpy)
    return {name: NUMPY_FEATURES[name] in seen if value == "unknown" and seen and name in NUMPY_FEATURES else value
            for name, value in features.items()}


# --- libm.py ---------------------------------------------------------------------------------------------------------
# What the C library's mathematical functions answer here.

LIBM_FUNCTIONS = ("exp", "exp2", "expm1", "log", "log1p", "log2", "log10", "pow", "sin", "cos", "tan", "atan", "atan2",
                  "tanh", "erf", "sqrt", "cbrt")
LIBM_POSITIVE = {"log", "log1p", "log2", "log10", "pow", "sqrt"}
LIBM_POINTS = 3000


def libm_arguments(name: str) -> list[float]:
    """Points in (-20, 20), or (0, 20) where a function needs that, spread by the golden ratio; equal everywhere."""
    points = [40 * ((index * 0.6180339887498949) % 1.0) - 20 for index in range(1, LIBM_POINTS + 1)]
    return [abs(point) for point in points] if name in LIBM_POSITIVE else points


def describe_libm() -> dict[str, str]:
    """Digests of what libm's functions answer (name: double, name + "f": float).

    NumPy and PyTorch call libm for what they do not vectorise. Its results depend on its version and on whether it
    chose FMA code for this CPU, so neither the version nor the CPU's name alone says whether they are equal.
    """
    library = load_libm()
    kinds = (("", ctypes.c_double, "d"), ("f", ctypes.c_float, "f"))
    return {name + suffix: libm_digest(getattr(library, name + suffix), name, kind, code)
            for suffix, kind, code in kinds for name in LIBM_FUNCTIONS if hasattr(library, name + suffix)}


def load_libm() -> Any:
    """libm: by its name on Windows and with glibc; elsewhere it is part of what Python itself has loaded."""
    try:
        return ctypes.CDLL("ucrtbase" if platform.system() == "Windows" else "libm.so.6")
    except OSError:
        return ctypes.CDLL(None)


def libm_digest(function: Any, name: str, kind: Any, code: str) -> str:
    """16 hexadecimal digits over the bits of the function's results; of two arguments the second is 2.4."""
    binary = name in ("pow", "atan2")
    function.restype, function.argtypes = kind, [kind, kind] if binary else [kind]
    results = [function(x, 2.4) if binary else function(x) for x in libm_arguments(name)]
    return hashlib.sha256(struct.pack(f"<{len(results)}{code}", *results)).hexdigest()[:16]


# --- packages.py -----------------------------------------------------------------------------------------------------
# Installed packages: which build each is, and whether its files are as they were installed.

LISTED_FILES = 10
LISTED_MISSING = 500
HANDED_OUT = 256  # files a job: a job each costs more than the hashing of most of them
# Files that the installer writes for itself: they differ between pip and uv and say nothing about the package.
INSTALLER_FILES = {"RECORD", "INSTALLER", "REQUESTED", "direct_url.json", "uv_cache.json", "uv_build.json"}


class RecordRow(NamedTuple):
    """One line of RECORD: path relative to the folder of the distribution, hash name and value ("" where none)."""

    path: str
    algorithm: str
    value: str


class Distribution(NamedTuple):
    """An installed distribution; `rows` is None where it has no RECORD (system packages, old installers)."""

    name: str
    version: str
    location: Path
    editable: bool
    rows: list | None


def normalise_name(name: str) -> str:
    """A distribution's name as PyPA's specification compares it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def parse_metadata(text: str) -> dict[str, str]:
    """The header fields of METADATA or PKG-INFO, first occurrence each."""
    fields: dict[str, str] = {}
    for line in text.splitlines():
        if not line.strip():
            break
        key, colon, value = line.partition(":")
        if colon and not key.startswith((" ", "\t")):
            fields.setdefault(key, value.strip())
    return fields


def parse_record(text: str) -> list[RecordRow]:
    """RECORD's rows; a row without a hash has "" twice."""
    rows = []
    for row in csv.reader(io.StringIO(text, newline="")):
        if row:
            algorithm, _, value = (row[1] if len(row) > 1 else "").partition("=")
            rows.append(RecordRow(row[0].replace("\\", "/"), algorithm, value))
    return rows


def is_editable(path: Path) -> bool:
    """Whether direct_url.json says that this is an editable install; raises VerifyError where it is broken."""
    try:
        return bool(json.loads(optional_text(path) or "{}").get("dir_info", {}).get("editable"))
    except (ValueError, AttributeError) as error:
        raise VerifyError(f"{path} is not the JSON object expected ({error}): install that package again") from error


def read_distribution(info: Path) -> Distribution:
    """The distribution that a *.dist-info folder, or an *.egg-info folder or file, describes."""
    text = next((found for found in map(optional_text, (info / "METADATA", info / "PKG-INFO", info)) if found), "")
    fields = parse_metadata(text)
    stem_name, _, stem_version = info.name.rsplit(".", 1)[0].partition("-")
    record = optional_text(info / "RECORD")
    return Distribution(normalise_name(fields.get("Name", stem_name)), fields.get("Version", stem_version or "unknown"),
                        info.parent, is_editable(info / "direct_url.json"),
                        None if record is None else parse_record(record))


def find_distributions(search_path: Iterable[str] | None = None) -> list[Distribution]:
    """Every distribution on the search path, in its order; leftovers of interrupted installs ("~name") are skipped."""
    folders = dict.fromkeys(Path(entry) for entry in (sys.path if search_path is None else search_path) if entry)
    found = []
    for folder in folders:
        if folder.is_dir():
            infos = (item for item in folder.iterdir() if item.name.endswith((".dist-info", ".egg-info")))
            found += [read_distribution(item) for item in sorted(infos) if not item.name.startswith("~")]
    return found


def group_by_name(distributions: Iterable[Distribution]) -> dict[str, list[Distribution]]:
    """The first distribution of each name, which is the one that is imported, and others of that name in its folder."""
    groups: dict[str, list[Distribution]] = {}
    for item in distributions:
        group = groups.setdefault(item.name, [])
        if not group or group[0].location == item.location:
            group.append(item)
    return groups


def hashed_rows(rows: Iterable[RecordRow]) -> list[RecordRow]:
    """The rows that can be checked: with a hash, and no byte code."""
    return [row for row in rows if row.value and not row.path.endswith(".pyc")]


def record_digest(item: Distribution) -> str | None:
    """sha256 over paths and hashes of the files that came with the wheel: which build this is. None where unknown.

    Left out are scripts (their first line names the environment's folder) and what installers write for themselves.
    An editable install records its own folder's path, so it has no digest; the project's code has one of its own.
    """
    if item.rows is None or item.editable:
        return None
    rows = [row for row in hashed_rows(item.rows) if not row.path.startswith("../") and not is_installers(row.path)]
    return digest_of(sorted(f"{row.path} {row.algorithm}={row.value}" for row in rows))


def is_installers(path: str) -> bool:
    """Whether the installer, not the wheel, is the origin of a file."""
    folder, _, name = path.rpartition("/")
    return folder.endswith(".dist-info") and name in INSTALLER_FILES


def check_file(location: Path, row: RecordRow) -> str:
    """One file's state: "ok", "modified" or "missing"; raises VerifyError where the file cannot be read."""
    path = location / row.path
    try:
        digest = sha256_file(path, row.algorithm).digest()
    except (FileNotFoundError, NotADirectoryError):
        return "missing"
    except OSError as error:
        raise VerifyError(f"installed file {path} cannot be read ({error.strerror}): run as a user who may") from error
    except ValueError as error:
        raise VerifyError(f"RECORD names the hash {row.algorithm!r} for {path}, which this Python lacks") from error
    return "ok" if base64.urlsafe_b64encode(digest).rstrip(b"=").decode() == row.value else "modified"


def collapse_missing(rows: Iterable[RecordRow], missing: set[str]) -> list[str]:
    """Missing files, with a folder ("name/") instead of its files where all that RECORD lists in it are missing."""
    present_folders = {parent for row in rows if row.path not in missing for parent in parents(row.path)}
    gone = set()
    for path in missing:
        folders = [parent for parent in parents(path) if parent not in present_folders and not parent.startswith("..")]
        gone.add(folders[0] + "/" if folders else path)
    return sorted(gone)


def parents(path: str) -> list[str]:
    """The folders that hold a path, outermost first: "a/b/c" gives "a", "a/b"."""
    pieces = path.split("/")[:-1]
    return ["/".join(pieces[:count]) for count in range(1, len(pieces) + 1)]


def describe_integrity(item: Distribution, states: dict[str, str] | None) -> dict:
    """Whether the files match RECORD; `states` maps paths to check_file()'s answers, None where not checked."""
    if item.rows is None or states is None:
        return {"status": "no-record" if item.rows is None else "skipped"}
    modified = sorted(path for path, state in states.items() if state == "modified")
    missing = collapse_missing(hashed_rows(item.rows), {path for path, state in states.items() if state == "missing"})
    return {"status": "checked", "files": sum(not is_installers(path) for path in states),
            "modified": shortened_list(modified, LISTED_FILES), "modified_count": len(modified),
            "missing": shortened_list(missing, LISTED_MISSING)}


def shortened_list(items: list[str], count: int) -> list[str]:
    return items if len(items) <= count else [*items[:count], f"... and {len(items) - count} more"]


def check_distributions(items: list[Distribution]) -> dict[str, dict[str, str]]:
    """{distribution: {path: check_file()'s answer}}, all files hashed by a pool of threads."""
    files = [(item, row) for item in items if item.rows is not None for row in hashed_rows(item.rows)]
    jobs = [files[start:start + HANDED_OUT] for start in range(0, len(files), HANDED_OUT)]
    with ThreadPoolExecutor(worker_count()) as pool:
        answered = list(pool.map(lambda job: [check_file(item.location, row) for item, row in job], jobs))
    states = [state for job in answered for state in job]
    answer: dict[str, dict[str, str]] = {item.name: {} for item in items if item.rows is not None}
    for index, (item, row) in enumerate(files):
        answer[item.name][row.path] = states[index]
    return answer


def describe_packages(groups: dict[str, list[Distribution]], integrity: bool) -> dict[str, dict]:
    """Every package by name: version, where it is, which build it is, and whether its files are as installed."""
    firsts = [group[0] for group in groups.values()]
    states = check_distributions(firsts) if integrity else {}
    return {item.name: {"version": item.version, "public_version": item.version.partition("+")[0],
                        "editable": item.editable, "location": relative_to_prefix(item.location),
                        "record_digest": record_digest(item),
                        "duplicates": [other.version for other in groups[item.name][1:]],
                        "integrity": describe_integrity(item, states.get(item.name))} for item in firsts}


def relative_to_prefix(path: Path) -> str:
    """A path within the environment's folder relative to it, another one as it is."""
    prefix = Path(sys.prefix)
    return path.relative_to(prefix).as_posix() if prefix in path.parents else str(path)


def cv2_providers(groups: dict[str, list[Distribution]]) -> dict:
    """The distributions that installed files under cv2/: two overwrite each other's files, whatever pip says."""
    names = sorted(name for name, group in groups.items()
                   if any(row.path.startswith("cv2/") for item in group for row in item.rows or ()))
    return {"count": len(names), "names": names}


# --- startup.py ------------------------------------------------------------------------------------------------------
# What runs whenever Python starts, and came with no package.

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


# --- imports.py ------------------------------------------------------------------------------------------------------
# Where modules come from: the search path, what is in the place of what, and code that came with no package.

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


# --- bytecode.py -----------------------------------------------------------------------------------------------------
# Byte code that Python runs in place of a source, and that is not the one of that source.

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


# --- probes.py -------------------------------------------------------------------------------------------------------
# What the libraries say of each pin once they are loaded: whether it took effect.

class Effect(NamedTuple):
    """What a pin did: `seen` is what the library says (None: it cannot be observed), `ok` whether that is as wanted."""

    seen: str | None
    ok: bool
    how: str


def unobservable(how: str) -> Effect:
    return Effect(None, True, how)


def library(name: str, without: Iterable[str] = ()) -> Any:
    """The imported module, or None where it is not installed, cannot be imported, or is in `without`."""
    if name in without:
        return None
    if name not in sys.modules and importlib.util.find_spec(name) is None:
        return None
    try:
        return importlib.import_module(name)
    except (ImportError, OSError):
        return None


def enabled_numpy_features(numpy: Any) -> dict[str, bool]:
    """NumPy's table of CPU features: those that it may use are True. The module moved in NumPy 2."""
    core = importlib.import_module(("numpy._core" if hasattr(numpy, "_core") else "numpy.core") + "._multiarray_umath")
    return core.__cpu_features__


def probe_aten(wanted: str, without: Iterable[str]) -> Effect:
    torch = library("torch", without)
    if torch is None:
        return unobservable("torch cannot be imported")
    seen = torch.backends.cpu.get_cpu_capability()
    if architecture() != "x86_64":
        return Effect(seen, True, f"torch has no x86 code on {architecture()}")
    return Effect(seen, seen == wanted.upper(), "torch.backends.cpu.get_cpu_capability()")


@functools.lru_cache(maxsize=1)
def onednn_convolution() -> str | None:
    """The name of the code that oneDNN chose for a small convolution ("jit:avx2"), from its verbose output.

    oneDNN tells it nowhere else. Its lines go to file descriptor 1, which is a temporary file meanwhile: some ms.
    None where PyTorch came without oneDNN or without its verbose mode.
    """
    torch = importlib.import_module("torch")
    if not torch.backends.mkldnn.is_available():
        return None
    with tempfile.TemporaryFile() as capture:
        with redirected_stdout(capture.fileno()), torch.backends.mkldnn.verbose(torch.backends.mkldnn.VERBOSE_ON):
            torch.nn.functional.conv2d(torch.zeros(2, 8, 16, 16), torch.zeros(8, 8, 5, 5))
        capture.seek(0)
        found = re.search(r",exec,cpu,convolution,([^,]+),", capture.read().decode("ascii", "replace"))
    return found.group(1) if found else None


@contextlib.contextmanager
def redirected_stdout(target: int) -> Iterator[None]:
    """File descriptor 1 is `target` inside the block; what Python had buffered is written before."""
    sys.stdout.flush()
    saved = os.dup(1)
    os.dup2(target, 1)
    try:
        yield
    finally:
        os.dup2(saved, 1)
        os.close(saved)


def probe_onednn(wanted: str, without: Iterable[str]) -> Effect:
    if library("torch", without) is None:
        return unobservable("torch cannot be imported")
    if architecture() != "x86_64":
        return unobservable(f"oneDNN has no x86 code on {architecture()}")
    seen = onednn_convolution()
    if seen is None:
        return unobservable("this torch does not report what oneDNN runs")
    return Effect(seen, seen == f"jit:{wanted.lower()}", "the convolution that oneDNN reports in its verbose mode")


def torch_symbol(name: str, without: Iterable[str]) -> Any:
    """A function of the MKL inside PyTorch's CPU library, or None where it is not exported there."""
    torch = library("torch", without)
    if torch is None:
        return None
    folder = Path(torch.__file__).parent / "lib"
    for file in ("libtorch_cpu.so", "libtorch_cpu.dylib", "torch_cpu.dll"):
        if (folder / file).is_file():
            return getattr(ctypes.CDLL(str(folder / file)), name, None)
    return None


# Values of mkl_cbwr_get(MKL_CBWR_BRANCH) in mkl_service.h.
MKL_BRANCHES = {1: "OFF", 2: "AUTO", 3: "COMPATIBLE", 4: "SSE2", 6: "SSSE3", 7: "SSE4_1", 8: "SSE4_2", 9: "AVX",
                10: "AVX2", 11: "AVX512_MIC", 12: "AVX512", 13: "AVX512_MIC_E1", 14: "AVX512_E1"}
MKL_CBWR_BRANCH = 1


def probe_mkl_branch(wanted: str, without: Iterable[str]) -> Effect:
    function = torch_symbol("mkl_serv_cbwr_get", without)
    if function is None:
        return unobservable("torch's library exports no mkl_serv_cbwr_get")
    code = function(MKL_CBWR_BRANCH)
    seen = MKL_BRANCHES.get(code & 0xFFFF, str(code)) + (",STRICT" if code & 0x10000 else "")
    return Effect(seen, seen == wanted.upper(), "mkl_cbwr_get() of the MKL inside torch")


def probe_mkl_dynamic(wanted: str, without: Iterable[str]) -> Effect:
    function = torch_symbol("mkl_serv_get_dynamic", without)
    if function is None:
        return unobservable("torch's library exports no mkl_serv_get_dynamic")
    seen = "TRUE" if function() else "FALSE"
    return Effect(seen, seen == wanted.upper(), "mkl_get_dynamic() of the MKL inside torch")


def parallel_info(torch: Any, name: str) -> str | None:
    """A number of torch.__config__.parallel_info(), such as that of "mkl_get_max_threads"."""
    found = re.search(rf"{name}\(\) : (\d+)", torch.__config__.parallel_info())
    return found.group(1) if found else None


def probe_torch_threads(name: str, wanted: str, without: Iterable[str]) -> Effect:
    torch = library("torch", without)
    seen = parallel_info(torch, name) if torch else None
    if seen is None:
        return unobservable(f"torch is absent or does not report {name}()")
    return Effect(seen, seen == wanted, f"{name}() in torch's parallel_info()")


def openblas_files(module: Any) -> list[str]:
    """The OpenBLAS libraries that came with a package (numpy.libs, .dylibs), or else that the process has loaded."""
    package = Path(module.__file__).parent
    folders = (package.with_name(package.name + ".libs"), package / ".libs", package / ".dylibs")
    bundled = [str(file) for folder in folders if folder.is_dir() for file in sorted(folder.glob("*openblas*"))]
    maps = Path("/proc/self/maps")
    if bundled or not maps.is_file():
        return bundled
    return sorted(set(re.findall(r"\S+openblas\S*\.so\S*", maps.read_text(encoding="utf-8"))))


def openblas_answer(file: str, function: str, kind: Any) -> Any:
    """What e.g. `openblas_get_corename` answers; builds differ in the name's prefix and suffix. None: no such name."""
    handle = ctypes.CDLL(file)
    for name in (f"{prefix}{function}{suffix}" for prefix in ("", "scipy_") for suffix in ("64_", "")):
        symbol = getattr(handle, name, None)
        if symbol is not None:
            symbol.restype, symbol.argtypes = kind, []
            answer = symbol()
            return answer.decode() if isinstance(answer, bytes) else answer
    return None


def describe_openblas(module: Any) -> dict:
    """Kernels ("core"), build and threads of the OpenBLAS that a module uses; "none" each where it has none."""
    names = {"core": "openblas_get_corename", "config": "openblas_get_config", "threads": "openblas_get_num_threads"}
    for file in openblas_files(module):
        facts = {key: openblas_answer(file, name, ctypes.c_int if key == "threads" else ctypes.c_char_p)
                 for key, name in names.items()}
        words = str(facts["config"]).split()  # the build's options, and among them the kernels chosen on this processor
        return {**facts, "config": " ".join(word for word in words if word != facts["core"])}
    return dict.fromkeys(names, "none")


def probe_openblas(key: str, wanted: str, without: Iterable[str]) -> Effect:
    """Compares what the OpenBLAS of NumPy and that of SciPy say; both must be as wanted."""
    modules = [module for module in (library("numpy", without), library("scipy", without)) if module]
    seen = {module.__name__: str(describe_openblas(module)[key]) for module in modules}
    seen = {name: value for name, value in seen.items() if value != "none"}
    if not seen:
        return unobservable("neither NumPy nor SciPy has an OpenBLAS of its own")
    text = ", ".join(f"{name}: {value}" for name, value in seen.items())
    if key == "core" and architecture() != "x86_64":
        return Effect(text, True, f"OpenBLAS has no x86 code on {architecture()}")
    return Effect(text, all(value.lower() == wanted.lower() for value in seen.values()), f"OpenBLAS itself ({key})")


def probe_numpy_features(wanted: str, without: Iterable[str]) -> Effect:
    numpy = library("numpy", without)
    if numpy is None:
        return unobservable("numpy cannot be imported")
    table = enabled_numpy_features(numpy)
    names = wanted.replace(",", " ").split()
    unknown = [name for name in names if name not in table] if architecture() == "x86_64" else []
    if unknown:
        return Effect("unknown: " + " ".join(unknown), False, "NumPy knows no such CPU feature, so it disables none")
    enabled = [name for name in names if table.get(name)]
    return Effect("enabled: " + (" ".join(enabled) or "none"), not enabled, "NumPy's __cpu_features__")


def opencv_feature_numbers(cv2: Any) -> dict[str, int]:
    """OpenCV's names of CPU features, as OPENCV_CPU_DISABLE wants them, and their numbers, all under 512."""
    names = ((cv2.getHardwareFeatureName(number), number) for number in range(512))
    return {name: number for name, number in names if name}


def probe_opencv_features(wanted: str, without: Iterable[str]) -> Effect:
    cv2 = library("cv2", without)
    if cv2 is None:
        return unobservable("cv2 cannot be imported")
    numbers = opencv_feature_numbers(cv2)
    names = [name for name in re.split(r"[,;\s]+", wanted) if name]
    unknown = [name for name in names if name not in numbers]
    if unknown:
        return Effect("unknown: " + " ".join(unknown), False, "OpenCV knows no such CPU feature (it writes AVX512-SKX)")
    enabled = [name for name in names if cv2.checkHardwareSupport(numbers[name])]
    return Effect("enabled: " + (" ".join(enabled) or "none"), not enabled, "cv2.checkHardwareSupport()")


def probe_ipp(wanted: str, without: Iterable[str]) -> Effect:
    cv2 = library("cv2", without)
    if cv2 is None:
        return unobservable("cv2 cannot be imported")
    seen = "enabled" if cv2.ipp.useIPP() else "disabled"
    return Effect(seen, seen == wanted, "cv2.ipp.useIPP()")


def probe_numexpr(wanted: str, without: Iterable[str]) -> Effect:
    numexpr = library("numexpr", without)
    if numexpr is None:
        return unobservable("numexpr is not installed")
    return Effect(str(numexpr.nthreads), str(numexpr.nthreads) == wanted, "numexpr.nthreads")


def probe_hash_seed(wanted: str, without: Iterable[str]) -> Effect:
    """Python tells whether hashes are randomised, and they are not for seed 0 only; another seed shows nowhere."""
    if wanted != "0":
        return unobservable("Python reports no hash seed other than 0")
    seen = "random" if sys.flags.hash_randomization else "0"
    return Effect(seen, seen == wanted, "sys.flags.hash_randomization")


def probe_cublas(wanted: str, without: Iterable[str]) -> Effect:
    torch = library("torch", without)
    if torch is None or not torch.cuda.is_available():
        return unobservable("no CUDA device")
    return unobservable("cuBLAS reads it and does not report it")


def probe_ultralytics(wanted: str, without: Iterable[str]) -> Effect:
    """Looks only where ultralytics is loaded already: importing it writes settings, which a check must not do."""
    utils = sys.modules.get("ultralytics.utils")
    if utils is None:
        return unobservable("ultralytics is not loaded yet; it reads the variable then")
    seen = str(utils.AUTOINSTALL).lower()
    return Effect(seen, seen == wanted.lower(), "ultralytics.utils.AUTOINSTALL")


PROBES: dict[str, Callable[[str, Iterable[str]], Effect]] = {
    "ATEN_CPU_CAPABILITY": probe_aten,
    "ONEDNN_MAX_CPU_ISA": probe_onednn,
    "OPENBLAS_CORETYPE": functools.partial(probe_openblas, "core"),
    "NPY_DISABLE_CPU_FEATURES": probe_numpy_features,
    "OPENCV_CPU_DISABLE": probe_opencv_features,
    "OPENCV_IPP": probe_ipp,
    "MKL_CBWR": probe_mkl_branch,
    "MKL_DYNAMIC": probe_mkl_dynamic,
    "OMP_NUM_THREADS": functools.partial(probe_torch_threads, "omp_get_max_threads"),
    "MKL_NUM_THREADS": functools.partial(probe_torch_threads, "mkl_get_max_threads"),
    "OPENBLAS_NUM_THREADS": functools.partial(probe_openblas, "threads"),
    "NUMEXPR_NUM_THREADS": probe_numexpr,
    "PYTHONHASHSEED": probe_hash_seed,
    "CUBLAS_WORKSPACE_CONFIG": probe_cublas,
    "YOLO_AUTOINSTALL": probe_ultralytics,
}


# --- pins.py ---------------------------------------------------------------------------------------------------------
# The numerical pins: their file, and what became of each.

def read_pins(path: Path) -> dict[str, str]:
    """The pins of a numerics.env: NAME=VALUE a line, "#" starts a comment line. Raises VerifyError on anything else."""
    pins: dict[str, str] = {}
    for number, line in enumerate(read_text(Path(path), "the pins' file").splitlines(), 1):
        text = line.strip()
        if not text or text.startswith("#"):
            continue
        name, equals, value = text.partition("=")
        if not equals or not re.fullmatch(r"[A-Z_][A-Z0-9_]*", name) or name in pins:
            raise VerifyError(f"{path}, line {number}: found {text!r}, expected a new NAME=VALUE: correct it")
        pins[name] = value
    return pins


def probe_pins(pins: dict[str, str], environ: dict[str, str] | None = None, without: Iterable[str] = ()) -> list[dict]:
    """For each pin: the value wanted, the one set, and whether it took effect as the libraries of this process see it.

    `ok` needs the variable to be set as wanted and, where the library tells, to have had its effect; where it does not
    tell, `observed` is False and `how` says so. `state` sums it up in words. Imports numpy, cv2, scipy and torch, but
    for those in `without`. Pass the environment as it was at start: ultralytics sets OMP_NUM_THREADS when it is loaded.
    """
    values = os.environ if environ is None else environ
    return [probe_pin(name, wanted, values.get(name), without) for name, wanted in pins.items()]


def probe_pin(name: str, wanted: str, value: str | None, without: Iterable[str]) -> dict:
    probe = PROBES.get(name)
    effect = probe(wanted, without) if probe else unobservable("no way to observe this pin is known")
    return {"name": name, "wanted": wanted, "set": value, "effective": effect.seen, "observed": effect.seen is not None,
            "ok": value == wanted and effect.ok, "state": pin_state(wanted, value, effect), "how": effect.how}


IN_EFFECT, NOT_OBSERVABLE = "in effect", "set, effect not observable"


def pin_state(wanted: str, value: str | None, effect: Effect) -> str:
    """What became of a pin, in words; one of the two above is as it should be."""
    if value is None:
        return "not set"
    if value != wanted:
        return f"set to {value}"
    if effect.seen is None:
        return NOT_OBSERVABLE
    return IN_EFFECT if effect.ok else f"no effect, {effect.seen}"


def failed_pin(name: str, wanted: str, value: str | None, failure: str | None) -> dict:
    return {"name": name, "wanted": wanted, "set": value, "effective": None, "observed": False, "ok": False,
            "state": "not checked", "how": f"the check itself failed: {failure}"}


def describe_pins(path: Path, pins: dict[str, str] | None, probed: list[dict], applied: bool) -> dict:
    """The pins' file and what became of each pin; found is False where there is no such file."""
    if pins is None:
        return {"found": False, "sha256": None, "source": None, "by_name": {}}
    return {"found": True, "sha256": readable_digest(path), "source": "applied" if applied else "environment",
            "by_name": {item["name"]: {key: item[key] for key in item if key != "name"} for item in probed}}


# --- variables.py ----------------------------------------------------------------------------------------------------
# The environment variables that libraries read.

# What the libraries read. No others are recorded: a snapshot is shown to others, and the rest may be secrets.
VARIABLES = ("ATEN_*", "BLIS_*", "CUBLAS_*", "CUDA_*", "CUDNN_*", "DNNL_*", "DYLD_*", "GLIBC_TUNABLES", "GOMP_*",
             "GOTO_*", "KMP_*", "LD_AUDIT", "LD_BIND_NOT", "LD_HWCAP_MASK", "LD_LIBRARY_PATH", "LD_PRELOAD", "MALLOC_*",
             "MKL_*", "MMCV_*", "MMENGINE_*", "NNPACK_*", "NPY_*", "NUMEXPR_*", "NUMPY_*", "NVIDIA_TF32_OVERRIDE",
             "OMP_*", "ONEDNN_*", "OPENBLAS_*", "OPENCV_*", "PYTHON*", "PYTORCH_*", "SCIPY_*", "TBB_*", "TORCH*",
             "VECLIB_*", "XNNPACK_*", "YOLO_*")
SECRET = re.compile(r"KEY|TOKEN|SECRET|PASS|CREDENTIAL|AUTH|PRIVATE")
PLAIN_VALUE = re.compile(r"(?!.*(://|@))[ -~]{0,200}")
FOLDER_LISTS = ("LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "DYLD_FALLBACK_LIBRARY_PATH")


def describe_variables(environ: dict[str, str], pins: Iterable[str]) -> dict[str, str]:
    """The variables that libraries read, but for the pins, which are described by themselves.

    Of folders in which libraries are looked for only those count that exist: cv2 names some that do not to every child.
    """
    chosen = {name: value for name, value in environ.items()
              if any(fnmatchcase(name, pattern) for pattern in VARIABLES) and not SECRET.search(name)}
    for name in set(FOLDER_LISTS).intersection(chosen):
        folders = [entry for entry in chosen[name].split(os.pathsep) if entry and Path(entry).is_dir()]
        chosen[name] = os.pathsep.join(folders)
    return {name: shown_value(value) for name, value in sorted(chosen.items())
            if name not in PROBES and name not in pins and (value or name not in FOLDER_LISTS)}


def shown_value(value: str) -> str:
    """A variable's value; of one that is long or may hold a password, as a URL may, a digest."""
    digest = hashlib.sha256(value.encode("utf-8", "surrogateescape")).hexdigest()
    return value if PLAIN_VALUE.fullmatch(value) else f"sha256 {digest[:12]}"


def environment_at_start() -> dict[str, str]:
    """The variables that this process was started with, where the system tells: libraries set some when they load."""
    try:
        pairs = Path("/proc/self/environ").read_bytes().split(b"\0")
    except OSError:
        return dict(os.environ)
    started = dict(os.fsdecode(pair).split("=", 1) for pair in pairs if b"=" in pair)
    return started or dict(os.environ)


# --- shared_libraries.py ---------------------------------------------------------------------------------------------
# Shared libraries that a process has loaded, and that came from nowhere known.

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


# --- modules.py ------------------------------------------------------------------------------------------------------
# What the libraries say of themselves once they are imported, and which package each came from.

MODULES = ("numpy", "cv2", "scipy", "torch", "mmengine", "mmcv", "mmaction", "ultralytics")


def describe_numpy(numpy: Any) -> dict:
    core = importlib.import_module(("numpy._core" if hasattr(numpy, "_core") else "numpy.core") + "._multiarray_umath")
    features = core.__cpu_features__
    return {"cpu_baseline": list(core.__cpu_baseline__),
            "cpu_dispatch": [name for name in core.__cpu_dispatch__ if features.get(name)],
            "cpu_features": sorted(name for name, enabled in features.items() if enabled),
            "openblas": describe_openblas(numpy)}


def describe_cv2(cv2: Any) -> dict:
    return {"build_digest": digest_of([cv2.getBuildInformation()]), "cpu_features": cv2.getCPUFeaturesLine(),
            "ipp": bool(cv2.ipp.useIPP()), "ipp_version": cv2.ipp.getIppVersion(), "threads": cv2.getNumThreads()}


def describe_torch(torch: Any) -> dict:
    return {"git_version": torch.version.git_version, "cuda": torch.version.cuda,
            "cuda_available": torch.cuda.is_available(), "cpu_capability": torch.backends.cpu.get_cpu_capability(),
            "config_digest": digest_of(build_lines(torch.__config__.show())),
            "mkldnn": torch.backends.mkldnn.is_available(), "mkl": torch.backends.mkl.is_available(),
            "threads": torch.get_num_threads(),
            "interop_threads": torch.get_num_interop_threads(), "onednn_convolution": onednn_convolution()}


def build_lines(config: str) -> list[str]:
    """torch's description of its build, without the line that tells what it chose on this processor."""
    return [line for line in config.splitlines() if "CPU capability usage" not in line]


def describe_scipy(scipy: Any) -> dict:
    return {"openblas": describe_openblas(scipy)}


DESCRIBERS = {"numpy": describe_numpy, "cv2": describe_cv2, "torch": describe_torch, "scipy": describe_scipy}


def describe_module(name: str) -> dict:
    """What a module says about itself once imported. Any failure is the caller's: see probe_in_child()."""
    if importlib.util.find_spec(name) is None:
        return failed_module("not installed")
    module = importlib.import_module(name)
    build = DESCRIBERS[name](module) if name in DESCRIBERS else {}
    return {"imported": True, "error": None, "version": str(getattr(module, "__version__", "unknown")),
            "file": module.__file__, "build": build}


def failed_module(error: str) -> dict:
    return {"imported": False, "error": error, "version": None, "file": None, "build": {}}


def add_origin(modules: dict[str, dict], groups: dict[str, list[Distribution]]) -> dict[str, dict]:
    """Adds which distribution installed each module's file (from_package: one did); the path is then relative to it."""
    wanted = {Path(facts["file"]).resolve(): name for name, facts in modules.items() if facts["file"]}
    origin = {}
    for item in (item for group in groups.values() for item in group if item.rows is not None):
        folder = item.location.resolve()
        for row in item.rows:
            name = wanted.get(folder / row.path) if row.path.endswith("/__init__.py") else None
            if name:
                origin.setdefault(name, (item.name, row.path))
    return {name: {**facts, "package": origin.get(name, (None,))[0], "from_package": name in origin,
                   "file": origin[name][1] if name in origin else facts["file"]} for name, facts in modules.items()}


# --- clips.py --------------------------------------------------------------------------------------------------------
# The two clips that the fingerprint decodes, in base64.
#
# 64x48: five frames of H.264 (CABAC, B-frames, deblocking) and four of MPEG-4 part 2, in Matroska: a container that the
# stage `decode` reads, whose restriction of formats a child process inherits.

CLIPS = {
    "h264": (
        "GkXfo6NChoEBQveBAULygQRC84EIQoKIbWF0cm9za2FCh4EEQoWBAhhTgGcBAAAAAAAEkRFNm3TAv4TEydAwTbuLU6uEFUmpZlOsgaFNu4tT"
        "q4QWVK5rU6yBzE27jFOrhBJUw2dTrIIBY027jFOrhBxTu2tTrIIEdewBAAAAAAAAUwAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
        "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAFUmpZqa/hIOwGlEq17GDD0JATYCETGF2ZldBhExh"
        "dmZEiYhAf0AAAAAAABZUrmtAkb+EuRVwlq4BAAAAAAAAgteBAXPFiAAAAAAAAAABnIEAIrWcg3VuZIiBAIaPVl9NUEVHNC9JU08vQVZDg4EB"
        "I+ODhAX14QDgirCBQLqBMFSygQRV7oEA7AEAAAAAAAACAABjoq0BZAAK/+EAF2dkAAqsVBER6EAAAAMAQAAABQPEiUEYAQAHaOhDghLIsP34"
        "+AASVMNnu7+EFeGil3NzsmPAi2PFiAAAAAAAAAABZ8ihRaOIRFVSQVRJT05Eh5MwMDowMDowMC41MDAwMDAwMDAAH0O2dULMv4Sm6RQq54EA"
        "o0DbgQAAgAAAANNliIIAZ2xerwuwBCiPUYx5bD8C5IPd1tzmdzyRuZQ2PiWDtwJmtHXDIy1bj6MLBNuc4RUR9rX8TOIcSNs+bYqvk1z/Z2sH"
        "8T6eZvnzUWFZqGxjshQZ0/91o/QJDm2MSQg+mxbijhdUG7+rArbUeyUCiDyqifaec9iBTKegZdo64TeNvRyPlLkZ9U1G0INv3HplVBtKrvmY"
        "rtMRmV3dFjB/koMQbgblln79D0OKveZhJq7cYNwPiI0igYdAYJIvE5R2t5rlobZwsbqVQ/25Z3mUpGGBo0CRgQBkAAAAAIlBmhFsRn/slNe/"
        "/KNMrVMwEtWy1ixAVTyugeuUpZvE6pu4FDwUb6PcYEVcdmlR4BFGfO4oVtoAh8YVL+PojHiIicdY5nCuAWZt03wjD7eZ+U//oe71JD8lYRz+"
        "y7NBmExFG02ZJfCjOon3tYwpiaEY24Jap9jLYdADfZWxj5Zq3KnlmT0p6lwyeKPogQGQAAAAAGBBmiRfggyZTCM/6ok1z6XCW2HlVev36l0B"
        "0DF2LdW+DFT/rWrbRH+3yBYjnARyGVlnQSPAvDMnSs/Nk2TRDYrvtoOz0jFYbbhgW+56w1a5vC6N7RrYTcpSPlTNA3/Z/8Gj9oEAyAAAAABu"
        "AZ4yKkZ//m+XdKygSz7K0ytjiiVNX1lqYd0A8L07PCqGiw9EhqUD9gZMup6rRVeDvlwq8HXw6fErxQbw184zB1gMd+vUZCaYC9YOXb/rQMj4"
        "CIY9d2NXrbtPOCKQ8efMqo0d7zib7sN5XTIBi2Cj7YEBLAAAAABlAZ4zakV/9zEW7Jzc2yZHyNaPtec3wref1yOwP2YJNWjVZKLIaJ0fBeWJ"
        "MyQCnNVxpO1LfTII4BR8pCyN5PmpKPMSPr7brzR27FYq8IjucAcupM2Lppf8459LJIosanyhI+wqzlMcU7trl7+EGB1OZ7uPs4EAt4r3gQHx"
        "ggGj8IEJ"
    ),
    "mpeg4": (
        "GkXfo6NChoEBQveBAULygQRC84EIQoKIbWF0cm9za2FCh4EEQoWBAhhTgGcBAAAAAAAEOhFNm3TAv4QTXTlITbuLU6uEFUmpZlOsgaFNu4tT"
        "q4QWVK5rU6yBzE27jFOrhBJUw2dTrIIBVU27jFOrhBxTu2tTrIIEHuwBAAAAAAAAUwAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
        "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAFUmpZqa/hNWPkj0q17GDD0JATYCETGF2ZldBhExh"
        "dmZEiYhAeQAAAAAAABZUrmtAg7+E8E0/W64BAAAAAAAAdNeBAXPFiAAAAAAAAAABnIEAIrWcg3VuZIiBAIaPVl9NUEVHNC9JU08vQVNQg4EB"
        "I+ODhAX14QDgirCBQLqBMFSygQRV7oEA7AEAAAAAAAACAABjop8AAAGw8QAAAbWpEwAAAQAAAAEgCNSNCABVAgQGFDg/ElTDZ7u/hCuKYHhz"
        "c7JjwItjxYgAAAAAAAAAAWfIoUWjiERVUkFUSU9ORIeTMDA6MDA6MDAuNDAwMDAwMDAwAB9DtnVCg7+EIT6K0eeBAKNA3IEAAIAAAAGzABAH"
        "AAABthDFGz54v4LiMMEPGAo0vaiylw16qafbIYF00wUPGHnKT5DKvkPNqhYW8LKcWdNMh2139Ptko5TXqaLT/wvOzK8LW1oebJYYQInHndC8"
        "DD5XibTSgw2uAszRadBj9BaCKk9RAzoJwbf8Wi1uYZNgLRj70yIgKBTaVTxhs58Lz1Fp2v2OC+ZHBjsUmWzdec1671XgXWJGO9UBIFrOqIeb"
        "XPoY5HBYQwLgv3Y4JGJCNujylcmFioWDEMnJ0/DjaMFhHwDEPBcQhgMvheMMUhejQKKBAMgAAAABtlLijCmBlCH3n/PzzteEFWELGwzBgD4q"
        "VKgyCmE4Wfr3HaeVqlVVmvl9OihD6e2WGx7UnwNi25xxmuTbfdMhwrU1sZTgOOjjLd4eCiaz8f51cJY+Bm4e9qlwUoWrH9efeDBD/g8+fEqj"
        "t49FwU1DP/fY4fH/gFD8vV3/ssiUyAYJQ+peXnwstT6Op8eAojUmHhWt1P2202PYnDyj8YEAZAAAAAG2kcUSGsRAVCOPKaePDmAsBOC8DGHv"
        "HggxQ9XVZ4VQKggCUDM488kFYKBLA0LhMQwPvdv9N14lgOBhwa4GHl4GapXdeIQJjuevSDg0dwHgJhiP891+opg+DGFfHSek456KuJAEYEQE"
        "4bTzo0CAgQEsAAAAAbZTwowsgshN8/8+YYNBQzFnPH1UL1VvAzeFktqoAiHqf/KeCuAFQaVv1/DwkUDoZhaGtcJI/LsLlQzEr2/DMKb5yH3j"
        "54N4fqlH4AQrMDxc6NQWglO+++6eCoFYWxzgYSarHyjvSTHCpyDg68pUqDr41TVBmGXi808cU7trl7+EZboOsruPs4EAt4r3gQHxggGV8IEJ"
    ),
}


# --- fingerprint.py --------------------------------------------------------------------------------------------------
# The numerical fingerprint: digests of what NumPy, OpenCV and PyTorch answer on this machine.

# Neither versions nor the processor's name tell what code runs; its answers do. The operations are those that the
# stages call, with their channels and fewer pixels, and none of SciPy's: no stage calls it. Inputs are hashes of
# integers, because generators change between releases, and clips are carried, because encoders differ, too.
FINGERPRINT_FORMAT = 1
FAILURES = (ArithmeticError, AttributeError, ImportError, LookupError, MemoryError, OSError, RuntimeError, TypeError,
            ValueError)
# Name: kind of the input, its shape, width and height of the result, interpolation.
RESIZES = {
    "cubic.up.uint8": ("pixels", (92, 61, 3), (122, 184), "INTER_CUBIC"),
    "cubic.up.float32": ("floats", (23, 16, 57), (128, 184), "INTER_CUBIC"),
    "cubic.down.uint8": ("pixels", (200, 150, 3), (110, 147), "INTER_CUBIC"),
    "area.down.uint8": ("pixels", (270, 200, 3), (136, 184), "INTER_AREA"),
    "area.half.uint8": ("pixels", (240, 160, 3), (80, 120), "INTER_AREA"),
    "area.down.float32": ("floats", (90, 70, 3), (46, 60), "INTER_AREA"),
    "linear.up.uint8": ("pixels", (120, 90, 3), (160, 213), "INTER_LINEAR"),
    "linear.down.uint8": ("pixels", (240, 427, 3), (320, 180), "INTER_LINEAR"),
    "linear.down.float32": ("floats", (90, 70, 3), (46, 60), "INTER_LINEAR"),
}
# Name: shapes of the input and of the weights, options.
CONVOLUTIONS = {
    "3x3": ((1, 96, 23, 16), (96, 96, 3, 3), {"padding": 1}),
    "3x3.stride2": ((1, 3, 64, 96), (24, 3, 3, 3), {"padding": 1, "stride": 2}),
    "7x7": ((1, 185, 8, 8), (128, 185, 7, 7), {"padding": 3}),
    "1x1": ((1, 128, 12, 16), (57, 128, 1, 1), {}),
    "1x1.batch20": ((20, 16, 24, 17), (48, 16, 1, 1), {}),
    "depthwise": ((1, 80, 20, 20), (80, 1, 3, 3), {"padding": 1, "groups": 80}),
    "9x1": ((2, 64, 24, 17), (64, 64, 9, 1), {"padding": (4, 0)}),
    "9x1.stride2": ((2, 32, 24, 17), (64, 32, 9, 1), {"padding": (4, 0), "stride": (2, 1)}),
}
# Kernel: shapes of the input and of the weights, padding. Few input channels: from 64 on, where the processor says that
# its L1 cache is small, NNPACK would cut their sum, which the pose network keeps it from.
NNPACK_CONVOLUTIONS = {
    "3x3": ((1, 16, 13, 13), (12, 16, 3, 3), 1),
    "7x7": ((1, 16, 13, 13), (12, 16, 7, 7), 3),
}


class Inputs:
    """Arrays that every machine and every release of NumPy makes alike: hashes of 1, 2, 3, ... in integers."""

    def __init__(self, numpy: Any) -> None:
        self.numpy = numpy

    def hashes(self, shape: tuple, first: int) -> Any:
        """uint64, each below 2**24, so that it is a float32 without rounding."""
        numbers = self.numpy.arange(first, first + functools.reduce(operator.mul, shape), dtype=self.numpy.uint64)
        mixed = numbers * self.numpy.uint64(0x9E3779B97F4A7C15)
        mixed = (mixed ^ (mixed >> self.numpy.uint64(29))) * self.numpy.uint64(0xBF58476D1CE4E5B9)
        return (mixed >> self.numpy.uint64(40)).reshape(shape)

    def pixels(self, *shape: int) -> Any:
        return (self.hashes(shape, 1) >> self.numpy.uint64(16)).astype(self.numpy.uint8)

    def floats(self, *shape: int, first: int = 1) -> Any:
        """float32 in [-0.5, 0.5); another `first` gives other numbers."""
        scale, half = self.numpy.float32(2.0 ** -24), self.numpy.float32(0.5)
        return self.hashes(shape, first).astype(self.numpy.float32) * scale - half

    def doubles(self, *shape: int) -> Any:
        """float64 with all of its bits in use, in (-167, 167)."""
        return self.floats(*shape).astype(self.numpy.float64) * 1000 / 3


def numpy_operations(numpy: Any, inputs: Inputs) -> dict[str, Callable[[], Any]]:
    """What keypoint decoding, interpolation, trimming and normalisation compute with."""
    floats, doubles = inputs.floats, inputs.doubles
    return {
        "sum.float32": lambda: floats(3000).sum(),
        "sum.float64": lambda: doubles(3000).sum(),
        "sum.axis": lambda: doubles(60, 17, 2).sum(axis=0),
        "mean.float32": lambda: floats(60, 17, 2).mean(axis=1),
        "median": lambda: numpy.median(doubles(301)),
        "matmul.float32": lambda: floats(60, 34) @ floats(34, 60, first=99),
        "dot.float64": lambda: numpy.dot(doubles(1001), doubles(1001)[::-1]),
        "divide": lambda: doubles(60, 34) / 183.7,
        "length": lambda: numpy.sqrt(numpy.square(doubles(60, 17)) + numpy.square(doubles(17, 60).T)),
        "exp.float32": lambda: numpy.exp(floats(3000) * 20),
        "exp.float64": lambda: numpy.exp(doubles(3000) / 10),
        "interp": lambda: numpy.interp(numpy.linspace(0, 299, 1000), numpy.arange(300.0), doubles(300)),
        "linspace": lambda: numpy.linspace(0, 299, 48 * 3 + 1),
        "argsort": lambda: numpy.argsort(doubles(500), kind="stable"),
        "float16": lambda: (doubles(1000) * 7).astype(numpy.float16),
    }


def cv2_operations(cv2: Any, inputs: Inputs) -> dict[str, Callable[[], Any]]:
    """Decoding, and the resizing of frames, crops and heatmaps; on one thread, which the program sets and no pin."""
    cv2.setNumThreads(1)
    resizes = {f"resize.{name}": functools.partial(resized, cv2, inputs, *row) for name, row in RESIZES.items()}
    clips = {f"VideoCapture.{name}": functools.partial(decoded, cv2, inputs, clip) for name, clip in CLIPS.items()}
    return {
        **resizes, **clips,
        "cvtColor.bgr2rgb": lambda: cv2.cvtColor(inputs.pixels(48, 64, 3), cv2.COLOR_BGR2RGB),
        "cvtColor.bgr2gray": lambda: cv2.cvtColor(inputs.pixels(48, 64, 3), cv2.COLOR_BGR2GRAY),
        "cvtColor.yuv2bgr": lambda: cv2.cvtColor(inputs.pixels(72, 64), cv2.COLOR_YUV2BGR_I420),
        "copyMakeBorder": lambda: cv2.copyMakeBorder(inputs.pixels(18, 32, 3), 7, 7, 0, 0, cv2.BORDER_CONSTANT,
                                                     value=(114, 114, 114)),
    }


def resized(cv2: Any, inputs: Inputs, kind: str, shape: tuple, size: tuple, method: str) -> Any:
    return cv2.resize(getattr(inputs, kind)(*shape), size, interpolation=getattr(cv2, method))


def decoded(cv2: Any, inputs: Inputs, clip: str) -> Any:
    """All frames of a clip, uint8 (frames, height, width, 3), opened as the stage `decode` opens a video."""
    options = [cv2.CAP_PROP_HW_ACCELERATION, cv2.VIDEO_ACCELERATION_NONE, cv2.CAP_PROP_N_THREADS, 1]
    frames = []
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "clip"
        path.write_bytes(base64.b64decode(clip))
        capture = cv2.VideoCapture(str(path), cv2.CAP_FFMPEG, options)
        found, frame = capture.read()
        while found:
            frames.append(frame)
            found, frame = capture.read()
        capture.release()  # Windows removes no file that is open
    return inputs.numpy.stack(frames)


def torch_operations(torch: Any, inputs: Inputs) -> dict[str, Callable[[], Any]]:
    """What the three networks are made of."""

    def values(*shape: int, first: int = 1) -> Any:
        return torch.from_numpy(inputs.floats(*shape, first=first))

    return {**torch_layers(torch, values), **torch_functions(torch, values)}


def torch_layers(torch: Any, values: Callable) -> dict[str, Callable[[], Any]]:
    """Operations with weights; `values` makes a tensor of a shape."""
    functional = torch.nn.functional

    def convolution(shape: tuple, weights: tuple, options: dict) -> Any:
        return functional.conv2d(values(*shape), values(*weights, first=5), values(weights[0], first=9), **options)

    def nnpack_convolution(shape: tuple, weights: tuple, padding: int) -> Any:
        torch.backends.nnpack.is_available()  # initialises it
        kernel, bias = values(*weights, first=5), values(weights[0], first=9)
        return torch._nnpack_spatial_convolution(values(*shape), kernel, bias, padding)

    def batch_norm(*shape: int) -> Any:
        mean, scale, shift = (values(shape[1], first=first) for first in (3, 5, 7))
        return functional.batch_norm(values(*shape), mean, values(shape[1]) + 0.75, scale, shift)

    return {
        **{f"conv2d.{name}": functools.partial(convolution, *row) for name, row in CONVOLUTIONS.items()},
        **{f"nnpack.{name}": functools.partial(nnpack_convolution, *row) for name, row in NNPACK_CONVOLUTIONS.items()},
        "linear": lambda: functional.linear(values(1, 256), values(60, 256, first=5), values(60, first=9)),
        "matmul": lambda: values(64, 100) @ values(100, 80, first=5),
        "bmm": lambda: values(3, 24, 17) @ values(3, 17, 17, first=5),
        "einsum.graph": lambda: torch.einsum("nkctv,kvw->nctw", values(2, 3, 16, 24, 17), values(3, 17, 17, first=5)),
        "batch_norm.1d": lambda: batch_norm(2, 102, 48),
        "batch_norm.2d": lambda: batch_norm(2, 64, 24, 17),
    }


def torch_functions(torch: Any, values: Callable) -> dict[str, Callable[[], Any]]:
    """Operations without weights; `values` makes a tensor of a shape."""
    functional = torch.nn.functional
    return {
        "relu": lambda: functional.relu(values(3000)),
        "silu": lambda: functional.silu(values(3000) * 20),
        "sigmoid": lambda: torch.sigmoid(values(3000) * 20),
        "exp": lambda: torch.exp(values(3000) * 20),
        "softmax.boxes": lambda: functional.softmax(values(1, 16, 4, 100) * 20, 1),
        "softmax.scores": lambda: functional.softmax(values(1, 60) * 20, 1),
        "max_pool2d.2": lambda: functional.max_pool2d(values(1, 64, 24, 16), 2),
        "max_pool2d.5": lambda: functional.max_pool2d(values(1, 48, 10, 10), 5, 1, 2),
        "avg_pool2d": lambda: functional.adaptive_avg_pool2d(values(2, 64, 12, 17), 1),
        "mean": lambda: values(2, 10, 64).mean(1),
        "sum": lambda: values(3000).sum(),
        "interpolate.nearest": lambda: functional.interpolate(values(1, 80, 10, 10), scale_factor=2, mode="nearest"),
        "cat": lambda: torch.cat([values(1, 38, 12, 16), values(1, 19, 12, 16), values(1, 128, 12, 16)], 1),
        "argsort": lambda: torch.argsort(values(300), descending=True),
        "sqrt": lambda: torch.sqrt(values(3000) + 1),  # differs between processors whatever is pinned: see parity.toml
    }


OPERATIONS = {"numpy": numpy_operations, "cv2": cv2_operations, "torch": torch_operations}


def take_fingerprint(without: Iterable[str] = ()) -> dict:
    """Digests of what the libraries in use answer here: {"format", "operations": {name: {"sha256"}}, "seconds"}.

    An operation that fails has "error" in place of "sha256"; so has a library, under its own name, that cannot be
    imported. Without NumPy, which makes the inputs, there is {"skipped": reason}.
    """
    numpy, started = library("numpy", without), time.monotonic()
    if numpy is None:
        return {"skipped": "numpy, which makes the inputs, cannot be imported"}
    results = {}
    for name, operations in OPERATIONS.items():
        module = library(name, without)
        if module is None:
            results[name] = {"error": f"{name} cannot be imported"}
            continue
        failures = (*FAILURES, module.error) if name == "cv2" else FAILURES
        for operation, call in operations(module, Inputs(numpy)).items():
            results[f"{name}.{operation}"] = attempt(call, numpy, failures)
    return {"format": FINGERPRINT_FORMAT, "operations": results, "seconds": round(time.monotonic() - started, 3)}


def attempt(call: Callable[[], Any], numpy: Any, failures: tuple) -> dict:
    """{"sha256"} over TYPE|LENGTH,LENGTH,...| and the bytes of the result, or {"error"} with the reason in one line."""
    try:
        array = numpy.asarray(call())
    except failures as error:
        return {"error": " ".join(f"{type(error).__name__}: {error}".split())[:200]}
    header = f"{array.dtype.str}|{','.join(map(str, array.shape))}|"
    return {"sha256": hashlib.sha256(header.encode() + array.tobytes()).hexdigest()}


def add_libraries(fingerprint: dict, modules: dict[str, dict]) -> dict:
    """Adds to each operation the distribution that it belongs to; the module's name where no package installed it."""
    operations = {name: {"library": modules[name.split(".")[0]]["package"] or name.split(".")[0], **facts}
                  for name, facts in fingerprint.get("operations", {}).items()}
    return {**fingerprint, "operations": operations} if operations else fingerprint


# --- child.py --------------------------------------------------------------------------------------------------------
# The child process that imports the libraries: one that crashes ends the child, and the snapshot goes on.

CHILD_COMMAND = "probe-in-child"
CHILD_SECONDS = 300


def child_main() -> int:
    """The child's side of probe_in_child(): a JSON request on stdin, one JSON answer a line on stdout.

    Nothing is caught here: a module whose import raises or crashes ends the child, and the parent goes on without it.
    """
    sys.path[:] = [entry for entry in sys.path if entry and Path(entry).resolve() != script_file().parent]
    answers = os.fdopen(os.dup(1), "w", encoding="ascii")
    os.dup2(2, 1)  # what libraries print must not get among the answers
    request, environ = json.load(sys.stdin), dict(os.environ)
    for name in request["modules"]:
        print(json.dumps({name: describe_module(name)}), file=answers, flush=True)
    print(json.dumps({"libraries": loaded_libraries()}), file=answers, flush=True)
    if "root" in request:
        warnings.simplefilter("ignore")  # of sources that are compiled
        bytecode = describe_bytecode(Path(request["root"]), [*request["loaded"], *loaded_sources()])
        print(json.dumps({"bytecode": bytecode}), file=answers, flush=True)
    print(json.dumps({"pins": probe_pins(request["pins"], environ, request["without"])}), file=answers, flush=True)
    print(json.dumps({"fingerprint": take_fingerprint(request["without"])}), file=answers, flush=True)
    return 0


def loaded_sources() -> list[str]:
    """The source files of the modules that this process has imported."""
    specs = (getattr(module, "__spec__", None) for module in list(sys.modules.values()))
    return sorted({spec.origin for spec in specs if spec and spec.cached and str(spec.origin).endswith(".py")})


def run_child(request: dict, environ: dict[str, str]) -> tuple[list[dict], str | None]:
    """The child's answers, and why it ended before it had given all (None: it gave all)."""
    command = [sys.executable, str(script_file()), CHILD_COMMAND]
    try:
        child = subprocess.run(command, input=json.dumps(request), env=environ, capture_output=True, encoding="utf-8",
                               errors="replace", timeout=CHILD_SECONDS, check=False)
    except subprocess.TimeoutExpired as error:
        return parse_answers(error.stdout or ""), f"no answer within {CHILD_SECONDS} s"
    answers = parse_answers(child.stdout)
    if child.returncode == 0:
        return answers, None
    last = ([line for line in child.stderr.splitlines() if line.strip()] or ["no message"])[-1].strip()
    return answers, f"ended by signal {-child.returncode}" if child.returncode < 0 else last


def parse_answers(stdout: str | bytes) -> list[dict]:
    """The child's lines; a sitecustomize or a .pth file may have printed others before it moved stdout away.

    Of a child that was stopped, subprocess gives bytes whatever the encoding asked for, and maybe half a line.
    """
    text = stdout.decode("utf-8", "replace") if isinstance(stdout, bytes) else stdout
    return [json.loads(line) for line in text.splitlines() if line.startswith("{") and line.endswith("}")]


class Probed(NamedTuple):
    """What child processes found out: facts by module, by pin, take_fingerprint()'s, and what they loaded."""

    modules: dict
    pins: list
    fingerprint: dict
    libraries: list
    bytecode: dict


def probe_in_child(pins: dict[str, str], environ: dict[str, str], root: Path) -> Probed:
    """Imports MODULES, probes the pins, looks at the byte code and takes the fingerprint.

    A module that fails costs only itself.
    """
    modules: dict[str, dict] = {}
    while True:
        waiting = [name for name in MODULES if name not in modules]
        failed = [name for name, facts in modules.items() if not facts["imported"]]
        request = {"modules": waiting, "pins": pins, "without": failed, "root": str(root), "loaded": loaded_sources()}
        answers, failure = run_child(request, environ)
        found = {name: facts for answer in answers for name, facts in answer.items()}
        modules.update({name: facts for name, facts in found.items() if name in MODULES})
        broken = next((name for name in waiting if name not in modules), None)
        if broken is None:
            failed_pins = [failed_pin(name, pins[name], environ.get(name), failure) for name in pins]
            ended = {"skipped": f"the process that takes it failed: {failure}"}
            unknown = {"all of it": f"not looked at: {failure}"}
            return Probed(modules, found.get("pins", failed_pins), found.get("fingerprint", ended),
                          found.get("libraries", []), found.get("bytecode", unknown))
        modules[broken] = failed_module(failure)


# --- project.py ------------------------------------------------------------------------------------------------------
# The project's own files: the bundle, the service's code, the locks.

def default_root() -> Path:
    """The checkout, or /opt/poseparity in an image: the folder that holds scripts/."""
    return script_file().parent.parent


def describe_bundle(folder: Path | None) -> dict | None:
    """Hashes of every file of a model bundle; None where there is no bundle to describe."""
    if folder is None:
        return None
    if not folder.is_dir():
        raise VerifyError(f"the bundle {folder} is no folder: name one that holds bundle.toml")
    files = [path for path in folder.rglob("*") if path.is_file() and "__pycache__" not in path.parts]
    return {"path": str(folder), **hash_tree(folder, files)}


def find_bundle(root: Path) -> Path | None:
    """The bundle that the service would load: POSEPARITY_BUNDLE, or the demo bundle where it exists."""
    if os.environ.get("POSEPARITY_BUNDLE"):
        return Path(os.environ["POSEPARITY_BUNDLE"])
    demo = root / "service" / "bundles" / "demo"
    return demo if demo.is_dir() else None


def describe_code(root: Path) -> dict | None:
    """One digest over the service's code; None where it is not beside this file."""
    service = root / "service"
    files = [*(service / "poseparity").rglob("*.py"), *service.glob("gunicorn.conf.py")]
    tree = hash_tree(root, files)
    return {"digest": tree["digest"], "files": len(tree["files"])} if files else None


def describe_locks(root: Path) -> dict[str, str]:
    return hash_tree(root, (root / "lockfiles").glob("*.lock"))["files"]


# --- snapshot.py -----------------------------------------------------------------------------------------------------
# Taking a snapshot, and its file.

KIND = "poseparity-environment"


def take_snapshot(root: Path | None = None, *, pins_file: Path | None = None, bundle: Path | None = None,
                  integrity: bool = True, apply_pins: bool = False) -> dict:
    """Everything that parity.toml judges about the interpreter that runs this, JSON-ready.

    Installed files are hashed here by threads while a child process imports the modules. `apply_pins` sets the pins for
    that child, for a shell that does not; the snapshot says so. Raises VerifyError where a file named is not usable.
    """
    started = time.monotonic()
    root = (default_root() if root is None else Path(root)).resolve()
    pins_path = root / "lockfiles" / "numerics.env" if pins_file is None else Path(pins_file)
    pins = read_pins(pins_path) if pins_file is not None or pins_path.is_file() else None
    environ = {**os.environ, **(pins if apply_pins and pins else {})}
    with ThreadPoolExecutor(1) as background:
        child = background.submit(probe_in_child, pins or {}, environ, root)
        groups = group_by_name(find_distributions())
        snapshot = {**describe_host(), "packages": describe_packages(groups, integrity),
                    "cv2_providers": cv2_providers(groups), "startup": describe_startup(groups),
                    "imports": {**describe_imports(root, groups), "unrecorded": describe_unrecorded(groups)},
                    "variables": describe_variables(environment_at_start(), pins or ()),
                    "bundle": describe_bundle(find_bundle(root) if bundle is None else Path(bundle)),
                    "code": describe_code(root), "locks": describe_locks(root)}
        probed = child.result()
    snapshot["imports"]["bytecode"] = probed.bytecode
    snapshot["libraries"] = describe_libraries(probed.libraries, groups, root)
    snapshot["modules"] = add_origin(probed.modules, groups)
    snapshot["pins"] = describe_pins(pins_path, pins, probed.pins, apply_pins)
    snapshot["fingerprint"] = add_libraries(probed.fingerprint, snapshot["modules"])
    seen_by_numpy = probed.modules["numpy"]["build"].get("cpu_features", ())
    snapshot["cpu"]["features"] = fill_unknown_features(snapshot["cpu"]["features"], seen_by_numpy)
    return {"kind": KIND, "format": FORMAT, "taken": describe_taking(started), **snapshot}


def describe_host() -> dict:
    return {"interpreter": describe_interpreter(), "os": describe_os(), "libc": describe_libc(),
            "libm": describe_libm(), "machine": describe_machine(), "cpu": describe_cpu()}


def describe_taking(started: float) -> dict:
    return {"at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()), "host": platform.node(),
            "seconds": round(time.monotonic() - started, 2)}


def load_snapshot(path: Path) -> dict:
    """A snapshot's file, checked to be one of this format; raises VerifyError."""
    text = read_text(Path(path), "the snapshot")
    try:
        snapshot = json.loads(text)
    except ValueError as error:
        raise VerifyError(f"the snapshot {path} is not JSON ({error}): take it again") from error
    return check_snapshot(snapshot, str(path))


SECTIONS = ("interpreter", "os", "libc", "libm", "machine", "cpu", "packages", "cv2_providers", "startup", "modules",
            "pins", "fingerprint", "bundle", "code", "locks")


def check_snapshot(snapshot: Any, source: str) -> dict:
    """The snapshot itself, if it is one of this format and complete; raises VerifyError naming its `source`."""
    if not isinstance(snapshot, dict) or snapshot.get("kind") != KIND:
        raise VerifyError(f"{source} is no snapshot of an environment, expected \"kind\": \"{KIND}\": "
                          "take one with `verify_env.py snapshot -o FILE`")
    if snapshot.get("format") != FORMAT:
        raise VerifyError(f"the snapshot {source} has format {snapshot.get('format')!r}, expected {FORMAT}: "
                          "take both snapshots with the same release")
    missing = [name for name in SECTIONS if name not in snapshot]
    if missing:
        raise VerifyError(f"the snapshot {source} lacks {', '.join(missing)}: take it again")
    return snapshot


def write_snapshot(snapshot: dict, output: Path | None) -> None:
    """Writes to a file, whole or not at all, or to stdout."""
    text = json.dumps(snapshot, indent=1, sort_keys=True) + "\n"
    if output is None:
        sys.stdout.write(text)
        return
    partial = output.with_name(output.name + ".partial")
    try:
        partial.write_text(text, encoding="ascii")
        partial.replace(output)
    except OSError as error:
        raise VerifyError(f"{output} cannot be written ({error.strerror}): name a file in a writable folder") from error


# --- toml.py ---------------------------------------------------------------------------------------------------------
# TOML for Python < 3.11: comments, [[tables]], and keys with strings, integers, booleans or arrays of those.

TOML_HEADER = re.compile(r"\[\[([A-Za-z0-9_-]+)\]\]\s*(?:#.*)?")
TOML_PAIR = re.compile(r"([A-Za-z0-9_-]+)\s*=\s*(.*)", re.DOTALL)
TOML_STRING = r'"(?:[^"\\\x00-\x1f]|\\["\\nt]|\\u[0-9A-Fa-f]{4})*"'
TOML_TOKEN = re.compile(r"[ \t\r\n]*(?:(?P<comment>#[^\n]*)|(?P<mark>[\[\],])|(?P<literal>'[^'\n]*')"
                        rf"|(?P<string>{TOML_STRING})|(?P<word>(?:true|false|-?(?:0|[1-9]\d*))(?=[ \t\r\n,\]#]|$)))")


def read_simple_toml(text: str) -> dict:
    """The part of TOML that parity.toml uses; raises ValueError, with the line, on all else."""
    document: dict = {}
    table, lines, number = document, text.split("\n"), 0  # splitlines() knows more ends of line than TOML
    while number < len(lines):
        line, number = lines[number].strip(), number + 1
        if not line or line.startswith("#"):
            continue
        header, pair = TOML_HEADER.fullmatch(line), TOML_PAIR.fullmatch(line)
        if header:
            table = {}
            document.setdefault(header.group(1), []).append(table)
            continue
        if not pair or pair.group(1) in table:
            raise ValueError(f"line {number}: found {line!r}, expected a new `key = value` or [[table]]")
        key, value = pair.groups()
        while not is_complete(value) and number < len(lines):
            value, number = value + "\n" + lines[number], number + 1
        table[key] = parse_toml_value(value, number)
    return document


def toml_tokens(text: str) -> list[tuple[str, str]]:
    """(kind, text) of each token, comments left out; what cannot be read is one token of kind "wrong"."""
    tokens, position, text = [], 0, text.rstrip(" \t\r\n")
    while position < len(text):
        found = TOML_TOKEN.match(text, position)
        if not found:
            return [*tokens, ("wrong", text[position:].strip())]
        tokens.append((found.lastgroup, found.group(found.lastgroup)))
        position = found.end()
    return [token for token in tokens if token[0] != "comment"]


def is_complete(text: str) -> bool:
    """Whether a value ends here: all its brackets are closed."""
    marks = [token for kind, token in toml_tokens(text) if kind == "mark"]
    return marks.count("[") == marks.count("]")


def parse_toml_value(text: str, number: int) -> Any:
    """A scalar or an array of scalars; raises ValueError naming the line."""
    tokens = toml_tokens(text)
    kinds = "".join({"mark": token, "wrong": "?"}.get(kind, "v") for kind, token in tokens)
    values = [toml_scalar(kind, token) for kind, token in tokens if kind not in ("mark", "wrong")]
    if kinds == "v":
        return values[0]
    if re.fullmatch(r"\[(v(,v)*,?)?\]", kinds):
        return values
    raise ValueError(f"line {number}: found {text.strip()!r}, expected a string, integer, boolean or array of those")


def toml_scalar(kind: str, token: str) -> Any:
    """The value of a token; the escapes allowed in strings are those that JSON has too."""
    return token[1:-1] if kind == "literal" else json.loads(token)


# --- policy.py -------------------------------------------------------------------------------------------------------
# parity.toml: the rules by which differences are judged.

MUST_EQUAL, MUST_BE = "must-equal", "must-be"
VERDICTS = {MUST_EQUAL: "error", MUST_BE: "error", "tolerance": "tolerance", "may-differ": "allowed",
            "information": "information"}
RULE_LISTS = ("paths", "one_of", "when_same", "except_items")
RULE_KEYS = {*RULE_LISTS, "verdict", "why", "effect", "value", "implied_by", "only_in"}
SIDES = ("reference", "current")


class Rule(NamedTuple):
    """One rule of parity.toml, for the paths that match one of its patterns (tuples of segments)."""

    patterns: tuple
    verdict: str
    why: str
    effect: str
    accepted: tuple = ()
    when_same: tuple = ()
    except_items: tuple = ()
    implied_by: str | None = None
    only_in: str | None = None


class Policy(NamedTuple):
    """The ordered rules of a parity.toml: the first that matches a path judges it."""

    source: str
    rules: tuple


def load_policy(path: Path) -> Policy:
    """Reads and checks a parity.toml; raises VerifyError naming the rule and what is wrong with it."""
    text = read_text(Path(path), "the policy")
    try:
        document = tomllib.loads(text) if tomllib else read_simple_toml(text)
    except ValueError as error:
        raise VerifyError(f"the policy {path} is not the TOML expected ({error}): correct it") from error
    tables = document.get("rule")
    if document.get("format") != FORMAT or set(document) != {"format", "rule"} or not isinstance(tables, list):
        raise VerifyError(f"the policy {path} has the keys {sorted(document)} and format {document.get('format')!r}, "
                          f"expected format = {FORMAT} and [[rule]] tables only: correct it")
    rules = tuple(parse_rule(table, f"{path}, rule {number}") for number, table in enumerate(tables, 1))
    check_reachable(rules, str(path))
    return Policy(str(path), rules)


def parse_rule(table: dict, where: str) -> Rule:
    """One [[rule]] table as a Rule; raises VerifyError."""
    unknown = sorted(set(table) - RULE_KEYS)
    scalars = [key for key in RULE_LISTS if not isinstance(table.get(key, []), list)]
    if scalars:
        raise VerifyError(f"{where}: {', '.join(scalars)} must be arrays: correct it")
    missing = [key for key in ("paths", "verdict", "why", "effect") if not table.get(key)]
    if unknown or missing:
        raise VerifyError(f"{where}: found unknown keys {unknown}, and no or empty {missing}: correct it")
    if table["verdict"] not in VERDICTS:
        raise VerifyError(f"{where}: verdict is {table['verdict']!r}, expected one of {', '.join(VERDICTS)}")
    if len({"value", "one_of"}.intersection(table)) != (table["verdict"] == MUST_BE):
        raise VerifyError(f"{where}: expected `value` or `one_of` with verdict {MUST_BE!r}, and only there: correct it")
    if table.get("only_in", SIDES[0]) not in SIDES:
        raise VerifyError(f"{where}: only_in is {table['only_in']!r}, expected one of {', '.join(SIDES)}")
    accepted = (table["value"],) if "value" in table else tuple(table.get("one_of", ()))
    return Rule(tuple(parse_pattern(text, where) for text in table["paths"]), table["verdict"], table["why"],
                table["effect"], accepted, tuple(table.get("when_same", ())),
                tuple(table.get("except_items", ())), table.get("implied_by"), table.get("only_in"))


def parse_pattern(text: str, where: str) -> tuple:
    """The segments of a pattern: "*" in a segment matches as in file names, a last "**" any rest, or none."""
    segments = tuple(text.split("."))
    if "" in segments or "**" in segments[:-1]:
        raise VerifyError(f"{where}: pattern {text!r} has an empty segment or a ** before its end: correct it")
    return segments


def check_reachable(rules: Iterable[Rule], where: str) -> None:
    """Raises VerifyError where a pattern comes twice and the first rule always applies: the second never would."""
    seen = set()
    for rule in rules:
        repeated = seen.intersection(rule.patterns)
        if repeated:
            raise VerifyError(f"{where} has a second rule for {'.'.join(min(repeated))} that never applies: remove it")
        if not rule.when_same and not rule.only_in:
            seen.update(rule.patterns)


def matches(pattern: tuple, path: tuple) -> bool:
    """Whether a pattern's segments match a path's."""
    if pattern[-1] == "**":
        pattern, path = pattern[:-1], path[:len(pattern) - 1]
    return len(pattern) == len(path) and all(fnmatchcase(path[i], pattern[i]) for i in range(len(path)))


# --- compare.py ------------------------------------------------------------------------------------------------------
# Comparing two snapshots by the rules of a policy.

class Absent:
    """Stands for a fact that one side does not have."""

    def __repr__(self) -> str:
        return "absent"


ABSENT = Absent()
CELL_WIDTH = 36


def pairs(reference: Any, current: Any, path: tuple = ()) -> Iterator[tuple[tuple, Any, Any]]:
    """(path, reference's value, current's value) of every fact; a table that one side lacks is one fact."""
    if isinstance(reference, dict) and isinstance(current, dict):
        for key in sorted({*reference, *current}):
            yield from pairs(reference.get(key, ABSENT), current.get(key, ABSENT), (*path, key))
    else:
        yield path, reference, current


def leaves(tree: Any, path: tuple = ()) -> Iterator[tuple[tuple, Any]]:
    """(path, value) of everything in a tree that is no table."""
    if isinstance(tree, dict):
        for key in sorted(tree):
            yield from leaves(tree[key], (*path, key))
    else:
        yield path, tree


def look_up(tree: Any, dotted: str) -> Any:
    """The value at a dotted path, ABSENT where there is none."""
    for key in dotted.split("."):
        tree = tree.get(key, ABSENT) if isinstance(tree, dict) else ABSENT
    return tree


class Judge:
    """Applies the rules that hold for two given snapshots: those whose `when_same` facts are equal on both sides."""

    def __init__(self, reference: dict, current: dict, policy: Policy) -> None:
        self.policy = policy
        self.rules = [rule for rule in policy.rules
                      if all(look_up(reference, path) == look_up(current, path) for path in rule.when_same)]
        self.by_section: dict[str, list[tuple[Rule, list[tuple]]]] = {}

    def rule_for(self, path: tuple, side: str | None) -> Rule | None:
        """The rule for a fact, which only `side` has, or both have."""
        # A snapshot has some 1,500 facts in 20 sections, and most patterns name the one section that they are for.
        if path[0] not in self.by_section:
            self.by_section[path[0]] = self.rules_of(path[0])
        return next((rule for rule, patterns in self.by_section[path[0]] if rule.only_in in (None, side)
                     and any(matches(pattern, path) for pattern in patterns)), None)

    def rules_of(self, section: str) -> list[tuple[Rule, list[tuple]]]:
        """The rules that can hold for facts of a section, in their order, each with the patterns that can match."""
        found = ((rule, [pattern for pattern in rule.patterns if fnmatchcase(section, pattern[0])])
                 for rule in self.rules)
        return [(rule, patterns) for rule, patterns in found if patterns]

    def judge(self, path: tuple, reference: Any, current: Any) -> Iterator[dict]:
        """The findings on one fact: none where it is as the policy wants it."""
        side = "current" if reference is ABSENT else "reference" if current is ABSENT else None
        rule = self.rule_for(path, side)
        if rule is None:
            yield no_rule(path, reference, current, self.policy.source)
        elif rule.verdict == MUST_BE and not (reference is ABSENT or current is ABSENT):
            if is_wrong(rule, reference) or is_wrong(rule, current):
                yield finding(path, reference, current, rule, wrong_text(rule))
        elif side:
            yield finding(path, reference, current, rule, f"only in {side}")
        elif reference != current:
            yield finding(path, reference, current, rule, "differs")
        if isinstance(reference, dict) != isinstance(current, dict):
            yield from self.judge_alone(path, reference, current)

    def judge_alone(self, path: tuple, reference: Any, current: Any) -> Iterator[dict]:
        """What must have a certain value must have it in a table that one side lacks, too."""
        on_reference = isinstance(reference, dict)
        for inner, value in leaves(reference if on_reference else current, path):
            rule = self.rule_for(inner, SIDES[0] if on_reference else SIDES[1])
            if rule and rule.verdict == MUST_BE and is_wrong(rule, value):
                sides = (value, ABSENT) if on_reference else (ABSENT, value)
                yield finding(inner, *sides, rule, wrong_text(rule))


def wrong_text(rule: Rule) -> str:
    return f"must be {show(rule.accepted[0])}" if len(rule.accepted) == 1 else "not as it must be"


def is_wrong(rule: Rule, value: Any) -> bool:
    """Whether a value is not one that a must-be rule accepts; items of a list that the rule excepts do not count."""
    if isinstance(value, list):
        value = [item for item in value if not any(fnmatchcase(str(item), pattern) for pattern in rule.except_items)]
    return not any(type(value) is type(accepted) and value == accepted for accepted in rule.accepted)


def finding(path: tuple, reference: Any, current: Any, rule: Rule, problem: str) -> dict:
    return {"path": ".".join(path), "reference": None if reference is ABSENT else reference,
            "current": None if current is ABSENT else current, "verdict": VERDICTS[rule.verdict], "problem": problem,
            "why": rule.why, "effect": rule.effect, "implied_by": implied_path(rule, path)}


def no_rule(path: tuple, reference: Any, current: Any, source: str) -> dict:
    rule = Rule((), MUST_EQUAL, "a fact that no rule covers would be ignored in silence",
                f"unknown: no rule of {source} covers this fact; add one, or use the policy of this release")
    return finding(path, reference, current, rule, "no rule")


def implied_path(rule: Rule, path: tuple) -> str | None:
    """The path that implies this one: a "*" segment of the rule's `implied_by` stands for the path's own segment."""
    if rule.implied_by is None:
        return None
    segments = rule.implied_by.split(".")
    return ".".join(path[i] if segments[i] == "*" else segments[i] for i in range(len(segments)))


ORDER = ("error", "tolerance", "allowed", "information", "implied")


def compare_snapshots(reference: dict, current: dict, policy: Policy) -> list[dict]:
    """Findings, gravest first: {"path", "reference", "current", "verdict", "problem", "why", "effect"}.

    Of those that are equally grave the fingerprint's come last: it shows what the others, the causes, do to results.
    `verdict` is "error", "tolerance" (results can be equal within a tolerance only), "allowed", "information" or
    "implied" (another build, say, where the version differs and was found already).
    """
    judge = Judge(reference, current, policy)
    found = [item for path, mine, theirs in pairs(reference, current) for item in judge.judge(path, mine, theirs)]
    errors = {item["path"] for item in found if item["verdict"] == "error"}
    for item in found:
        if item.pop("implied_by") in errors:
            item["verdict"] = "implied"
    return sorted(found, key=lambda item: (ORDER.index(item["verdict"]), item["path"].startswith("fingerprint.")))


def overall(findings: Iterable[dict]) -> str:
    """One of "mismatch", "tolerance" and "match"."""
    verdicts = {item["verdict"] for item in findings}
    return "mismatch" if "error" in verdicts else "tolerance" if "tolerance" in verdicts else "match"


def show(value: Any) -> str:
    """A value as a cell: text as it is, lists with commas, long ones cut in the middle."""
    if isinstance(value, dict):
        value = str(value["version"]) if "version" in value else f"{len(value)} facts"
    if isinstance(value, list):
        value = ", ".join(map(str, value)) or "none"
    text = value if isinstance(value, str) else "none" if value is None else json.dumps(value)
    return text if len(text) <= CELL_WIDTH else text[:CELL_WIDTH - 9] + ".." + text[-7:]


# --- report.py -------------------------------------------------------------------------------------------------------
# The findings of a comparison, as a document and as a table.

COLUMNS = ("fact", "local", "server", "verdict", "what it does to results")
OPERATIONS_PATH = "fingerprint.operations."
SUMMARIES = {
    "match": "match: the server's environment is the local one in all that changes results",
    "tolerance": "match within a tolerance: the two sides cannot give the same bits (see the rows marked tolerance)",
    "mismatch": "mismatch: the server's results can differ from the local ones",
}


def report(findings: list[dict]) -> dict:
    """The document that --json prints."""
    counts = {verdict: sum(item["verdict"] == verdict for item in findings) for verdict in ORDER}
    return {"format": FORMAT, "verdict": overall(findings), "counts": counts, "findings": findings}


def show_lists(reference: list, current: list) -> list[str]:
    """Two lists as cells: in full where both fit or one is empty, else what the other side lacks ("-": nothing)."""
    sides = (reference, current)
    if not all(sides) or all(len(", ".join(map(str, side))) <= CELL_WIDTH for side in sides):
        return [show(side) for side in sides]
    extra = [[value for value in side if value not in other] for side, other in (sides, sides[::-1])]
    return [show("+ " + ", ".join(map(str, side))) if side else "-" for side in extra]


def cells(item: dict) -> tuple[str, str, str, str, str]:
    """A finding as a row of the table."""
    sides = [item["reference"], item["current"]]
    texts = show_lists(*sides) if all(isinstance(side, list) for side in sides) else [show(side) for side in sides]
    for index, name in ((0, "current"), (1, "reference")):
        if item["problem"] == f"only in {name}" or (sides[index] is None and "must be" in item["problem"]):
            texts[index] = "absent"
    verdict = "MISMATCH" if item["verdict"] == "error" else item["verdict"]
    prefix = f"({item['problem']}) " if item["problem"].startswith("must be") else ""
    return item["path"], texts[0], texts[1], verdict, prefix + item["effect"]


def render_table(findings: list[dict], width: int | None = None) -> str:
    """The findings as text columns; the last one is wrapped to `width`, or left on one line where that is None."""
    rows = [COLUMNS, *map(cells, findings)]
    widths = [max(len(row[column]) for row in rows) for column in range(4)]
    left = sum(widths) + 2 * len(widths)
    lines = []
    for row in rows:
        wrapped = textwrap.wrap(row[4], max(24, width - left)) if width else [row[4]]
        head = "".join(row[column].ljust(widths[column] + 2) for column in range(4))
        lines += [head + wrapped[0], *(" " * left + rest for rest in wrapped[1:])]
    return "\n".join(line.rstrip() for line in lines)


def operation_in(path: str) -> str:
    """The operation ("torch.linear") that a finding is on; "" where it is on none."""
    return re.sub(r"\.(sha256|error)$", "", path[len(OPERATIONS_PATH):]) if path.startswith(OPERATIONS_PATH) else ""


def fold_operations(findings: list[dict]) -> list[dict]:
    """The findings, with those on a library's operations as one row: they have one cause, and the row names them."""
    rows: dict[Any, list] = {}
    for item in findings:
        module, _, operation = operation_in(item["path"]).partition(".")
        key = (module, item["verdict"], item["effect"]) if operation else id(item)
        rows.setdefault(key, []).append(item)
    return [operations_row(key[0], group) if isinstance(key, tuple) else group[0] for key, group in rows.items()]


def operations_row(module: str, findings: list[dict]) -> dict:
    names = [operation_in(item["path"])[len(module) + 1:] for item in findings]
    count = f"{len(names)} operation{'s differ' if len(names) > 1 else ' differs'}"
    return {**findings[0], "path": f"fingerprint of {module}", "reference": "-", "current": count, "problem": "",
            "effect": f"{findings[0]['effect']} ({', '.join(names)})"}


def render(findings: list[dict], everything: bool, width: int | None) -> str:
    """The table of what differs, then one line that says what it comes to."""
    shown = [item for item in findings if everything or item["verdict"] not in ("information", "implied")]
    shown = fold_operations(shown)
    counts = report(findings)["counts"]
    summary = f"{SUMMARIES[overall(findings)]} ({', '.join(f'{counts[verdict]} {verdict}' for verdict in ORDER)})"
    return render_table(shown, width) + "\n\n" + summary if shown else summary


# --- __main__.py -----------------------------------------------------------------------------------------------------

class Parser(argparse.ArgumentParser):
    """argparse with errors in one line, as all errors of this program are."""

    def error(self, message: str) -> None:
        raise VerifyError(f"{message}: see --help")


def build_parser() -> Parser:
    parser = Parser(prog="verify_env.py", description="Compares the environment of a server with the local one.",
                    epilog="exit status: 0 match, 1 mismatch, 2 error")
    commands = parser.add_subparsers(dest="command", metavar="snapshot|compare")
    snapshot = commands.add_parser("snapshot", help="describe this interpreter's environment as JSON")
    snapshot.add_argument("-o", "--output", type=Path, help="file to write (default: standard output)")
    compare = commands.add_parser("compare", help="compare two snapshots, or one with this environment")
    compare.add_argument("reference", type=Path, help="snapshot of the local environment")
    compare.add_argument("current", type=Path, nargs="?", help="the server's (default: a snapshot taken now)")
    compare.add_argument("--json", action="store_true", help="print the findings as JSON")
    compare.add_argument("--policy", type=Path, help="rules to judge by (default: lockfiles/parity.toml)")
    compare.add_argument("--all", action="store_true", help="show differences that are mere information, too")
    for command in (snapshot, compare):
        add_snapshot_options(command)
    return parser


def add_snapshot_options(command: argparse.ArgumentParser) -> None:
    command.add_argument("--root", type=Path, default=default_root(), help="folder of lockfiles/ and service/")
    command.add_argument("--pins", type=Path, help="file of the pins (default: lockfiles/numerics.env)")
    command.add_argument("--bundle", type=Path, help="model bundle (default: that of the service)")
    command.add_argument("--apply-pins", action="store_true", help="set the pins, where this shell does not")
    command.add_argument("--no-integrity", dest="integrity", action="store_false", help="do not hash installed files")


def snapshot_from(options: argparse.Namespace) -> dict:
    return take_snapshot(options.root, pins_file=options.pins, bundle=options.bundle, integrity=options.integrity,
                         apply_pins=options.apply_pins)


def run_compare(options: argparse.Namespace) -> int:
    policy = load_policy(options.policy or options.root / "lockfiles" / "parity.toml")
    reference = load_snapshot(options.reference)
    current = load_snapshot(options.current) if options.current else snapshot_from(options)
    findings = compare_snapshots(reference, current, policy)
    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else None
    print(json.dumps(report(findings), indent=1) if options.json else render(findings, options.all, width))
    return 1 if overall(findings) == "mismatch" else 0


def main(argv: list[str] | None = None) -> int:
    """Runs the command line; 0 match, 1 mismatch, 2 error with one line on stderr."""
    arguments = sys.argv[1:] if argv is None else argv
    if arguments == [CHILD_COMMAND]:
        return child_main()
    try:
        parser = build_parser()
        options = parser.parse_args(arguments)
        if options.command is None:
            parser.error("found no command, expected snapshot or compare")
        if options.command == "compare":
            return run_compare(options)
        write_snapshot(snapshot_from(options), options.output)
        return 0
    except VerifyError as error:
        print(f"verify_env.py: error: {error}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.stdout.reconfigure(errors="backslashreplace")  # file names need not be printable in this terminal's encoding
    sys.exit(main())
