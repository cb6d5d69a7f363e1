"""What a bundle is put together from: each part brings its tables, and writes its own files.

One function a part, and each takes what was given on the command line or else the bundle of --like.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..bundle.bundle import Bundle
from ..bundle.tables import FAST
from ..bundle.toml import weights_entry, write_weights
from ..engines.openpose_binary.program import Program
from ..errors import ImportRefused
from ..stages import base
from .readers import small_pose
from .readers.caffe import convert, identify
from .readers.mmaction2 import Recogniser
from .readers.yolo import Detector, read_detector, read_pose_model

# Those of the service that this project replaces: YOLOv8n at 640 on a quarter of the frames, 15% around the union of
# its boxes; confidence, iou and rect are those of ultralytics' predict. Trimming is the demo bundle's: that of the
# service is not public.
DETECT = {"image_size": 640, "confidence": 0.25, "iou": 0.7, "sample_share": 0.25, "rect": True}
CROP = {
    "yolo": {"strategy": "yolo", "padding": 0.15},
    "none": {"strategy": "none"},
    "two_pass": {"strategy": "two_pass", "padding": 0.15, "sample_share": 0.25},
}
# OpenPose's own input; its thresholds are the defaults of OpenPoseParameters. Convolutions are the default of new
# bundles alone: those from before stay as they are.
POSE = {
    "engine": "openpose",
    "net_height": 368,
    "width_multiple": 16,
    "network": {"kind": "coco", "convolution": FAST},
}
# confidence, iou and rect are those of ultralytics' predict. It places every joint; 0.5 is the confidence of a visible
# one.
ULTRALYTICS_POSE = {"image_size": 640, "confidence": 0.25, "iou": 0.7, "rect": True, "keypoint_confidence": 0.5}
OPENPOSE_LICENCE = "OpenPose: academic or non-profit organization noncommercial research use only"
INTERPOLATE = {"method": "linear"}
# No share of missing joints is right for every camera: half of them is no skeleton in any case.
QUALITY = {"max_missing_share": 0.5}
TRIM = {"method": "motion", "threshold": 0.06, "margin": 4, "min_frames": 24}
# Where the files come from that most people need; fetching/named has the same addresses, with checksums.
DETECTOR_URL = "https://github.com/ultralytics/assets/releases/download/v8.3.0/yolov8n.pt"
POSE_URL = "http://vcl.snu.ac.kr/OpenPose/models/pose/coco/pose_iter_440000.caffemodel"
_GET_DETECTOR = f"give --detector FILE.pt (YOLOv8n is at {DETECTOR_URL}) or --like DIR"
_GET_POSE = (
    f"give --pose FILE (OpenPose's COCO model is at {POSE_URL}; `poseparity bundle fetch --list` shows copies and its "
    "md5), --pose-engine or --like DIR"
)


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


def crop_strategy(like: Bundle | None, changes: dict) -> str:
    """The bundle's crop strategy: what was set, else that of --like, else "yolo".

    Raises:
        ImportRefused: there is no such strategy.
    """
    strategy = changes.get(base.CROP.table, {}).get("strategy", like.crop.strategy if like else "yolo")
    if strategy not in tuple(CROP):  # whatever TOML has, hashable or not
        raise ImportRefused(f"--set crop.strategy={strategy}: no such strategy", fix=f"use one of {', '.join(CROP)}")
    return strategy


def detector_parts(path: Path | None, like: Bundle | None, licence: str, strategy: str, changes: dict) -> list[Part]:
    """The detector, where the strategy uses one.

    Raises:
        ImportRefused: one is given, or a parameter of one, that nothing would use.
    """
    if strategy == "yolo":
        return [detector_part(path, like, licence)]
    given = (
        "--detector" if path is not None else f"--set {base.DETECT.table}." if base.DETECT.table in changes else None
    )
    if given:
        raise ImportRefused(
            f"{given} is given, and crop.strategy is {strategy!r}, which uses no detector", fix="leave one of them out"
        )
    return []


def detector_part(path: Path | None, like: Bundle | None, licence: str) -> Part:
    """A detector of its own comes with the default parameters, one of --like with the parameters it had there."""
    if path is None:
        bundle = _needed(like, "detector", _GET_DETECTOR)
        if bundle.detect is None:
            raise ImportRefused(
                f"the bundle {bundle.name} of --like has no detector: its crop.strategy is {bundle.crop.strategy!r}",
                fix="give --detector FILE.pt, or leave out --set crop.strategy=yolo",
            )
        return _copied(bundle, base.DETECT, bundle.detect.architecture)
    if not path.is_file():
        raise ImportRefused(f"--detector {path} is no file", fix=f"check the path, or {_GET_DETECTOR}")
    detector = read_detector(path)
    return _yolo_part(detector, path, licence, base.DETECT, DETECT)


def pose_part(path: Path | None, like: Bundle | None, licence: str, program: Program | None = None) -> Part:
    """What estimates poses: OpenPose's Caffe file, a small network, a pose model of ultralytics, OpenPose's executable,
    or --like's.

    Each comes with its own parameters, that of --like with those it had there.
    """
    if program is not None:
        return _program_part(path, like, program)
    if path is None:
        bundle = _needed(like, "pose network", _GET_POSE)
        if bundle.pose.engine == "openpose-binary":
            table = {base.POSE.table: bundle.pose.model_dump()}
            return Part(table, lambda folder: {}, (f"pose: from the bundle {bundle.name}",))
        files = [bundle.pose.architecture] if bundle.pose.engine == "ultralytics" else []
        return _copied(bundle, base.POSE, *files)
    if not path.is_file():
        raise ImportRefused(f"--pose {path} is no file", fix=f"check the path, or {_GET_POSE}")
    if path.suffix == small_pose.SUFFIX:
        return _small_pose_part(path, licence)
    if _is_torch_file(path):
        model = read_pose_model(path)
        return _yolo_part(model, path, licence, base.POSE, {"engine": "ultralytics", **ULTRALYTICS_POSE})
    return _caffe_part(path, licence)


def _is_torch_file(path: Path) -> bool:
    """A file that torch.save wrote, or one that is called so and will be refused for what it is."""
    if path.suffix in (".pt", ".pth"):
        return True
    with path.open("rb") as file:
        return file.read(4) == b"PK\x03\x04"


def _caffe_part(path: Path, licence: str) -> Part:
    official = identify(path).official

    def write(folder: Path) -> dict[str, Any]:
        file = folder / "pose.safetensors"
        convert(path, file)
        entry = weights_entry(file, source=path.name, licence=OPENPOSE_LICENCE if official else licence)
        return {base.POSE.weights: entry}

    what = "OpenPose's official COCO model" if official else "not the official file: its md5 is another"
    return Part({base.POSE.table: dict(POSE)}, write, (f"pose: {path.name}, {what}",))


def _small_pose_part(path: Path, licence: str) -> Part:
    pose = small_pose.read_small_pose(path)

    def write(folder: Path) -> dict[str, Any]:
        file = folder / "pose.safetensors"
        write_weights(file, pose.state)
        return {base.POSE.weights: weights_entry(file, source=path.name, licence=licence)}

    table = {**POSE, "network": {"kind": "small", "convolution": FAST, **pose.network}}
    return Part({base.POSE.table: table}, write, (f"pose: {path.name}, a small network",))


def _program_part(path: Path | None, like: Bundle | None, program: Program) -> Part:
    """OpenPose's executable has its own weights; where --like runs it too, its parameters are kept."""
    if path is not None:
        raise ImportRefused(f"--pose {path.name} is given for an engine that has its own weights", fix="leave it out")
    kept = like.pose.model_dump() if like and like.pose.engine == "openpose-binary" else {"engine": "openpose-binary"}
    table = {
        **kept,
        "version": program.version,
        "executable_sha256": program.sha256,
        "model_sha256": program.model_sha256,
    }
    note = f"pose: {program.executable}, which says {program.version!r}"
    return Part({base.POSE.table: table}, lambda folder: {}, (note,))


