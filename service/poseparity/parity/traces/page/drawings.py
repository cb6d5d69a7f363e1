"""What the page draws: two skeletons over each other, their difference over time and by joint, the scores."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ....keypoints import COCO17_EDGES, CSV_NAMES
from ....stages.base import STAGES
from ....trace.reading import TraceFile
from ..stages import first_frame

_STAGES = [row.name for row in STAGES if "keypoints" in row.values]  # the first that differs is drawn
_WORST = 3  # frames that are drawn, each a good distance from the others
_APART = 5  # frames, a sixth of a second at 30 a second: nearer ones look the same
_SIZE = 300.0  # of a drawing, in its own units
_MARGIN = 18.0  # for a joint at the edge, whose disc has a radius of 5
_PLOT = (640.0, 150.0)  # of the difference over time


@dataclass(frozen=True)
class Skeletons:
    """The same frames of both sides.

    Attributes:
        stage: which stage made them.
        frames: int (frames,), the input's frame numbers.
        a, b: float64 (frames, 17, 3).
    """

    stage: str
    frames: np.ndarray
    a: np.ndarray
    b: np.ndarray

    @property
    def distances(self) -> np.ndarray:
        """float64 (frames, 17): pixels between the two positions of a joint; NaN where one or both miss it."""
        both = self.a.any(axis=-1) & self.b.any(axis=-1)
        away = np.linalg.norm(self.a[..., :2] - self.b[..., :2], axis=-1)
        return np.where(both, away, np.nan)


@dataclass(frozen=True)
class Drawing:
    """One frame with both skeletons, in units of a square of 300 by 300.

    Attributes:
        lines, points: of A and of B: (x1, y1, x2, y2) each, (x, y) each.
        text: what is to be seen, in words.
    """

    frame: int
    lines: tuple[list, list]
    points: tuple[list, list]
    text: str


@dataclass(frozen=True)
class Plot:
    """The largest difference of a joint in each frame: bars in a box of 640 by 150."""

    bars: list[tuple[float, float, float, float]]
    first: int
    last: int
    largest: float
    text: str


@dataclass(frozen=True)
class Bar:
    """A row of a bar chart: a name, one or two values, and their share of the longest bar in percent."""

    name: str
    values: tuple[float, ...]
    shares: tuple[float, ...]


@dataclass(frozen=True)
class Figures:
    """Everything that is drawn; None or empty where the arrays are not there or show no difference."""

    scores: list[Bar]
    skeletons: Skeletons | None = None
    drawings: tuple[Drawing, ...] = ()
    plot: Plot | None = None
    joints: tuple[Bar, ...] = ()


def figures_of(a: TraceFile, b: TraceFile) -> Figures:
    """Of two traces.

    Raises:
        TraceError: an array is damaged.
    """
    scores = score_bars(a, b)
    skeletons = differing_skeletons(a, b)
    if skeletons is None:
        return Figures(scores)
    return Figures(
        scores,
        skeletons,
        tuple(_drawing(skeletons, row) for row in worst_rows(skeletons)),
        _plot(skeletons),
        joint_bars(skeletons),
    )


def score_bars(a: TraceFile, b: TraceFile) -> list[Bar]:
    """One row a label of either side, in A's order; a label that one side lacks has 0 there."""
    mine, theirs = ({each.label: each.score for each in side.trace.prediction.scores} for side in (a, b))
    labels = list(dict.fromkeys([*mine, *theirs]))
    pairs = [(label, (mine.get(label, 0.0), theirs.get(label, 0.0))) for label in labels]
    return [Bar(label, pair, tuple(100 * float(np.clip(each, 0, 1)) for each in pair)) for label, pair in pairs]


def differing_skeletons(a: TraceFile, b: TraceFile) -> Skeletons | None:
    """The joints of the first stage in which they differ, where both traces hold them."""
    for stage in _STAGES:
        both = [side.result(stage, "keypoints") for side in (a, b)]
        if any(each is None or each.ndim != 3 or each.shape[1:] != (len(CSV_NAMES), 3) for each in both):
            continue
        mine, theirs = both
        if not (np.isfinite(mine).all() and np.isfinite(theirs).all()):
            continue
        starts = first_frame(a, stage), first_frame(b, stage)
        frames = np.arange(max(starts), min(starts[0] + len(mine), starts[1] + len(theirs)))
        if not len(frames):
            continue
        first, second = mine[frames - starts[0]], theirs[frames - starts[1]]
        if not np.array_equal(first, second):
            return Skeletons(stage, frames, first.astype(np.float64), second.astype(np.float64))
    return None


