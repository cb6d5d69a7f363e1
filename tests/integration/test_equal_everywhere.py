"""One input, one answer, stage by stage: whatever the lanes, and with many requests at once.

On other processors: test_emulated_cpus.py.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from poseparity.bundle.bundle import MANIFEST, load_bundle
from poseparity.golden.record import record
from poseparity.settings import load_settings
from poseparity.startup import load_pipeline
from tests.golden_bundle import CLIP, CSV, differing_stages
from tests.integration.web_server import Server

AT_ONCE = 32

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module", params=[1, 8])
def server(request, short_bundle, tmp_path_factory):
    """Every other test has as many lanes as the machine has cores; test_app has two in a container."""
    folder = tmp_path_factory.mktemp("lanes")
    settings = {"lanes": request.param, "requests_at_once": 8, "queue_limit": AT_ONCE, "bundle": short_bundle.folder}
    with Server(folder, **settings) as server:
        server.wait_alive()
        yield server


def test_every_answer_is_equal_whatever_the_lanes_and_the_requests_at_once(server, short_bundle):
    assert differing_stages(short_bundle, CLIP, server.url, 1) == [()]
    assert differing_stages(short_bundle, CSV, server.url, 1) == [()]
    assert differing_stages(short_bundle, CSV, server.url, AT_ONCE) == [()] * AT_ONCE


def test_a_service_with_other_parameters_is_noticed(server, short_bundle, tmp_path):
    """The comparison above can fail: with what a bundle of another margin recorded."""
    folder = Path(shutil.copytree(short_bundle.folder, tmp_path / "bundle"))
    text = (folder / MANIFEST).read_text(encoding="utf-8")
    assert text.count("margin = 4") == 1
    (folder / MANIFEST).write_text(text.replace("margin = 4", "margin = 5"), encoding="utf-8")
    record(load_pipeline(load_settings(bundle=folder)), (CSV,))
    (differing,) = differing_stages(load_bundle(folder), CSV, server.url, 1)
    assert differing == ("trim", "normalise", "recognise")
