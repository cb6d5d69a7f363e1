"""The lines of status.yml: the filter behind them, on reports of the gate."""

from __future__ import annotations

import json
import runpy
from pathlib import Path

import pytest

from tests.e2e.playbooks import ANSIBLE
from tests.unit.gate.support import IMAGE, Folders

# Ansible finds a role's filters by their place; so do we.
filters = runpy.run_path(str(ANSIBLE / "roles/overview/filter_plugins/deployment.py"))
deployment_status = filters["deployment_status"]

BUNDLE = {"name": "demo", "version": "1", "sha256": "b" * 64}

CONTAINER = {
    "status": 200,
    "json": {"Image": IMAGE.id, "State": {"Running": True, "StartedAt": "2026-01-02T03:04:05.6Z"}},
}
READY = {"status": 200, "json": {"bundle": BUNDLE}}


def status(kept: Path, container: dict, ready: dict, *reports: dict) -> list[str]:
    for number, each in enumerate(reports):
        (kept / str(number)).mkdir(parents=True)
        (kept / str(number) / "report.json").write_text(json.dumps(each))
    return deployment_status(container, ready, kept, "poseparity", "http://127.0.0.1:19031")


def test_the_status_names_what_runs_and_the_last_verification(tmp_path):
    folders = Folders(tmp_path)
    passed = folders.judged().to_dict() | {"when": "2026-01-02T03:00:00Z"}
    folders.ran(folders.server, box=8.0, padding=0.1)
    refused = folders.judged().to_dict() | {"when": "2026-01-03T00:00:00Z"}
    refused["image"] = {"name": "other", "id": "sha256:" + "c" * 64}
    now, verified, last, *differs = status(tmp_path / "kept", CONTAINER, READY, refused, passed)
    assert "sha256:aaaaaaaaaaaa runs since 2026-01-02T03:04:05Z, ready at http://127.0.0.1:19031" in now
    assert "bundle demo 1 (bbbbbbbbbbbb)" in now
    assert verified == "What runs was verified at 2026-01-02T03:00:00Z: passed"
    assert last.startswith("Last verification at 2026-01-03T00:00:00Z: refused, other (sha256:cccccccccccc)")
    assert differs[0] == "On clip.mp4 stage crop diverges first (box by 4 pixels)"
    assert "crop.padding is 0.15 in A and 0.1 in B" in differs[1]


@pytest.mark.parametrize(
    "container, ready, words",
    [
        ({"status": -1, "msg": "no such socket"}, {}, "engine does not answer: no such socket"),
        ({"status": 404}, {}, "there is no container poseparity"),
        (
            {"status": 200, "json": {"Image": "sha256:1", "State": {"Running": False, "Status": "exited"}}},
            {},
            "is exited",
        ),
        (CONTAINER, {"status": 503, "content": "a pin\n"}, "not ready: http://127.0.0.1:19031 says a pin"),
        (CONTAINER, {"status": -1, "msg": "refused"}, "says refused"),
    ],
)
def test_the_status_where_nothing_serves(tmp_path, container, ready, words):
    lines = status(tmp_path, container, ready)
    assert words in lines[0]
    assert lines[-1] == "Last verification: none from this checkout"
