"""Causes that only the values themselves tell."""
