"""Faults of a bundle: another parameter, another weights file, another order of the labels."""

from __future__ import annotations

import json
import shutil
import tomllib
from collections.abc import Callable
from functools import reduce
from operator import getitem
from pathlib import Path

import torch
from safetensors.torch import load_file

from poseparity.bundle.bundle import MANIFEST
from poseparity.bundle.toml import dump, weights_entry, write_weights

from .fault import BundleFault

Change = Callable[[Path], None]


def copied(bundle: Path, folder: Path, change: Change | None) -> Path:
    """A whole copy of a bundle in a new `folder`, changed."""
    shutil.copytree(bundle, folder)
    if change is not None:
        change(folder)
    return folder


def setting(key: str, value: object) -> Change:
    """Set SECTION.KEY of bundle.toml; KEY may have dots, too."""
    *tables, name = key.split(".")

    def change(folder: Path) -> None:
        content = _read(folder)
        reduce(getitem, tables, content)[name] = value
        _write(folder, content)

    return change


def without_transform(name: str) -> Change:
    """Take a transform out of the list that stands before the recogniser."""

    def change(folder: Path) -> None:
        content = _read(folder)
        transforms = content["normalise"]["transforms"]
        content["normalise"]["transforms"] = [each for each in transforms if each["type"] != name]
        _write(folder, content)

    return change


def reversed_labels(folder: Path) -> None:
    content = _read(folder)
    content["labels"]["names"].reverse()
    _write(folder, content)


def flipped_bit(weights: str, tensor: str, *, in_manifest: bool = True) -> Change:
    """Flip one bit of the first number of a tensor in a weights file: the highest of its mantissa.

    Args:
        in_manifest: whether bundle.toml is made to name the file as it then is; otherwise the bundle is damaged.
    """

    def change(folder: Path) -> None:
        content = _read(folder)
        path = folder / content["weights"][weights]["file"]
        data = bytearray(path.read_bytes())
        end = 8 + int.from_bytes(data[:8], "little")  # safetensors: the header's length, the header, the numbers
        number = end + json.loads(data[8:end])[tensor]["data_offsets"][0]
        data[number + 2] ^= 1 << 6  # little-endian float32: bit 22
        path.write_bytes(data)
        if in_manifest:
            _name_as_it_is(folder, content, weights)

    return change


def other_checkpoint(weights: str) -> Change:
    """Move every number by a thousandth of its tensor's spread: the same model after a few more steps of training."""

    def change(folder: Path) -> None:
        content = _read(folder)
        path = folder / content["weights"][weights]["file"]
        generator = torch.Generator().manual_seed(1)
        state = load_file(path)
        for name, value in state.items():
            if value.is_floating_point() and value.numel() > 1:
                state[name] = value + 1e-3 * value.std() * torch.randn(value.shape, generator=generator)
        write_weights(path, state)
        _name_as_it_is(folder, content, weights)

    return change


def _name_as_it_is(folder: Path, content: dict, weights: str) -> None:
    """Make bundle.toml name a weights file as it now is."""
    entry = content["weights"][weights]
    told = {key: entry[key] for key in ("source", "licence")}
    content["weights"][weights] = weights_entry(folder / entry["file"], **told)
    _write(folder, content)


def _read(folder: Path) -> dict:
    return tomllib.loads((folder / MANIFEST).read_text(encoding="utf-8"))


def _write(folder: Path, content: dict) -> None:
    (folder / MANIFEST).write_text(dump(content), encoding="utf-8")


# The weights of each network's first convolution: everything that it finds depends on them.
FIRST = {
    "detector": "model.0.conv.weight",
    "pose": "features.0.conv.weight",
    "recogniser": "backbone.gcn.0.gcn.conv.weight",
}
FAULTS = (
    BundleFault("YOLO at 256 pixels for 320", "detect", "detector-image-size", ("320 in A", "256 in B"),
                change=setting("detect.image_size", 256)),
    BundleFault("YOLO's confidence threshold 0.9 for 0.5", "detect", "detector-confidence", ("0.5 in A", "0.9 in B"),
                change=setting("detect.confidence", 0.9)),
    BundleFault("YOLO's NMS threshold 0.95 for 0.6", "detect", "detector-nms", ("0.6 in A", "0.95 in B"),
                change=setting("detect.iou", 0.95)),
    BundleFault("every second frame searched for persons, not every fourth", "detect", "sampling-share",
                ("0.25 in A", "0.5 in B"), change=setting("detect.sample_share", 0.5)),
    BundleFault("crop padding 0.10 for 0.15", "crop", "crop-padding", ("0.15 in A", "0.1 in B"),
                change=setting("crop.padding", 0.10)),
    BundleFault("OpenPose's net height 216 for 184", "pose", "pose-network-size", ("184 in A", "216 in B"),
                change=setting("pose.net_height", 216)),
    BundleFault("OpenPose's net width padded to multiples of 64, not 16", "pose", "pose-network-size",
                ("16 in A", "64 in B"), change=setting("pose.width_multiple", 64)),
    BundleFault("OpenPose's NMS threshold 0.2 for 0.05", "pose", "pose-nms", ("0.05 in A", "0.2 in B"),
                change=setting("pose.peak_threshold", 0.2)),
    BundleFault("OpenPose's share of agreeing samples 0.5 for 0.95", "pose", "pose-thresholds",
                ("0.95 in A", "0.5 in B"), change=setting("pose.paf_share", 0.5)),
    BundleFault("OpenPose's network computed by oneDNN, not by NNPACK", "pose", "pose-convolution",
                ("fast in A", "direct in B"), change=setting("pose.network.convolution", "direct")),
    BundleFault("the largest person followed, with one person in the clip", None, "pose-follow",
                ("score in A", "largest in B"), change=setting("pose.follow", "largest")),
    BundleFault("interpolation off", "interpolate", "interpolation-off", ("B does not interpolate",),
                change=setting("interpolate.method", "none")),
    BundleFault("trimming off", "trim", "trimming-off", ("B does not trim",), change=setting("trim.threshold", 0.0)),
    BundleFault("coordinates relative to the frame, not to the figure", "normalise", "img-shape",
                ("skeleton in A", "frame in B"), change=setting("normalise.reference", "frame")),
    BundleFault("PreNormalize2D off", "normalise", "prenormalise-off", ("B runs without PreNormalize2D",),
                change=without_transform("PreNormalize2D")),
    BundleFault("one bit flipped in the detector's weights", "detect", "weights", ("weights of the detector",),
                change=flipped_bit("detector", FIRST["detector"])),
    BundleFault("one bit flipped in the pose network's weights", "pose", "weights", ("weights of the pose network",),
                change=flipped_bit("pose", FIRST["pose"])),
    BundleFault("one bit flipped in the recogniser's weights", "recognise", "weights", ("weights of the recogniser",),
                change=flipped_bit("recogniser", FIRST["recogniser"])),
    BundleFault("one bit flipped in the detector's weights, where no box comes from", None, "weights",
                ("weights of the detector",), change=flipped_bit("detector", "model.13.cv3.1.0.conv.weight")),
    BundleFault("another checkpoint of the detector", "detect", "weights", ("weights of the detector",),
                change=other_checkpoint("detector")),
    BundleFault("another checkpoint of the pose network", "pose", "weights", ("weights of the pose network",),
                change=other_checkpoint("pose")),
    BundleFault("another checkpoint of the recogniser", "recognise", "weights", ("weights of the recogniser",),
                change=other_checkpoint("recogniser")),
    BundleFault("labels in another order", "recognise", "labels-order", ("golf_swing",), change=reversed_labels),
)  # fmt: skip
