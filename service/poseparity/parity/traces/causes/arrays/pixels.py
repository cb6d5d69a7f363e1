"""What pixels show of what was done to them: JPEG, another way of resizing, exchanged colours."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from .....stages.base import CROP, DECODE, POSE
from .....trace.reading import TraceFile
from ....result import Cause
from ...stages import StageComparison
from .. import certainty
from ..catalogue import cause

# OpenCV's own quality and libjpeg's first: of several that explain as much, the first is told.
_QUALITIES = (95, 75, 90, 85, 80, 70, 60, 50, 98, 100)
_FRAMES = 3  # frames that are looked at
_EXPLAINED = 0.5  # share of the difference that an explanation has to take away


@dataclass(frozen=True)
class _Sample:
    """One frame's crop, uint8 BGR, and the network's inputs that A and B made of it, float (height, width, 3)."""

    crop: np.ndarray
    a: np.ndarray
    b: np.ndarray


def of_frames(stage: StageComparison, a: TraceFile, b: TraceFile) -> Iterator[Cause]:
    """Decoded frames: whether one side's are the other's through JPEG."""
    pairs = [
        (a.observed(DECODE.name, "frame", frame), b.observed(DECODE.name, "frame", frame))
        for frame in _some(stage, "frame")
    ]
    pairs = [pair for pair in pairs if pair[0] is not None and pair[1] is not None and pair[0].shape == pair[1].shape]
    for side, order in (("B", 1), ("A", -1)):
        samples = [_Sample(original, original, changed) for original, changed in (pair[::order] for pair in pairs)]
        yield from _best_jpeg(stage.name, side, samples, lambda image, _: image)


def of_network_input(stage: StageComparison, a: TraceFile, b: TraceFile) -> Iterator[Cause]:
    """The pose network's input, where the frames and the crop are the same."""
    if stage.differing[0].name != "network_input":
        return
    samples = _samples(stage, a, b)
    found = list(_conversions(stage.name, samples))
    if samples and all(each.a.shape == each.b.shape and np.array_equal(each.a[..., ::-1], each.b) for each in samples):
        found.insert(0, cause("colour-order", score=certainty.PIXELS, stage=stage.name, side="B"))
    yield from found
    if not found and not stage.parameters:
        alike = [np.abs(each.a - each.b).mean() for each in samples if each.a.shape == each.b.shape]
        other = "other sizes" if samples else "by how much is not known"
        what = f"{np.mean(alike):.2g} grey levels on average" if alike else other
        yield cause(
            "pixels-changed", score=certainty.UNEXPLAINED_PIXELS, stage=stage.name, value="network_input", what=what
        )


def _some(stage: StageComparison, value: str) -> list[int]:
    found = next((each for each in stage.differing if each.name == value and each.first_frame is not None), None)
    if found is None:
        return []
    return sorted({found.first_frame, found.frame if found.frame is not None else found.first_frame})[:_FRAMES]


def _samples(stage: StageComparison, a: TraceFile, b: TraceFile) -> list[_Sample]:
    box = a.result(CROP.name, "box")
    if box is None or box.shape != (4,):
        return []
    x, y, width, height = box.tolist()
    samples = []
    for frame in _some(stage, "network_input"):
        image = a.observed(DECODE.name, "frame", frame)
        inputs = [side.observed(POSE.name, "network_input", frame) for side in (a, b)]
        if image is not None and all(each is not None and each.ndim == 3 for each in inputs):
            crop = image[y : y + height, x : x + width]
            samples.append(_Sample(crop, *(each.astype(np.float64) for each in inputs)))
    return samples


def _conversions(stage: str, samples: list[_Sample]) -> Iterator[Cause]:
    """The side that is not what plain resizing gives, explained by JPEG or by another interpolation."""
    if not samples or any(each.a.shape != each.b.shape for each in samples):
        return
    plain = _resize(None)
    distances = [sum(_distance(plain(each.crop, side(each)), side(each)) for each in samples) for side in _SIDES]
    side = "B" if distances[0] <= distances[1] else "A"
    if side == "A":
        samples = [_Sample(each.crop, each.b, each.a) for each in samples]
    jpeg = list(_best_jpeg(stage, side, samples, plain))
    methods = [] if jpeg else list(_best_method(stage, side, samples))
    yield from jpeg or methods


_SIDES: tuple[Callable[[_Sample], np.ndarray], ...] = (lambda sample: sample.a, lambda sample: sample.b)
_Fit = Callable[[np.ndarray, np.ndarray], np.ndarray]


def _best_jpeg(stage: str, side: str, samples: list[_Sample], fit: _Fit) -> Iterator[Cause]:
    shares = {quality: _share(samples, lambda crop, q=quality: _jpeg(crop, q), fit) for quality in _QUALITIES}
    quality = max(shares, key=shares.get)
    if shares[quality] > _EXPLAINED:
        share = round(shares[quality], 4)
        yield cause(
            "jpeg", score=certainty.PIXELS * share, stage=stage, side=side, quality=quality, share_explained=share
        )


def _best_method(stage: str, side: str, samples: list[_Sample]) -> Iterator[Cause]:
    import cv2  # slow to import, and needed for arrays only

    methods = {
        "nearest": cv2.INTER_NEAREST, "linear": cv2.INTER_LINEAR, "cubic": cv2.INTER_CUBIC, "area": cv2.INTER_AREA,
        "lanczos": cv2.INTER_LANCZOS4,
    }  # fmt: skip
    shares = {name: _share(samples, lambda crop: crop, _resize(method)) for name, method in methods.items()}
    method = max(shares, key=shares.get)
    if shares[method] > _EXPLAINED:
        share = round(shares[method], 4)
        yield cause(
            "resize-method",
            score=certainty.PIXELS * share,
            stage=stage,
            side=side,
            method=method,
            share_explained=share,
        )


def _share(samples: list[_Sample], change: Callable[[np.ndarray], np.ndarray], fit: _Fit) -> float:
    """Share of the difference between a and b that goes away when the crop is changed so."""
    before = sum(_distance(each.a, each.b) for each in samples)
    after = sum(_distance(fit(change(each.crop), each.b), each.b) for each in samples)
    return 1 - after / before if before else 0.0


def _distance(a: np.ndarray, b: np.ndarray) -> float:
    """Mean absolute difference over the part that both cover."""
    height, width = min(len(a), len(b)), min(a.shape[1], b.shape[1])
    difference = a[:height, :width].astype(np.float64) - b[:height, :width].astype(np.float64)
    return float(np.abs(difference).mean())


def _resize(method: int | None) -> _Fit:
    """From a crop to the part of the network's input that shows it, with an interpolation; None: the pipeline's own."""
    import cv2

    def fit(crop: np.ndarray, like: np.ndarray) -> np.ndarray:
        scale = min(len(like) / len(crop), like.shape[1] / crop.shape[1])
        size = round(crop.shape[1] * scale), round(len(crop) * scale)
        own = cv2.INTER_CUBIC if scale > 1 else cv2.INTER_AREA
        return cv2.resize(crop, size, interpolation=own if method is None else method)

    return fit


def _jpeg(image: np.ndarray, quality: int) -> np.ndarray:
    import cv2

    _, content = cv2.imencode(".jpg", np.ascontiguousarray(image), [cv2.IMWRITE_JPEG_QUALITY, quality])
    return cv2.imdecode(content, cv2.IMREAD_COLOR)
