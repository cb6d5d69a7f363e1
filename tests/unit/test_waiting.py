"""What a refused client is told: from who waits, and from what was measured."""

from __future__ import annotations

from contextlib import ExitStack

import pytest

from poseparity.errors import ClientLeft, TookTooLong
from poseparity.stop import Stop
from poseparity.web import waiting
from poseparity.web.waiting import Waiting


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(waiting, "time", clock)
    return clock


def measured(queue: Waiting, clock: Clock, kind: str, seconds: float, reason=None) -> None:
    stop = Stop()
    with queue.joined(kind, stop), queue.begun(stop):
        clock.now += seconds
        if reason:
            stop.because(reason)


def test_before_anything_was_measured(clock):
    assert Waiting(longest=60).seconds_left(places=3) == 3
    assert Waiting(longest=60).seconds_left(places=0) == 1


def test_each_kind_has_its_own_time(clock):
    queue = Waiting(longest=600)
    measured(queue, clock, "video", 40)
    measured(queue, clock, "video", 60)
    measured(queue, clock, "csv", 0.5)
    with queue.joined("csv", Stop()), queue.joined("csv", Stop()):
        assert queue.seconds_left(places=2) == 1
    with queue.joined("video", Stop()), queue.joined("csv", Stop()):
        assert queue.seconds_left(places=2) == 51


def test_what_runs_is_counted_by_what_is_left_of_it(clock):
    queue, stop = Waiting(longest=100), Stop()
    measured(queue, clock, "video", 50)
    with queue.joined("video", stop), queue.begun(stop):
        clock.now += 20
        assert queue.seconds_left(places=1) == 30
        clock.now += 40  # 60 s: longer than the others; as long again is expected, and no longer than is allowed
        assert queue.seconds_left(places=1) == 40
        clock.now += 39
        assert queue.seconds_left(places=1) == 1


def test_who_left_tells_nothing_of_the_next_and_who_took_too_long_does(clock):
    queue = Waiting(longest=100)
    measured(queue, clock, "video", 7, ClientLeft("gone", fix="stay"))
    assert queue.seconds_left(places=1) == 1
    measured(queue, clock, "video", 100, TookTooLong("slow", fix="wait"))
    with queue.joined("video", Stop()):
        assert queue.seconds_left(places=1) == 100


def test_all_that_wait_or_run_can_be_told_to_stop(clock):
    queue, stops = Waiting(longest=100), [Stop(), Stop()]
    with ExitStack() as joined:
        for stop in stops:
            joined.enter_context(queue.joined("csv", stop))
        assert queue.stops() == stops
    assert queue.stops() == []
