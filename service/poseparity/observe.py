"""Looking into a stage while it works: what a record does not hold, because it would be too large.

A stage that streams hands each item to an observer and forgets it; a trace is one (see trace.py).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol, runtime_checkable

if TYPE_CHECKING:
    import numpy as np  # the command line must not load it before it has looked at the processor

Observe = Callable[[str, "np.ndarray"], None]


def unobserved(name: str, value: np.ndarray) -> None:
    """The observer that looks away."""


class Observed:
    """A stage that is called with an observer beside its record.

    Attributes:
        observed: name of each value that it hands out, one frame at a time, to the value's unit.
    """

    observed: dict[str, str]


@runtime_checkable
class Described(Protocol):
    """A stage that runs with more than its table of bundle.toml says: whatever has this method."""

    def describe(self) -> dict:
        """What the stage found where it runs, JSON-ready: versions, classes, what it was started with."""
