"""Readers of files that others made; none runs what is in them, but for a config in Python."""
