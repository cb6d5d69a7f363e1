"""What keypoints show of how they were filled, trimmed or moved."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from .....keypoints import Coco17
from .....stages.base import INTERPOLATE, POSE, TRIM
from .....trace.reading import TraceFile
from ....result import PROVEN, Cause
from ...stages import StageComparison
from .. import certainty
from ..catalogue import cause
from ..from_parameters import keeps_all


def of_interpolate(stage: StageComparison, a: TraceFile, b: TraceFile) -> Iterator[Cause]:
    """Whether one side leaves joints missing, or fills them from one side only."""
    mine, theirs = (side.result(INTERPOLATE.name, "keypoints") for side in (a, b))
    if mine is None or theirs is None or mine.shape != theirs.shape:
        return
    seen = a.result(POSE.name, "keypoints")
    gaps = _missing(seen) if seen is not None and seen.shape == mine.shape else _missing(mine) | _missing(theirs)
    sides = (("A", mine, theirs), ("B", theirs, mine))
    for side, keypoints, other in sides:
        left = _missing(keypoints) & ~_missing(other)
        ends = zip(("at the start", "at the end"), _ends(gaps), strict=True)
        where = " and ".join(name for name, mask in ends if (left & mask).any())
        what = f"joints missing {where} stay 0,0,0" if where else _held_values(keypoints, other, gaps)
        if left.any() and (left == (gaps & ~_missing(other))).all():
            score = certainty.SHOWN if _inner(gaps).any() else certainty.SHOWN_AT_THE_ENDS
            yield cause("interpolation-off", score=score, stage=stage.name, side=side, joints=int(left.sum()))
        if what and not (left & _inner(gaps)).any():
            yield cause("interpolation-one-sided", score=certainty.NEARLY_SHOWN, stage=stage.name, side=side, what=what)


def of_trim(stage: StageComparison, a: TraceFile, b: TraceFile) -> Iterator[Cause]:
    """Whether one side keeps every frame; the numbers of frames are in every trace."""
    for side, one, other in (("A", a, b), ("B", b, a)):
        if keeps_all(one) and not keeps_all(other):
            frames = one.trace.stage(TRIM.name).value("keypoints").shape[0]
            yield cause("trimming-off", score=certainty.FRAMES_SHOW, stage=stage.name, side=side, frames=frames)


def of_pose(stage: StageComparison, a: TraceFile, b: TraceFile) -> Iterator[Cause]:
    """What comparing two skeleton CSVs would say, where the joints differ and not what the network saw."""
    # Other joints follow from what the network saw.
    if any(value.name == "network_input" for value in stage.differing):
        return
    yield from _of_keypoints(stage, a, b, POSE.name, certainty.SHOWN)


def of_csv_input(stage: StageComparison, a: TraceFile, b: TraceFile) -> Iterator[Cause]:
    """What comparing the skeleton CSVs would say, where the runs were given two that are not the same."""
    kinds = {side.trace.input.kind for side in (a, b)}
    if kinds == {"csv"} and a.trace.input.sha256 != b.trace.input.sha256:
        yield from _of_keypoints(stage, a, b, INTERPOLATE.name, certainty.FORMULA)


def _of_keypoints(stage: StageComparison, a: TraceFile, b: TraceFile, source: str, score: float) -> Iterator[Cause]:
    mine, theirs = (side.result(source, "keypoints") for side in (a, b))
    if mine is None or theirs is None or not _is_skeleton(mine) or not _is_skeleton(theirs):
        return
    from ....skeletons.compare import compare_skeletons  # imports SciPy, and is needed for arrays only

    found = compare_skeletons(mine.astype(np.float64), theirs.astype(np.float64))
    if found.verdict == "explained":
        for each in found.causes:
            yield replace(
                each, score=(score if each.score == PROVEN else certainty.NEARLY_SHOWN * each.score), stage=stage.name
            )


def _is_skeleton(keypoints: np.ndarray) -> bool:
    return keypoints.ndim == 3 and keypoints.shape[1:] == (len(Coco17), 3) and bool(np.isfinite(keypoints).all())


def _missing(keypoints: np.ndarray) -> np.ndarray:
    """Boolean (frames, joints)."""
    return ~keypoints.any(axis=-1)


def _held_values(keypoints: np.ndarray, other: np.ndarray, gaps: np.ndarray) -> str:
    """Which frame's values fill the gaps in between, in words; "" where they are interpolated, as the other's."""
    inner = _inner(gaps)
    if not inner.any() or (_missing(keypoints) & inner).any() or (_missing(other) & inner).any():
        return ""
    before, after = _held(keypoints, gaps), _held(keypoints[::-1], gaps[::-1])[::-1]
    for name, filled in (("last seen", before), ("next seen", after)):
        if np.array_equal(filled[inner], keypoints[inner]):
            return f"gaps hold the values of the {name} frame"
    return ""


def _ends(gaps: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Gaps that begin with the first frame, and gaps that end with the last."""
    leading = np.logical_and.accumulate(gaps, axis=0)
    return leading, np.logical_and.accumulate(gaps[::-1], axis=0)[::-1]


def _inner(gaps: np.ndarray) -> np.ndarray:
    """Gaps with something seen before and after them."""
    leading, trailing = _ends(gaps)
    return gaps & ~leading & ~trailing


def _held(keypoints: np.ndarray, gaps: np.ndarray) -> np.ndarray:
    """The keypoints with every gap filled by the frame before it; gaps at the start as they are."""
    result = keypoints.copy()
    leading, _ = _ends(gaps)
    for frame in range(1, len(result)):
        fill = gaps[frame] & ~leading[frame]
        result[frame, fill] = result[frame - 1, fill]
    return result
