"""Other processors, emulated by qemu-user: a process sees the processor that is named, and computes as it would."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Sequence

import pytest

from poseparity.numerics import read_pins
from tests.conftest import ROOT

# AVX2 without AVX-512 by Intel and by AMD, and AVX-512.
CPUS = ("Haswell", "EPYC-Rome", "Cascadelake-Server")


def emulator() -> str:
    """qemu's emulator of x86-64 for one process; skips the test where there is none."""
    found = shutil.which("qemu-x86_64")
    if platform.machine() != "x86_64" or found is None:
        pytest.skip("no qemu-x86_64 on x86-64 (Debian's package qemu-user): other CPUs were NOT tested")
    return found


def run_emulated(cpu: str, arguments: Sequence[object], *, timeout: int) -> subprocess.CompletedProcess:
    """Run this Python with `arguments` on an emulated CPU, with every pin set.

    A process that it starts runs on the real CPU: give what computes itself, and does not restart itself.
    """
    command = [emulator(), "-cpu", cpu, sys.executable, *map(str, arguments)]
    environment = {**os.environ, **read_pins()}
    return subprocess.run(
        command, env=environment, capture_output=True, text=True, timeout=timeout, check=False, cwd=ROOT
    )
