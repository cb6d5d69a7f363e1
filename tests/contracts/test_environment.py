"""scripts/environment: does nothing twice, and says what is wrong."""

from __future__ import annotations

import os
import shutil
import subprocess

import pytest

from images.builder.locks import ROOT


@pytest.fixture
def empty_checkout(tmp_path):
    """The files that the script reads, without any environment."""
    for folder in ("scripts", "lockfiles"):
        shutil.copytree(ROOT / folder, tmp_path / folder)
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    return tmp_path


@pytest.mark.parametrize("name", ["controller", "dev"])
def test_an_environment_that_follows_from_its_locks_is_left_alone(name):
    result = subprocess.run([ROOT / "scripts/environment", name], capture_output=True, text=True, check=True)
    assert (result.stdout, result.stderr) == ("", "")


def test_another_version_of_python_is_refused(empty_checkout):
    environment = {**os.environ, "POSEPARITY_PYTHON": "/bin/false"}
    command = [empty_checkout / "scripts/environment", "controller"]
    result = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert result.returncode == 2
    assert "POSEPARITY_PYTHON is /bin/false, expected Python 3.11" in result.stderr
    assert not (empty_checkout / ".venv/controller").exists()


@pytest.mark.parametrize("arguments", [[], ["production"], ["dev", "runtime"]])
def test_a_wrong_call_shows_how_it_is_called(arguments):
    result = subprocess.run([ROOT / "scripts/environment", *arguments], capture_output=True, text=True)
    assert result.returncode == 2
    assert "scripts/environment controller|runtime|dev" in result.stderr


def test_a_lock_that_does_not_exist_is_named():
    result = subprocess.run([ROOT / "scripts/wheels", "server"], capture_output=True, text=True)
    assert result.returncode == 2
    assert "there is no lockfiles/server.lock" in result.stderr
    assert "fix: use one of: controller, cpu, cuda, " in result.stderr
