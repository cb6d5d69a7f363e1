"""Turns: never more at once than allowed, whatever order they come and go in, and no kind starves another."""

from __future__ import annotations

import threading
import time
from contextlib import ExitStack

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from poseparity.errors import ClientLeft
from poseparity.serving.turns import Turns


def nobody_minds() -> None:
    pass


@settings(max_examples=25, deadline=None)
@given(
    most=st.integers(1, 4),
    requests=st.lists(st.tuples(st.sampled_from(["csv", "video"]), st.integers(0, 4), st.booleans()), max_size=16),
)
def test_the_limits_hold_whatever_order_requests_come_in(most, requests):
    turns, lock = Turns(most), threading.Lock()
    has, highest, ended = [], {"all": 0, "video": 0}, []

    def ask(kind: str, milliseconds: int, leaves: bool) -> None:
        def look() -> None:
            if leaves:
                raise ClientLeft("gone", fix="stay")

        try:
            with turns.turn(kind, look):
                with lock:
                    has.append(kind)
                    highest["all"] = max(highest["all"], len(has))
                    highest["video"] = max(highest["video"], has.count("video"))
                time.sleep(milliseconds / 1000)
                with lock:
                    has.remove(kind)
        except ClientLeft:
            pass
        ended.append(kind)

    threads = [threading.Thread(target=ask, args=request) for request in requests]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert len(ended) == len(requests), "nobody waits for ever"
    assert highest["all"] <= most and highest["video"] <= max(1, most - 1)


def test_a_csv_does_not_wait_for_videos():
    turns = Turns(4)
    with ExitStack() as videos:
        for _ in range(3):
            videos.enter_context(turns.turn("video", nobody_minds))
        looked = []

        def once() -> None:
            looked.append(1)
            if len(looked) > 1:
                raise ClientLeft("gone", fix="stay")

        with turns.turn("csv", nobody_minds):
            pass
        with pytest.raises(ClientLeft), turns.turn("video", once):
            pass


def test_each_kind_is_first_come_first_served():
    turns, order = Turns(1), []
    threads = []
    with turns.turn("csv", nobody_minds):
        for number in range(6):

            def ask(number: int = number) -> None:
                with turns.turn("csv", nobody_minds):
                    order.append(number)

            threads.append(threading.Thread(target=ask))
            threads[-1].start()
            time.sleep(0.02)
    for thread in threads:
        thread.join()
    assert order == list(range(6))
