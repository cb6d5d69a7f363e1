"""The command line: exit statuses, and errors in one line."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from poseparity.environment.__main__ import main
from poseparity.environment.snapshot import KIND
from tests.conftest import ROOT
from tests.unit.environment.support import put, write_json


def test_exit_statuses(tmp_path, snapshot, capsys):
    mine = write_json(tmp_path / "mine.json", snapshot)
    put("packages.numpy.version", "1.26.4")(snapshot)
    theirs = write_json(tmp_path / "theirs.json", snapshot)
    assert main(["compare", mine, mine]) == 0
    assert main(["compare", mine, theirs]) == 1
    capsys.readouterr()
    assert main(["compare", mine, theirs, "--json"]) == 1
    assert json.loads(capsys.readouterr().out)["verdict"] == "mismatch"
    assert main(["compare", mine, theirs, "--policy", str(tmp_path / "none.toml")]) == 2


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "cannot be read"),
        ("{", "not JSON"),
        ("[]", "no snapshot"),
        ('{"kind": "something"}', "no snapshot"),
        (json.dumps({"kind": KIND, "format": 2}), "format 2, expected 1"),
        (json.dumps({"kind": KIND, "format": 1}), "lacks interpreter"),
        (b"\xff\xfe", "not UTF-8"),
    ],
)
def test_an_unusable_snapshot_is_an_error_in_one_line(tmp_path, capsys, content, message):
    path = tmp_path / "broken.json"
    if content is not None:
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    assert main(["compare", str(path), str(path)]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert len(captured.err.splitlines()) == 1
    assert message in captured.err and str(path) in captured.err


@pytest.mark.parametrize("arguments", [[], ["explain"], ["compare"], ["snapshot", "--colour"]])
def test_wrong_arguments_are_an_error_in_one_line(arguments, capsys):
    assert main(arguments) == 2
    assert len(capsys.readouterr().err.splitlines()) == 1


def test_help_names_the_exit_statuses():
    command = [sys.executable, ROOT / "scripts/verify_env.py", "--help"]
    answer = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "0 match, 1 mismatch, 2 error" in answer.stdout
