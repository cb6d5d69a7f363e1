"""What the C library's mathematical functions answer here."""

from __future__ import annotations

import ctypes
import hashlib
import platform
import struct
from typing import Any

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
