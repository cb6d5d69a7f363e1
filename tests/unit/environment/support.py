"""A snapshot made by hand, and changes of it."""

from __future__ import annotations

import json
from pathlib import Path

from poseparity.environment.files import FORMAT
from poseparity.environment.fingerprint import FINGERPRINT_FORMAT
from poseparity.environment.snapshot import KIND
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


def small_snapshot() -> dict:
    """A snapshot, shortened by hand, of what the real one holds in each section."""
    pin = {"wanted": "1", "set": "1", "effective": "1", "observed": True, "ok": True, "state": "in effect", "how": "x"}
    return {
        "kind": KIND,
        "format": FORMAT,
        "taken": {"at": "now", "host": "here", "seconds": 1.0},
        "interpreter": {
            "version": "3.11.2",
            "implementation": "CPython",
            "cache_tag": "cpython-311",
            "executable": "/x/bin/python",
            "prefix": "/x",
            "optimize": 0,
        },
        "os": {"system": "Linux", "release": "6.1", "distribution": "debian", "distribution_version": "12"},
        "libc": {"name": "glibc", "version": "2.36"},
        "libm": {"exp": "aa", "expf": "bb", "tanhf": "cc"},
        "machine": {"architecture": "x86_64", "byteorder": "little", "pointer_bits": 64, "processors": 2},
        "cpu": {"vendor": "v", "model": "m", "features": {"avx2": True, "fma": True, "avx512f": True}},
        "packages": {
            "numpy": package("1.24.3"),
            "opencv-python": package("4.12.0.88"),
            "rich": package("15.0.0"),
            "pip": package("26.0"),
        },
        "cv2_providers": {"count": 1, "names": ["opencv-python"]},
        "startup": {},
        "imports": {
            "path": ["<standard library>", "<site-packages>"],
            "folders": {},
            "shadowed": {},
            "unrecorded": {},
            "bytecode": {},
            "standard_library": {},
        },
        "variables": {"PYTHONUNBUFFERED": "1"},
        "libraries": {},
        "modules": {
            "numpy": module("1.24.3", "numpy", cpu_dispatch=["AVX2"]),
            "cv2": module("4.12.0", "opencv-python", ipp=False),
        },
        "pins": {"found": True, "sha256": "s", "source": "environment", "by_name": {"OMP_NUM_THREADS": pin}},
        "fingerprint": {
            "format": FINGERPRINT_FORMAT,
            "seconds": 0.1,
            "operations": {
                "cv2.resize.cubic": operation("opencv-python", "r"),
                "torch.linear": operation("torch", "l"),
                "torch.matmul": operation("torch", "m"),
                "torch.sqrt": operation("torch", "s"),
                "numpy.sum": operation("numpy", "n"),
            },
        },
        "bundle": {"path": "/b", "digest": "d", "files": {"weights/pose.safetensors": "h1", "bundle.toml": "h2"}},
        "code": {"digest": "c", "files": 9},
        "locks": {"lockfiles/cpu.lock": "l"},
    }


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
