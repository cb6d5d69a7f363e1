"""A model bundle of one's own is deployed in place of the demo's."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from tests.e2e.playbooks import CONTAINER, PORT, playbook

pytestmark = [pytest.mark.docker, pytest.mark.slow]

OTHER = (
    *("-e", f"poseparity_container_name={CONTAINER}-bundle", "-e", f"poseparity_port={PORT + 1}"),
    *("-e", "poseparity_workers=1"),
)


@pytest.fixture
def own_bundle(tmp_path, demo_bundle) -> Iterator[Path]:
    """The demo bundle under another name, in a folder far from the checkout."""
    folder = Path(shutil.copytree(demo_bundle.folder, tmp_path / "my bundle"))
    manifest = folder / "bundle.toml"
    manifest.write_text(manifest.read_text().replace('name = "demo"', 'name = "mine"'))
    yield folder
    removed = playbook("destroy", *OTHER)
    assert removed.status == 0, removed.output


def test_the_service_answers_with_the_bundle_that_was_named(deployment, own_bundle):
    result = playbook("deploy", *OTHER, "-e", f'{{"poseparity_bundle": "{own_bundle}"}}')
    assert result.status == 0, result.output
    assert "bit for bit" in " ".join(result.output.split())
    ready = requests.get(f"http://127.0.0.1:{PORT + 1}/readyz", timeout=10).json()
    assert ready["bundle"]["name"] == "mine"
    unchanged = playbook("deploy", *OTHER, "-e", f'{{"poseparity_bundle": "{own_bundle}"}}')
    assert unchanged.status == 0 and unchanged.changed == 0, unchanged.output


@pytest.mark.parametrize("folder", ["relative/bundle", "/nowhere"])
def test_what_is_no_bundle_is_refused_before_anything_changes(folder):
    result = playbook("preflight", "-e", f"poseparity_bundle={folder}")
    assert result.status != 0, result.output
    assert f"poseparity_bundle is {folder}, expected the absolute path" in result.message
