"""OpenPose's own executable: `[pose] engine = "openpose-binary"`.

It reads pictures from a folder and writes one JSON file for each, so frames go through a temporary folder as PNG, which
keeps every bit of them. Flags: https://github.com/CMU-Perceptual-Computing-Lab/openpose, include/openpose/flags.hpp.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path

import cv2
import numpy as np

from ...bundle.tables import OpenPoseBinaryParameters
from ...errors import EngineError
from ...observe import Observe, unobserved
from ..base import PoseEngine
from .answers import read_persons
from .program import Installation, find_program

# Frames that lie in the temporary folder at a time: the disk that a long video takes stays bounded.
BATCH = 256


class OpenPoseBinaryEngine(PoseEngine):
    """Runs the executable once for each batch of frames.

    Raises: EngineError when the executable is not there, or not the one that the bundle was made with.
    """

    def __init__(self, parameters: OpenPoseBinaryParameters, installation: Installation) -> None:
        self._parameters = parameters
        self._program = program = find_program(installation)
        expected = {
            "version": (program.version, parameters.version),
            "sha256": (program.sha256, parameters.executable_sha256),
        }
        for what, (found, wanted) in expected.items():
            if wanted is not None and found != wanted:
                raise EngineError(
                    f"{program.executable} has {what} {found!r}, the bundle was made with {wanted!r}",
                    fix="install the OpenPose that the bundle was made with, or make the bundle again with this one",
                )
        if program.model_sha256 != parameters.model_sha256:
            raise EngineError(
                f"OpenPose's COCO model in {program.models} has sha256 {program.model_sha256}, the bundle was made "
                f"with {parameters.model_sha256}",
                fix="use the model that the bundle was made with, or make the bundle again with this one",
            )

    def persons(self, crops: Iterable[np.ndarray], observe: Observe = unobserved) -> Iterator[np.ndarray]:
        remaining = iter(crops)
        while batch := list(islice(remaining, BATCH)):
            for persons in self._batch(batch):
                observe("persons", persons)
                yield persons

    def describe(self) -> dict:
        return {
            **self._parameters.model_dump(mode="json"),
            "version": self._program.version,
            "executable_sha256": self._program.sha256,
            "model_sha256": self._program.model_sha256,
            "flags": self.flags(),
        }

    def flags(self) -> list[str]:
        """Every flag that has a part in the numbers; the paths are left out."""
        parameters = self._parameters
        values = {
            "model_pose": "COCO",
            "net_resolution": parameters.net_resolution,
            "number_people_max": parameters.number_people_max,
            "maximize_positives": str(parameters.maximize_positives).lower(),
            "scale_number": parameters.scale_number,
            "scale_gap": parameters.scale_gap,
            "keypoint_scale": 0,  # pixels of the picture
            "output_resolution": "-1x-1",
            "render_pose": 0,
            "display": 0,
        }
        return [f"--{name}={value}" for name, value in values.items()]

    def _batch(self, crops: list[np.ndarray]) -> list[np.ndarray]:
        with tempfile.TemporaryDirectory(prefix="poseparity-openpose-") as temporary:
            pictures, answers = Path(temporary) / "pictures", Path(temporary) / "answers"
            pictures.mkdir()
            answers.mkdir()
            names = [f"{index:06d}" for index in range(len(crops))]
            for name, crop in zip(names, crops, strict=True):
                path = pictures / f"{name}.png"
                # Level 1 of 9: a picture is read once and deleted, so time counts and room does not.
                if not cv2.imwrite(str(path), crop, [cv2.IMWRITE_PNG_COMPRESSION, 1]):
                    fix = "make room in the temporary folder, or set TMPDIR"
                    raise EngineError(f"{path} cannot be written", fix=fix)
            # gflags cannot tell a path that begins with a dash from a flag, unless they are one argument.
            paths = {"image_dir": pictures, "write_json": answers, "model_folder": self._program.models}
            self._program.run([*(f"--{name}={path}/" for name, path in paths.items()), *self.flags()], Path(temporary))
            return [read_persons(answers / f"{name}_keypoints.json") for name in names]