def worst_rows(skeletons: Skeletons) -> list[int]:
    """Rows with the largest differences, apart from each other; joints that one side misses count most."""
    alone = (skeletons.a.any(axis=-1) != skeletons.b.any(axis=-1)).sum(axis=1)
    largest = _largest(skeletons)
    rows = []
    for row in np.lexsort((-largest, -alone)).tolist() if alone.any() else np.argsort(-largest).tolist():
        if all(abs(row - other) >= _APART for other in rows) and (largest[row] or alone[row]):
            rows.append(row)
    return sorted(rows[:_WORST])


def joint_bars(skeletons: Skeletons) -> tuple[Bar, ...]:
    """The mean difference of each joint over the frames, pixels, the largest first."""
    distances = skeletons.distances
    known = np.isfinite(distances)
    means = np.where(known, distances, 0).sum(axis=0) / np.maximum(known.sum(axis=0), 1)
    longest = means.max() or 1.0
    order = np.argsort(-means, kind="stable").tolist()
    return tuple(
        Bar(CSV_NAMES[joint], (float(means[joint]),), (100 * float(means[joint] / longest),)) for joint in order
    )


def _largest(skeletons: Skeletons) -> np.ndarray:
    """float64 (frames,): pixels."""
    return np.nan_to_num(skeletons.distances, nan=0.0).max(axis=1)


def _drawing(skeletons: Skeletons, row: int) -> Drawing:
    sides = skeletons.a[row], skeletons.b[row]
    present = np.concatenate([each[each.any(axis=-1), :2] for each in sides])
    low, high = present.min(axis=0), present.max(axis=0)
    scale = (_SIZE - 2 * _MARGIN) / max(float((high - low).max()), 1e-9)  # a single joint has no extent
    centre = (low + high) / 2
    placed = [(each[:, :2] - centre) * scale + _SIZE / 2 for each in sides]
    seen = [each.any(axis=-1) for each in sides]
    return Drawing(
        frame=int(skeletons.frames[row]),
        lines=(_lines(placed[0], seen[0]), _lines(placed[1], seen[1])),
        points=(np.round(placed[0][seen[0]], 1).tolist(), np.round(placed[1][seen[1]], 1).tolist()),
        text=_in_words(skeletons, row),
    )


def _lines(positions: np.ndarray, seen: np.ndarray) -> list:
    edges = [(start, end) for start, end in COCO17_EDGES if seen[start] and seen[end]]
    return [np.round([*positions[start], *positions[end]], 1).tolist() for start, end in edges]


def _in_words(skeletons: Skeletons, row: int) -> str:
    parts = []
    distances = skeletons.distances[row]
    if np.isfinite(distances).any():
        joint = int(np.nanargmax(distances))
        parts.append(f"{CSV_NAMES[joint]} is {distances[joint]:.3g} pixels apart")
    for side, mine, other in (("A", skeletons.a, skeletons.b), ("B", skeletons.b, skeletons.a)):
        lost = [
            name
            for name, gone in zip(CSV_NAMES, ~mine[row].any(axis=-1) & other[row].any(axis=-1), strict=True)
            if gone
        ]
        if lost:
            parts.append(f"{side} alone misses {', '.join(lost)}")
    return "; ".join(parts)


def _plot(skeletons: Skeletons) -> Plot:
    largest = _largest(skeletons)
    width, height = _PLOT
    step = width / len(largest)
    top = float(largest.max()) or 1.0
    bars = [
        (
            round(row * step, 2),
            round(height * (1 - value / top), 2),
            round(max(step * 0.8, 0.5), 2),  # with a gap, and never so thin that the bars of a long clip vanish
            round(height * value / top, 2),
        )
        for row, value in enumerate(largest.tolist())
    ]
    worst = int(skeletons.frames[int(largest.argmax())])
    first, last = int(skeletons.frames[0]), int(skeletons.frames[-1])
    text = f"Largest difference of a joint in frames {first} to {last}: at most {top:.3g} pixels, in frame {worst}"
    return Plot(bars, first, last, top, text)
