"""One input, one answer, stage by stage: on other processors, with more workers, with many requests at once."""

from __future__ import annotations

import re
import shutil
import sys
from pathlib import Path

import pytest

from poseparity.bundle.bundle import MANIFEST
from tests.emulation import CPUS, run_emulated
from tests.golden_bundle import CLIP, CSV, differing_stages, make_short_bundle
from tests.integration.web_server import Server

AT_ONCE = 32
POSEPARITY = Path(sys.executable).with_name("poseparity")

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def short_bundle(demo_bundle, demo_result, tmp_path_factory):
    return make_short_bundle(demo_bundle, demo_result.csv, tmp_path_factory.mktemp("short") / "bundle")


@pytest.mark.parametrize("cpu", CPUS)
def test_every_stage_is_equal_on_another_processor(short_bundle, cpu, figures):
    """Eight frames through all stages, and the whole demo CSV."""
    done = run_emulated(cpu, [POSEPARITY, "bundle", "verify", short_bundle.folder, "--replay"], timeout=600)
    found = re.findall(r"^(\S+): (\d+) of (\d+) stages identical", done.stdout, re.MULTILINE)
    figures += [f"{cpu}: {name}: {equal} of {stages} stages equal to this processor's" for name, equal, stages in found]
    assert done.returncode == 0, done.stdout + done.stderr
    assert found == [(CLIP, "9", "9"), (CSV, "5", "5")]


@pytest.mark.parametrize("lanes", [1, 8])
def test_every_answer_is_equal_whatever_the_lanes_and_the_requests_at_once(lanes, short_bundle, tmp_path):
    """Every other test has as many lanes as the machine has cores; test_app has two in a container."""
    settings = {"lanes": lanes, "requests_at_once": 8, "queue_limit": AT_ONCE, "bundle": short_bundle.folder}
    with Server(tmp_path, **settings) as server:
        server.wait_alive()
        assert differing_stages(short_bundle, CLIP, server.url, 1) == [()]
        assert differing_stages(short_bundle, CSV, server.url, 1) == [()]
        assert differing_stages(short_bundle, CSV, server.url, AT_ONCE) == [()] * AT_ONCE


def test_a_service_with_other_parameters_is_noticed(short_bundle, tmp_path):
    """The comparison above can fail."""
    folder = Path(shutil.copytree(short_bundle.folder, tmp_path / "bundle"))
    text = (folder / MANIFEST).read_text(encoding="utf-8")
    (folder / MANIFEST).write_text(text.replace("margin = 4", "margin = 5"), encoding="utf-8")
    with Server(tmp_path, bundle=folder) as server:
        server.wait_alive()
        (differing,) = differing_stages(short_bundle, CSV, server.url, 1)
    assert differing == ("trim", "normalise", "recognise")
