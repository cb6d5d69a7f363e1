"""A snapshot made by hand, and changes of it."""

from __future__ import annotations

import json
from pathlib import Path

from tests.conftest import ROOT

POLICY = ROOT / "lockfiles/parity.toml"
OTHER_ANSWERS = ("torch.linear", "torch.matmul", "cv2.resize.cubic")


def package(version: str, **changes) -> dict:
    integrity = {"status": "checked", "files": 3, "modified": [], "modified_count": 0, "missing": []}
    return {
        "version": version,
        "public_version": version.partition("+")[0],
        "editable": False,
        "location": "/x",
        "record_digest": f"digest of {version}",
        "duplicates": [],
        "integrity": integrity,
        **changes,
    }


def module(version: str, name: str, **build) -> dict:
    return {
        "imported": True,
        "error": None,
        "version": version,
        "file": f"{name}/__init__.py",
        "package": name,
        "from_package": True,
        "build": build,
    }


def operation(library: str, sha256: str) -> dict:
    return {"library": library, "sha256": sha256}


def by_verdict(findings: list[dict], verdict: str) -> list[str]:
    return [item["path"] for item in findings if item["verdict"] == verdict]


def put(dotted: str, value):
    """A change of one fact; a path segment may hold dots where it is the last one, after a colon."""

    def change(snapshot: dict) -> None:
        path, colon, key = dotted.partition(":")
        *parents, last = [*path.split("."), *([key] if colon else [])]
        for name in parents:
            snapshot = snapshot[name]
        snapshot[last] = value

    return change


def answer_otherwise(snapshot: dict) -> None:
    for name in OTHER_ANSWERS:
        snapshot["fingerprint"]["operations"][name]["sha256"] += " of another code path"


def write_json(path: Path, value) -> str:
    path.write_text(json.dumps(value), encoding="utf-8")
    return str(path)
