"""Left and right exchanged, another order of the joints, joints left as zeros, and joints filled in."""

from __future__ import annotations

import numpy as np

from ....keypoints import CSV_NAMES
from ...result import PROVEN, Cause
from ..confidence import Confidence
from ..gaps import Gaps, find_gaps
from ..sides import in_words
from .without import Subject

_LISTED = 4  # joints that one line names as examples
_MOSTLY = 0.9  # the score of a filling that gives most of the values
_WRITE_ZEROS = (
    "write 0,0,0 on both sides: whoever reads the other as a position interpolates to it, trims by it and normalises it"
)


def explain_order(subject: Subject) -> list[Cause]:
    """Which joint stands in which column; nothing where the header's order holds on both sides."""
    order, causes = subject.found.order, []
    if not order.complexity:
        return []
    without = subject.without_order()
    evidence, score = subject.evidence(without), subject.score(without)
    if order.swapped:
        title = "left and right are swapped: B's left joints are A's right ones"
        confirm = "compare the two programs' tables of joints; a mirrored image would show in x, and does not"
        if any(subject.found.affine.model.mirrored):
            confirm = "with the mirrored image this is how a flip is done properly: look for one on one side only"
        causes.append(Cause("left-right-swapped", title, evidence, confirm, score))
    if order.name:
        moved = order.moved()
        known = order.name != "unknown"
        title = f"another joint order: {order.changed}'s columns hold {order.name}" if known else (
            f"another joint order: {len(moved)} of B's columns hold another joint of A, in no order known here"
        )  # fmt: skip
        listed = [f"{column} holds {joint}" for column, joint in list(moved.items())[: 17 if not known else _LISTED]]
        confirm = "compare the joint names that each program writes with the order in which it writes the values"
        named = {"columns of B": ", ".join(listed)} if not known else {}
        causes.append(Cause("joint-order", title, {**named, **evidence}, confirm, score))
    return causes


def explain_gaps(subject: Subject) -> list[Cause]:
    """Joints that one side lacks and the other has: left as zeros, filled in, or moved zeros."""
    return [_gap_cause(subject, gap) for gap in find_gaps(subject.found, subject.a, subject.b)]


def explain_missing(subject: Subject, confidence: Confidence) -> list[Cause]:
    """Joints that are missing on both sides, and are written otherwise."""
    a, b = subject.a.missing_as, subject.b.missing_as
    if a is None or b is None or a == b or (a[:2] == b[:2] and confidence.kind == "constant"):
        return []
    affine = subject.found.affine
    # The place of one side is that of the other in its coordinates, as the joints are: it was taken for a position.
    moved = (
        affine.model.complexity > 0
        and a[:2] != b[:2]
        and np.linalg.norm((affine(np.array(a[:2])) - b[:2]) * affine.unit) <= 2 * subject.found.reach.max()
    )
    counts = {side.name: int((~side.present).sum()) for side in (subject.a, subject.b)}
    if moved:
        side, other = ("A", b) if not any(b[:2]) else ("B", a)
        title = f"missing joints of {side} were moved with the others: they are no longer {in_words(other[:2])}"
        confirm = "leave joints that are 0,0,0 out of every change of coordinates"
        written = {f"written in {side}": in_words(a if side == "A" else b), f"joints that {side} lacks": counts[side]}
        return [Cause("zeros-moved", title, written, confirm, PROVEN)]
    title = f"missing joints of B are written as {in_words(b)}, those of A as {in_words(a)}"
    evidence = {f"joints that {name} lacks": count for name, count in counts.items()}
    return [Cause("missing-marker", title, evidence, _WRITE_ZEROS, PROVEN)]


def _gap_cause(subject: Subject, gap: Gaps) -> Cause:
    evidence = {
        f"joints that {gap.lacking} lacks": f"{gap.count} of {gap.joints.size}",
        "by joint": _by_joint(gap.joints, subject.found.order.joints if gap.lacking == "A" else np.arange(17)),
    }
    if gap.moved_zeros:
        title = f"missing joints of {gap.having} were moved with the others: they are no longer 0,0"
        confirm = "leave joints that are 0,0,0 out of every change of coordinates"
        return Cause("zeros-moved", title, evidence, confirm, PROVEN)
    written = (subject.a if gap.lacking == "A" else subject.b).missing_as
    left = "zeros" if written is None or not any(written[:2]) else in_words(written)
    if not gap.methods:
        title = f"{gap.lacking} has joints left as {left} where {gap.having} has values"
        evidence["how they were filled"] = "by no method known here: they were seen, or filled in another way"
        confirm = f"look at those frames of {gap.lacking}: threshold of the pose program, its crop, its network's size"
        return Cause("missing-joints", title, evidence, confirm, PROVEN)
    ends = gap.agreed("leading"), gap.agreed("trailing")
    how = {(False, True): " forward only", (True, False): " backward only"}.get(ends, "")
    title = f"{gap.having} was interpolated{how}, {gap.lacking} was not: its missing joints are left as {left}"
    evidence |= _filling(gap) | {"which gives": f"{gap.matched} of {gap.count} values"}
    confirm = f"interpolate {gap.lacking} as well, or compare before interpolation"
    return Cause("interpolated", title, evidence, confirm, PROVEN if gap.matched == gap.count else _MOSTLY)


def _filling(gap: Gaps) -> dict[str, str]:
    """How the gaps were filled, as far as they show it."""
    inside = {"linear": "linearly", "previous": "with the last seen value", "next": "with the next seen value"}
    end = {True: "filled with the nearest value", False: "left as zeros"}
    shown = {
        "filled": inside.get(gap.agreed("inside")),
        "gaps at the start": end.get(gap.agreed("leading")),
        "at the end": end.get(gap.agreed("trailing")),
    }
    return {key: value for key, value in shown.items() if value}


def _by_joint(joints: np.ndarray, names_of: np.ndarray) -> str:
    counts = joints.sum(axis=0)
    ranked = sorted(np.flatnonzero(counts), key=lambda column: -counts[column])
    listed = ", ".join(f"{CSV_NAMES[names_of[column]]} {counts[column]}" for column in ranked[:_LISTED])
    return listed + (", ..." if len(ranked) > _LISTED else "")
