"""The suite's fixtures, and its table at the end of the run."""

from __future__ import annotations

import pytest

from bench.faults.suite import Outcome, Suite
from bench.faults.table import plain

_OUTCOMES = pytest.StashKey[list[Outcome]]()
_COUNTS = pytest.StashKey[list[str]]()


def pytest_configure(config) -> None:
    config.stash[_OUTCOMES], config.stash[_COUNTS] = [], []


def pytest_terminal_summary(terminalreporter, config) -> None:
    outcomes, counts = config.stash[_OUTCOMES], config.stash[_COUNTS]
    if outcomes or counts:
        terminalreporter.section("faults")
        for line in [*plain(outcomes, width=240), *counts]:
            terminalreporter.line(line)


@pytest.fixture(scope="session")
def suite(request, tmp_path_factory) -> Suite:
    made = Suite(tmp_path_factory.mktemp("faults"))
    parameters = [item.callspec.params for item in request.session.items if hasattr(item, "callspec")]
    made.begin(each["fault"] for each in parameters if "fault" in each)
    return made


@pytest.fixture(scope="session")
def outcomes(pytestconfig) -> list[Outcome]:
    """What a test adds is in the table at the end, whether it was right or not."""
    return pytestconfig.stash[_OUTCOMES]


@pytest.fixture(scope="session")
def counts(pytestconfig) -> list[str]:
    """Lines below the table."""
    return pytestconfig.stash[_COUNTS]
