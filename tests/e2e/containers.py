"""The containers of a deployment."""

from __future__ import annotations

from tests.e2e.playbooks import CONTAINER

PROXY = "/opt/poseparity/bin/proxy"


def proxy(engine, name: str = CONTAINER):
    """The container of the proxy in front."""
    return engine.containers.get(f"{name}-proxy")


def live(engine, name: str = CONTAINER):
    """The container of the version that gets the requests."""
    colour = proxy(engine, name).exec_run([PROXY, "live"]).output.decode().strip()
    return engine.containers.get(f"{name}-{colour}")
