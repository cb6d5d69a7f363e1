"""A snapshot, the policy, and the judgement on a change of the snapshot."""

from __future__ import annotations

import copy

import pytest

from poseparity.environment.compare import compare_snapshots
from poseparity.environment.files import FORMAT
from poseparity.environment.fingerprint import FINGERPRINT_FORMAT
from poseparity.environment.policy import load_policy
from poseparity.environment.snapshot import KIND
from tests.unit.environment.support import POLICY, module, operation, package


@pytest.fixture
def snapshot() -> dict:
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


@pytest.fixture(scope="module")
def policy():
    return load_policy(POLICY)


@pytest.fixture
def compare(snapshot, policy):
    """compare(change): findings where `change` was made to the server's snapshot; `both`: to the local one, too."""

    def run(change, both: bool = False) -> list[dict]:
        server = copy.deepcopy(snapshot)
        change(server)
        return compare_snapshots(server if both else snapshot, server, policy)

    return run
