"""A wheel that is not the locked one is refused before anything is built from it."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import zipfile

import pytest

from scripts.locking.errors import BuildError
from scripts.locking.wheels import check

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


def make_wheel(folder) -> bytes:
    """Write the smallest wheel that pip accepts, of a local build, into `folder`; return its bytes."""
    path = folder / "example-1.0+cpu-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as wheel:
        wheel.writestr("example-1.0+cpu.dist-info/METADATA", "Metadata-Version: 2.1\nName: example\nVersion: 1.0+cpu\n")
        wheel.writestr("example-1.0+cpu.dist-info/WHEEL", "Wheel-Version: 1.0\nTag: py3-none-any\n")
        wheel.writestr("example-1.0+cpu.dist-info/RECORD", "")
    return path.read_bytes()


@pytest.fixture
def fetching(tmp_path, checkout):
    """A checkout whose only locked package is on PyTorch's index alone; yields a function that runs scripts/wheels."""
    for folder in ("scripts", "images"):
        shutil.copytree(checkout / folder, tmp_path / folder)
    (tmp_path / ".venv").mkdir()
    (tmp_path / ".venv/controller").symlink_to(checkout / ".venv/controller")
    index = tmp_path / "index/example"
    index.mkdir(parents=True)
    digest = hashlib.sha256(make_wheel(index)).hexdigest()
    (index / "index.html").write_text('<a href="example-1.0+cpu-py3-none-any.whl">example-1.0+cpu-py3-none-any.whl</a>')
    (tmp_path / "empty").mkdir()
    (tmp_path / "lockfiles").mkdir()
    lock = tmp_path / "lockfiles/cpu.lock"
    lock.write_text(f"example==1.0+cpu \\\n    --hash=sha256:{digest}\n")

    def run(torch_index) -> subprocess.CompletedProcess[str]:
        environment = {name: value for name, value in os.environ.items() if not name.startswith("PIP_")} | {
            "PIP_CONFIG_FILE": os.devnull,
            "PIP_INDEX_URL": (tmp_path / "empty").as_uri(),
            "POSEPARITY_TORCH_INDEX": torch_index.as_uri(),
        }
        command = [sys.executable, tmp_path / "scripts/wheels"]
        return subprocess.run(command, env=environment, capture_output=True, text=True)

    return run


def test_a_build_that_the_configured_indexes_lack_comes_from_pytorchs_own(fetching, tmp_path):
    result = fetching(tmp_path / "index")
    assert (result.returncode, result.stderr) == (0, "")
    folder = tmp_path / result.stdout.strip()
    assert [path.name for path in folder.iterdir()] == ["example-1.0+cpu-py3-none-any.whl"]
    assert fetching(tmp_path / "empty").stdout == result.stdout  # nothing is fetched twice


def test_a_package_that_no_index_has_is_named(fetching, tmp_path):
    result = fetching(tmp_path / "empty")
    assert result.returncode == 2
    assert "pip could not download example==1.0+cpu: ERROR: " in result.stderr
    assert "  fix: check pip's index configuration" in result.stderr
    assert list((tmp_path / ".cache/wheels").glob("*/*.whl")) == []
