"""What destroy.yml leaves alone; test_front has what goes with it."""

from __future__ import annotations

import pytest

from tests.e2e.playbooks import CONTAINER, PORT, playbook

pytestmark = [pytest.mark.docker, pytest.mark.slow]

NAME = f"{CONTAINER}-other"
OTHER = ("-e", f"poseparity_container_name={NAME}", "-e", f"poseparity_port={PORT + 1}", "-e", "poseparity_lanes=1")


def test_destroy_changes_nothing_where_nothing_is(deployment):
    result = playbook("destroy", *OTHER)
    assert result.status == 0 and result.changed == 0, result.output
