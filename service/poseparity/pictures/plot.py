"""A picture of missing joints over time: joints by rows, frames by columns."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from ..keypoints import CSV_NAMES
from ..outputs import replacing
from ..records import Skeleton
from .palette import INK, MISSING, hexadecimal

_DPI = 150
_SIZE_INCHES = (13, 6.5)  # 1950 by 975 pixels: as wide as a screen
# The grid's place in the figure, as shares of it: left, bottom, width, height. Texts on all sides have room.
_GRID = (0.085, 0.13, 0.735, 0.72)
_SCALE = (0.925, 0.13, 0.012, 0.72)
# A column of less than two pixels would hardly be seen: more frames than this share columns.
MOST_COLUMNS = 700
_CAPTION_LETTERS = 100  # of 10.5 points: about 600, and the grid below is 690 points wide

# Light to dark blue: a missing joint's orange red is neither, for any colour vision and in grey.
_CONFIDENCE = LinearSegmentedColormap.from_list("confidence", ["#d6e6f4", "#08306b"])


def write_plot(path: Path, skeleton: Skeleton, kept: Skeleton | None, *, caption: str) -> None:
    """Write the picture as PNG; an existing file is replaced when the new one is complete.

    Args:
        path, skeleton, kept, caption: see `draw_plot`.

    Raises:
        OSError: the file cannot be written.
    """
    figure = draw_plot(skeleton, kept, caption=caption)
    with replacing(path) as partial:
        figure.savefig(partial, format="png", dpi=_DPI)


def draw_plot(skeleton: Skeleton, kept: Skeleton | None, *, caption: str) -> Figure:
    """Draw which joints were missing in which frames, and how confident the pose network was of the others.

    Args:
        skeleton: before interpolation, every frame.
        kept: what trimming left; None when the input was refused before that.
        caption: what was looked at and what came of it, one line.

    Returns:
        A figure that belongs to no window; its first axes are the grid: x is the frame, whose cell reaches half a frame
        to both sides, y the joint, from its number to the next.
    """
    figure = Figure(figsize=_SIZE_INCHES, dpi=_DPI, facecolor="white")
    FigureCanvasAgg(figure)
    axes = figure.add_axes(_GRID)
    shades = _draw_grid(axes, skeleton)
    _draw_trimmed(axes, skeleton, kept)
    _label_axes(axes, skeleton)
    _label_figure(figure, skeleton, kept, caption)
    scale = figure.add_axes(_SCALE)
    figure.colorbar(shades, cax=scale).set_label("confidence of a joint that was seen", fontsize=9)
    scale.tick_params(labelsize=9)
    return figure


def columns_of(skeleton: Skeleton, most: int = MOST_COLUMNS) -> tuple[np.ndarray, int]:
    """What each cell shows.

    A column that stands for several frames shows a joint as missing when any of them lacks it: a short gap in a long
    recording is seen.

    Returns:
        float64 (17, columns): the mean confidence, NaN where a joint is missing; and the frames of a column.
    """
    width = -(-skeleton.frame_count // most)  # rounded up
    starts = np.arange(0, skeleton.frame_count, width)
    frames = np.diff(np.append(starts, skeleton.frame_count))[:, None]
    confidence = np.add.reduceat(skeleton.keypoints[..., 2], starts, axis=0) / frames
    confidence[np.logical_or.reduceat(skeleton.missing, starts, axis=0)] = np.nan
    return confidence.T, width


def _draw_grid(axes: Axes, skeleton: Skeleton):
    cells, width = columns_of(skeleton)
    edges = np.minimum(np.arange(cells.shape[1] + 1) * width, skeleton.frame_count) - 0.5
    highest = max(1.0, float(skeleton.keypoints[..., 2].max()))  # OpenPose's go to 1; a CSV may have another scale
    axes.set_facecolor(hexadecimal(MISSING))
    mesh = axes.pcolormesh(
        edges, np.arange(len(cells) + 1), np.ma.masked_invalid(cells), cmap=_CONFIDENCE, vmin=0, vmax=highest
    )
    for joint in range(1, len(cells)):
        axes.axhline(joint, color="white", linewidth=1)
    axes.set(xlim=(-0.5, skeleton.frame_count - 0.5), ylim=(len(cells), 0))  # the first joint on top
    return mesh


def _draw_trimmed(axes: Axes, skeleton: Skeleton, kept: Skeleton | None) -> None:
    """Pale hatching over the trimmed ends: what is under it can be told all the same."""
    if kept is None:
        return
    end = kept.first_frame + kept.frame_count
    for start, stop in ((0, kept.first_frame), (end, skeleton.frame_count)):
        if stop > start:
            axes.axvspan(start - 0.5, stop - 0.5, **_trimmed_style())
    for border in (kept.first_frame, end):
        if 0 < border < skeleton.frame_count:
            axes.axvline(border - 0.5, color=hexadecimal(INK), linewidth=1.5)


def _trimmed_style() -> dict:
    return {"facecolor": (1, 1, 1, 0.45), "edgecolor": (0.25, 0.25, 0.25, 0.6), "hatch": "/", "linewidth": 0}


def _label_axes(axes: Axes, skeleton: Skeleton) -> None:
    """The joints' names on the left; on the right how often each is missing; frames below."""
    counts = skeleton.missing.sum(axis=0).tolist()
    rows = np.arange(len(CSV_NAMES)) + 0.5
    axes.set_yticks(rows, CSV_NAMES, fontsize=10)
    axes.tick_params(axis="y", length=0)
    right = axes.secondary_yaxis("right")
    right.set_yticks(rows, [_share(count, skeleton.frame_count) for count in counts], fontsize=9)
    right.tick_params(length=0)
    for label, count in zip(right.get_yticklabels(), counts, strict=True):
        label.set_color(hexadecimal(MISSING) if count else "0.6")
    width = columns_of(skeleton)[1]
    unit = "" if width == 1 else f"; each column is {width} frames, missing where one of them is"
    axes.set_xlabel(f"frame{unit}", fontsize=10)
    axes.xaxis.get_major_locator().set_params(integer=True)
    axes.tick_params(axis="x", labelsize=9)


