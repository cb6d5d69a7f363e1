"""Causes that the arrays themselves show, whatever parameters and environment say."""

from __future__ import annotations

from collections.abc import Iterator

from ....stages import base
from ....trace.reading import TraceFile
from ...result import Cause
from ..stages import StageComparison
from .arrays import inputs, pixels, skeletons

_LOOKS = {
    base.DECODE.name: (pixels.of_frames,),
    base.POSE.name: (pixels.of_network_input, skeletons.of_pose),
    base.INSPECT.name: (skeletons.of_csv_input,),
    base.INTERPOLATE.name: (skeletons.of_csv_input, skeletons.of_interpolate),
    base.TRIM.name: (skeletons.of_trim,),
    base.NORMALISE.name: (inputs.of_normalise,),
}


def causes_of(stage: StageComparison, a: TraceFile, b: TraceFile) -> Iterator[Cause]:
    """What the arrays of the first stage that differs show; without arrays, what digests show.

    Raises:
        TraceError: an array is damaged.
    """
    for look in _LOOKS.get(stage.name, ()):
        yield from look(stage, a, b)
