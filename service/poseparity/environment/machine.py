"""What the system says of the interpreter, the operating system, the C library and the processor."""

from __future__ import annotations

import ctypes
import os
import platform
import struct
import subprocess
import sys
from collections.abc import Callable, Iterable
from pathlib import Path

from .files import read_text

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
