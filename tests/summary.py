"""Lines that tests leave for the end of the run, whichever of several processes they ran in."""

from __future__ import annotations

import pytest

_SECTIONS = pytest.StashKey[dict[str, list[str]]]()
_OUTPUT = "summary"  # the key in what a process of pytest-xdist hands back


def lines(config: pytest.Config, title: str) -> list[str]:
    """The list below a title: what is added to it is printed."""
    return config.stash.setdefault(_SECTIONS, {}).setdefault(title, [])


def hand_back(config: pytest.Config) -> None:
    """In a process of pytest-xdist: leave everything for the process that prints."""
    if (output := getattr(config, "workeroutput", None)) is not None:
        output[_OUTPUT] = config.stash.setdefault(_SECTIONS, {})


def take_over(config: pytest.Config, workeroutput: dict) -> None:
    """In the process that prints: add what another one has left."""
    for title, more in workeroutput.get(_OUTPUT, {}).items():
        lines(config, title).extend(more)


def write(terminalreporter, config: pytest.Config) -> None:
    """Print every section that has lines."""
    for title, written in config.stash.setdefault(_SECTIONS, {}).items():
        if written:
            terminalreporter.section(title)
            for line in written:
                terminalreporter.line(line)
