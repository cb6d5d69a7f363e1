"""The 52.3M-parameter COCO network of OpenPose, layer by layer, under the names of its Caffe file.

Source of the architecture: Cao et al., "Realtime Multi-Person 2D Pose Estimation using Part Affinity Fields", and the
COCO model of CMU-Perceptual-Computing-Lab/openpose.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import nn

from .convolution import NetworkParameters, convolved
from .layout import HEATMAPS, PAF_CHANNELS

STAGES = 6
_FEATURES = 128
_POOL = "pool"
_BRANCHES = {"L1": PAF_CHANNELS, "L2": HEATMAPS}


class CocoParameters(NetworkParameters):
    """The `[pose.network]` table of a bundle whose kind is "coco": the network is fixed, its arithmetic is not."""

    kind: Literal["coco"]


@dataclass(frozen=True)
class Conv:
    """One convolution of the Caffe file: its name, channels and square kernel; padding keeps the size."""

    name: str
    channels_in: int
    channels_out: int
    kernel: int

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Shapes of its two blobs, in the order of the Caffe file."""
        return {
            "weight": (self.channels_out, self.channels_in, self.kernel, self.kernel),
            "bias": (self.channels_out,),
        }

    def module(self) -> nn.Conv2d:
        return nn.Conv2d(self.channels_in, self.channels_out, self.kernel, padding=self.kernel // 2)


def _chain(names: list[str], channels_in: int, widths: list[int], kernels: list[int]) -> list[Conv]:
    inputs = [channels_in, *widths[:-1]]
    return [Conv(*values) for values in zip(names, inputs, widths, kernels, strict=True)]


# VGG-19's first ten convolutions, and two that narrow its features; "pool" halves the size.
BACKBONE: tuple[Conv | str, ...] = (
    *_chain(["conv1_1", "conv1_2"], 3, [64, 64], [3, 3]),
    _POOL,
    *_chain(["conv2_1", "conv2_2"], 64, [128, 128], [3, 3]),
    _POOL,
    *_chain([f"conv3_{i}" for i in (1, 2, 3, 4)], 128, [256] * 4, [3] * 4),
    _POOL,
    *_chain(["conv4_1", "conv4_2", "conv4_3_CPM", "conv4_4_CPM"], 256, [512, 512, 256, _FEATURES], [3] * 4),
)


def branch(stage: int, name: str) -> list[Conv]:
    """The convolutions of branch "L1" (fields) or "L2" (heatmaps) of a stage, 1 to 6."""
    if stage == 1:
        names = [f"conv5_{i}_CPM_{name}" for i in range(1, 6)]
        return _chain(names, _FEATURES, [128, 128, 128, 512, _BRANCHES[name]], [3, 3, 3, 1, 1])
    names = [f"Mconv{i}_stage{stage}_{name}" for i in range(1, 8)]
    return _chain(names, sum(_BRANCHES.values()) + _FEATURES, [128] * 6 + [_BRANCHES[name]], [7] * 5 + [1, 1])


def convolutions() -> list[Conv]:
    """Every convolution of the file, in an order in which they can be computed."""
    backbone = [layer for layer in BACKBONE if isinstance(layer, Conv)]
    return backbone + [conv for stage in range(1, STAGES + 1) for name in _BRANCHES for conv in branch(stage, name)]


class CocoNetwork(nn.Module):
    """Picture to heatmaps and part affinity fields.

    Input (n, 3, H, W) float32, BGR, pixel / 256 - 0.5, H and W multiples of 8. Output (n, 57, H / 8, W / 8): 0-17
    heatmaps in COCO-18 order, 18 background, 19-56 fields. Parameters are named as the Caffe file names its layers:
    `layers.conv1_1.weight`.

    Attributes:
        convolution: the bundle's choice, which the engine obeys.
    """

    def __init__(self, parameters: CocoParameters) -> None:
        super().__init__()
        self.convolution = parameters.convolution
        self.layers = nn.ModuleDict({conv.name: conv.module() for conv in convolutions()})

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for layer, following in zip(BACKBONE, (*BACKBONE[1:], None), strict=True):
            if isinstance(layer, Conv):
                then = _relu_and_halved if following == _POOL else torch.relu_
                x = convolved(self.layers[layer.name], x, then)
        features = x
        fields, heatmaps = (self._branch(1, name, features) for name in _BRANCHES)
        for stage in range(2, STAGES + 1):
            joined = torch.cat([fields, heatmaps, features], 1)
            fields, heatmaps = (self._branch(stage, name, joined) for name in _BRANCHES)
        return torch.cat([heatmaps, fields], 1)

    def _branch(self, stage: int, name: str, x: torch.Tensor) -> torch.Tensor:
        *hidden, last = branch(stage, name)
        for conv in hidden:
            x = self.layers[conv.name](x).relu_()
        return self.layers[last.name](x)


def _relu_and_halved(x: torch.Tensor) -> torch.Tensor:
    """ReLU, and the largest of each 2x2: what max_pool2d answers, ten times as fast, because it computes in vectors."""
    x = torch.maximum(x[:, :, 0::2], x[:, :, 1::2]).relu_()
    return torch.maximum(x[..., 0::2], x[..., 1::2])
