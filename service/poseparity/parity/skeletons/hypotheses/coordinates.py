"""Mirrored, scaled, in [0, 1], and relative to another corner."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ...result import Cause
from .without import Subject, pixels

_UNIT = 1.25  # a joint may lie a little outside of the frame
_CENTRED = 0.02  # of half a frame: how far off a fitted offset may be; in [0, 1] it is off by the whole of 1


def explain_coordinates(subject: Subject) -> list[Cause]:
    """What the map from A's coordinates to B's says, thing by thing."""
    model = subject.found.affine.model
    causes = []
    if any(model.mirrored):
        causes.append(_mirrored(subject))
    if model.scale != "one":
        causes.append(_unit_range(subject) or _scaled(subject))
    moved = [free and not turned for free, turned in zip(model.offset, model.mirrored, strict=True)]
    if any(moved) and not (model.scale != "one" and _centred(subject)):
        causes.append(_offset(subject, moved))
    return causes


def _mirrored(subject: Subject) -> Cause:
    affine = subject.found.affine
    axes = [axis for axis, turned in enumerate(affine.model.mirrored) if turned]
    without = subject.without(replace(affine.model, mirrored=(False, False), offset=(True, True)))
    evidence = {}
    for axis in axes:
        size = -affine.offset[axis] / affine.scale[axis]
        evidence[f"{'xy'[axis]} of B is that of A taken from (A's unit)"] = pixels(size)
    how = {(0,): "left to right", (1,): "top to bottom", (0, 1): "turned by 180 degrees"}[tuple(axes)]
    title = f"the image is mirrored, {how}" if len(axes) == 1 else f"the image is {how}"
    confirm = (
        "look for a flip in one of the two programs, or a camera that mirrors; the figure above is the frame's size"
    )
    return Cause("mirrored", title, evidence | subject.evidence(without), confirm, subject.score(without))


def _unit_range(subject: Subject) -> Cause | None:
    """One side's coordinates are shares of a frame or of a region; the other's are pixels."""
    small, large, scale, _ = _small_side(subject)
    # What reaches over four frame sizes is no share of a frame.
    if max(map(abs, small.extent)) > _UNIT or max(map(abs, large.extent)) <= 4 * _UNIT:
        return None
    affine = subject.found.affine
    without = subject.without(replace(affine.model, scale="one", offset=(True, True)))
    size = 1 / np.abs(scale)
    centred = _centred(subject)
    size = size * 2 if centred else size
    evidence = {"whole width, px": pixels(size[0]), "whole height, px": pixels(size[1])}
    title = f"coordinates of {small.name} are in {'[-1, 1]' if centred else '[0, 1]'}, those of {large.name} in pixels"
    title += f" of a frame or region of {size[0]:.6g} x {size[1]:.6g}"
    confirm = "compare that size with the video's frame and with the crop; normalise on both sides or on none"
    return Cause("unit-range", title, evidence | subject.evidence(without), confirm, subject.score(without))


def _centred(subject: Subject) -> bool:
    """Whether the small side's 0 is the middle and its 1 the edge: from -1 to 1."""
    small, _, _, offset = _small_side(subject)
    return max(map(abs, small.extent)) <= _UNIT and bool(np.all(np.abs(np.abs(offset) - 1) < _CENTRED))


def _small_side(subject: Subject):
    """The side with the smaller numbers, the other, and the map from the other to it: scale and offset, (2,)."""
    affine = subject.found.affine
    if np.abs(affine.scale).max() <= 1:
        return subject.b, subject.a, affine.scale, affine.offset
    return subject.a, subject.b, 1 / affine.scale, -affine.offset / affine.scale


def _scaled(subject: Subject) -> Cause:
    affine = subject.found.affine
    without = subject.without(replace(affine.model, scale="one"))
    factors = np.abs(affine.scale)
    if affine.model.scale == "uniform":
        evidence, title = {"factor from A to B": pixels(factors[0])}, f"B is A scaled by {_factor(factors[0])}"
    else:
        evidence = {"factor of x from A to B": pixels(factors[0]), "of y": pixels(factors[1])}
        title = f"B is A stretched: x by {_factor(factors[0])}, y by {_factor(factors[1])}"
    confirm = "compare the sizes of the two videos, and of the image that each pose program was given"
    return Cause("scaled", title, evidence | subject.evidence(without), confirm, subject.score(without))


def _factor(value: float) -> str:
    """With so many digits that no factor is called 1."""
    return f"{value:.6g}" if f"{value:.6g}" != "1" else f"{value:.10g}"


def _offset(subject: Subject, moved: list[bool]) -> Cause:
    affine = subject.found.affine
    without = subject.without(replace(affine.model, offset=tuple(affine.model.mirrored)))
    evidence = {f"{'xy'[axis]} of B less that of A": pixels(affine.offset[axis]) for axis in range(2) if moved[axis]}
    if affine.model.scale != "one":
        corner = -affine.offset / affine.scale
        evidence |= {f"{'xy'[axis]} in A of B's 0": pixels(corner[axis]) for axis in range(2) if moved[axis]}
    by = ", ".join(f"{'xy'[axis]} by {affine.offset[axis]:+.6g}" for axis in range(2) if moved[axis])
    title = f"coordinates are relative to another corner, such as the crop's: B is A moved, {by}"
    confirm = "compare with the corner of the crop; where both are relative to a crop, with another padding of it"
    in_pixels = max(map(abs, subject.a.extent)) > 4 * _UNIT
    if in_pixels and affine.model.scale == "one" and np.abs(affine.offset).max() < 1:
        title = f"B is A moved by less than a pixel: {by}"
        confirm = "no corner of a crop lies between pixels: look for a half pixel that one side adds, or for resampling"
    return Cause("offset", title, evidence | subject.evidence(without), confirm, subject.score(without))
