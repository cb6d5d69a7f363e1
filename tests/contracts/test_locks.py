"""The locks: hashed, complete, free of any registry, sharing versions, and following from their inputs."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest

from images.builder.debian import parse
from scripts.locking.locks import LOCKFILES, ROOT, normalise, read_lock

LOCKS = ("cpu", "cuda", "controller", "dev", "faults")


def pins(name: str) -> dict[str, str]:
    """Versions of a lock by normalised name."""
    return {key: pin.version for key, pin in read_lock(LOCKFILES / f"{name}.lock").items()}


def run_lock(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([ROOT / "scripts/lock", *arguments], capture_output=True, text=True)


@pytest.mark.parametrize("name", LOCKS)
def test_every_entry_has_a_version_and_a_hash(name):
    assert all(pin.hashes for pin in read_lock(LOCKFILES / f"{name}.lock").values())


@pytest.mark.parametrize("path", sorted(LOCKFILES.glob("*.lock")), ids=lambda path: path.name)
def test_no_lock_names_a_registry_or_a_path_of_a_machine(path):
    lines = path.read_text("utf-8").splitlines()
    assert [line for line in lines if re.search(r"://|--(extra-)?index-url|--find-links|(^|\s)/", line)] == []


@pytest.mark.parametrize("name", ["cpu", "cuda"])
def test_the_versions_that_decide_numbers_are_the_wanted_ones(name):
    wanted = {"numpy": "1.24.3", "opencv-python": "4.12.0.88", "mmaction2": "1.2.0", "mmcv-lite": "2.1.0"}
    assert wanted.items() <= pins(name).items()


@pytest.mark.parametrize("name", ["cpu", "cuda"])
def test_exactly_one_locked_distribution_is_an_opencv(name):
    assert [key for key in pins(name) if "opencv" in key] == ["opencv-python"]


def test_exactly_one_installed_distribution_provides_cv2():
    assert metadata.packages_distributions()["cv2"] == ["opencv-python"]


def test_the_installed_packages_are_those_of_the_locks():
    installed = {normalise(item.metadata["Name"]): item.version for item in metadata.distributions(path=sys.path)}
    del installed["poseparity"]
    assert installed == {**pins("dev"), **pins("cpu")}


def test_the_cuda_lock_differs_from_the_cpu_lock_in_pytorch_alone():
    cpu, cuda = pins("cpu"), pins("cuda")
    assert cpu.pop("torch") == cuda.pop("torch") + "+cpu"
    assert cpu.items() <= cuda.items()
    assert all(re.match(r"nvidia-|cuda-|triton$", name) for name in cuda.keys() - cpu.keys())


@pytest.mark.parametrize(("one", "other"), [("cpu", "controller"), ("cpu", "dev"), ("controller", "dev")])
def test_a_package_has_one_version_in_all_locks(one, other):
    assert {name: version for name, version in pins(one).items() if pins(other).get(name, version) != version} == {}


def test_each_debian_package_is_locked_once():
    names = [package.name for package in parse((LOCKFILES / "debian.lock").read_text("utf-8"))]
    assert names == sorted(set(names))
    assert {"python3.11", "libgl1", "libc6"} <= set(names)


@pytest.mark.slow
def test_every_lock_follows_from_its_input():
    result = run_lock("--check")
    assert result.returncode == 0, result.stderr


@pytest.mark.slow
def test_an_input_that_changed_is_noticed(tmp_path):
    for path in [*LOCKFILES.glob("*.in"), *LOCKFILES.glob("*.lock"), LOCKFILES / "uv.toml"]:
        shutil.copy(path, tmp_path)
    text = (tmp_path / "runtime.in").read_text("utf-8")
    (tmp_path / "runtime.in").write_text(text.replace("scipy==1.15.3", "scipy==1.15.2"), "utf-8")

    result = run_lock("--check", "--lockfiles", tmp_path)

    assert result.returncode == 1
    assert "lockfiles/cpu.lock does not follow from cpu.in: run scripts/lock" in result.stderr
    assert "lockfiles/cuda.lock" in result.stderr
    assert "controller.lock" not in result.stderr
