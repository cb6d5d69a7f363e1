"""The numerical fingerprint: digests of what NumPy, OpenCV and PyTorch answer on this machine."""

from __future__ import annotations

import base64
import functools
import hashlib
import operator
import tempfile
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from .clips import CLIPS
from .probes import library

# Neither versions nor the processor's name tell what code runs; its answers do. The operations are those that the
# stages call, with their channels and fewer pixels, and none of SciPy's: no stage calls it. Inputs are hashes of
# integers, because generators change between releases, and clips are carried, because encoders differ, too.
FINGERPRINT_FORMAT = 1
FAILURES = (ArithmeticError, AttributeError, ImportError, LookupError, MemoryError, OSError, RuntimeError, TypeError,
            ValueError)
# Name: kind of the input, its shape, width and height of the result, interpolation.
RESIZES = {
    "cubic.up.uint8": ("pixels", (92, 61, 3), (122, 184), "INTER_CUBIC"),
    "cubic.up.float32": ("floats", (23, 16, 57), (128, 184), "INTER_CUBIC"),
    "cubic.down.uint8": ("pixels", (200, 150, 3), (110, 147), "INTER_CUBIC"),
    "area.down.uint8": ("pixels", (270, 200, 3), (136, 184), "INTER_AREA"),
    "area.half.uint8": ("pixels", (240, 160, 3), (80, 120), "INTER_AREA"),
    "area.down.float32": ("floats", (90, 70, 3), (46, 60), "INTER_AREA"),
    "linear.up.uint8": ("pixels", (120, 90, 3), (160, 213), "INTER_LINEAR"),
    "linear.down.uint8": ("pixels", (240, 427, 3), (320, 180), "INTER_LINEAR"),
    "linear.down.float32": ("floats", (90, 70, 3), (46, 60), "INTER_LINEAR"),
}
# Name: shapes of the input and of the weights, options.
CONVOLUTIONS = {
    "3x3": ((1, 96, 23, 16), (96, 96, 3, 3), {"padding": 1}),
    "3x3.stride2": ((1, 3, 64, 96), (24, 3, 3, 3), {"padding": 1, "stride": 2}),
    "7x7": ((1, 185, 8, 8), (128, 185, 7, 7), {"padding": 3}),
    "1x1": ((1, 128, 12, 16), (57, 128, 1, 1), {}),
    "1x1.batch20": ((20, 16, 24, 17), (48, 16, 1, 1), {}),
    "depthwise": ((1, 80, 20, 20), (80, 1, 3, 3), {"padding": 1, "groups": 80}),
    "9x1": ((2, 64, 24, 17), (64, 64, 9, 1), {"padding": (4, 0)}),
    "9x1.stride2": ((2, 32, 24, 17), (64, 32, 9, 1), {"padding": (4, 0), "stride": (2, 1)}),
}
# Kernel: shapes of the input and of the weights, padding. Few input channels: from 64 on, where the processor says that
# its L1 cache is small, NNPACK would cut their sum, which the pose network keeps it from.
NNPACK_CONVOLUTIONS = {
    "3x3": ((1, 16, 13, 13), (12, 16, 3, 3), 1),
    "7x7": ((1, 16, 13, 13), (12, 16, 7, 7), 3),
}


class Inputs:
    """Arrays that every machine and every release of NumPy makes alike: hashes of 1, 2, 3, ... in integers."""

    def __init__(self, numpy: Any) -> None:
        self.numpy = numpy

    def hashes(self, shape: tuple, first: int) -> Any:
        """uint64, each below 2**24, so that it is a float32 without rounding."""
        numbers = self.numpy.arange(first, first + functools.reduce(operator.mul, shape), dtype=self.numpy.uint64)
        mixed = numbers * self.numpy.uint64(0x9E3779B97F4A7C15)
        mixed = (mixed ^ (mixed >> self.numpy.uint64(29))) * self.numpy.uint64(0xBF58476D1CE4E5B9)
        return (mixed >> self.numpy.uint64(40)).reshape(shape)

    def pixels(self, *shape: int) -> Any:
        return (self.hashes(shape, 1) >> self.numpy.uint64(16)).astype(self.numpy.uint8)

    def floats(self, *shape: int, first: int = 1) -> Any:
        """float32 in [-0.5, 0.5); another `first` gives other numbers."""
        scale, half = self.numpy.float32(2.0 ** -24), self.numpy.float32(0.5)
        return self.hashes(shape, first).astype(self.numpy.float32) * scale - half

    def doubles(self, *shape: int) -> Any:
        """float64 with all of its bits in use, in (-167, 167)."""
        return self.floats(*shape).astype(self.numpy.float64) * 1000 / 3


