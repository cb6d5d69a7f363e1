"""The interface of every pose engine."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from typing import ClassVar

import numpy as np

from ..observe import Observe, unobserved


class PoseEngine(ABC):
    """Finds persons in pictures. Loaded once, used for any number of videos, one after the other.

    Attributes:
        observed: name of each value that it shows an observer, one item a frame, to the value's unit.
    """

    observed: ClassVar[dict[str, str]] = {"persons": "pixels of the crop"}

    @abstractmethod
    def persons(self, crops: Iterable[np.ndarray], observe: Observe = unobserved) -> Iterator[np.ndarray]:
        """The persons in every frame of one video.

        Args:
            crops: uint8 (height, width, 3), BGR, all of one size, in the video's order. They may be taken ahead of
                what is returned.

        Returns:
            For each frame float64 (persons, 17, 3), COCO-17: x, y in pixels of the crop and a confidence; a missing
            joint is 0, 0, 0, and nobody lacks all of them. The highest score first.

        Raises:
            EngineError: another program is asked, and fails.
        """

    @abstractmethod
    def describe(self) -> dict:
        """What it is and what it runs with, JSON-ready: engine, every parameter, the weights' sha256."""
