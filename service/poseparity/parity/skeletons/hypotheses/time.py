"""Trimmed, shifted, repeated and left-out frames, and another frame rate."""

from __future__ import annotations

import numpy as np

from ...result import Cause
from .. import timing
from ..alignment import at_rows
from .without import Subject


def explain_time(subject: Subject) -> list[Cause]:
    """What happened to the frames; nothing where each row belongs to the same row."""
    kind = subject.found.time.kind
    if kind == "same":
        return []
    if kind == "repeats":
        return [_repeats(subject), *_cut(subject)]
    return {"shift": _cut, "rate": lambda subject: [_rate(subject)], "path": _path}[kind](subject)


def _cut(subject: Subject) -> list[Cause]:
    ends = _left_over(subject)
    if not any(ends.values()):
        return []
    without = subject.without_time()
    first_a, first_b = subject.found.time.rows_a[0], subject.found.time.rows_b[0]
    parts = [side for side in "AB" if not ends[f"{side} start"] and not ends[f"{side} end"]]
    evidence = {
        "frames that match": len(subject.found.time.rows_a),
        **{f"frames only in {name[0]}, at its {name[2:]}": count for name, count in ends.items() if count},
        **subject.evidence(without),
        **_other_places(subject),
    }
    if len(parts) == 1:
        part, whole = parts[0], "BA"[parts[0] == "B"]
        start, end = ends[f"{whole} start"], ends[f"{whole} end"]
        title = f"{part} is {whole} trimmed: without its first {start} and last {end} frames"
        confirm = f"look whether static frames are trimmed before {part} is written, and with which threshold"
        return [Cause("trimmed", title, evidence, confirm, subject.score(without))]
    title = f"shifted in time: row {int(first_b)} of B is row {int(first_a)} of A (rows count from 0)"
    confirm = "compare where the two recordings start: trimming, a decoder that drops first frames, another cut"
    return [Cause("shifted", title, evidence, confirm, subject.score(without))]


def _left_over(subject: Subject) -> dict[str, int]:
    """Frames of each side before the first and after the last pair, repeated ones left aside."""
    time, result = subject.found.time, {}
    for side, rows in ((subject.a, time.rows_a), (subject.b, time.rows_b)):
        fresh = ~side.repeats if time.kind == "repeats" else np.ones(side.frame_count, dtype=bool)
        result[f"{side.name} start"] = int(fresh[: int(rows[0])].sum())
        result[f"{side.name} end"] = int(fresh[int(rows[-1]) + 1 :].sum())
    return result


def _other_places(subject: Subject) -> dict[str, str]:
    """Where else it fits as well: in a recording that stands still, the place cannot be told."""
    found = subject.found
    if found.time.kind != "shift":
        return {}
    # What leaves two percent more cannot be told from the best.
    limit = 1.02 * found.loss if not found.exact else None
    here, fitting = int(found.time.shift), []
    # 40 rows either way are more than a second, at 30 frames a second, in which somebody stands still.
    for shift in range(here - 40, here + 41):
        rows = timing.shifted(subject.a.frame_count, subject.b.frame_count, shift)
        if len(rows.rows_a) == len(found.time.rows_a) and _fits(subject, rows, limit):
            fitting.append(shift)
    if len(fitting) < 2:
        return {}
    return {"which frames cannot be told: it also fits at shifts": f"{min(fitting)} to {max(fitting)}"}


def _fits(subject: Subject, rows: timing.TimeMap, limit: float | None) -> bool:
    found = subject.found
    a = found.affine(at_rows(subject.a, rows.rows_a)[:, found.order.joints, :2])
    distance = np.linalg.norm((at_rows(subject.b, rows.rows_b)[..., :2] - a) * found.affine.unit, axis=-1)
    common = np.isfinite(distance)
    if not common.any():
        return False
    if limit is None:
        return bool((distance[common] <= found.reach.max()).all())
    return float(np.minimum(distance[common] / found.body, 0.1).mean()) <= limit  # capped as in `Alignment.loss`


def _rate(subject: Subject) -> Cause:
    time, without = subject.found.time, subject.without_time()
    rate = time.rate
    # As near to a row as `alignment.between_rows` takes for the row itself.
    between = (time.rows_a % 1 > 1e-6).any() or (time.rows_b % 1 > 1e-6).any()
    evidence = {
        "frames of A for a frame of B": round(float(rate), 4),
        "moments that match": len(time.rows_a),
        "frames between two": "interpolated" if between else "the nearest one",
        **subject.evidence(without),
    }
    if rate.denominator == 1:
        ratio = f"B has every {_nth(rate.numerator)} frame of A"
    elif rate.numerator == 1:
        ratio = f"A has every {_nth(rate.denominator)} frame of B"
    elif max(rate.numerator, rate.denominator) <= 6:
        ratio = f"{rate.numerator} frames of A are {rate.denominator} of B"
    else:  # who reads "25 frames of A are 24 of B" learns less than from 1.042
        ratio = f"one frame of B is {float(rate):.4g} of A"
    title = f"another frame rate: {ratio}"
    confirm = "compare the frames a second of the two videos, and any step that samples or resamples frames"
    return Cause("frame-rate", title, evidence, confirm, subject.score(without))


def _nth(number: int) -> str:
    return {2: "2nd", 3: "3rd"}.get(number, f"{number}th")


def _repeats(subject: Subject) -> Cause:
    without, evidence = subject.without_time(), {}
    used = {"A": subject.found.time.rows_a, "B": subject.found.time.rows_b}
    names = []
    for side in (subject.a, subject.b):
        left_out = np.flatnonzero(side.repeats & ~np.isin(np.arange(side.frame_count), used[side.name]))
        if len(left_out):
            names.append(f"{len(left_out)} in {side.name}")
            evidence[f"repeated rows of {side.name}"] = _some(left_out.tolist())
    title = f"frames that are repeated: {' and '.join(names)} (the same numbers as the row before)"
    confirm = "look for a constant frame rate that was forced on the video, or a reader that returns a frame twice"
    return Cause("repeated-frames", title, evidence | subject.evidence(without), confirm, subject.score(without))


def _path(subject: Subject) -> list[Cause]:
    time, without = subject.found.time, subject.without_time()
    longer, rows = ("A", time.rows_a) if subject.a.frame_count > subject.b.frame_count else ("B", time.rows_b)
    shorter = "B" if longer == "A" else "A"
    total = subject.a.frame_count if longer == "A" else subject.b.frame_count
    absent = np.setdiff1d(np.arange(total), rows.astype(int))
    evidence = {f"rows of {longer} that {shorter} lacks": _some(absent.tolist()), **subject.evidence(without)}
    title = f"{len(absent)} frames of {longer} are left out in {shorter}, here and there"
    confirm = "compare the number of frames that each decoder gives, and look for frames dropped on errors"
    return [Cause("dropped-frames", title, evidence, confirm, subject.score(without))]


def _some(rows: list[int]) -> str:
    listed = ", ".join(map(str, rows[:6]))
    return f"{listed}, ... ({len(rows)})" if len(rows) > 6 else listed