def numpy_operations(numpy: Any, inputs: Inputs) -> dict[str, Callable[[], Any]]:
    """What keypoint decoding, interpolation, trimming and normalisation compute with."""
    floats, doubles = inputs.floats, inputs.doubles
    return {
        "sum.float32": lambda: floats(3000).sum(),
        "sum.float64": lambda: doubles(3000).sum(),
        "sum.axis": lambda: doubles(60, 17, 2).sum(axis=0),
        "mean.float32": lambda: floats(60, 17, 2).mean(axis=1),
        "median": lambda: numpy.median(doubles(301)),
        "matmul.float32": lambda: floats(60, 34) @ floats(34, 60, first=99),
        "dot.float64": lambda: numpy.dot(doubles(1001), doubles(1001)[::-1]),
        "divide": lambda: doubles(60, 34) / 183.7,
        "length": lambda: numpy.sqrt(numpy.square(doubles(60, 17)) + numpy.square(doubles(17, 60).T)),
        "exp.float32": lambda: numpy.exp(floats(3000) * 20),
        "exp.float64": lambda: numpy.exp(doubles(3000) / 10),
        "interp": lambda: numpy.interp(numpy.linspace(0, 299, 1000), numpy.arange(300.0), doubles(300)),
        "linspace": lambda: numpy.linspace(0, 299, 48 * 3 + 1),
        "argsort": lambda: numpy.argsort(doubles(500), kind="stable"),
        "float16": lambda: (doubles(1000) * 7).astype(numpy.float16),
    }


def cv2_operations(cv2: Any, inputs: Inputs) -> dict[str, Callable[[], Any]]:
    """Decoding, and the resizing of frames, crops and heatmaps; on one thread, which the program sets and no pin."""
    cv2.setNumThreads(1)
    resizes = {f"resize.{name}": functools.partial(resized, cv2, inputs, *row) for name, row in RESIZES.items()}
    clips = {f"VideoCapture.{name}": functools.partial(decoded, cv2, inputs, clip) for name, clip in CLIPS.items()}
    return {
        **resizes, **clips,
        "cvtColor.bgr2rgb": lambda: cv2.cvtColor(inputs.pixels(48, 64, 3), cv2.COLOR_BGR2RGB),
        "cvtColor.bgr2gray": lambda: cv2.cvtColor(inputs.pixels(48, 64, 3), cv2.COLOR_BGR2GRAY),
        "cvtColor.yuv2bgr": lambda: cv2.cvtColor(inputs.pixels(72, 64), cv2.COLOR_YUV2BGR_I420),
        "copyMakeBorder": lambda: cv2.copyMakeBorder(inputs.pixels(18, 32, 3), 7, 7, 0, 0, cv2.BORDER_CONSTANT,
                                                     value=(114, 114, 114)),
    }


def resized(cv2: Any, inputs: Inputs, kind: str, shape: tuple, size: tuple, method: str) -> Any:
    return cv2.resize(getattr(inputs, kind)(*shape), size, interpolation=getattr(cv2, method))


def decoded(cv2: Any, inputs: Inputs, clip: str) -> Any:
    """All frames of a clip, uint8 (frames, height, width, 3), opened as the stage `decode` opens a video."""
    options = [cv2.CAP_PROP_HW_ACCELERATION, cv2.VIDEO_ACCELERATION_NONE, cv2.CAP_PROP_N_THREADS, 1]
    frames = []
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "clip"
        path.write_bytes(base64.b64decode(clip))
        capture = cv2.VideoCapture(str(path), cv2.CAP_FFMPEG, options)
        found, frame = capture.read()
        while found:
            frames.append(frame)
            found, frame = capture.read()
        capture.release()  # Windows removes no file that is open
    return inputs.numpy.stack(frames)


def torch_operations(torch: Any, inputs: Inputs) -> dict[str, Callable[[], Any]]:
    """What the three networks are made of."""

    def values(*shape: int, first: int = 1) -> Any:
        return torch.from_numpy(inputs.floats(*shape, first=first))

    return {**torch_layers(torch, values), **torch_functions(torch, values)}


