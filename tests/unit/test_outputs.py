"""Output files: refused early, whole or not there."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from poseparity.errors import OutputError
from poseparity.outputs import check_output, replacing


@pytest.fixture
def source(tmp_path):
    path = tmp_path / "input.mp4"
    path.write_bytes(b"video")
    return path


def test_a_new_and_an_existing_file_are_fine_and_left_alone(tmp_path, source):
    existing = tmp_path / "old.png"
    existing.write_bytes(b"old")
    check_output(tmp_path / "new.PNG", source=source, suffix=".png")
    check_output(existing, source=source, suffix=".png")
    assert existing.read_bytes() == b"old"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["input.mp4", "old.png"]


@pytest.mark.parametrize(
    "name, words",
    [
        ("out.avi", r"ends in \.avi, expected \.mp4"),
        ("out", r"has no suffix, expected \.mp4"),
        ("folder.mp4", "is a folder"),
        (".", "is a folder"),
        ("absent/out.mp4", "is no folder"),
        ("input.mp4/out.mp4", "is no folder"),
        ("input.mp4", "is the input"),
        ("link.mp4", "is the input"),
    ],
)
def test_a_path_that_cannot_be_written_is_refused(tmp_path, source, name, words):
    (tmp_path / "folder.mp4").mkdir()
    (tmp_path / "link.mp4").symlink_to(source)
    with pytest.raises(OutputError, match=words) as error:
        check_output(tmp_path / name, source=source, suffix=".mp4")
    assert error.value.fix


def test_a_folder_that_refuses_files_is_told(source):
    """/proc refuses them to everybody, root included."""
    with pytest.raises(OutputError, match="/proc cannot be written"):
        check_output(Path("/proc/out.csv"), source=source)


def test_a_device_is_an_output(source):
    check_output(Path(os.devnull), source=source)


def test_a_file_is_replaced_when_it_is_complete(tmp_path):
    path = tmp_path / "out.txt"
    path.write_text("old")
    with replacing(path) as partial:
        assert (partial.parent.parent, partial.name) == (tmp_path, path.name)
        partial.write_text("new")
        assert path.read_text() == "old"
    assert path.read_text() == "new"
    assert list(tmp_path.iterdir()) == [path]


def test_a_failure_leaves_what_was_there(tmp_path):
    path = tmp_path / "out.txt"
    path.write_text("old")

    def fail():
        with replacing(path) as partial:
            partial.write_text("half")
            raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        fail()
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_link_goes_on_pointing_at_what_was_written(tmp_path):
    (tmp_path / "out.txt").symlink_to(tmp_path / "target.txt")
    with replacing(tmp_path / "out.txt") as partial:
        partial.write_text("new")
    assert (tmp_path / "out.txt").is_symlink()
    assert (tmp_path / "target.txt").read_text() == "new"
