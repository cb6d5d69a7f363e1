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


# More input channels than a block of NNPACK's sums holds, and enough outputs for the tiles that pictures get.
CONVOLUTIONS = """
import hashlib, sys, torch
from poseparity.engines.openpose import convolution
torch.backends.nnpack.is_available()
info = convolution.hardware_info()
if len(sys.argv) > 1:
    info.caches[0].size = info.blocking[0] = int(sys.argv[1])
for kernel in (3, 7):
    conv = torch.nn.Conv2d(80, 4, kernel, padding=kernel // 2)
    for parameter in conv.parameters():
        torch.arange(parameter.numel(), out=parameter.data.view(-1)).mul_(0.7071).frac_().sub_(0.5)
    network = torch.nn.Sequential(conv).requires_grad_(False)
    convolution.use_nnpack(network)
    picture = torch.arange(80 * 144.0).mul_(0.6180).frac_().view(1, 80, 12, 12)
    print(hashlib.sha256(network(picture).numpy().tobytes()).hexdigest())
"""


def convolved(*emulator: str, l1: int | None = None) -> list[str]:
    """Digests of the pose network's fast convolutions, of 3x3 and of 7x7.

    Args:
        l1: bytes of L1 cache a thread that NNPACK is made to see before the program pins it; None: the processor's.
    """
    arguments = [] if l1 is None else [str(l1)]
    done = subprocess.run(["nice", *emulator, sys.executable, "-c", CONVOLUTIONS, *arguments], env=pinned(),
                          capture_output=True, text=True, timeout=300, check=False)  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


def test_fast_convolutions_have_the_same_bits_whatever_the_processor_and_its_cache(qemu):
    """The emulated ones all have 32 KiB of L1 a thread, as some real ones; hardware threads that share it have half."""
    found = {cpu: convolved(qemu, "-cpu", cpu) for cpu in CPUS}
    found |= {f"{kib} KiB": convolved(l1=kib * 1024) for kib in (16, 24, 32, 48)}
    expected = convolved()
    assert len(set(expected)) == 2
    assert {name for name, digests in found.items() if digests != expected} == set()


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