def _yolo_part(model: Detector, path: Path, licence: str, stage: base.Row, parameters: dict) -> Part:
    """A model of ultralytics as the weights of that stage, and the stage's table."""
    weights = stage.weights
    content = {
        "architecture": f"{weights}.yaml",
        "classes": list(model.classes),
        "person_class": model.person_class,
        **parameters,
    }

    def write(folder: Path) -> dict[str, Any]:
        (folder / f"{weights}.yaml").write_text(model.architecture, encoding="utf-8")
        file = folder / f"{weights}.safetensors"
        write_weights(file, model.state)
        return {weights: weights_entry(file, source=path.name, licence=model.licence or licence)}

    return Part({stage.table: content}, write, model.notes)


def recogniser_part(recogniser: Recogniser, checkpoint: Path, licence: str) -> Part:
    def write(folder: Path) -> dict[str, Any]:
        file = folder / "recogniser.safetensors"
        write_weights(file, recogniser.state)
        return {base.RECOGNISE.weights: weights_entry(file, source=checkpoint.name, licence=licence)}

    normalise = {"joints": recogniser.joints, "transforms": recogniser.transforms}
    tables = {base.NORMALISE.table: normalise, base.RECOGNISE.table: {"model": recogniser.model}}
    return Part(tables, write, recogniser.notes)


