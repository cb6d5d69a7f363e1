"""Renders figures that move, with the truth of every joint."""
