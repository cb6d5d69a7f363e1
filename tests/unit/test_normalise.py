"""What a model sees of a skeleton: held against each kind of preprocessing, written out on its own."""

from __future__ import annotations

import numpy as np
import pytest

from poseparity.bundle.bundle import NormaliseParameters
from poseparity.records import Box, Size, Skeleton
from poseparity.stages.normalise import annotation, reference_box

TRANSFORMS = ({"type": "PoseDecode"},)


@pytest.fixture
def skeleton() -> Skeleton:
    keypoints = np.random.default_rng(7).uniform((0, 0, 0.05), (1280, 720, 1), (30, 17, 3))
    keypoints[4:9, 3] = 0
    return Skeleton(keypoints, frame_size=Size(1280, 720), crop=Box(100, 50, 400, 600))


def seen(skeleton: Skeleton, **table) -> dict:
    parameters = NormaliseParameters(transforms=TRANSFORMS, **{"reference": "frame", **table})
    return annotation(skeleton, reference_box(skeleton, parameters), parameters)


def test_by_default_it_is_what_inference_skeleton_stores(skeleton):
    found = seen(skeleton)
    assert found["img_shape"] == (720, 1280)
    assert found["keypoint"].tobytes() == skeleton.keypoints[None, ..., :2].astype(np.float16).tobytes()
    assert found["keypoint_score"].tobytes() == skeleton.keypoints[None, ..., 2].astype(np.float16).tobytes()


@pytest.mark.parametrize("precision", ["float16", "float32", "float64"])
@pytest.mark.parametrize(
    "table, left, top, width, height",
    [
        ({"reference": "frame"}, 0, 0, 1280, 720),
        ({"reference": "crop"}, 100, 50, 400, 600),
        ({"reference": "fixed", "size": (1920, 1080)}, 0, 0, 1920, 1080),
    ],
)
def test_ranges(skeleton, table, left, top, width, height, precision):
    x, y = skeleton.keypoints[..., 0], skeleton.keypoints[..., 1]
    missing = ~skeleton.keypoints.any(axis=-1)
    x, y = np.where(missing, 0, x - left), np.where(missing, 0, y - top)
    wanted = {
        "pixels": (x, y),
        "unit": (x / float(width), y / float(height)),
        "signed": ((x - width / 2) / (width / 2), (y - height / 2) / (height / 2)),
    }
    for coordinates, (horizontal, vertical) in wanted.items():
        found = seen(skeleton, **table, coordinates=coordinates, precision=precision)
        assert found["img_shape"] == (height, width)
        assert found["keypoint"].dtype == precision and found["keypoint"].shape == (1, 30, 17, 2)
        assert found["keypoint"][0, ..., 0].tobytes() == horizontal.astype(precision).tobytes()
        assert found["keypoint"][0, ..., 1].tobytes() == vertical.astype(precision).tobytes()


def test_confidences(skeleton):
    confidences = skeleton.keypoints[..., 2]
    wanted = {"estimated": confidences, "ones": np.ones((30, 17)), "threshold": confidences * (confidences >= 0.3)}
    for confidence, values in wanted.items():
        threshold = {"confidence_threshold": 0.3} if confidence == "threshold" else {}
        found = seen(skeleton, confidence=confidence, precision="float32", **threshold)["keypoint_score"]
        assert found.dtype == np.float32 and found.tobytes() == values[None].astype(np.float32).tobytes()


@pytest.mark.parametrize(
    "table, words",
    [
        ({"reference": "fixed"}, "size is missing"),
        ({"reference": "frame", "size": (1920, 1080)}, "size is given"),
        ({"reference": "fixed", "size": (0, 1080)}, "greater than 0"),
        ({"confidence": "threshold"}, "confidence_threshold is missing"),
        ({"confidence_threshold": 0.3}, "confidence_threshold is given"),
        ({"coordinates": "centred"}, "'pixels', 'unit' or 'signed'"),
        ({"precision": "int8"}, "'float16', 'float32' or 'float64'"),
    ],
)
def test_a_table_that_contradicts_itself(skeleton, table, words):
    with pytest.raises(ValueError, match=words):
        seen(skeleton, **table)
