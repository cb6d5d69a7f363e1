"""Comparing two skeleton CSVs."""
