"""Other processors, emulated by qemu-user: every operation answers as here, and those without AVX2 or FMA are refused.

qemu-user runs one process; a program that this process starts runs on the real processor. So the fingerprint is taken
through verify_env.py's child command, which starts none.
"""

from __future__ import annotations

import json
import os
import platform
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from poseparity.environment.child import CHILD_COMMAND
from poseparity.environment.files import script_file
from poseparity.environment.machine import describe_cpu
from poseparity.numerics import read_pins
from tests.conftest import ROOT

CPUS = ("Haswell", "EPYC-Rome", "Cascadelake-Server")
# Judged as information by lockfiles/parity.toml, which says why; no stage calls it.
OUTSIDE = {"torch.sqrt"}

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def qemu() -> str:
    """qemu's emulator of x86-64 for one process."""
    found = shutil.which("qemu-x86_64")
    if platform.machine() != "x86_64" or found is None:
        pytest.skip("no qemu-x86_64 on x86-64 (Debian's package qemu-user): other CPUs were NOT tested")
    return found


def pinned(**changes: str) -> dict[str, str]:
    """This environment with every pin, then with `changes`."""
    return {**os.environ, **read_pins(), **changes}


def operations(*emulator: str, environ: dict[str, str] | None = None) -> dict[str, str]:
    """The digest of each operation, as a process on this or on an emulated processor computes it."""
    request = {"modules": [], "pins": {}, "without": []}
    command = ["nice", *emulator, sys.executable, script_file(), CHILD_COMMAND]
    done = subprocess.run(command, input=json.dumps(request), env=environ or pinned(), capture_output=True, text=True,
                          timeout=300, check=False)  # fmt: skip
    assert done.returncode == 0, done.stderr
    taken = json.loads(done.stdout.splitlines()[-1])["fingerprint"]["operations"]
    return {name: facts["sha256"] for name, facts in taken.items()}


@pytest.fixture(scope="module")
def here() -> dict[str, str]:
    return operations()


def differing(one: dict[str, str], other: dict[str, str]) -> set[str]:
    return {name for name in {*one, *other} if one.get(name) != other.get(name)}


@pytest.mark.parametrize("cpu", CPUS)
def test_every_operation_answers_as_on_this_processor(qemu, here, cpu, figures):
    there = operations(qemu, "-cpu", cpu)
    wrong = differing(here, there)
    names = f"; otherwise: {', '.join(sorted(wrong))}" if wrong else ""
    figures.append(f"{cpu}: {len(here) - len(wrong)} of {len(here)} operations equal to this processor's{names}")
    assert wrong <= OUTSIDE


def test_a_pin_that_is_missing_shows_in_the_operations(here):
    """MKL's own choice is never what it runs with MKL_CBWR=COMPATIBLE on a processor with AVX2."""
    environ = pinned()
    del environ["MKL_CBWR"]
    wrong = differing(here, operations(environ=environ))
    assert {"torch.linear", "torch.matmul"} <= wrong
    assert {name.split(".")[0] for name in wrong} == {"torch"}


@pytest.mark.parametrize(("cpu", "missing"), [("Nehalem", "AVX2 and FMA"), ("Haswell,-fma", "FMA")])
def test_the_command_line_refuses_a_processor_by_name_with_the_reason(qemu, cpu, missing):
    """With the pins set NumPy's import would end the process: the refusal comes before it."""
    program = Path(sys.executable).with_name("poseparity")
    done = subprocess.run([qemu, "-cpu", cpu, sys.executable, program, "env"], env=pinned(), capture_output=True,
                          text=True, timeout=300, check=False)  # fmt: skip
    assert done.returncode == 2, done.stderr
    *_, refusal, fix = done.stderr.splitlines()
    assert refusal.startswith(f"poseparity: the processor ({describe_cpu()['model']}) lacks {missing}: ")
    assert fix.startswith("  fix: use a processor from Intel's Haswell")


def test_the_service_refuses_such_a_processor_before_it_starts_a_worker(qemu):
    command = [qemu, "-cpu", "SandyBridge", sys.executable, "-m", "gunicorn", "-c", "service/gunicorn.conf.py"]
    done = subprocess.run([*command, "poseparity.web:create_app()"], env=pinned(), capture_output=True, text=True,
                          timeout=300, check=False, cwd=ROOT)  # fmt: skip
    assert done.returncode == 1, done.stderr
    assert "lacks AVX2 and FMA" in done.stderr
    assert "Booting worker" not in done.stderr
