"""The JSON that OpenPose writes for a frame with --write_json, --model_pose COCO and --keypoint_scale 0.

Format: https://github.com/CMU-Perceptual-Computing-Lab/openpose/blob/master/doc/02_output.md
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from ...errors import EngineError
from ...keypoints import Coco18, coco17_from_coco18

_KEY = "pose_keypoints_2d"
_VALUES = 3 * len(Coco18)
_FIX = "run it by hand on a folder of pictures, with --model_pose COCO --write_json"


def read_persons(path: Path) -> np.ndarray:
    """The persons of a frame: float64 (persons, 17, 3), COCO-17, pixels of the picture; nobody lacks all joints.

    The file holds no score of a person, and its order is none: whose confidences have the highest sum comes first.

    Raises:
        EngineError: the file is not there, or is not of this format.
    """
    if not path.is_file():
        raise EngineError(f"OpenPose wrote no {path.name}: a frame was left out", fix=_FIX)
    try:
        content = json.loads(path.read_bytes())
    except ValueError as error:
        raise _odd(path, f"is no JSON: {error}") from error
    people = content.get("people") if isinstance(content, dict) else None
    if not isinstance(people, list):
        raise _odd(path, 'has no list "people"')
    parts = np.array([_parts(person, path) for person in people]).reshape(-1, len(Coco18), 3)
    joints = coco17_from_coco18(parts)
    joints[joints[..., 2] <= 0] = 0
    joints = joints[joints.any(axis=(1, 2))]
    return joints[np.argsort(-joints[..., 2].sum(axis=1), kind="stable")]


def _parts(person: object, path: Path) -> list[float]:
    values = person.get(_KEY) if isinstance(person, dict) else None
    if not isinstance(values, list):
        raise _odd(path, f'has a person without a list "{_KEY}"')
    if len(values) != _VALUES:
        what = f'has {len(values)} values in "{_KEY}"'
        raise _odd(path, f"{what}, expected {_VALUES}, 3 for each of COCO's 18 parts (BODY_25 has 75)")
    if not all(type(value) in (int, float) and abs(value) < float("inf") for value in values):
        raise _odd(path, f'has a value in "{_KEY}" that is no finite number')
    return [float(value) for value in values]


def _odd(path: Path, problem: str) -> EngineError:
    return EngineError(f"{path.name} of OpenPose {problem}", fix=_FIX)
