"""From a skeleton in pixels to the recogniser's input, by MMAction2's own transforms."""

from __future__ import annotations

import hashlib
import inspect
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import cache

import numpy as np

from ..bundle.bundle import Bundle, Joints, NormaliseParameters
from ..bundle.mmaction2_types import check_transform
from ..errors import BundleError, InputError
from ..keypoints import coco18_from_coco17
from ..libraries.mmaction2 import registries
from ..records import NormalisedClips, Skeleton
from .base import NORMALISE, Stage

_CHANNELS_XY = 2
_FRAME_SIZE_OPTIONS = "--frame-size WIDTHxHEIGHT, frame_size in a request, or frame_size under [input] in bundle.toml"
# Nothing but the defaults of the table; its transforms have no part in an annotation.
INFERENCE_SKELETON = NormaliseParameters(reference="frame", transforms=({},))


class Normalise(Stage):
    """Apply the transforms of the bundle, which are those of the model's own test pipeline.

    Coordinates are taken relative to a reference box, which MMAction2 calls img_shape: the full frame, the crop, a box
    of a fixed size, or the square around all joints of the kept frames. What the first transform gets is the bundle's
    choice, see `annotation`. A model of OpenPose's 18 joints gets the neck that COCO's 17 lack derived from the
    shoulders.

    Reads: Skeleton. Adds: the clips that are sampled from it.
    Raises: InputError when the reference box is not known, or when a joint is too far from it for float16.
    """

    row = NORMALISE
    name = row.name

    def __init__(self, bundle: Bundle) -> None:
        self._parameters = bundle.normalise
        self._transforms = [_build(config) for config in bundle.normalise.transforms]

    def __call__(self, skeleton: Skeleton) -> NormalisedClips:
        box = reference_box(skeleton, self._parameters)
        data = annotation(with_joints(skeleton, self._parameters.joints), box, self._parameters)
        with _numpy_seed_kept():
            for transform in self._transforms:
                data = transform(data)
        inputs = data["inputs"].numpy()
        if not np.isfinite(inputs).all():
            raise InputError(
                f"the joints cannot be expressed relative to {box}: they would be infinite",
                code="joints-out-of-range",
                fix="check that the joints, the crop and the frame size belong to one video",
            )
        return NormalisedClips(inputs=inputs, sample=data["data_samples"], reference=box)

    @staticmethod
    def values(clips: NormalisedClips) -> dict[str, np.ndarray]:
        return {"inputs": clips.inputs, "reference": np.array(clips.reference, dtype=np.float64)}

    def describe(self) -> dict:
        """The class behind each transform: another one may be registered under a name of MMAction2's."""
        return {"transform_classes": [_described(type(transform)) for transform in self._transforms]}


def with_joints(skeleton: Skeleton, joints: Joints) -> Skeleton:
    """The skeleton with the joints of the recogniser's graph, in the order of the graph."""
    if joints == "coco17":
        return skeleton
    return replace(skeleton, keypoints=coco18_from_coco17(skeleton.keypoints))


def reference_box(skeleton: Skeleton, parameters: NormaliseParameters) -> tuple[float, float, float, float]:
    """The box, in pixels of the full frame, that coordinates are taken relative to: x, y, width, height."""
    if parameters.reference == "skeleton":  # the square around all joints
        present = skeleton.keypoints[~skeleton.missing][:, :_CHANNELS_XY]
        if not len(present):
            raise InputError(
                "every joint of every frame is missing (0,0,0)",
                code="no-joints",
                fix="check the pose estimation: its output holds no person",
            )
        low, high = present.min(axis=0), present.max(axis=0)
        side = max(1.0, float((high - low).max()) * (1 + 2 * parameters.padding))
        centre = (low + high) / 2
        return (float(centre[0]) - side / 2, float(centre[1]) - side / 2, side, side)
    if parameters.reference == "fixed":
        return (0, 0, *parameters.size)
    if parameters.reference == "crop":
        crop = _known(skeleton.crop, "crop", "--crop X,Y,WIDTH,HEIGHT, or crop in a request")
        return (crop.x, crop.y, crop.width, crop.height)
    size = _known(skeleton.frame_size, "frame size", _FRAME_SIZE_OPTIONS)
    return (0, 0, size.width, size.height)


def annotation(
    skeleton: Skeleton, box: tuple[float, float, float, float], parameters: NormaliseParameters = INFERENCE_SKELETON
) -> dict:
    """One person's poses as MMAction2's transforms take them: the keys and shapes of `inference_skeleton`.

    Args:
        box: x, y, width, height, pixels of the full frame.
        parameters: range of the coordinates, confidences and precision; by default those of `inference_skeleton`.
    """
    x, y, width, height = box
    positions = skeleton.keypoints[..., :_CHANNELS_XY] - (x, y)
    positions[skeleton.missing] = 0
    precision = np.dtype(parameters.precision)
    return {
        "frame_dict": "",
        "label": -1,
        "img_shape": (height, width),
        "origin_shape": (height, width),
        "start_index": 0,
        "modality": "Pose",
        "total_frames": skeleton.frame_count,
        "keypoint": _in_range(positions, width, height, parameters.coordinates)[None].astype(precision),
        "keypoint_score": _scores(skeleton.keypoints[..., 2], parameters)[None].astype(precision),
    }


def _in_range(positions: np.ndarray, width: float, height: float, coordinates: str) -> np.ndarray:
    """Pixels of the box as the range that training had, in float64: scripts divide before they store anything smaller.

    A missing joint is treated as any other is, as PreNormalize2D does it: it is at 0, 0, or at -1, -1.
    """
    if coordinates == "unit":
        return positions / (width, height)
    if coordinates == "signed":
        return (positions - (width / 2, height / 2)) / (width / 2, height / 2)
    return positions


def _scores(confidences: np.ndarray, parameters: NormaliseParameters) -> np.ndarray:
    if parameters.confidence == "ones":
        return np.ones_like(confidences)
    if parameters.confidence == "threshold":
        return np.where(confidences < parameters.confidence_threshold, 0.0, confidences)
    return confidences


def _known(value, what: str, option: str):
    if value is None:
        raise InputError(
            f"the {what} is not known, and this bundle takes coordinates relative to it",
            code="reference-unknown",
            fix=f"give it with {option}",
        )
    return value


def _build(table: dict):
    """MMAction2's transform of a table.

    Raises:
        BundleError: the table is not one that bundles run, see mmaction2_tables.py, or MMAction2 does not take it.
    """
    check_transform(table)
    try:
        return registries().TRANSFORMS.build(dict(table))
    except (TypeError, ValueError, AssertionError) as error:
        raise BundleError(
            f"MMAction2 cannot build {table['type']}: {error}", fix="correct its arguments in [[normalise.transforms]]"
        ) from error


@cache  # Python looks for a class by parsing its module
def _described(cls: type) -> dict:
    source = inspect.getsource(cls)
    return {
        "module": cls.__module__,
        "name": cls.__qualname__,
        "sha256": hashlib.sha256(source.encode()).hexdigest(),
    }


_GENERATOR = threading.Lock()


@contextmanager
def _numpy_seed_kept() -> Iterator[None]:
    """UniformSampleFrames seeds NumPy's global generator; leave it as it was for everybody else.

    And draws from it: one clip at a time, or another thread's seed would come between.
    """
    with _GENERATOR:
        state = np.random.get_state()
        try:
            yield
        finally:
            np.random.set_state(state)
