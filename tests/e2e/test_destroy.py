"""What goes with destroy.yml and what stays."""

from __future__ import annotations

import pytest

from tests.e2e.containers import live
from tests.e2e.playbooks import CONTAINER, PORT, playbook

pytestmark = [pytest.mark.docker, pytest.mark.slow]

NAME = f"{CONTAINER}-other"
OTHER = ("-e", f"poseparity_container_name={NAME}", "-e", f"poseparity_port={PORT + 1}", "-e", "poseparity_workers=1")


def test_destroy_removes_the_container_and_keeps_the_image(engine):
    deployed = playbook("deploy", *OTHER)
    assert deployed.status == 0, deployed.output
    image = live(engine, NAME).image
    removed = playbook("destroy", *OTHER)
    assert removed.status == 0 and removed.changed == 3, removed.output
    assert "Kept: the images" in " ".join(removed.output.split())
    for left in (engine.containers.list(all=True), engine.networks.list(), engine.volumes.list()):
        assert not [each.name for each in left if each.name.startswith(NAME)]
    assert engine.images.get(image.id)


def test_destroy_changes_nothing_where_nothing_is(deployment):
    result = playbook("destroy", *OTHER)
    assert result.status == 0 and result.changed == 0, result.output