def between_part(like: Bundle | None, strategy: str, changes: dict) -> Part:
    """Crop, quality, interpolation and trimming: no weights, parameters only."""
    defaults = {base.INSPECT.table: QUALITY, base.INTERPOLATE.table: INTERPOLATE, base.TRIM.table: TRIM}
    tables = {name: getattr(like, name).model_dump() if like else dict(table) for name, table in defaults.items()}
    trim = base.TRIM.table
    if changes.get(trim, {}).get("method", tables[trim]["method"]) == "none":
        tables[trim] = {"method": "none"}  # the keys of the other method belong to it alone
    elif tables[trim]["method"] == "none":
        tables[trim] = dict(TRIM)
    # The strategy's defaults, and what the strategy of --like has in common with it.
    crop, kept = dict(CROP[strategy]), like.crop.model_dump(exclude={"strategy"}) if like else {}
    crop |= {name: value for name, value in kept.items() if name in crop}
    return Part({base.CROP.table: crop, **tables}, lambda folder: {})


def clip_part(clip: Path | None, label: str | None, like: Bundle | None, labels: tuple[str, ...]) -> Part:
    """The clip that a service answers before it calls itself ready."""
    fix = "give --clip FILE --clip-label NAME: a video that the model knows, and its label; or --like DIR"
    if (clip is None) != (label is None):
        raise ImportRefused("one of --clip and --clip-label is given, expected both or none", fix=fix)
    if clip is None:
        demo = _needed(like, "clip", fix).demo
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


def _copied(like: Bundle, stage: base.Row, *files: str) -> Part:
    entry = like.weights[stage.weights]

    def write(folder: Path) -> dict[str, Any]:
        for file in (entry.file, *files):
            if (folder / file).exists():
                raise ImportRefused(f"--like has a file {file} that would be overwritten", fix="rename it there")
            shutil.copyfile(like.folder / file, folder / file)
        return {stage.weights: entry.model_dump()}

    table = getattr(like, stage.table).model_dump()
    return Part({stage.table: table}, write, (f"{stage.weights}: from the bundle {like.name}",))


def _needed(like: Bundle | None, what: str, fix: str) -> Bundle:
    if like is None:
        raise ImportRefused(f"no {what} is given", fix=fix)
    return like
