"""What a bundle is put together from: each part brings its tables, and writes its own files.

One function a part, and each takes what was given on the command line or else the bundle of --like.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..bundle import Bundle
from ..errors import ImportRefused
from ..openpose.caffe import convert, identify
from . import small_pose
from .detector import Detector, read_detector
from .manifest import weights_entry, write_weights
from .recogniser import Recogniser

# Those of the service that this project replaces: YOLOv8n at 640 on a quarter of the frames, 15% around the union of
# its boxes; confidence, iou and rect are those of ultralytics' predict. Trimming is the demo bundle's: that of the
# service is not public.
DETECT = {"image_size": 640, "confidence": 0.25, "iou": 0.7, "sample_share": 0.25, "rect": True}
CROP = {"padding": 0.15}
# OpenPose's own input; its thresholds are the defaults of PoseParameters.
POSE = {"net_height": 368, "width_multiple": 16, "network": {"kind": "coco"}}
OPENPOSE_LICENCE = "OpenPose: academic or non-profit organization noncommercial research use only"
INTERPOLATE = {"method": "linear"}
# No share of missing joints is right for every camera: half of them is no skeleton in any case.
QUALITY = {"max_missing_share": 0.5}
TRIM = {"threshold": 0.06, "margin": 4, "min_frames": 24}


@dataclass(frozen=True)
class Part:
    """A piece of a bundle.

    Attributes:
        tables: of bundle.toml, by name.
        write: writes the part's files into a folder and returns its `[weights]` table, if it has one.
        notes: what the user should know, one line each.
    """

    tables: dict[str, dict[str, Any]]
    write: Callable[[Path], dict[str, Any]]
    notes: tuple[str, ...] = field(default=())


def detector_part(path: Path | None, like: Bundle | None, licence: str) -> Part:
    """A detector of its own comes with the default parameters, one of --like with the parameters it had there."""
    if path is None:
        bundle = _needed(like, "detector", "--detector FILE.pt or --like DIR")
        return _copied(bundle, "detector", "detect", bundle.detect.architecture)
    detector = read_detector(path)
    table = {
        "architecture": "detector.yaml",
        "classes": list(detector.classes),
        "person_class": detector.person_class,
        **DETECT,
    }
    return Part(
        {"detect": table},
        lambda folder: _write_detector(folder, detector, path, detector.licence or licence),
        detector.notes,
    )


def pose_part(path: Path | None, like: Bundle | None, licence: str) -> Part:
    """OpenPose's COCO network from its Caffe file, or a small network from a safetensors file, comes with OpenPose's
    parameters, one of --like with those it had."""
    if path is None:
        return _copied(_needed(like, "pose network", "--pose FILE.caffemodel or --like DIR"), "pose", "pose")
    if path.suffix == small_pose.SUFFIX:
        return _small_pose_part(path, licence)
    official = identify(path).official

    def write(folder: Path) -> dict[str, Any]:
        file = folder / "pose.safetensors"
        convert(path, file)
        return {"pose": weights_entry(file, source=path.name, licence=OPENPOSE_LICENCE if official else licence)}

    what = "OpenPose's official COCO model" if official else "not the official file: its md5 is another"
    return Part({"pose": dict(POSE)}, write, (f"pose: {path.name}, {what}",))


def _small_pose_part(path: Path, licence: str) -> Part:
    pose = small_pose.read_small_pose(path)

    def write(folder: Path) -> dict[str, Any]:
        file = folder / "pose.safetensors"
        write_weights(file, pose.state)
        return {"pose": weights_entry(file, source=path.name, licence=licence)}

    return Part({"pose": {**POSE, "network": pose.network}}, write, (f"pose: {path.name}, a small network",))


def recogniser_part(recogniser: Recogniser, checkpoint: Path, licence: str) -> Part:
    def write(folder: Path) -> dict[str, Any]:
        file = folder / "recogniser.safetensors"
        write_weights(file, recogniser.state)
        return {"recogniser": weights_entry(file, source=checkpoint.name, licence=licence)}

    normalise = {"joints": recogniser.joints, "transforms": recogniser.transforms}
    tables = {"normalise": normalise, "recognise": {"model": recogniser.model}}
    return Part(tables, write, recogniser.notes)


def between_part(like: Bundle | None) -> Part:
    """Crop, quality, interpolation and trimming: no weights, parameters only."""
    defaults = {"crop": CROP, "quality": QUALITY, "interpolate": INTERPOLATE, "trim": TRIM}
    tables = {name: getattr(like, name).model_dump() if like else dict(table) for name, table in defaults.items()}
    return Part(tables, lambda folder: {})


def clip_part(clip: Path | None, label: str | None, like: Bundle | None, labels: tuple[str, ...]) -> Part:
    """The clip that a service answers before it calls itself ready."""
    fix = "give --clip FILE --clip-label NAME: a video that the model knows, and its label"
    if (clip is None) != (label is None):
        raise ImportRefused("one of --clip and --clip-label is given, expected both or none", fix=fix)
    if clip is None:
        demo = _needed(like, "clip", "--clip FILE --clip-label NAME, or --like DIR").demo
        clip, label = like.folder / demo.clip, demo.label
    if not clip.is_file():
        raise ImportRefused(f"{clip} is no file", fix=fix)
    if label not in labels:
        raise ImportRefused(f"the clip's label is {label!r}, the model's labels are {', '.join(labels)}", fix=fix)
    name = f"clip{clip.suffix.lower()}"

    def write(folder: Path) -> dict[str, Any]:
        shutil.copyfile(clip, folder / name)
        return {}

    return Part({"demo": {"clip": name, "label": label}}, write)


def _write_detector(folder: Path, detector: Detector, source: Path, licence: str) -> dict[str, Any]:
    (folder / "detector.yaml").write_text(detector.architecture, encoding="utf-8")
    file = folder / "detector.safetensors"
    write_weights(file, detector.state)
    return {"detector": weights_entry(file, source=source.name, licence=licence)}


def _copied(like: Bundle, name: str, table: str, *files: str) -> Part:
    entry = like.weights[name]

    def write(folder: Path) -> dict[str, Any]:
        for file in (entry.file, *files):
            if (folder / file).exists():
                raise ImportRefused(f"--like has a file {file} that would be overwritten", fix="rename it there")
            shutil.copyfile(like.folder / file, folder / file)
        return {name: entry.model_dump()}

    return Part({table: getattr(like, table).model_dump()}, write, (f"{name}: from the bundle {like.name}",))


def _needed(like: Bundle | None, what: str, option: str) -> Bundle:
    if like is None:
        raise ImportRefused(f"no {what} is given", fix=f"give {option}")
    return like