def torch_layers(torch: Any, values: Callable) -> dict[str, Callable[[], Any]]:
    """Operations with weights; `values` makes a tensor of a shape."""
    functional = torch.nn.functional

    def convolution(shape: tuple, weights: tuple, options: dict) -> Any:
        return functional.conv2d(values(*shape), values(*weights, first=5), values(weights[0], first=9), **options)

    def nnpack_convolution(shape: tuple, weights: tuple, padding: int) -> Any:
        torch.backends.nnpack.is_available()  # initialises it
        kernel, bias = values(*weights, first=5), values(weights[0], first=9)
        return torch._nnpack_spatial_convolution(values(*shape), kernel, bias, padding)

    def batch_norm(*shape: int) -> Any:
        mean, scale, shift = (values(shape[1], first=first) for first in (3, 5, 7))
        return functional.batch_norm(values(*shape), mean, values(shape[1]) + 0.75, scale, shift)

    return {
        **{f"conv2d.{name}": functools.partial(convolution, *row) for name, row in CONVOLUTIONS.items()},
        **{f"nnpack.{name}": functools.partial(nnpack_convolution, *row) for name, row in NNPACK_CONVOLUTIONS.items()},
        "linear": lambda: functional.linear(values(1, 256), values(60, 256, first=5), values(60, first=9)),
        "matmul": lambda: values(64, 100) @ values(100, 80, first=5),
        "bmm": lambda: values(3, 24, 17) @ values(3, 17, 17, first=5),
        "einsum.graph": lambda: torch.einsum("nkctv,kvw->nctw", values(2, 3, 16, 24, 17), values(3, 17, 17, first=5)),
        "batch_norm.1d": lambda: batch_norm(2, 102, 48),
        "batch_norm.2d": lambda: batch_norm(2, 64, 24, 17),
    }


def torch_functions(torch: Any, values: Callable) -> dict[str, Callable[[], Any]]:
    """Operations without weights; `values` makes a tensor of a shape."""
    functional = torch.nn.functional
    return {
        "relu": lambda: functional.relu(values(3000)),
        "silu": lambda: functional.silu(values(3000) * 20),
        "sigmoid": lambda: torch.sigmoid(values(3000) * 20),
        "exp": lambda: torch.exp(values(3000) * 20),
        "softmax.boxes": lambda: functional.softmax(values(1, 16, 4, 100) * 20, 1),
        "softmax.scores": lambda: functional.softmax(values(1, 60) * 20, 1),
        "max_pool2d.2": lambda: functional.max_pool2d(values(1, 64, 24, 16), 2),
        "max_pool2d.5": lambda: functional.max_pool2d(values(1, 48, 10, 10), 5, 1, 2),
        "avg_pool2d": lambda: functional.adaptive_avg_pool2d(values(2, 64, 12, 17), 1),
        "mean": lambda: values(2, 10, 64).mean(1),
        "sum": lambda: values(3000).sum(),
        "interpolate.nearest": lambda: functional.interpolate(values(1, 80, 10, 10), scale_factor=2, mode="nearest"),
        "cat": lambda: torch.cat([values(1, 38, 12, 16), values(1, 19, 12, 16), values(1, 128, 12, 16)], 1),
        "argsort": lambda: torch.argsort(values(300), descending=True),
        "sqrt": lambda: torch.sqrt(values(3000) + 1),  # differs between processors whatever is pinned: see parity.toml
    }


OPERATIONS = {"numpy": numpy_operations, "cv2": cv2_operations, "torch": torch_operations}


def take_fingerprint(without: Iterable[str] = ()) -> dict:
    """Digests of what the libraries in use answer here: {"format", "operations": {name: {"sha256"}}, "seconds"}.

    An operation that fails has "error" in place of "sha256"; so has a library, under its own name, that cannot be
    imported. Without NumPy, which makes the inputs, there is {"skipped": reason}.
    """
    numpy, started = library("numpy", without), time.monotonic()
    if numpy is None:
        return {"skipped": "numpy, which makes the inputs, cannot be imported"}
    results = {}
    for name, operations in OPERATIONS.items():
        module = library(name, without)
        if module is None:
            results[name] = {"error": f"{name} cannot be imported"}
            continue
        failures = (*FAILURES, module.error) if name == "cv2" else FAILURES
        for operation, call in operations(module, Inputs(numpy)).items():
            results[f"{name}.{operation}"] = attempt(call, numpy, failures)
    return {"format": FINGERPRINT_FORMAT, "operations": results, "seconds": round(time.monotonic() - started, 3)}


def attempt(call: Callable[[], Any], numpy: Any, failures: tuple) -> dict:
    """{"sha256"} over TYPE|LENGTH,LENGTH,...| and the bytes of the result, or {"error"} with the reason in one line."""
    try:
        array = numpy.asarray(call())
    except failures as error:
        return {"error": " ".join(f"{type(error).__name__}: {error}".split())[:200]}
    header = f"{array.dtype.str}|{','.join(map(str, array.shape))}|"
    return {"sha256": hashlib.sha256(header.encode() + array.tobytes()).hexdigest()}


def add_libraries(fingerprint: dict, modules: dict[str, dict]) -> dict:
    """Adds to each operation the distribution that it belongs to; the module's name where no package installed it."""
    operations = {name: {"library": modules[name.split(".")[0]]["package"] or name.split(".")[0], **facts}
                  for name, facts in fingerprint.get("operations", {}).items()}
    return {**fingerprint, "operations": operations} if operations else fingerprint
