"""Writes .caffemodel files and the prototxt that belongs to them: Caffe's wire format, written from caffe.proto."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np
import torch

from poseparity.engines.openpose.coco import Conv

Layers = Mapping[str, Iterable[np.ndarray]]
_BYTES = 2


def write_caffemodel(path: Path, layers: Layers, *, v1: bool = False) -> Path:
    """Write a NetParameter: as Caffe writes it, or with V1LayerParameter and four legacy dimensions, as it once did."""
    with path.open("wb") as file:
        file.write(_bytes_field(1, b"made by poseparity's tests"))
        file.write(_bytes_field(2 if v1 else 100, _layer("data", [], v1=v1)))  # a layer without weights
        for name, blobs in layers.items():
            file.write(_bytes_field(2 if v1 else 100, _layer(name, blobs, v1=v1)))
    return path


def _layer(name: str, blobs: Iterable[np.ndarray], *, v1: bool) -> bytes:
    if v1:
        kind = _varint_field(5, 4)  # V1LayerParameter.LayerType.CONVOLUTION
        return _bytes_field(4, name.encode()) + kind + b"".join(_bytes_field(6, _legacy_blob(blob)) for blob in blobs)
    kind = _bytes_field(2, b"Convolution")
    learning_rate = _bytes_field(6, b"\x1d\x00\x00\x80\x3f")  # ParamSpec.lr_mult = 1.0, a field of four bytes
    head = _bytes_field(1, name.encode()) + kind + learning_rate
    return head + b"".join(_bytes_field(7, _blob(blob)) for blob in blobs)


def _blob(values: np.ndarray) -> bytes:
    shape = _bytes_field(1, b"".join(_varint(size) for size in values.shape))
    return _bytes_field(5, values.astype("<f4").tobytes()) + _bytes_field(7, shape)


def _legacy_blob(values: np.ndarray) -> bytes:
    shape = (1,) * (4 - values.ndim) + values.shape
    dimensions = b"".join(_varint_field(number, size) for number, size in enumerate(shape, start=1))
    return dimensions + _bytes_field(5, values.astype("<f4").tobytes())


def _bytes_field(number: int, content: bytes) -> bytes:
    return _varint(number << 3 | _BYTES) + _varint(len(content)) + content


def _varint_field(number: int, value: int) -> bytes:
    return _varint(number << 3) + _varint(value)


def _varint(value: int) -> bytes:
    encoded = bytearray()
    while value >= 0x80:
        encoded.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*encoded, value])


# What OpenPose's COCO prototxt says, written out again from the paper and not from the package's own list of layers.
_VGG = (
    [("conv1_1", 64), ("conv1_2", 64), "pool1", ("conv2_1", 128), ("conv2_2", 128), "pool2"]
    + [(f"conv3_{i}", 256) for i in range(1, 5)]
    + ["pool3", ("conv4_1", 512), ("conv4_2", 512), ("conv4_3_CPM", 256), ("conv4_4_CPM", 128)]
)


def prototxt(width: int, height: int) -> str:
    """OpenPose's COCO network for Caffe, with an input of this size."""
    text = [f'input: "image" input_dim: 1 input_dim: 3 input_dim: {height} input_dim: {width}']
    bottom = "image"
    for layer in _VGG:
        if isinstance(layer, str):
            text.append(_entry("Pooling", layer, [bottom], "pooling_param { pool: MAX kernel_size: 2 stride: 2 }"))
            bottom = layer
        else:
            bottom = _convolution(text, *layer, bottom, kernel=3)
    features, joined = bottom, bottom
    for stage in range(1, 7):
        ends = [_prototxt_branch(text, stage, *branch, joined) for branch in (("L1", 38), ("L2", 19))]
        joined = f"concat_stage{stage + 1}"
        bottoms = [*ends, features] if stage < 6 else ends[::-1]
        text.append(_entry("Concat", joined, bottoms, "concat_param { axis: 1 }"))
    return "\n".join(text)


def _prototxt_branch(text: list[str], stage: int, name: str, channels: int, bottom: str) -> str:
    if stage == 1:
        widths, kernels, pattern = [128, 128, 128, 512, channels], [3, 3, 3, 1, 1], f"conv5_{{}}_CPM_{name}"
    else:
        widths, kernels = [128] * 6 + [channels], [7] * 5 + [1, 1]
        pattern = f"Mconv{{}}_stage{stage}_{name}"
    for i, (width, kernel) in enumerate(zip(widths, kernels, strict=True), start=1):
        bottom = _convolution(text, pattern.format(i), width, bottom, kernel, relu=i < len(widths))
    return bottom


def _convolution(text: list[str], name: str, channels: int, bottom: str, kernel: int, relu: bool = True) -> str:
    parameters = f"convolution_param {{ num_output: {channels} pad: {kernel // 2} kernel_size: {kernel} }}"
    text.append(_entry("Convolution", name, [bottom], parameters))
    if relu:
        text.append(f'layer {{ name: "relu_{name}" type: "ReLU" bottom: "{name}" top: "{name}" }}')
    return name


def _entry(kind: str, name: str, bottoms: list[str], parameters: str) -> str:
    joined = " ".join(f'bottom: "{bottom}"' for bottom in bottoms)
    return f'layer {{ name: "{name}" type: "{kind}" {joined} top: "{name}" {parameters} }}'


def random_layers(convolutions: list[Conv], seed: int) -> dict[str, list[np.ndarray]]:
    """Weights (He's scale, which keeps values of order 1 through the layers) and small biases."""
    generator = np.random.default_rng(seed)
    layers = {}
    for conv in convolutions:
        weight = generator.standard_normal(conv.shapes["weight"], dtype=np.float32)
        weight *= np.float32(np.sqrt(2 / (conv.channels_in * conv.kernel**2)))
        layers[conv.name] = [weight, 0.1 * generator.standard_normal(conv.shapes["bias"], dtype=np.float32)]
    return layers


def as_state(layers: dict[str, list[np.ndarray]]) -> dict[str, torch.Tensor]:
    """The same weights under the names of the torch network's parameters."""
    return {
        f"layers.{name}.{parameter}": torch.from_numpy(values)
        for name, blobs in layers.items()
        for parameter, values in zip(("weight", "bias"), blobs, strict=True)
    }
