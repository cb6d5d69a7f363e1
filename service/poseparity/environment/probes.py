"""What the libraries say of each pin once they are loaded: whether it took effect."""

from __future__ import annotations

import contextlib
import ctypes
import functools
import importlib
import importlib.util
import os
import re
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from .machine import architecture


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
