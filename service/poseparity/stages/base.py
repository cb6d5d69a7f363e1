"""What is known of each stage before any is loaded: one row a stage, in the pipeline's order.

Traces, comparisons and imports read the rows. Nothing heavy is imported here: comparing two traces needs no model.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    import numpy as np


@dataclass(frozen=True)
class Value:
    """What a trace says of a value that a stage's record holds.

    Attributes:
        by_frame: its first axis counts the frames that the stage holds.
    """

    unit: str
    by_frame: bool = False


@dataclass(frozen=True, eq=False)
class Row:
    """One stage.

    Attributes:
        name: what traces and messages call it.
        values: what a trace holds of the record that it returns, in this order.
        table: its table of bundle.toml; None where it has no parameters.
        weights: the name of its weights in bundle.toml, None where it has none; `network` is what messages call them.
        libraries: whose code it computes with, the likeliest to show a difference first.
        value_libraries: the same of a value, also of one that passes by, that only some of them make.
    """

    name: str
    values: Mapping[str, Value]
    table: str | None = None
    weights: str | None = None
    network: str | None = None
    libraries: tuple[str, ...] = ("numpy",)
    value_libraries: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


class Stage(ABC):
    """A stage of the pipeline: takes one record, returns the next, touches nothing else.

    With `describe()`, where it runs with more than its table says; see observe.Described.
    """

    row: ClassVar[Row]
    name: ClassVar[str]  # the row's

    @abstractmethod
    def __call__(self, record): ...

    @staticmethod
    @abstractmethod
    def values(record) -> dict[str, np.ndarray]:
        """The arrays of the record that it returned, those and in the order that its row names them."""


_KEYPOINTS = Value("pixels", by_frame=True)
# The pose engine shows these; the crop of strategy "two_pass" asks it, too.
_OF_ENGINE = {
    "network_input": ("cv2", "numpy"),
    "network_output": ("torch", "numpy"),
    "persons": ("cv2", "numpy", "torch", "ultralytics"),
}

DECODE = Row(
    "decode",
    {"size": Value("pixels"), "frames_per_second": Value("frames per second"), "frame_count": Value("frames")},
    libraries=("cv2",),
)
DETECT = Row(
    "detect",
    {
        "frame_indices": Value("frames"),
        "people": Value("persons"),
        "boxes": Value("pixels"),
        "confidences": Value("confidence"),
    },
    table="detect",
    weights="detector",
    network="the detector",
    libraries=("torch", "ultralytics", "cv2", "numpy"),
)
CROP = Row("crop", {"box": Value("pixels")}, table="crop", value_libraries=_OF_ENGINE)
POSE = Row(
    "pose",
    {"keypoints": _KEYPOINTS},
    table="pose",
    weights="pose",
    network="the pose network",
    libraries=("torch", "cv2", "numpy"),
    value_libraries=_OF_ENGINE,
)
INSPECT = Row("inspect", {"missing": Value("joints")}, table="quality")
INTERPOLATE = Row("interpolate", {"keypoints": _KEYPOINTS}, table="interpolate")
TRIM = Row(
    "trim",
    {"first_frame": Value("frames"), "frame_count": Value("frames"), "keypoints": _KEYPOINTS},
    table="trim",
)
NORMALISE = Row(
    "normalise",
    {"inputs": Value("normalised"), "reference": Value("pixels")},
    table="normalise",
    libraries=("numpy", "mmaction2", "torch"),
)
RECOGNISE = Row(
    "recognise",
    {"logits": Value("logits"), "scores": Value("probability")},
    table="recognise",
    weights="recogniser",
    network="the recogniser",
    libraries=("torch", "mmaction2", "numpy"),
)

STAGES = (DECODE, DETECT, CROP, POSE, INSPECT, INTERPOLATE, TRIM, NORMALISE, RECOGNISE)
BY_NAME = {row.name: row for row in STAGES}
BY_TABLE = {row.table: row for row in STAGES if row.table}
