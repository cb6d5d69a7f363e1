"""Causes that the arrays themselves show, whatever parameters and environment say."""

from __future__ import annotations

from collections.abc import Iterator

from ....trace.reading import TraceFile
from ...result import Cause
from ..stages import StageComparison
from .arrays import inputs, pixels, skeletons

_LOOKS = {
    "decode": (pixels.of_frames,),
    "pose": (pixels.of_network_input, skeletons.of_pose),
    "inspect": (skeletons.of_csv_input,),
    "interpolate": (skeletons.of_csv_input, skeletons.of_interpolate),
    "trim": (skeletons.of_trim,),
    "normalise": (inputs.of_normalise,),
}


def causes_of(stage: StageComparison, a: TraceFile, b: TraceFile) -> Iterator[Cause]:
    """What the arrays of the first stage that differs show; without arrays, what digests show.

    Raises:
        TraceError: an array is damaged.
    """
    for look in _LOOKS.get(stage.name, ()):
        yield from look(stage, a, b)
