"""From settings to a pipeline that may be trusted: the one way in, for the command line and for the service."""

from __future__ import annotations

import os

from . import numerics
from .bundle.bundle import load_bundle
from .compute.lanes import InPlace, Lanes
from .engines.openpose_binary.program import Installation
from .pipeline import Pipeline
from .settings import Settings


def load_pipeline(settings: Settings, *, pinned: bool = True) -> Pipeline:
    """The pipeline of a bundle, in a process whose pins are proven and whose generators are seeded.

    Args:
        pinned: False leaves out the proof, for a result that is to be compared and not trusted; and the lanes where the
            environment lacks a pin, since libraries may then use all cores for one frame.

    Raises:
        PinError, BundleError, EngineError: it cannot be trusted to compute what another machine computes.
    """
    bundle = load_bundle(settings.bundle, settings.bundle_signers)
    numerics.make_deterministic()
    if pinned:
        numerics.enforce()  # before the models: ultralytics would set a variable that is missing, and hide it
    lanes = InPlace()
    if pinned or not numerics.unset_pins(os.environ):
        lanes = Lanes(settings.lanes, ahead=settings.frames_in_flight, prepare=numerics.limit_threads)
    pipeline = Pipeline(
        bundle,
        max_frames=settings.max_frames,
        max_pixels=settings.max_pixels,
        max_total_pixels=settings.max_total_pixels,
        decode_memory_bytes=settings.decode_memory_bytes,
        kept_frame_bytes=settings.kept_frame_bytes,
        openpose=Installation.of(settings),
        lanes=lanes,
    )
    if pinned:
        numerics.enforce()  # after them: ultralytics sets the number of threads to its own choice
    return pipeline
