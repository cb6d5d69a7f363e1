"""A mirror that has moved on is reported by package, and refused where that was asked for."""

from __future__ import annotations

import json
import tarfile
from collections.abc import Iterator
from dataclasses import replace

import pytest

from images.builder import docker
from images.builder.debian import drift, parse, write
from images.builder.recipes import DEBIAN_LOCK, Base, Rootfs, build, look
from scripts.locking.errors import BuildError


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
    write(tmp_path / "debian.lock", locked, "images/build parent --write-debian-lock")
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


class Drifted(Rootfs):
    """A parent image beside the project's own, so that the test touches none that is in use."""

    name = "test-drifted"


@pytest.fixture
def drifted(engine, tmp_path) -> Iterator[str]:
    """The name of a parent image that was made from a mirror that had moved on: an empty one with that label."""
    tarfile.open(tmp_path / "empty.tar", "w").close()
    reference = Drifted().reference
    with (tmp_path / "empty.tar").open("rb") as stream:
        docker.import_root(stream, reference, {Rootfs._DRIFT_LABEL: json.dumps(["libc6 1 -> 2"])})
    yield reference
    engine.images.remove(reference)


@pytest.mark.docker
def test_an_image_that_drifted_before_is_refused_where_strict(drifted):
    assert docker.inspect(drifted), "the image of this test is not there"
    assert [outcome.drift for outcome in build(Drifted(), "test")] == [["libc6 1 -> 2"]]
    for refuse in (lambda parent: build(Base(parent), "test"), lambda parent: look([Base(parent), parent])):
        with pytest.raises(BuildError, match="libc6 1 -> 2"):
            refuse(Drifted(strict=True))
