"""A process at rest: what is free goes back to the system, and not while something is in hand."""

from __future__ import annotations

import threading

import numpy as np
import psutil
import pytest

from poseparity.serving import rest


@pytest.fixture
def given_back(monkeypatch):
    """Set when memory is given back, as the last request is over for a second and a half."""
    happened = threading.Event()
    real = rest._give_back
    monkeypatch.setattr(rest, "_QUIET_S", 1.5)
    monkeypatch.setattr(rest, "_give_back", lambda pad: (real(pad), happened.set()))
    return happened


def test_memory_that_is_free_goes_back(given_back):
    with rest.Rest().interrupted():
        # Smaller than what glibc asks the system for one by one; the last one keeps it from giving back the others.
        blocks = [np.ones(100_000, np.uint8) for _ in range(2000)]
        last = blocks[-1]
        del blocks
        held = psutil.Process().memory_info().rss
    assert given_back.wait(10)
    assert held - psutil.Process().memory_info().rss > 150e6
    assert last.all()


def test_nothing_is_given_back_while_something_is_in_hand(given_back):
    at_rest = rest.Rest()
    with at_rest.interrupted():
        with at_rest.interrupted():
            pass
        assert not given_back.wait(2)
    with at_rest.interrupted():  # before the time is over
        assert not given_back.wait(2)
    assert given_back.wait(10)
