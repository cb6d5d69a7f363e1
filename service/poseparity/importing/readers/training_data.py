"""What training read, found in a file of it: a skeleton CSV, or the annotations that MMAction2's PoseDataset reads.

The annotations are a pickle, and nothing in it is run: NumPy's arrays are rebuilt by the code below, see inert.py.
"""

from __future__ import annotations

import math
import pickle
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from ... import skeleton_csv
from ...errors import ImportRefused, InputError
from ...keypoints import Coco17
from ...records import Size
from .inert import MALFORMED, PLAIN, Function, InertUnpickler
from .pickle_program import check_program

_MOST_BYTES = 4 * 2**30  # NTU RGB+D 120's annotations have 1.1 GiB
_MOST_FRAMES = 10**6  # nine hours at 30 frames a second
_FIX = "give the annotation file of the training (.pkl, as PoseDataset reads it), or one of its skeleton CSVs"
# Joints may lie a little outside of the frame: shares of it up to here are shares still.
_UNIT_OVERSHOOT = 1.5
# [-1, 1] has joints on both sides of the middle; [0, 1] has at most a few that were estimated outside of the frame.
_NEGATIVE_SHARE = 0.02
_PIXELS_FROM = 2.5  # no share of a frame is as large, and no skeleton in pixels is as small

Coordinates = Literal["pixels", "unit", "signed"]


@dataclass(frozen=True)
class TrainingData:
    """What the skeletons of a training file look like.

    Attributes:
        name: of the file.
        skeletons: how many it holds.
        lowest, highest: smallest and largest coordinate of a joint that was seen.
        ones: every confidence is 1.
        precision: dtype of the keypoints; None where a CSV does not tell.
        sizes: every img_shape of the annotations, as sizes; None stands for one without.
    """

    name: str
    skeletons: int
    coordinates: Coordinates
    lowest: float
    highest: float
    ones: bool
    precision: Literal["float16", "float32", "float64"] | None
    sizes: frozenset[Size | None]

    @property
    def size(self) -> Size | None:
        """The one size that all skeletons have; None where they differ, or say none."""
        return next(iter(self.sizes)) if len(self.sizes) == 1 else None

    def __str__(self) -> str:
        kinds = {"pixels": "in pixels", "unit": "in [0, 1]", "signed": "in [-1, 1]"}
        confidences = "all confidences 1" if self.ones else "confidences as estimated"
        return (
            f"{self.name}: {self.skeletons} skeletons {kinds[self.coordinates]} ({self.lowest:.4g} to "
            f"{self.highest:.4g}), {confidences}, {self.precision or 'precision not told by a CSV'}"
        )


def read_training_data(path: Path) -> TrainingData:
    """Look into a file that training read; a pickle is told by its content, whatever the file is called.

    Raises:
        ImportRefused: it is neither, it holds no COCO-17 skeletons in 2D, or their range is not clear.
    """
    if not path.is_file():
        raise ImportRefused(f"{path} is no file", fix="check the path of --training-data")
    if path.stat().st_size > _MOST_BYTES:
        raise ImportRefused(
            f"{path.name} has more than {_MOST_BYTES} bytes", fix="give a part of it: one split will do"
        )
    content = path.read_bytes()
    if content[:1] == b"\x80":  # with which every pickle of protocol 2 and later begins
        return _described(path.name, list(_annotations(path.name, content)))
    try:
        keypoints = skeleton_csv.read(content, max_frames=_MOST_FRAMES)
    except InputError as error:
        raise ImportRefused(f"{path.name} is neither a pickle nor a skeleton CSV: {error}", fix=_FIX) from error
    return _described(path.name, [_Skeleton(keypoints[..., :2], keypoints[..., 2], None)], precision=None)


# --- what is in the skeletons ----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Skeleton:
    """Positions (..., 17, 2), scores (..., 17) or None, and the size of the frame where it is said."""

    positions: np.ndarray
    scores: np.ndarray | None
    size: Size | None

    def seen(self) -> np.ndarray:
        """Coordinates of joints that are not missing: (joints, 2)."""
        present = self.positions.any(axis=-1)
        if self.scores is not None:
            present &= self.scores > 0
        return self.positions[present].astype(np.float64)


_OF_THE_FIRST = object()  # None says that the file does not tell


def _described(name: str, skeletons: list[_Skeleton], precision: Any = _OF_THE_FIRST) -> TrainingData:
    seen = np.concatenate([skeleton.seen() for skeleton in skeletons] or [np.empty((0, 2))])
    if not len(seen) or not np.isfinite(seen).all():
        raise ImportRefused(f"{name} holds no joint, or one that is no number", fix=_FIX)
    kinds = {skeleton.positions.dtype.name for skeleton in skeletons}
    if precision is _OF_THE_FIRST and (len(kinds) > 1 or not kinds <= {"float16", "float32", "float64"}):
        found = ", ".join(sorted(kinds))
        raise ImportRefused(f"{name} holds keypoints as {found}, expected one kind of float", fix=_FIX)
    largest = float(np.abs(seen).max())
    if largest > _PIXELS_FROM:
        coordinates: Coordinates = "pixels"
    elif largest > _UNIT_OVERSHOOT:
        raise ImportRefused(
            f"{name} has coordinates up to {largest:.4g}: neither pixels nor clearly shares of a frame",
            fix="say which: --coordinates pixels, unit or signed, without --training-data",
        )
    else:
        coordinates = "signed" if float((seen < 0).mean()) > _NEGATIVE_SHARE else "unit"
    scores = [skeleton.scores for skeleton in skeletons]
    return TrainingData(
        name=name,
        skeletons=len(skeletons),
        coordinates=coordinates,
        lowest=float(seen.min()),
        highest=float(seen.max()),
        ones=all(values is not None and bool((values == 1).all()) for values in scores),
        precision=kinds.pop() if precision is _OF_THE_FIRST else precision,
        sizes=frozenset(skeleton.size for skeleton in skeletons),
    )


