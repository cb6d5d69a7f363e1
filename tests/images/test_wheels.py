"""A wheel that is not the locked one is refused before anything is built from it."""

from __future__ import annotations

import hashlib

import pytest

from images.builder.errors import BuildError
from images.builder.wheels import check

NAMES = ("alpha-1.0-py3-none-any.whl", "beta_two-2.0+cpu-cp311-cp311-linux_x86_64.whl")


@pytest.fixture
def folder(tmp_path):
    """Two wheels as far as the check reads them (their names and bytes)."""
    for name in NAMES:
        (tmp_path / name).write_text(name, "utf-8")
    return tmp_path


@pytest.fixture
def lock(tmp_path_factory):
    path = tmp_path_factory.mktemp("lock") / "some.lock"
    digests = [hashlib.sha256(name.encode()).hexdigest() for name in NAMES]
    path.write_text(
        f"alpha==1.0 \\\n    --hash=sha256:{'0' * 64} \\\n    --hash=sha256:{digests[0]}\n    # via something\n"
        f"beta-two==2.0+cpu \\\n    --hash=sha256:{digests[1]}\n",
        "utf-8",
    )
    return path


def test_a_complete_folder_is_accepted(lock, folder):
    assert {name: path.name for name, path in check(lock, folder).items()} == {"alpha": NAMES[0], "beta-two": NAMES[1]}


def test_changed_bytes_are_named(lock, folder):
    (folder / NAMES[1]).write_text("something else", "utf-8")
    with pytest.raises(BuildError, match=r"beta_two-2\.0\+cpu.*\.whl has sha256 .* some\.lock does not allow"):
        check(lock, folder)


def test_a_missing_wheel_is_named(lock, folder):
    (folder / NAMES[0]).unlink()
    with pytest.raises(BuildError, match=r"has no wheel of alpha==1\.0, which some\.lock names"):
        check(lock, folder)


def test_a_wheel_that_the_lock_does_not_name_is_refused(lock, folder):
    (folder / "alpha-1.1-py3-none-any.whl").write_text("newer", "utf-8")
    with pytest.raises(BuildError, match=r"alpha-1\.1-py3-none-any\.whl is in .* but not in some\.lock"):
        check(lock, folder)


def test_an_entry_without_a_hash_is_refused(lock, folder):
    lock.write_text("alpha==1.0\n", "utf-8")
    with pytest.raises(BuildError, match=r"some\.lock has an entry without version or hash: 'alpha==1\.0'"):
        check(lock, folder)
