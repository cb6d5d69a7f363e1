"""What the libraries say of themselves once they are imported, and which package each came from."""

from __future__ import annotations

import importlib
import importlib.util
from pathlib import Path
from typing import Any

from .files import digest_of
from .packages import Distribution
from .probes import describe_openblas, onednn_convolution

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
