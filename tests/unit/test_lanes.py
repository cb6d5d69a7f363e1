"""Lanes: what is computed where does not show in what comes out, and nobody is left waiting by others."""

from __future__ import annotations

import random
import threading
import time

import pytest

from poseparity.compute.lanes import InPlace, Lanes
from poseparity.errors import ClientLeft
from poseparity.stop import Stop


@pytest.fixture
def lanes():
    made = []

    def make(*args, **kwargs) -> Lanes:
        made.append(Lanes(*args, **kwargs))
        return made[-1]

    yield make
    for each in made:
        each.close()


@pytest.mark.parametrize("count", [1, 2, 8])
def test_results_come_in_the_order_of_the_items(lanes, count):
    chance = random.Random(count)
    pauses = [chance.random() / 200 for _ in range(50)]

    def work(number: int) -> int:
        time.sleep(pauses[number])
        return number

    assert list(lanes(count).map(work, range(50))) == list(InPlace().map(work, range(50)))


def test_all_lanes_work_for_one_caller(lanes):
    everybody = threading.Barrier(4, timeout=10)
    assert len(list(lanes(4).map(lambda _: everybody.wait(), range(8)))) == 8


def test_no_more_items_are_taken_than_are_in_flight(lanes):
    """Also where the first one takes longest: what is done and not taken yet counts."""
    taken, first = [], threading.Event()

    def items():
        for number in range(20):
            taken.append(number)
            yield number

    results = lanes(2, ahead=4).map(lambda number: first.wait(10) if number == 0 else True, items())
    threading.Timer(0.2, first.set).start()
    assert next(results) and taken == [0, 1, 2, 3]
    assert all(results) and taken == list(range(20))


def test_an_error_comes_in_its_items_turn_and_ends_the_rest(lanes):
    done = []

    def work(number: int) -> int:
        if number == 3:
            raise ValueError("the fourth")
        done.append(number)
        return number

    pool = lanes(1, ahead=8)
    results = pool.map(work, range(100))
    assert [next(results) for _ in range(3)] == [0, 1, 2]
    with pytest.raises(ValueError, match="the fourth"):
        next(results)
    assert max(done) < 10 and list(pool.map(lambda number: number, [7])) == [7]


def test_who_waits_for_a_lane_ends_when_told_to(lanes):
    pool, busy, stop = lanes(1), threading.Event(), Stop()
    other = threading.Thread(target=lambda: list(pool.map(lambda _: busy.wait(10), [0])))
    other.start()
    threading.Timer(0.3, stop.because, [ClientLeft("gone", fix="stay")]).start()
    began = time.monotonic()
    with stop.watched(), pytest.raises(ClientLeft):
        list(pool.map(lambda number: number, [1]))
    assert time.monotonic() - began < 3
    busy.set()
    other.join()


def shares(pool: Lanes, callers: dict[str, tuple[float, float]], seconds: float) -> dict[str, float]:
    """What callers, each with an item's seconds and a weight, had of the lanes' time while all wanted it."""
    had, end = dict.fromkeys(callers, 0.0), time.monotonic() + seconds

    def ask(name: str, pause: float, weight: float) -> None:
        def items():
            while time.monotonic() < end:
                yield pause

        for paused in pool.map(lambda pause: time.sleep(pause) or pause, items(), weight=weight):
            if time.monotonic() < end:  # what is done afterwards, others no longer wanted the time for
                had[name] += paused

    threads = [threading.Thread(target=ask, args=(name, *figures)) for name, figures in callers.items()]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    total = sum(had.values())
    return {name: each / total for name, each in had.items()}


def test_long_items_get_no_more_of_the_time_than_short_ones(lanes):
    found = shares(lanes(1, ahead=16), {"long": (0.05, 1), "short": (0.005, 1)}, 1)
    assert 0.35 < found["short"] < 0.65


def test_a_weight_of_four_gets_four_fifths(lanes):
    found = shares(lanes(1, ahead=16), {"heavy": (0.01, 4), "light": (0.01, 1)}, 1)
    assert 0.7 < found["heavy"] < 0.9


def test_who_comes_late_neither_waits_nor_takes_everything(lanes):
    """Two lanes are busy with two callers; a third one's first item is next, and his past is not made good."""
    pool, end = lanes(2), time.monotonic() + 1.5
    order: list[str] = []

    def ask(name: str) -> None:
        def items():
            while time.monotonic() < end:
                yield name

        list(pool.map(lambda name: time.sleep(0.02) or order.append(name), items()))

    threads = [threading.Thread(target=ask, args=(name,)) for name in ("one", "two")]
    for thread in threads:
        thread.start()
    time.sleep(0.5)
    begins = len(order)
    threads.append(threading.Thread(target=ask, args=("late",)))
    threads[-1].start()
    for thread in threads:
        thread.join()
    after = order[begins:]
    assert after.index("late") < 10
    assert 0.2 < after.count("late") / len(after) < 0.45
