"""Parsers of what installers wrote, and the digest of a build."""

from __future__ import annotations

import base64
import hashlib
from pathlib import Path

import pytest

from poseparity.environment.packages import (
    HANDED_OUT,
    Distribution,
    RecordRow,
    check_distributions,
    collapse_missing,
    hashed_rows,
    normalise_name,
    parse_metadata,
    parse_record,
    record_digest,
)


def test_record_rows():
    text = (
        'a/b.py,sha256=xyz,3\n"a/with, comma.py",sha384=q,1\na/__pycache__/b.pyc,,\r\nd.dist-info/RECORD,,\n\n'
        "a\\c.py,sha256=w,1\n"
    )
    rows = parse_record(text)
    assert rows[0] == ("a/b.py", "sha256", "xyz")
    assert [row.path for row in hashed_rows(rows)] == ["a/b.py", "a/with, comma.py", "a/c.py"]


def test_metadata_ends_at_the_first_empty_line():
    assert parse_metadata("Name: A_b\nVersion: 1\n  folded: x\n\nName: no\n") == {"Name": "A_b", "Version": "1"}


@pytest.mark.parametrize(("name", "expected"), [("PyYAML", "pyyaml"), ("a__b..C", "a-b-c"), ("flask-openapi3",) * 2])
def test_names(name, expected):
    assert normalise_name(name) == expected


def test_missing_files_collapse_to_the_outermost_folder_that_is_gone():
    paths = ("t/a.py", "t/include/x.h", "t/include/y/z.h", "t/lib/k", "t/lib/m")
    rows = [RecordRow(path, "sha256", "x") for path in paths]
    missing = {"t/include/x.h", "t/include/y/z.h", "t/lib/k"}
    assert collapse_missing(rows, missing) == ["t/include/", "t/lib/k"]
    assert collapse_missing(rows, {row.path for row in rows}) == ["t/"]
    assert collapse_missing(rows, set()) == []
    script = RecordRow("../../../bin/t", "sha256", "x")
    assert collapse_missing([script, *rows], {script.path}) == [script.path]


def test_digest_of_a_build_ignores_the_installer_and_scripts():
    rows = [RecordRow("p/a.py", "sha256", "1"), RecordRow("p-1.dist-info/METADATA", "sha256", "2")]
    installer, script = "p-1.dist-info/INSTALLER", RecordRow("../../../bin/p", "sha256", "3")
    pip = [*rows, RecordRow(installer, "sha256", "pip"), script]
    uv = [*reversed(rows), RecordRow(installer, "sha256", "uv"), RecordRow("p/a.pyc", "", "")]

    def digest(rows, editable=False):
        return record_digest(Distribution("p", "1", Path("/x"), editable, rows))

    assert digest(pip) == digest(uv)
    assert digest(pip) != digest([RecordRow("p/a.py", "sha256", "9"), rows[1]])
    assert digest(None) is None and digest(rows, editable=True) is None


def test_every_file_of_every_distribution_has_its_own_answer(tmp_path):
    """More files than a job takes, in distributions that begin and end in the middle of one."""
    items = []
    for name, count in (("first", HANDED_OUT - 7), ("second", 3), ("third", 2 * HANDED_OUT)):
        files = [f"{name}/{number}.txt" for number in range(count)]
        (tmp_path / name).mkdir()
        rows = []
        for path in files:
            (tmp_path / path).write_text(path)
            digest = hashlib.sha256(path.encode()).digest()
            rows.append(RecordRow(path, "sha256", base64.urlsafe_b64encode(digest).rstrip(b"=").decode()))
        items.append(Distribution(name, "1", tmp_path, False, rows))
    expected = {item.name: {row.path: "ok" for row in item.rows} for item in items}
    assert check_distributions([*items, Distribution("without", "1", tmp_path, False, None)]) == expected
    for path, state in (("first/0.txt", "missing"), ("second/2.txt", "modified"), (rows[-1].path, "missing")):
        expected[path.partition("/")[0]][path] = state
        if state == "missing":
            (tmp_path / path).unlink()
        else:
            (tmp_path / path).write_text("something else")
    assert check_distributions(items) == expected
    assert check_distributions([]) == {}
