"""The environment variables that libraries read."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterable
from fnmatch import fnmatchcase
from pathlib import Path

from .probes import PROBES

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
