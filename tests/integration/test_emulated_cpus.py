"""Other processors, emulated by qemu-user: operations and stages answer as here, those without AVX2 or FMA are refused.

qemu-user runs one process; a program that this process starts runs on the real processor. So all that is asked of an
emulated one is computed in one program that starts none, tests/computed.py.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

from poseparity.environment.machine import describe_cpu
from poseparity.numerics import read_pins
from tests.conftest import ROOT
from tests.emulation import CPUS, emulator, run_emulated
from tests.golden_bundle import CLIP, CSV

# Judged as information by lockfiles/parity.toml, which says why; no stage calls it.
OUTSIDE = {"torch.sqrt"}
# Bytes of L1 cache a thread: hardware threads that share 32 KiB have half.
CACHES = [kib * 1024 for kib in (16, 24, 32, 48)]

pytestmark = pytest.mark.slow


def computed(environ: dict[str, str] | None = None, *arguments: object) -> dict:
    """What tests/computed.py finds on this processor, with every pin set unless there is another environment."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.computed", *map(str, arguments)], cwd=ROOT, capture_output=True, text=True,
        env=environ or os.environ | read_pins(), timeout=300, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.fixture(scope="module")
def here() -> dict:
    return computed(None, *(f"--l1={size}" for size in CACHES))


@pytest.fixture(scope="module")
def emulated(short_bundle):
    """`emulated(cpu)`: the program's process on that CPU, which ran once."""

    @cache
    def emulated(cpu: str) -> subprocess.CompletedProcess:
        return run_emulated(cpu, ["-m", "tests.computed", short_bundle.folder], timeout=1800)

    return emulated


def there(process: subprocess.CompletedProcess) -> dict:
    """What it found, whatever came of the replay after that."""
    assert process.stdout.startswith("{"), process.stderr
    return json.loads(process.stdout.splitlines()[0])


def differing(one: dict[str, str], other: dict[str, str]) -> set[str]:
    return {name for name in {*one, *other} if one.get(name) != other.get(name)}


@pytest.mark.parametrize("cpu", CPUS)
def test_every_operation_answers_as_on_this_processor(here, emulated, cpu, figures):
    expected = here["operations"]
    wrong = differing(expected, there(emulated(cpu))["operations"])
    names = f"; otherwise: {', '.join(sorted(wrong))}" if wrong else ""
    figures.append(
        f"{cpu}: {len(expected) - len(wrong)} of {len(expected)} operations equal to this processor's{names}"
    )
    assert wrong <= OUTSIDE


@pytest.mark.parametrize("cpu", CPUS)
def test_fast_convolutions_have_the_same_bits_on_another_processor(here, emulated, cpu):
    """Each of them has 32 KiB of L1 a thread, as some real ones."""
    assert there(emulated(cpu))["convolutions"] == here["convolutions"][:1]


def test_fast_convolutions_have_the_same_bits_whatever_the_cache(here):
    expected, *others = here["convolutions"]
    assert len(set(expected)) == 2
    assert others == [expected] * len(CACHES)


@pytest.mark.parametrize("cpu", CPUS)
def test_every_stage_is_equal_on_another_processor(emulated, cpu, figures):
    """Eight frames through all stages, and the whole demo CSV."""
    done = emulated(cpu)
    found = re.findall(r"^(\S+): (\d+) of (\d+) stages identical", done.stdout, re.MULTILINE)
    figures += [f"{cpu}: {name}: {equal} of {stages} stages equal to this processor's" for name, equal, stages in found]
    assert done.returncode == 0, done.stdout + done.stderr
    assert found == [(CLIP, "9", "9"), (CSV, "5", "5")]


def test_a_pin_that_is_missing_shows_in_the_operations(here):
    """MKL's own choice is never what it runs with MKL_CBWR=COMPATIBLE on a processor with AVX2."""
    environ = os.environ | read_pins()
    del environ["MKL_CBWR"]
    wrong = differing(here["operations"], computed(environ)["operations"])
    assert {"torch.linear", "torch.matmul"} <= wrong
    assert {name.split(".")[0] for name in wrong} == {"torch"}


@pytest.mark.parametrize(("cpu", "missing"), [("Nehalem", "AVX2 and FMA"), ("Haswell,-fma", "FMA")])
def test_the_command_line_refuses_a_processor_by_name_with_the_reason(cpu, missing):
    """With the pins set NumPy's import would end the process: the refusal comes before it."""
    done = run_emulated(cpu, [Path(sys.executable).with_name("poseparity"), "env"], timeout=300)
    assert done.returncode == 2, done.stderr
    *_, refusal, fix = done.stderr.splitlines()
    assert refusal.startswith(f"poseparity: the processor ({describe_cpu()['model']}) lacks {missing}: ")
    assert fix.startswith("  fix: use a processor from Intel's Haswell")


def test_the_service_refuses_such_a_processor_before_it_starts_a_worker():
    command = [emulator(), "-cpu", "SandyBridge", sys.executable, "-m", "gunicorn", "-c", "service/gunicorn.conf.py"]
    done = subprocess.run([*command, "poseparity.web:create_app()"], env=os.environ | read_pins(), capture_output=True,
                          text=True, timeout=300, check=False, cwd=ROOT)  # fmt: skip
    assert done.returncode == 1, done.stderr
    assert "lacks AVX2 and FMA" in done.stderr
    assert "Booting worker" not in done.stderr
