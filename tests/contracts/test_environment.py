"""scripts/venv: does nothing twice, and says what is wrong."""

from __future__ import annotations

import os
import shutil
import subprocess

import pytest

from scripts.locking.locks import ROOT


@pytest.fixture
def empty_checkout(tmp_path):
    """The files that the script reads, without any environment."""
    for folder in ("scripts", "lockfiles"):
        shutil.copytree(ROOT / folder, tmp_path / folder)
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    return tmp_path


@pytest.mark.parametrize("name", ["controller", "dev"])
def test_an_environment_that_follows_from_its_locks_is_left_alone(name):
    result = subprocess.run([ROOT / "scripts/venv", name], capture_output=True, text=True, check=True)
    assert (result.stdout, result.stderr) == ("", "")


def test_another_version_of_python_is_refused(empty_checkout):
    environment = {**os.environ, "POSEPARITY_PYTHON": "/bin/false"}
    command = [empty_checkout / "scripts/venv", "controller"]
    result = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert result.returncode == 2
    assert "POSEPARITY_PYTHON is /bin/false, expected Python 3.11" in result.stderr
    assert not (empty_checkout / ".venv/controller").exists()


def ensure(checkout, name: str) -> str:
    """What the checkout's script says where it is to provide an environment; it only says so, and makes none."""
    program = 'source "$1/scripts/venv"; make_controller() { :; }; make_with_package() { :; }; ensure "$2"'
    command = ["bash", "-c", program, "bash", checkout, name]
    return subprocess.run(command, capture_output=True, text=True, check=True).stderr


@pytest.mark.parametrize("name", ["controller", "runtime", "dev"])
def test_an_environment_of_another_folder_is_made_again(name, empty_checkout):
    """A copy of a checkout with its environments: they point at the original, whose code would run."""
    (empty_checkout / ".venv" / name).mkdir(parents=True)
    shutil.copy(ROOT / ".venv" / name / ".poseparity-key", empty_checkout / ".venv" / name)
    assert ensure(empty_checkout, name) == f"Creating .venv/{name} from its locks\n"
    assert ensure(empty_checkout, name) == ""


def test_check_makes_nothing(empty_checkout):
    command = [empty_checkout / "scripts/venv", "--check", "runtime"]
    result = subprocess.run(command, capture_output=True, text=True, check=True)
    assert result.stderr.splitlines() == [f"Creating .venv/{name} from its locks" for name in ("controller", "runtime")]
    assert list((empty_checkout / ".venv").iterdir()) == [empty_checkout / ".venv/.lock"]


def test_a_disk_without_room_is_told_and_left_as_it_is(empty_checkout):
    program = 'source "$1/scripts/venv"; df() { printf "Avail\n 17\n"; }; ensure controller'
    command = ["bash", "-c", program, "bash", empty_checkout]
    result = subprocess.run(command, capture_output=True, text=True)
    assert result.returncode == 2
    assert f"{empty_checkout} has 17 MB free, expected at least 450 MB for .venv/controller" in result.stderr
    assert not (empty_checkout / ".venv/controller").exists()


def test_half_of_an_environment_is_removed(empty_checkout):
    program = 'source "$1/scripts/venv"; make_controller() { touch "$root/half"; false; }; ensure controller'
    command = ["bash", "-c", program, "bash", empty_checkout]
    assert subprocess.run(command, capture_output=True).returncode != 0
    assert not (empty_checkout / ".venv/controller").exists()


def test_a_link_to_a_checkout_is_no_other_folder(empty_checkout, tmp_path_factory):
    (empty_checkout / ".venv/dev").mkdir(parents=True)
    ensure(empty_checkout, "dev")
    link = tmp_path_factory.mktemp("link") / "checkout"
    link.symlink_to(empty_checkout)
    assert ensure(link, "dev") == ""


@pytest.mark.parametrize("arguments", [[], ["production"], ["dev", "runtime"]])
def test_a_wrong_call_shows_how_it_is_called(arguments):
    result = subprocess.run([ROOT / "scripts/venv", *arguments], capture_output=True, text=True)
    assert result.returncode == 2
    assert "scripts/venv controller|runtime|dev" in result.stderr


def test_a_lock_that_does_not_exist_is_named():
    result = subprocess.run([ROOT / "scripts/wheels", "server"], capture_output=True, text=True)
    assert result.returncode == 2
    assert "there is no lockfiles/server.lock" in result.stderr
    assert "fix: use one of: controller, cpu, cuda, " in result.stderr