def _share(count: int, frames: int) -> str:
    if count == frames:
        return f"{count}  never seen"
    if 0 < count < frames / 1000:  # 0.0% would say that none is missing
        return f"{count}  (< 0.1%)"
    return f"{count}  ({count / frames:.1%})" if count else "0"


def _label_figure(figure: Figure, skeleton: Skeleton, kept: Skeleton | None, caption: str) -> None:
    """The title, with the legend at the right end of its line, and the caption."""
    count, total = int(skeleton.missing.sum()), skeleton.missing.size
    title = f"Missing joints before interpolation: {count} of {total} ({count / total:.2%})"
    figure.text(_GRID[0], 0.935, title, fontsize=14, fontweight="bold")
    if len(caption) > _CAPTION_LETTERS:  # a name of any length leaves room for what came of it, which stands at the end
        caption = f"{caption[: _CAPTION_LETTERS // 2]}…{caption[-(_CAPTION_LETTERS // 2) :]}"
    figure.text(_GRID[0], 0.885, caption, fontsize=10.5, color="0.25", parse_math=False)
    figure.text(_GRID[0] + _GRID[2] + 0.004, 0.865, "frames missing", fontsize=9, color="0.25")
    patches = [Patch(facecolor=hexadecimal(MISSING), label="missing")]
    if kept is not None:
        patches.append(Patch(label="trimmed away", **_trimmed_style() | {"hatch": "///", "linewidth": 0.5}))
    corner = (0.98, 0.925)
    figure.legend(
        handles=patches, loc="lower right", bbox_to_anchor=corner, ncols=2, frameon=False, fontsize=9, handlelength=2.4
    )
