"""From a bundle's `[pose]` table to its engine."""

from __future__ import annotations

from ..bundle.bundle import Bundle
from ..compute.lanes import InPlace
from .base import PoseEngine
from .openpose_binary.program import Installation


def build_engine(bundle: Bundle, installation: Installation, lanes: InPlace) -> PoseEngine:
    """Load the engine that the bundle names. Each is imported only where it is used.

    Args:
        installation: where OpenPose's executable is on this machine, for a bundle that uses it.
        lanes: compute the frames.

    Raises:
        BundleError: weights do not fit.
        EngineError: the executable is not there, or not the one that the bundle was made with.
    """
    if bundle.pose.engine == "openpose-binary":
        from .openpose_binary.engine import OpenPoseBinaryEngine

        return OpenPoseBinaryEngine(bundle.pose, installation)
    if bundle.pose.engine == "ultralytics":
        from .ultralytics_pose import UltralyticsEngine

        return UltralyticsEngine(bundle, lanes)
    from .openpose.engine import OpenPoseEngine

    return OpenPoseEngine(bundle, lanes)
