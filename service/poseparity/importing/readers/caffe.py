"""OpenPose's official weights, a .caffemodel file, read without Caffe.

The file is one protobuf message. The few fields that hold weights are read here directly, and not through OpenCV's
importer: that one shows only the layers that it is asked for, so a model for other joints could not be told from a
damaged file, and what is wrong with a file it says in words that name neither a layer nor a place.
Field numbers: caffe.proto of BVLC/caffe.
"""

from __future__ import annotations

import codecs
import hashlib
import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file

from ...engines.openpose.coco import Conv, convolutions
from ...errors import BundleError

OFFICIAL_NAME = "pose_iter_440000.caffemodel"
OFFICIAL_MD5 = "5156d31f670511fce9b4e28b403f2939"
_FIX = f"use {OFFICIAL_NAME}, OpenPose's COCO model (md5 {OFFICIAL_MD5}), downloaded whole"

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5  # protobuf's wire types
# NetParameter's field with the layers, and in a layer the fields with its name and its blobs: today's format and V1.
_LAYER_FORMATS = {100: (1, 7), 2: (4, 6)}
_LEGACY_DIMENSIONS = (1, 2, 3, 4)  # of BlobProto: num, channels, height, width
_DATA, _SHAPE, _SHAPE_DIM = 5, 7, 1  # BlobProto's numbers and shape, and BlobShape's dimensions
_MOST_DIMENSIONS = 32  # Caffe's own limit

# A layer that only another of OpenPose's models has, or another shape that only it has.
_OTHER_MODELS = {"Mconv1_stage0_L2_0": "BODY_25", "conv6_1_CPM": "hand or face"}
_MPI_CHANNELS = 28  # of its fields: two for each of 14 limbs


@dataclass(frozen=True)
class CaffeFile:
    """Which file the weights came from.

    Attributes:
        bytes: its size.
        official: it is, to the byte, OpenPose's published COCO model.
    """

    name: str
    bytes: int
    md5: str
    sha256: str
    official: bool


class _Malformed(ValueError):
    """The bytes are no such protobuf message."""


def identify(path: Path) -> CaffeFile:
    """Which file this is, by its content.

    Raises:
        OSError: it cannot be read.
    """
    path = Path(path)
    with path.open("rb") as file:
        # The publisher names the file by its md5; this is an identity, not a protection.
        md5 = hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()
        file.seek(0)
        sha256 = hashlib.file_digest(file, "sha256").hexdigest()
    return CaffeFile(path.name, path.stat().st_size, md5, sha256, official=md5 == OFFICIAL_MD5)


def convert(source: Path, target: Path) -> CaffeFile:
    """Write the weights of a .caffemodel as safetensors, for a bundle whose pose network is of kind "coco".

    Returns:
        What `source` is, to be recorded beside the weights.

    Raises:
        BundleError: see read_caffemodel.
        OSError: a file cannot be read or written.
    """
    save_file(read_caffemodel(source), target)
    return identify(source)


def read_caffemodel(path: Path) -> dict[str, torch.Tensor]:
    """The weights as the state of a `CocoNetwork`: float32 tensors by parameter name.

    Raises:
        BundleError: the file is no Caffe model, cut short or damaged, or made for another network; the first layer that
            does not fit is named.
        OSError: it cannot be read.
    """
    path = Path(path)
    try:
        layers = _read_layers(_mapped(path))
    except _Malformed as error:
        raise BundleError(f"{path.name} is cut short, damaged or no Caffe model: {error}", fix=_FIX) from error
    state = {}
    for conv in convolutions():
        for parameter, values in _parameters(conv, layers, path.name).items():
            state[f"layers.{conv.name}.{parameter}"] = torch.from_numpy(values)
    return state


def _mapped(path: Path) -> memoryview:
    """The file's bytes, mapped: a wrong file of many gigabytes is refused without being read."""
    if not path.stat().st_size:
        raise _Malformed("it is empty")
    content = memoryview(np.memmap(path, dtype=np.uint8, mode="r"))
    if words := _text_at_the_start(bytes(content[:512])):
        raise _Malformed(f"it is text that begins with {words!r}, such as an error page saved in place of the file")
    return content


def _text_at_the_start(head: bytes) -> str:
    """The first words of what is text; "" for a binary file, whose lengths and numbers hold control characters."""
    if any(byte < 0x20 and byte not in b"\t\n\r\f" for byte in head):
        return ""
    try:  # a letter that is cut at the end is none of the first words
        return codecs.getincrementaldecoder("utf-8-sig")().decode(head).strip()[:40]
    except UnicodeDecodeError:
        return ""


def _parameters(conv: Conv, layers: dict[str, list[np.ndarray]], name: str) -> dict[str, np.ndarray]:
    """The weight and the bias of one convolution, checked."""
    if conv.name not in layers:
        raise _mismatch(name, f"layer {conv.name} is missing", layers)
    blobs = layers[conv.name]
    if len(blobs) != len(conv.shapes):
        raise _mismatch(name, f"layer {conv.name} has {len(blobs)} arrays, expected a weight and a bias", layers)
    checked = {}
    for (parameter, shape), values in zip(conv.shapes.items(), blobs, strict=True):
        what = f"the {parameter} of layer {conv.name}"
        # Files written before Caffe had shapes give every array four dimensions, so a bias is 1, 1, 1, channels there.
        if values.shape not in (shape, (1,) * (4 - len(shape)) + shape):
            raise _mismatch(name, f"{what} has shape {values.shape}, expected {shape}", layers)
        if not np.isfinite(values).all():
            raise BundleError(f"{name}: {what} holds values that are no finite numbers", fix=_FIX)
        checked[parameter] = np.array(values.reshape(shape), dtype=np.float32)  # a copy: the mapped file may go
    return checked


