"""Find how one skeleton has to be laid over the other: from the simplest assumption to the least simple."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from fractions import Fraction

import numpy as np

from . import timing
from .alignment import SAME_SHARE, Alignment, align, look
from .orders import JointOrder, assigned_orders, known_orders
from .sides import Side
from .timing import TimeMap

_LOOK = 40  # pairs of moments on which a candidate is tried
_GOOD = 0.006  # body sizes: with so little left on average, another frame rate is not looked for
_PARTLY = 0.2  # of the joints equal but for rounding: the order of the joints is known then
_SHIFTS, _CANDIDATES = 3, 12  # of one order and of all: a rough look can put the right one behind its neighbours
Candidate = tuple[TimeMap, JointOrder]


class Search:
    """Candidates in the order of their complexity; a later one is taken only if it explains clearly more.

    Args:
        a, b: the two sides.
        orders: of the joints, to be tried.
    """

    def __init__(self, a: Side, b: Side, orders: list[JointOrder] | None = None) -> None:
        self._a, self._b = a, b
        self._orders = orders or known_orders()
        self._rows_b = np.unique(np.linspace(0, b.frame_count - 1, timing.PROBES).astype(int))
        self._distances: dict[bytes, np.ndarray] = {}
        self._positions_a, self._positions_b = _positions(a), _positions(b)[self._rows_b]

    def best(self) -> Alignment | None:
        """The best alignment over all frames; None where nothing can be compared."""
        best = None
        # Each sees the best of those before it.
        levels = [self._as_they_stand, self._shifts, self._found_orders, self._repeats, self._rates, self._parts]
        if self._a.repeats.any() != self._b.repeats.any():
            # Rows that are the same to the last digit, on one side only, say more than a place in time that fits.
            levels.insert(1, self._repeats)
        for level in (*levels, self._paths):
            found = self._of(level(best))
            if found is not None and (best is None or found.clearly_better_than(best)):
                best = found
            if best is not None and best.exact:
                break
        return best

    def _of(self, candidates: Iterable[Candidate]) -> Alignment | None:
        """The best of equally plausible candidates, looked at on some frames first."""
        tried = []
        for candidate in candidates:
            found = look(self._a, self._b, *candidate, pairs=_LOOK)
            if found is None:
                continue
            tried.append((found, candidate))
            if found.exact and sum(part.complexity for part in candidate) <= 1:
                # Nothing can be simpler and leave less: the others need no look.
                whole = align(self._a, self._b, *candidate)
                if whole is not None and whole.exact and self._covers(whole.time):
                    return whole
        # Nine digits: what differs by float arithmetic is equal, and the larger or the simpler one decides.
        tried.sort(key=lambda entry: (round(entry[0].loss, 9), -len(entry[1][0].rows_a), entry[0].complexity))
        best = None
        for _, candidate in tried[:_SHIFTS]:
            found = align(self._a, self._b, *candidate)
            if found is not None and (best is None or _rank(found) < _rank(best)):
                best = found
        return best

    def _covers(self, time: TimeMap) -> bool:
        """Whether nothing better can come: one of the sides is used from its first row to its last."""
        ends_a, ends_b = (0, self._a.frame_count - 1), (0, self._b.frame_count - 1)
        return (time.rows_a[0], time.rows_a[-1]) == ends_a or (time.rows_b[0], time.rows_b[-1]) == ends_b

    def _as_they_stand(self, best: Alignment | None) -> Iterator[Candidate]:
        if self._a.frame_count == self._b.frame_count:
            for order in self._orders:
                yield self._shifted(0), order

    def _shifts(self, best: Alignment | None) -> Iterator[Candidate]:
        ranked = []
        for number, order in enumerate(self._orders):
            for score, shift in self._best_shifts(order, Fraction(1), _SHIFTS):
                ranked.append((score, number, int(shift)))
        for _, number, shift in sorted(ranked)[:_CANDIDATES]:
            yield self._shifted(shift), self._orders[number]

    def _found_orders(self, best: Alignment | None) -> Iterator[Candidate]:
        known = best is not None and (best.same_share > SAME_SHARE or best.loss < _GOOD)
        for time in [best.time] if known else self._times_of_any_order():
            some = time.thinned(_LOOK)
            rows_a, rows_b = np.round(some.rows_a).astype(int), np.round(some.rows_b).astype(int)
            for order in assigned_orders(_positions(self._a)[rows_a], _positions(self._b)[rows_b], self._orders):
                yield time, order

    def _repeats(self, best: Alignment | None) -> Iterator[Candidate]:
        a, b = self._a, self._b
        if not (a.repeats.any() or b.repeats.any()):
            return
        orders = [*self._orders]
        if best is not None and best.order.name == "unknown":
            orders.append(best.order)
        rows_a, rows_b = timing.without_repeats(a.repeats), timing.without_repeats(b.repeats)
        sides = [(np.arange(a.frame_count), rows_b), (rows_a, np.arange(b.frame_count)), (rows_a, rows_b)]
        for kept_a, kept_b in sides:
            # That was tried before.
            if len(kept_a) == a.frame_count and len(kept_b) == b.frame_count:
                continue
            short = Search(Side(a.name, a.keypoints[kept_a]), Side(b.name, b.keypoints[kept_b]), orders)
            for time, order in [*short._as_they_stand(None), *short._shifts(None)]:
                # Back from rows of the shortened sides to rows of the whole ones.
                rows = (kept[at.astype(int)] for kept, at in ((kept_a, time.rows_a), (kept_b, time.rows_b)))
                yield TimeMap("repeats", *(each.astype(np.float64) for each in rows), shift=time.shift), order

    def _rates(self, best: Alignment | None) -> Iterator[Candidate]:
        if best is not None and best.time.kind == "same" and (best.same_share > SAME_SHARE or best.loss < _GOOD):
            return
        a, b = self._a.frame_count, self._b.frame_count
        ranked = []
        orders = self._likely_orders(best)
        for number, order in enumerate(orders):
            for rate in timing.rates(a, b):
                for score, shift in self._best_shifts(order, rate, 1):
                    ranked.append((score, number, rate, shift))
        for _, number, rate, shift in sorted(ranked)[:_SHIFTS]:
            parts = min(rate.denominator, 6)  # of a frame: B's first row may lie between two rows of A
            places = {shift + part / parts for part in range(-parts, parts + 1)}
            for place in sorted(places, key=lambda place: abs(place - shift)):
                for time in timing.resampled(a, b, rate, place):
                    yield time, orders[number]

    def _parts(self, best: Alignment | None) -> Iterator[Candidate]:
        """A stretch of one side resampled to a number of frames, near the rate that is known so far."""
        if best is None or best.time.kind != "rate":
            return
        for time in timing.resampled_parts(self._a.frame_count, self._b.frame_count, best.time):
            yield time, best.order

    def _paths(self, best: Alignment | None) -> Iterator[Candidate]:
        if not timing.path_is_possible(self._a.frame_count, self._b.frame_count):
            return
        for order in self._likely_orders(best):
            distances = timing.frame_distances(self._positions_a[:, order.joints], _positions(self._b))
            yield timing.path(distances), order

    def _likely_orders(self, best: Alignment | None) -> list[JointOrder]:
        """The best one so far, the header's own, and that with left and right exchanged."""
        if best is not None and best.same_share > _PARTLY:
            return [best.order]
        orders = [] if best is None else [best.order]
        return orders + [order for order in self._orders[:2] if best is None or order is not best.order]

    def _shifted(self, shift: int) -> TimeMap:
        return timing.shifted(self._a.frame_count, self._b.frame_count, shift)

    def _best_shifts(self, order: JointOrder, rate: Fraction, most: int) -> list[tuple[float, float]]:
        key = order.joints.tobytes()
        if key not in self._distances:
            self._distances[key] = timing.frame_distances(self._positions_a[:, order.joints], self._positions_b)
        return self._places_in(self._distances[key], rate, most)

    def _places_in(self, distances: np.ndarray, rate: Fraction, most: int) -> list[tuple[float, float]]:
        # Many rates are tried: some of the frames are enough to tell which deserve a closer look.
        thin = slice(None) if rate == 1 else slice(None, None, 3)
        frames = self._a.frame_count, self._b.frame_count
        return timing.best_shifts(distances[:, thin], self._rows_b[thin], frames, rate, most)

    def _times_of_any_order(self) -> Iterator[TimeMap]:
        """Where B lies in A if nothing is known of the order of the joints: by the places that joints are at."""
        a, b = self._a.frame_count, self._b.frame_count
        if a == b:
            yield self._shifted(0)
        for sign in (1, -1):  # of x, for a mirrored image
            places = np.sort(self._positions_a * (sign, 1), axis=1), np.sort(self._positions_b, axis=1)
            distances = timing.frame_distances(*places)
            ranked = []
            for rate in (Fraction(1), *timing.rates(a, b)):
                ranked += [(score, rate, shift) for score, shift in self._places_in(distances, rate, 1)]
            for _, rate, shift in sorted(ranked)[:2]:
                yield self._shifted(int(shift)) if rate == 1 else timing.nearest(a, b, rate, shift)


def _rank(found: Alignment) -> tuple:
    # Rounded, because equally good ones differ by float arithmetic.
    return (not found.exact, round(found.loss, 9), -len(found.time.rows_a), found.complexity)


def _positions(side: Side) -> np.ndarray:
    return np.where(side.present[..., None], side.keypoints[..., :2], np.nan)
