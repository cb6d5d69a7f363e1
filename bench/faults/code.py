"""Faults of the server's code that nothing in a trace's parameters or environment tells: only the arrays do."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from pathlib import Path

import cv2
import numpy as np

from poseparity.engines.openpose import engine as openpose
from poseparity.libraries.mmaction2 import registries
from poseparity.stages import interpolate, normalise, pose

from .bundles import setting
from .fault import CodeFault

_annotation, _filled, _fit, _moved = normalise.annotation, interpolate.filled, openpose.fit_to_network, pose._moved


@contextmanager
def _replaced(owner: object, name: str, function: object) -> Iterator[None]:
    own = getattr(owner, name)
    setattr(owner, name, function)
    try:
        yield
    finally:
        setattr(owner, name, own)


def in_place_of(owner: object, name: str, function: object) -> Callable[[], AbstractContextManager[None]]:
    """A patch: a function of a module, or a method of a class, is another one."""
    return partial(_replaced, owner, name, function)


def crop_through_jpeg(crop: np.ndarray, **size: int):
    """What a server does that writes its crops to disk as OpenCV writes .jpg unless told otherwise."""
    with tempfile.TemporaryDirectory() as folder:
        path = str(Path(folder) / "crop.jpg")
        cv2.imwrite(path, crop)
        return _fit(cv2.imread(path), **size)


def red_and_blue_exchanged(crop: np.ndarray, **size: int):
    return _fit(cv2.cvtColor(crop, cv2.COLOR_BGR2RGB), **size)


def filled_between_only(keypoints: np.ndarray, missing: np.ndarray) -> np.ndarray:
    """Without the forward and backward fill: what is missing at the start and at the end stays 0,0,0."""
    result = _filled(keypoints, missing)
    ends = np.logical_and.accumulate(missing) | np.logical_and.accumulate(missing[::-1])[::-1]
    result[ends] = 0
    return result


def held(keypoints: np.ndarray, missing: np.ndarray) -> np.ndarray:
    """Forward fill: each gap has the values of the last frame before it."""
    result = keypoints.copy()
    for frame in range(1, len(result)):
        result[frame, missing[frame]] = result[frame - 1, missing[frame]]
    return result


def unit_coordinates(skeleton, box, _parameters):
    """Shares of the frame's width and height where pixels belong."""
    keypoint = skeleton.keypoints[None, ..., :2] / (skeleton.frame_size.width, skeleton.frame_size.height)
    return _annotation(skeleton, box) | {"keypoint": keypoint.astype(np.float16)}


def unit_skeleton(keypoints: np.ndarray, x: int, y: int) -> np.ndarray:
    """A skeleton CSV in [0,1] of a 480x360 frame."""
    return _moved(keypoints, x, y) / (480, 360, 1)


def scores_of_one_in_the_skeleton(keypoints: np.ndarray, x: int, y: int) -> np.ndarray:
    moved = _moved(keypoints, x, y)
    moved[moved[..., 2] > 0, 2] = 1
    return moved


def without_img_shape(skeleton, box, _parameters):
    """PreNormalize2D then takes its own default, 1080x1920, and says nothing."""
    annotation = _annotation(skeleton, box)
    del annotation["img_shape"]
    return annotation


def scores_of_one(skeleton, box, _parameters):
    annotation = _annotation(skeleton, box)
    return annotation | {"keypoint_score": np.ones_like(annotation["keypoint_score"])}


def float32_keypoints(skeleton, box, _parameters):
    positions = skeleton.keypoints[..., :2] - box[:2]
    positions[skeleton.missing] = 0
    return _annotation(skeleton, box) | {"keypoint": positions[None].astype(np.float32)}


class MeanCentred:
    """A PreNormalize2D of somebody's own: coordinates less their mean, whatever the picture's size is."""

    def __init__(self, **_options: object) -> None:
        pass

    def __call__(self, results: dict) -> dict:
        keypoint = results["keypoint"].astype(np.float32)
        return results | {"keypoint": keypoint - keypoint.mean(axis=(1, 2), keepdims=True)}


@contextmanager
def registered_over_mmaction2() -> Iterator[None]:
    """As a module that is imported first does it: register_module(name=..., force=True)."""
    transforms = registries().TRANSFORMS
    own = transforms.get("PreNormalize2D")
    transforms.register_module(name="PreNormalize2D", force=True, module=MeanCentred)
    try:
        yield
    finally:
        transforms.register_module(name="PreNormalize2D", force=True, module=own)


def mean_centring_inside() -> AbstractContextManager[None]:
    """MMAction2's own class, with another method."""
    own = registries().TRANSFORMS.get("PreNormalize2D")
    return _replaced(own, "transform", lambda _self, results: MeanCentred()(results))


FAULTS = (
    CodeFault("crop written through JPEG", "pose", "jpeg", ("B's pixels", "quality about 95"), True,
              patch=in_place_of(openpose, "fit_to_network", crop_through_jpeg)),
    CodeFault("red and blue exchanged before the pose network", "pose", "colour-order", ("B has red and blue",), True,
              patch=in_place_of(openpose, "fit_to_network", red_and_blue_exchanged)),
    CodeFault("skeleton in [0,1]", "pose", "unit-range", ("B",), True,
              patch=in_place_of(pose, "_moved", unit_skeleton)),
    CodeFault("all confidences of the skeleton set to one", "pose", "confidence-constant", ("B",), True,
              patch=in_place_of(pose, "_moved", scores_of_one_in_the_skeleton)),
    CodeFault("interpolation one-sided: the ends stay missing", "interpolate", "interpolation-one-sided",
              ("B fills", "at the end"), True, patch=in_place_of(interpolate, "filled", filled_between_only)),
    CodeFault("interpolation one-sided: the last value is held", "interpolate", "interpolation-one-sided",
              ("B fills", "last seen"), True, patch=in_place_of(interpolate, "filled", held)),
    CodeFault("coordinates in [0,1]", "normalise", "coordinates-unit", ("B's coordinates",), True,
              patch=in_place_of(normalise, "annotation", unit_coordinates)),
    CodeFault("img_shape 1080x1920 for the crop's", "normalise", "img-shape", ("209x295 in A", "x1080 in B"), True,
              patch=in_place_of(normalise, "annotation", without_img_shape),
              both=setting("normalise.reference", "crop")),
    CodeFault("scores set to one", "normalise", "scores-one", ("B sets",), True,
              patch=in_place_of(normalise, "annotation", scores_of_one)),
    CodeFault("float32 for float16 keypoints", "normalise", "keypoint-precision", ("float16 in A",), True,
              patch=in_place_of(normalise, "annotation", float32_keypoints)),
    CodeFault("PreNormalize2D replaced by mean-centring", "normalise", "transform-replaced",
              ("PreNormalize2D", "MeanCentred in B"), patch=registered_over_mmaction2),
    CodeFault("PreNormalize2D's method replaced by mean-centring", "normalise", "mean-centring", ("B's coordinates",),
              True, patch=mean_centring_inside),
)  # fmt: skip
