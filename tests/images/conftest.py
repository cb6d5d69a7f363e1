"""Fixtures of the images: built once by the project's own program, then run as users run them."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import docker
import pytest

from scripts.locking.locks import ROOT


@pytest.fixture(scope="session")
def checkout() -> Path:
    return ROOT


@pytest.fixture(scope="session")
def build(checkout) -> Callable[..., dict]:
    """Run `images/build` and return its answer; a build that fails shows its messages."""

    def run(*arguments: str) -> dict:
        result = subprocess.run([checkout / "images/build", *arguments], stdout=subprocess.PIPE, check=True)
        return json.loads(result.stdout)

    return run


@pytest.fixture(scope="session")
def app(build) -> dict:
    """The answer of `images/build app`."""
    return build("app")


@pytest.fixture(scope="session")
def engine() -> docker.DockerClient:
    client = docker.from_env()
    yield client
    client.close()


@pytest.fixture(scope="session")
def run(engine, app) -> Callable[..., str]:
    """Run a command in a container of the image, without any network and as the service does; return its output."""

    def start(*command: str, **options) -> str:
        defaults = {"network_mode": "none", "read_only": True, "tmpfs": {"/tmp": ""}, "remove": True}
        return engine.containers.run(app["image"], list(command), **defaults | options).decode()

    return start
