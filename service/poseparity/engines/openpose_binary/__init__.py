"""OpenPose's own executable as an engine."""