def _mismatch(name: str, problem: str, layers: dict[str, list[np.ndarray]]) -> BundleError:
    """The error for a file whose layers are not those of the COCO network."""
    if not layers:
        problem = "it holds no layer with weights"
    looks_like = next((model for layer, model in _OTHER_MODELS.items() if layer in layers), None)
    if any(blob.shape[:1] == (_MPI_CHANNELS,) for blob in layers.get("conv5_5_CPM_L1", [])):
        looks_like = "MPI"
    hint = f"; it looks like OpenPose's {looks_like} model, which has other joints" if looks_like else ""
    return BundleError(f"{name} does not fit OpenPose's COCO network: {problem}{hint}", fix=_FIX)


def _read_layers(content: memoryview) -> dict[str, list[np.ndarray]]:
    """The arrays of every layer that has any, by the layer's name."""
    layers: dict[str, list[np.ndarray]] = {}
    for number, wire_type, layer in _fields(content):
        if number not in _LAYER_FORMATS:
            continue
        name_field, blobs_field = _LAYER_FORMATS[number]
        name, blobs = "", []
        for part, part_type, value in _fields(_expect_bytes(layer, wire_type)):
            if part == name_field:
                name = bytes(_expect_bytes(value, part_type)).decode("utf-8", errors="backslashreplace")
            elif part == blobs_field:
                blobs.append(_expect_bytes(value, part_type))
        blobs = [_read_blob(blob, name) for blob in blobs]
        if blobs and name in layers:
            raise _Malformed(f"layer {name} comes twice")
        if blobs:
            layers[name] = blobs
    return layers


def _read_blob(content: memoryview, layer: str) -> np.ndarray:
    """One array: float32, in the shape that it says it has; a view of the file."""
    chunks, shape, legacy = [], None, {}
    for number, wire_type, value in _fields(content):
        if number == _DATA:
            floats = _expect_bytes(value, wire_type)
            if len(floats) % 4:
                raise _Malformed(f"{len(floats)} bytes are no whole number of floats")
            chunks.append(np.frombuffer(floats, dtype="<f4"))
        elif number == _SHAPE:
            shape = _read_shape(_expect_bytes(value, wire_type))
        elif number in _LEGACY_DIMENSIONS and wire_type == _VARINT:
            legacy[number] = value
    if shape is None:
        shape = tuple(legacy.get(number, 0) for number in _LEGACY_DIMENSIONS)
    values = chunks[0] if len(chunks) == 1 else np.concatenate([np.empty(0, "<f4"), *chunks])
    if len(shape) > _MOST_DIMENSIONS or math.prod(shape) != len(values):
        raise _Malformed(f"layer {layer} holds {len(values)} numbers where its shape is {shape[:_MOST_DIMENSIONS]}")
    return values.reshape(shape) if len(values) else values


def _read_shape(content: memoryview) -> tuple[int, ...]:
    """BlobShape's dimensions, packed into one field or in a field each."""
    dimensions: list[int] = []
    for number, wire_type, value in _fields(content):
        if number != _SHAPE_DIM:
            continue
        if wire_type == _VARINT:
            dimensions.append(value)
            continue
        packed, position = _expect_bytes(value, wire_type), 0
        while position < len(packed):
            dimension, position = _varint(packed, position)
            dimensions.append(dimension)
    return tuple(dimensions)


def _expect_bytes(value: int | memoryview, wire_type: int) -> memoryview:
    if wire_type != _BYTES:
        raise _Malformed(f"a field has wire type {wire_type}, expected {_BYTES}")
    return value


def _fields(content: memoryview) -> Iterator[tuple[int, int, int | memoryview]]:
    """The fields of a protobuf message: number, wire type, and the number or the bytes that it holds."""
    position = 0
    while position < len(content):
        key, position = _varint(content, position)
        number, wire_type = key >> 3, key & 7
        if wire_type == _VARINT:
            value, position = _varint(content, position)
        else:
            if wire_type == _BYTES:
                size, position = _varint(content, position)
            elif wire_type in (_FIXED64, _FIXED32):
                size = 8 if wire_type == _FIXED64 else 4
            else:
                raise _Malformed(f"wire type {wire_type} is not used by Caffe")
            value = content[position : position + size]
            if len(value) < size:
                raise _Malformed(f"a field of {size} bytes has only {len(value)} bytes left")
            position += size
        yield number, wire_type, value


def _varint(content: memoryview, position: int) -> tuple[int, int]:
    """An unsigned integer of 7 bits a byte, and the position after it."""
    value = 0
    # Ten bytes of seven bits hold the longest number, which has 64.
    for shift in range(0, 70, 7):
        if position >= len(content):
            raise _Malformed("it ends within a number")
        byte = content[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, position
    raise _Malformed("a number has more than 10 bytes")
