"""What goes with destroy.yml and what stays; and a service that cannot start says why."""

from __future__ import annotations

import docker
import pytest

from tests.e2e.playbooks import CONTAINER, PORT, playbook

pytestmark = [pytest.mark.docker, pytest.mark.slow]

NAME = f"{CONTAINER}-other"
OTHER = ("-e", f"poseparity_container_name={NAME}", "-e", f"poseparity_port={PORT + 1}", "-e", "poseparity_workers=1")


def test_destroy_removes_the_container_and_keeps_the_image(engine):
    deployed = playbook("deploy", *OTHER)
    assert deployed.status == 0, deployed.output
    image = engine.containers.get(NAME).image
    removed = playbook("destroy", *OTHER)
    assert removed.status == 0 and removed.changed == 1, removed.output
    assert "Kept: the images" in " ".join(removed.output.split())
    with pytest.raises(docker.errors.NotFound):
        engine.containers.get(NAME)
    assert engine.images.get(image.id)


def test_destroy_changes_nothing_where_nothing_is(deployment):
    result = playbook("destroy", *OTHER)
    assert result.status == 0 and result.changed == 0, result.output


def test_a_service_that_cannot_start_says_why(deployment):
    options = (*OTHER, "-e", '{"poseparity_settings": {"max_upload_bytes": 0}}', "-e", "poseparity_ready_timeout_s=10")
    result = playbook("deploy", *options)
    playbook("destroy", *OTHER)
    assert result.status != 0, result.output
    assert "POSEPARITY_MAX_UPLOAD_BYTES=" in result.message and "greater than or equal to 1" in result.message
