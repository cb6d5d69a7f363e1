"""An executable with OpenPose's command line and JSON files, made for the tests: it is not OpenPose.

It does real work: it reads the pictures of --image_dir and estimates poses in them with the project's own network in
torch and the weights in --model_folder, which are those of the demo bundle here. On request it fails as OpenPose, or
something in its place, could.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

from tests.conftest import ROOT

COCO_MODEL = "pose/coco/pose_iter_440000.caffemodel"
# What it is asked to do wrong, as the content of this variable; absent: nothing.
FAULT = "OPENPOSE_FOR_TESTS_FAULT"


def install(folder: Path, weights: Path, version: str = "openpose_for_tests.bin") -> tuple[Path, Path]:
    """Write the executable and its folder of models.

    Args:
        weights: of the demo bundle's pose network.
        version: what it prints for --version; OpenPose prints its own name.

    Returns:
        The executable, and the folder that it gets as --model_folder.
    """
    model = folder / "models" / COCO_MODEL
    model.parent.mkdir(parents=True)
    shutil.copyfile(weights, model)
    executable = folder / "openpose_for_tests.bin"
    executable.write_text(
        f'#!/bin/sh\n[ "$1" = --version ] && echo {version} && exit 0\n'
        f'cd "{ROOT}" && "{sys.executable}" -W ignore -m tests.openpose_for_tests "$@"\n'
    )
    executable.chmod(0o755)
    return executable, folder / "models"
