"""python -m tests.openpose_for_tests FLAGS, as `openpose.bin FLAGS`."""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from tests.openpose_for_tests import COCO_MODEL, FAULT

PINS = {"OMP_NUM_THREADS": "1", "MKL_CBWR": "COMPATIBLE", "ATEN_CPU_CAPABILITY": "avx2"}


def main() -> int:
    flags = _flags(sys.argv[1:])
    fault = os.environ.get(FAULT)
    if fault == "status":
        print("\nError:\nCuda check failed (2 vs. 0): out of memory\n\nComing from:\n- core/net.cpp", file=sys.stderr)
        return 255
    if fault == "hang":
        time.sleep(600)
    if wrong := [name for name, value in PINS.items() if os.environ.get(name) != value]:
        print(f"{wrong[0]} is not set as it should be", file=sys.stderr)
        return 1
    for name, content in _faulty(flags) if fault else _estimated(flags):
        if content is not None:
            (Path(flags.write_json) / f"{name}_keypoints.json").write_text(content)
    return 0


def _flags(arguments: list[str]) -> argparse.Namespace:
    """gflags' spelling, --name=value; a flag that is none of OpenPose's ends the program, as gflags does."""
    parser = argparse.ArgumentParser(prog="openpose_for_tests.bin", allow_abbrev=False)
    for name in ("image_dir", "write_json", "model_folder", "net_resolution", "number_people_max"):
        parser.add_argument(f"--{name}", required=True)
    parser.add_argument("--model_pose", choices=["COCO"], required=True)
    parser.add_argument("--keypoint_scale", choices=["0"], required=True)
    parser.add_argument("--display", choices=["0"], required=True)
    parser.add_argument("--render_pose", choices=["0"], required=True)
    for name in ("output_resolution", "scale_number", "scale_gap", "maximize_positives"):
        parser.add_argument(f"--{name}")
    return parser.parse_args(arguments)


def _pictures(flags: argparse.Namespace) -> list[Path]:
    return sorted(Path(flags.image_dir).glob("*.png"))


def _estimated(flags: argparse.Namespace) -> Iterator[tuple[str, str]]:
    """For each picture its name and its JSON, by the project's own network in torch."""
    import cv2
    import torch
    from safetensors.torch import load_file

    from poseparity import numerics
    from poseparity.bundle.bundle import load_bundle
    from poseparity.engines.openpose.decode import decode_persons
    from poseparity.engines.openpose.image import fit_to_network
    from poseparity.engines.openpose.network import build_network
    from tests.conftest import DEMO_BUNDLE

    numerics.make_deterministic()
    parameters = load_bundle(DEMO_BUNDLE).pose
    network = build_network(parameters.network).eval()
    network.load_state_dict(load_file(Path(flags.model_folder) / COCO_MODEL))
    height = int(flags.net_resolution.rpartition("x")[2])
    for path in _pictures(flags):
        fitted = fit_to_network(cv2.imread(str(path)), net_height=height, width_multiple=16)
        with torch.inference_mode():
            output = network(torch.from_numpy(fitted.pixels))[0].numpy()
        persons = decode_persons(output, fitted.pixels.shape[:1:-1], parameters)
        present = persons[..., 2] > 0
        persons[present, :2] = fitted.to_crop(persons[present, :2])
        yield path.stem, _json(persons[: int(flags.number_people_max)] if flags.number_people_max != "-1" else persons)


def _json(persons: np.ndarray) -> str:
    """OpenPose's format: C++ writes six digits of a float."""
    people = [
        {"person_id": [-1], "pose_keypoints_2d": [float(f"{value:.6g}") for value in person.ravel()]}
        for person in persons
    ]
    return json.dumps({"version": 1.3, "people": people})


def _faulty(flags: argparse.Namespace) -> Iterator[tuple[str, str | None]]:
    """A person in no particular pose for each picture, but what was asked for in the place of the second one."""
    person = np.ones((1, 18, 3))
    odd = {
        "nobody": _json(person[:0]),
        "frame-left-out": None,
        "no-json": '{"version": 1.3, "people": [',
        "no-people": '{"version": 1.3}',
        "body-25": _json(np.ones((1, 25, 3))),
        "old-key": json.dumps({"version": 1.0, "people": [{"pose_keypoints": [1.0] * 54}]}),
        "not-finite": _json(person * np.nan),
    }
    for index, path in enumerate(_pictures(flags)):
        yield path.stem, odd[os.environ[FAULT]] if index == 1 else _json(person)


if __name__ == "__main__":
    sys.exit(main())
