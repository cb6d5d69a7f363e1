"""The pins: each is proven to be in effect, and each that is not is named."""

from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import pytest
import torch

from poseparity import numerics

PROBE = "from poseparity import numerics; numerics.make_deterministic(); numerics.enforce()"


def run(code: str, environment: dict[str, str]) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, timeout=120, check=False
    )


def pinned_environment() -> dict[str, str]:
    return {**os.environ, **numerics.read_pins()}


def test_every_pin_is_in_effect_in_a_pinned_process():
    done = run(PROBE, pinned_environment())
    assert done.returncode == 0, done.stderr


@pytest.mark.slow
@pytest.mark.parametrize("pin", numerics.read_pins())
def test_a_pin_that_is_not_set_is_refused_by_name(pin):
    environment = pinned_environment()
    del environment[pin]
    done = run(PROBE, environment)
    assert done.returncode != 0
    assert f"pin {pin}=" in done.stderr.splitlines()[-1]


@pytest.mark.slow
@pytest.mark.parametrize("pin, value", [("ATEN_CPU_CAPABILITY", "AVX2"), ("OPENCV_CPU_DISABLE", "AVX512_SKX")])
def test_a_value_that_the_library_silently_ignores_is_refused(pin, value):
    """Upper case and underscores are accepted without a word, and change nothing."""
    done = run(PROBE, {**pinned_environment(), pin: value})
    assert done.returncode != 0
    assert f"pin {pin}=" in done.stderr.splitlines()[-1]


def test_more_threads_than_one_are_refused():
    done = run(PROBE.replace("numerics.enforce()", "import torch; torch.set_num_threads(2); numerics.enforce()"),
               pinned_environment())  # fmt: skip
    assert done.returncode != 0
    assert "NUM_THREADS=1" in done.stderr.splitlines()[-1]


def test_make_deterministic_seeds_every_generator_and_sets_the_flags():
    numerics.make_deterministic()
    first = (np.random.random(), torch.rand(1).item())
    numerics.make_deterministic()
    assert (np.random.random(), torch.rand(1).item()) == first
    assert torch.backends.cudnn.deterministic and not torch.backends.cudnn.benchmark
    assert torch.are_deterministic_algorithms_enabled()
    assert torch.get_num_threads() == 1


def test_nothing_of_a_start_loads_torch_s_compiler():
    """It would take a fifth of every start, and memory in every worker, for code that is never compiled."""
    code = (
        "import sys; from poseparity.settings import Settings; from poseparity.startup import load_pipeline; "
        "load_pipeline(Settings()).warm_up(); "
        "print([name for name in ('torch._dynamo', 'torch._inductor') if name in sys.modules])"
    )
    done = run(code, pinned_environment())
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "[]"
