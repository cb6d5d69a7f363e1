"""One deployment that all end-to-end tests share: its own container and port, removed at the end."""

from __future__ import annotations

from collections.abc import Iterator

import docker
import pytest

from tests.e2e.containers import live
from tests.e2e.playbooks import OWN, ROOT, Run, playbook, run


@pytest.fixture(scope="session")
def deployment() -> Iterator[Run]:
    """The first run of scripts/deploy."""
    playbook("destroy", *OWN)
    first = run([ROOT / "scripts/deploy", *OWN])
    assert first.status == 0, first.output
    yield first
    removed = playbook("destroy", *OWN)
    assert removed.status == 0, removed.output


@pytest.fixture(scope="session")
def engine(deployment) -> Iterator[docker.DockerClient]:
    client = docker.from_env()
    yield client
    client.close()


@pytest.fixture
def container(engine):
    """The container that answers, as it is now."""
    return live(engine)
