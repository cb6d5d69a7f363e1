"""From a crop to the network's input, and from the network's pixels back to the crop's."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

# A crop wider than this many times its height is fitted by its width: the cost of a frame stays bounded.
_WIDEST = 4
_GREY = 128  # what the network sees as 0 after normalisation


@dataclass(frozen=True)
class NetworkInput:
    """The network's input and how it came from the crop.

    Attributes:
        picture: uint8 (height, width, 3), BGR, what `pixels` are made of.
        pixels: float32 (1, 3, height, width), BGR, pixel / 256 - 0.5.
        scale_x, scale_y: network pixels a crop pixel.
    """

    picture: np.ndarray
    pixels: np.ndarray
    scale_x: float
    scale_y: float

    def to_crop(self, positions: np.ndarray) -> np.ndarray:
        """Move positions (..., 2) from network pixels to crop pixels; both count from the centre of the first pixel."""
        return (positions + 0.5) / np.array([self.scale_x, self.scale_y]) - 0.5


def fit_to_network(crop: np.ndarray, *, net_height: int, width_multiple: int) -> NetworkInput:
    """Scale a crop to the network's height, keep its aspect, pad right and below with grey to whole multiples.

    Args:
        crop: uint8 (height, width, 3), BGR.
        net_height: height of the network's input, in pixels.
        width_multiple: its width is a multiple of this.
    """
    height, width = crop.shape[:2]
    scale = min(net_height / height, _WIDEST * net_height / width)
    new_width, new_height = max(1, round(width * scale)), max(1, round(height * scale))
    interpolation = cv2.INTER_CUBIC if scale > 1 else cv2.INTER_AREA
    resized = cv2.resize(crop, (new_width, new_height), interpolation=interpolation)
    padded = np.full((net_height, -(-new_width // width_multiple) * width_multiple, 3), _GREY, dtype=np.uint8)
    padded[:new_height, :new_width] = resized
    pixels = padded.transpose(2, 0, 1)[None].astype(np.float32) / np.float32(256) - np.float32(0.5)
    return NetworkInput(padded, np.ascontiguousarray(pixels), new_width / width, new_height / height)
