"""A mirror that has moved on is reported by package, and refused where that was asked for."""

from __future__ import annotations

from dataclasses import replace

import pytest

from images.builder.debian import drift, parse, write
from images.builder.errors import BuildError
from images.builder.recipes import DEBIAN_LOCK, Rootfs


@pytest.fixture
def locked():
    return parse(DEBIAN_LOCK.read_text("utf-8"))


@pytest.fixture
def moved_on(locked):
    """The locked packages after one has a newer version, one is gone and one has come."""
    first, second, *others = locked
    return [replace(first, version="999", sha256="0" * 64), *others, replace(second, name="zzz")]


def test_the_locked_packages_do_not_differ_from_themselves(locked):
    assert drift(locked, locked) == []


def test_what_was_written_is_read_back(locked, tmp_path):
    write(tmp_path / "debian.lock", locked)
    assert parse((tmp_path / "debian.lock").read_text("utf-8")) == locked


def test_each_package_that_differs_is_named(locked, moved_on):
    first, second = locked[:2]
    assert drift(locked, moved_on) == [
        f"{first.name} {first.version} -> 999",
        f"{second.name} {second.version} is gone",
        f"zzz {second.version} is new",
    ]


def test_another_file_of_the_same_version_is_named(locked):
    changed = [replace(locked[0], sha256="0" * 64), *locked[1:]]
    assert drift(locked, changed) == [
        f"{locked[0].name} {locked[0].version} is another file (sha256 {'0' * 64}, locked {locked[0].sha256})"
    ]


def test_drift_is_reported_by_default_and_refused_where_strict(locked, moved_on):
    assert len(Rootfs(strict=False).compare(moved_on)) == 3
    with pytest.raises(BuildError, match=rf"moved on since lockfiles/debian\.lock: {locked[0].name} .* -> 999; "):
        Rootfs(strict=True).compare(moved_on)
    assert Rootfs(strict=True).compare(locked) == []
