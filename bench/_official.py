"""A bundle whose networks have the official sizes, and a video in which it finds a person.

No official weights are at hand: the detector's and the recogniser's are random, and the pose network's are planted. It
looks for one bright spot and says that a small person stands around it. What a convolution costs does not depend on
its weights.
"""

from __future__ import annotations

import os
from pathlib import Path

import cv2
import numpy as np
import torch
from safetensors.numpy import save_file

from bench.recognition import model_of, model_table, transforms
from poseparity.bundle.bundle import Bundle, load_bundle
from poseparity.bundle.toml import weights_entry
from poseparity.engines.openpose.coco import BACKBONE, STAGES, Conv, convolutions
from poseparity.engines.openpose.layout import FIRST_PAF, HEATMAPS, LIMBS, PAF_CHANNELS
from poseparity.importing.parts import detector_part
from poseparity.settings import load_settings
from poseparity.startup import load_pipeline
from tests.bundle_variants import variant
from tests.planted_network import PLACES
from training.manifest import BUNDLE

SIZE = (480, 848)  # width, height: of a telephone held upright, so that the network's input is 208x368
CLASSES = 60
CONFIDENCE = 1e-5  # with weights at random a usual one would find nobody, and there would be nothing to crop
GRAPH = "stgcn"


def write_video(path: Path, frames: int) -> None:
    """A bright spot that walks about in the dark."""
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"mp4v"), 30, SIZE)
    columns, rows = np.meshgrid(np.arange(SIZE[0]), np.arange(SIZE[1]))
    for index in range(frames):
        x, y = SIZE[0] / 2 + 60 * np.sin(index / 5), SIZE[1] / 2 + 90 * np.cos(index / 7)
        spot = 250 * np.exp(-((columns - x) ** 2 + (rows - y) ** 2) / (2 * 28.0**2))
        writer.write(np.repeat(spot.astype(np.uint8)[:, :, None], 3, axis=2))
    writer.release()


def pose_layers() -> dict[str, np.ndarray]:
    """Weights of OpenPose's COCO network, by the name of each parameter.

    The first channel carries the picture's brightness down to the last stage; there a convolution moves it to where
    each part is, and the fields point along the limbs everywhere.
    """
    state = {
        f"layers.{conv.name}.{name}": np.zeros(shape, np.float32)
        for conv in convolutions()
        for name, shape in conv.shapes.items()
    }

    def pass_on(layer: str, out: int, of: int, x: int = 0, y: int = 0) -> None:
        weight = state[f"layers.{layer}.weight"]
        middle = weight.shape[-1] // 2
        weight[out, of, middle - y, middle - x] = 1

    for layer in BACKBONE:
        if isinstance(layer, Conv):
            pass_on(layer.name, 0, 0)
    state["layers.conv1_1.bias"][0] = 0.5  # a picture's values begin at -0.5
    for number in (1, 2, 3, 4):
        # A stage's input is the fields, the heatmaps, and then what the backbone found.
        pass_on(f"Mconv{number}_stage{STAGES}_L2", 0, PAF_CHANNELS + HEATMAPS if number == 1 else 0)
    for part, (x, y) in PLACES.items():
        pass_on(f"Mconv5_stage{STAGES}_L2", part, 0, x, y)
        for number in (6, 7):
            pass_on(f"Mconv{number}_stage{STAGES}_L2", part, part)
    for limb in LIMBS:
        direction = np.subtract(PLACES[limb.end], PLACES[limb.start])
        fields = [limb.paf_x - FIRST_PAF, limb.paf_y - FIRST_PAF]
        state[f"layers.Mconv7_stage{STAGES}_L1.bias"][fields] = direction / np.linalg.norm(direction)
    return state


def save_detector(path: Path) -> None:
    """yolov8n as ultralytics writes it."""
    os.environ.setdefault("YOLO_OFFLINE", "true")
    from ultralytics import YOLO

    torch.manual_seed(3)
    YOLO("yolov8n.yaml").save(path)


def write_recogniser_bundle(folder: Path) -> Bundle:
    """The demo bundle with the large recogniser alone, whose label for the demo clip is what it says."""
    folder.mkdir()
    label = _names()[0]
    for _ in range(2):
        bundle = variant(load_bundle(BUNDLE), folder, weights=_recogniser(folder), **_recogniser_tables(label))
        label = load_pipeline(load_settings(bundle=folder)).run_video(folder / bundle.demo.clip).prediction.label
    return bundle


def _names() -> list[str]:
    return [f"class {number}" for number in range(CLASSES)]


def _recogniser(folder: Path) -> dict[str, dict]:
    state = {name: value.numpy() for name, value in model_of(GRAPH).state_dict().items()}
    path = folder / "official_recogniser.safetensors"
    save_file(state, path)
    return {"recogniser": weights_entry(path, source="random", licence="none")}


def _recogniser_tables(label: str) -> dict[str, dict]:
    normalise = load_bundle(BUNDLE).normalise.model_dump(mode="json", exclude_none=True)
    return {
        "recognise": {"model": model_table(GRAPH)},
        "normalise": normalise | {"transforms": transforms()},
        "labels": {"names": _names()},
        "demo": {"clip": "clip.mp4", "label": label},
    }


def write_bundle(folder: Path, detector: Path, convolution: str) -> Bundle:
    """The demo bundle with the three large networks."""
    folder.mkdir()
    part = detector_part(detector, None, "none")
    files = part.write(folder) | _recogniser(folder)
    save_file(pose_layers(), folder / "official_pose.safetensors")
    files["pose"] = weights_entry(folder / "official_pose.safetensors", source="planted", licence="none")
    demo = load_bundle(BUNDLE)
    pose = {"engine": "openpose", "net_height": 368, "network": {"kind": "coco", "convolution": convolution}}
    return variant(
        demo,
        folder,
        weights=files,
        detect={**part.tables["detect"], "confidence": CONFIDENCE},
        pose=demo.pose.model_dump(mode="json", exclude_none=True) | pose,
        quality={"max_missing_share": 1.0},
        **_recogniser_tables(_names()[0]),
    )
