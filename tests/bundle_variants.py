"""The demo bundle with other tables: another pose engine, another way to crop."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch

from poseparity.bundle.bundle import MANIFEST, Bundle, load_bundle
from poseparity.bundle.toml import dump
from poseparity.importing.parts import pose_part

CROPS: dict[str, dict[str, Any]] = {
    "none": {"strategy": "none"},
    "two_pass": {"strategy": "two_pass", "padding": 0.15, "sample_share": 0.25},
}
# Parameters for a pose model of ultralytics that was never trained: it finds persons, and is quick.
RANDOM_WEIGHTS = {"confidence": 1e-5, "image_size": 160}


def variant(
    demo: Bundle, folder: Path, /, *, weights: dict[str, dict] | None = None, **tables: dict[str, Any]
) -> Bundle:
    """Write the demo bundle into `folder`, with these tables in the place of its own, and load it.

    Args:
        weights: `[weights]` entries of files that already are in the folder; None keeps the demo's.
        tables: by name; without what the tables have no use for: a detector, the pose network's weights.
    """
    # Its golden traces are of its own tables.
    content = demo.model_dump(mode="json", exclude={"folder", "sha256", "golden"}, exclude_none=True) | tables
    content["weights"] = content["weights"] | (weights or {})
    if content["crop"].get("strategy", "yolo") != "yolo":
        del content["detect"], content["weights"]["detector"]
    if content["pose"].get("engine") == "openpose-binary":
        del content["weights"]["pose"]
    folder.mkdir(exist_ok=True)
    for path in demo.folder.iterdir():
        if path.is_file() and path.name != MANIFEST and not (folder / path.name).exists():
            shutil.copyfile(path, folder / path.name)
    (folder / MANIFEST).write_text(dump(content), encoding="utf-8")
    return load_bundle(folder)


def saved_pose_model(folder: Path) -> Path:
    """A pose model's file as ultralytics saves it: its smallest official architecture, with random weights."""
    os.environ.setdefault("YOLO_OFFLINE", "true")
    from ultralytics import YOLO

    torch.manual_seed(3)
    YOLO("yolov8n-pose.yaml").save(folder / "yolov8n-pose.pt")
    return folder / "yolov8n-pose.pt"


def ultralytics_pose(model: Path, folder: Path, **changes: Any) -> tuple[dict[str, Any], dict[str, dict]]:
    """Write a pose model's files into a new folder; the `[pose]` table and the `[weights]` entries.

    With random weights nobody is found with a usual confidence; `RANDOM_WEIGHTS` finds many.
    """
    folder.mkdir()
    part = pose_part(model, None, "none")
    return {**part.tables["pose"], **RANDOM_WEIGHTS, **changes}, part.write(folder)


def middle_of(clip: Path, path: Path, frames: int) -> Path:
    """Write the frames in the middle of a clip as a video of its own."""
    capture = cv2.VideoCapture(str(clip))
    first = (int(capture.get(cv2.CAP_PROP_FRAME_COUNT)) - frames) // 2
    size = int(capture.get(cv2.CAP_PROP_FRAME_WIDTH)), int(capture.get(cv2.CAP_PROP_FRAME_HEIGHT))
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"MJPG"), 25, size)
    for index in range(first + frames):
        picture = capture.read()[1]
        if index >= first:
            writer.write(picture)
    writer.release()
    capture.release()
    return path


def grey_video(path: Path, frames: int, size: tuple[int, int] = (160, 120)) -> Path:
    """Write a video that shows nothing."""
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"MJPG"), 25, size)
    for _ in range(frames):
        writer.write(np.full((size[1], size[0], 3), 128, np.uint8))
    writer.release()
    return path
