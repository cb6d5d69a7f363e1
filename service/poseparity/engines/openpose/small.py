"""The small network that has OpenPose's outputs: what the demo bundle ships in place of the COCO network.

It keeps the COCO network's interface (input, stride, the 57 output channels and their order) and its idea, a first
guess that later stages refine, at about a hundredth of its size. It is made of convolutions and ReLUs alone, because
those go through oneDNN, whose results the numerical pins keep equal between CPUs.
"""

from __future__ import annotations

from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import nn

from .convolution import NetworkParameters
from .layout import CHANNELS

_Channels = Annotated[int, Field(gt=0, le=2048)]


class SmallParameters(NetworkParameters):
    """The `[pose.network]` table of a bundle whose kind is "small"."""

    kind: Literal["small"]
    stem: tuple[_Channels, _Channels] = Field(description="Channels at stride 2 and 4.")
    width: _Channels = Field(description="Channels at stride 8.")
    depth: int = Field(gt=0, le=50, description="3x3 convolutions at stride 8 before the first guess.")
    refinements: int = Field(ge=0, le=20, description="Stages after the first guess.")
    refinement_depth: int = Field(gt=0, le=50, description="3x3 convolutions of each such stage.")


class ConvReLU(nn.Module):
    """A 3x3 convolution and a ReLU."""

    def __init__(self, channels_in: int, channels_out: int, stride: int = 1) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels_in, channels_out, 3, stride, 1)
        self.relu = nn.ReLU()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(n, channels_in, h, w) to (n, channels_out, h / stride, w / stride)."""
        return self.relu(self.conv(x))


class SmallNetwork(nn.Module):
    """Picture to heatmaps and part affinity fields.

    Input (n, 3, H, W) float32, BGR, pixel / 256 - 0.5, H and W multiples of 8. Output (n, 57, H / 8, W / 8): 0-17
    heatmaps in COCO-18 order, 18 background, 19-56 part affinity fields in the order of OpenPose's COCO model.

    Attributes:
        convolution: the bundle's choice, which the engine obeys; training always computes as torch does.
    """

    def __init__(self, parameters: SmallParameters) -> None:
        super().__init__()
        self.convolution = parameters.convolution
        half, quarter = parameters.stem
        width = parameters.width
        self.features = nn.Sequential(
            ConvReLU(3, half, 2),
            ConvReLU(half, quarter, 2),
            ConvReLU(quarter, quarter),
            ConvReLU(quarter, width, 2),
            *(ConvReLU(width, width) for _ in range(parameters.depth)),
        )
        self.guess = nn.Conv2d(width, CHANNELS, 1)
        self.refinements = nn.ModuleList(
            _refinement(width, parameters.refinement_depth) for _ in range(parameters.refinements)
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """The last stage's output."""
        return self.stages(x)[-1]

    def stages(self, x: torch.Tensor) -> list[torch.Tensor]:
        """Every stage's output, the first guess first; training looks at all of them."""
        features = self.features(x)
        outputs = [self.guess(features)]
        for refine in self.refinements:
            outputs.append(refine(torch.cat([features, outputs[-1]], 1)))
        return outputs


def _refinement(width: int, depth: int) -> nn.Sequential:
    layers = [ConvReLU(width + CHANNELS, width), *(ConvReLU(width, width) for _ in range(depth - 1))]
    return nn.Sequential(*layers, nn.Conv2d(width, CHANNELS, 1))
