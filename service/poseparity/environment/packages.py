"""Installed packages: which build each is, and whether its files are as they were installed."""

from __future__ import annotations

import base64
import csv
import io
import json
import re
import sys
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

from .files import VerifyError, digest_of, optional_text, sha256_file, worker_count

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