# --- the annotation file ---------------------------------------------------------------------------------------------


def _annotations(name: str, content: bytes) -> Iterator[_Skeleton]:
    try:
        check_program(content)
        loaded = InertUnpickler(content, name, _KNOWN).load()
    except MALFORMED as error:
        raise ImportRefused(f"{name} holds a pickle that is no annotation file: {error}", fix=_FIX) from error
    entries = loaded.get("annotations") if isinstance(loaded, dict) else loaded
    if not isinstance(entries, list) or not entries or not all(isinstance(entry, dict) for entry in entries):
        raise ImportRefused(f"{name} holds no list of annotations", fix=_FIX)
    for position, entry in enumerate(entries):
        yield _skeleton(f"{name}, annotation {position}", entry)


def _skeleton(where: str, entry: dict) -> _Skeleton:
    keypoint, score = _array_of(entry.get("keypoint")), _array_of(entry.get("keypoint_score"))
    if keypoint is None or keypoint.ndim != 4 or keypoint.shape[2:] != (len(Coco17), 2):
        found = "no array" if keypoint is None else f"the shape {keypoint.shape}"
        raise ImportRefused(
            f"{where}: keypoint has {found}, expected (people, frames, {len(Coco17)}, 2)",
            fix="bundles take 2D skeletons in COCO-17 order: give a file of those",
        )
    if score is not None and score.shape != keypoint.shape[:3]:
        raise ImportRefused(f"{where}: keypoint_score has {score.shape}, expected {keypoint.shape[:3]}", fix=_FIX)
    return _Skeleton(keypoint, score, _size_of(where, entry.get("img_shape")))


def _size_of(where: str, shape: Any) -> Size | None:
    """MMAction2 has height before width."""
    if shape is None:
        return None
    shape = _array_of(shape).tolist() if _array_of(shape) is not None else shape
    if not isinstance(shape, tuple | list):
        raise ImportRefused(f"{where}: img_shape is {shape!r:.60}, expected (height, width)", fix=_FIX)
    values = [value.item() if isinstance(value, np.generic) else value for value in shape]
    if len(values) != 2 or not all(type(value) in (int, float) and value >= 1 for value in values):
        raise ImportRefused(f"{where}: img_shape is {shape!r:.60}, expected (height, width)", fix=_FIX)
    return Size(width=int(values[1]), height=int(values[0]))


def _array_of(value: Any) -> np.ndarray | None:
    return value.array if isinstance(value, _Array) else value if isinstance(value, np.ndarray) else None


# --- NumPy's part of a pickle, as its own functions would be called --------------------------------------------------

_KINDS = {f"{kind}{size}" for kind, sizes in (("f", "248"), ("i", "1248"), ("u", "1248"), ("b", "1")) for size in sizes}


class _Dtype:
    """numpy.dtype(kind, align, copy), then its state (version, byte order, ...); numbers only."""

    __slots__ = ("_kind", "_order")

    def __init__(self, kind: Any = None, *_: Any) -> None:
        if kind not in _KINDS:
            raise pickle.UnpicklingError(f"it has an array of {kind!r:.40}, expected numbers")
        self._kind, self._order = kind, "<"

    def __setstate__(self, state: Any) -> None:
        self._order = state[1] if state[1] in ("<", ">") else "<"

    @property
    def dtype(self) -> np.dtype:
        return np.dtype(self._order + self._kind)


class _Array:
    """numpy.core.multiarray._reconstruct(...), then its state: version, shape, dtype, Fortran order, bytes."""

    __slots__ = ("array",)

    def __init__(self, *_: Any) -> None:
        self.array: np.ndarray | None = None

    def __setstate__(self, state: Any) -> None:
        _, shape, dtype, fortran, content = state
        self.array = _filled(content, dtype, shape, "F" if fortran else "C")


def _filled(content: Any, dtype: Any, shape: Any, order: Any) -> np.ndarray:
    if not isinstance(dtype, _Dtype) or not isinstance(content, bytes | bytearray) or order not in ("C", "F"):
        raise pickle.UnpicklingError("it has an array that is not of numbers")
    if not isinstance(shape, tuple) or len(shape) > 8 or any(type(side) is not int or side < 0 for side in shape):
        raise pickle.UnpicklingError(f"it has an array of the shape {shape!r:.60}")
    if math.prod(shape) * dtype.dtype.itemsize != len(content):
        raise pickle.UnpicklingError(f"it has {len(content)} bytes for an array of the shape {shape}")
    return np.frombuffer(content, dtype=dtype.dtype).reshape(shape, order=order)


def _encoded(text: Any, encoding: Any = "utf-8") -> bytes:
    """Protocol 2 has no bytes: it holds them as text, to be encoded."""
    if not isinstance(text, str) or encoding not in ("latin1", "latin-1", "utf-8"):
        raise pickle.UnpicklingError(f"it encodes {type(text).__name__} as {encoding!r:.20}")
    return text.encode(encoding)


_KNOWN: dict[tuple[str, str], Any] = {
    **PLAIN,
    ("numpy", "dtype"): _Dtype,
    ("_codecs", "encode"): Function(_encoded),
}
for _core in ("numpy.core", "numpy._core"):  # before and since NumPy 2
    _KNOWN[f"{_core}.multiarray", "_reconstruct"] = _Array
    _KNOWN[f"{_core}.multiarray", "scalar"] = Function(
        lambda dtype, content=None: _filled(content, dtype, (1,), "C")[0]
    )
    _KNOWN[f"{_core}.numeric", "_frombuffer"] = Function(_filled)
