"""A snapshot's file."""

from __future__ import annotations

import json

import pytest

from poseparity.environment.files import VerifyError
from poseparity.environment.snapshot import write_snapshot


def test_a_snapshot_is_written_whole_or_not_at_all(tmp_path):
    write_snapshot({"a": "\u00e9"}, tmp_path / "s.json")
    assert json.loads((tmp_path / "s.json").read_text(encoding="ascii")) == {"a": "\u00e9"}
    assert [path.name for path in tmp_path.iterdir()] == ["s.json"]
    with pytest.raises(VerifyError, match="cannot be written"):
        write_snapshot({}, tmp_path / "none" / "s.json")
