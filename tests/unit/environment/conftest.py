"""A snapshot, the policy, and the judgement on a change of the snapshot."""

from __future__ import annotations

import copy

import pytest

from poseparity.environment.compare import compare_snapshots
from poseparity.environment.policy import load_policy
from tests.unit.environment.support import POLICY, small_snapshot


@pytest.fixture
def snapshot() -> dict:
    return small_snapshot()


@pytest.fixture(scope="module")
def policy():
    return load_policy(POLICY)


@pytest.fixture
def compare(snapshot, policy):
    """compare(change): findings where `change` was made to the server's snapshot; `both`: to the local one, too."""

    def run(change, both: bool = False) -> list[dict]:
        server = copy.deepcopy(snapshot)
        change(server)
        return compare_snapshots(server if both else snapshot, server, policy)

    return run
