"""Doors to libraries that must be tamed: ultralytics and MMAction2."""
