"""Faults of the process that the server is: packages, environment variables, the project's own code."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from poseparity.environment.variables import describe_variables
from poseparity.numerics import read_pins
from scripts.locking.locks import ROOT, Pin, lock_path, read_lock, sha256
from scripts.locking.wheels import fetch

from .fault import ProcessFault

_POSEPARITY = Path(sys.executable).with_name("poseparity")
_UV = ROOT / ".venv/controller/bin/uv"
_OVERLAYS = ROOT / ".cache/faults"


def record(clip: Path, trace: Path, fault: ProcessFault | None = None) -> None:
    """Run a clip in a process of its own, with a trace and its arrays; with a fault as a server that has it runs.

    Raises:
        RuntimeError: the process failed; the message is what it said.
    """
    environment = _environment(fault, trace.parent) if fault else _pinned()
    unpinned = ["--unpinned"] if fault else []
    command = [_POSEPARITY, "run", clip, "--trace", trace, "--trace-arrays", *unpinned]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"{fault.name if fault else 'no fault'}: {done.stderr[-2000:]}")


def _pinned() -> dict[str, str]:
    """The pins, and of this process's environment what no library reads: ultralytics sets such variables in it."""
    read_by_libraries = describe_variables(dict(os.environ), ())
    return {**{name: value for name, value in os.environ.items() if name not in read_by_libraries}, **read_pins()}


def _environment(fault: ProcessFault, folder: Path) -> dict[str, str]:
    path = [str(ROOT / "service")]
    if fault.edit:
        path = [str(edited(folder, *fault.edit))]
    if fault.packages:
        path.insert(0, str(overlay(fault.packages)))
    changed = {**_pinned(), "PYTHONPATH": os.pathsep.join(path), **fault.variables}
    return {name: value for name, value in changed.items() if value is not None}


def edited(folder: Path, file: str, text: str, replacement: str) -> Path:
    """A checkout in which one line of the package is another; the folder for PYTHONPATH.

    Raises:
        ValueError: the file does not hold that text, so nothing would be changed.
    """
    for name in ("service", "scripts", "lockfiles"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    path = folder / "service/poseparity" / file
    source = path.read_text(encoding="utf-8")
    if text not in source:
        raise ValueError(f"{file} does not hold {text!r}: say what else is to be edited")
    path.write_text(source.replace(text, replacement), encoding="utf-8")
    return folder / "service"


def overlay(packages: tuple[str, ...]) -> Path:
    """A folder of packages as one installation after the other leaves it, to be found before the installed ones.

    Args:
        packages: LOCK:NAME each.
    """
    pins = [_pin(package) for package in packages]
    name = "+".join(f"{pin.name}-{pin.version}" for pin in pins)
    folder = _OVERLAYS / f"{name}-{sha256(lock_path('faults'))[:8]}"
    if not folder.is_dir():
        partial = folder.with_suffix(".partial")
        shutil.rmtree(partial, ignore_errors=True)
        for package, pin in zip(packages, pins, strict=True):
            _install(pin, fetch(lock_path(package.partition(":")[0])), partial)
        partial.rename(folder)
    return folder


def _pin(package: str) -> Pin:
    lock, _, name = package.partition(":")
    return read_lock(lock_path(lock))[name]


def _install(pin: Pin, wheels: Path, target: Path) -> None:
    target.mkdir(parents=True, exist_ok=True)
    wanted = target.with_suffix(".txt")
    wanted.write_text(" ".join([str(pin), *(f"--hash=sha256:{each}" for each in sorted(pin.hashes))]), encoding="utf-8")
    install = [_UV, "pip", "install", "--quiet", "--no-config", "--no-index", "--no-deps", "--require-hashes",
               "--link-mode", "copy", "--python", sys.executable, "--find-links", wheels, "--target", target,
               "--requirement", wanted]  # fmt: skip
    subprocess.run(install, check=True)
    wanted.unlink()


_AVX512 = ("ATEN_CPU_CAPABILITY", "ONEDNN_MAX_CPU_ISA", "NPY_DISABLE_CPU_FEATURES", "OPENCV_CPU_DISABLE",
           "OPENBLAS_CORETYPE")  # fmt: skip
_CONTRIB = ("cpu:opencv-python", "faults:opencv-contrib-python")

FAULTS = (
    ProcessFault("OpenCV 4.11.0.86", None, "opencv", ("4.12.0.88 in A", "4.11.0.86 in B"),
                 packages=("faults:opencv-python",)),
    ProcessFault("NumPy 1.26.4", None, "numpy", ("1.24.3 in A", "1.26.4 in B"), packages=("faults:numpy",)),
    ProcessFault("opencv-contrib installed over opencv", None, "cv2-providers", ("opencv-contrib-python",),
                 packages=_CONTRIB),
    ProcessFault("IPP on", None, "ipp", ("OPENCV_IPP",), variables={"OPENCV_IPP": None}),
    ProcessFault("AVX-512 on", "detect", "instruction-sets", variables=dict.fromkeys(_AVX512), needs="avx512f"),
    ProcessFault("2 threads", "detect", "threads", variables={"OMP_NUM_THREADS": "2", "MKL_NUM_THREADS": "2"}),
    ProcessFault("4 threads", "detect", "threads", variables={"OMP_NUM_THREADS": "4", "MKL_NUM_THREADS": "4"}),
    ProcessFault("MKL_CBWR unset", "detect", "mkl-branch", ("MKL_CBWR",), variables={"MKL_CBWR": None}),
    ProcessFault("the server's detect.py edited: YOLO is given RGB for BGR", "detect", "stage-code",
                 ("stages.detect",), edit=("stages/detect.py", "(frame for", "(frame[..., ::-1] for")),
)  # fmt: skip
