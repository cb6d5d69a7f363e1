"""Comparing two traces."""
