"""scripts/bench numerics: measures every stage in every mode, and the free modes are free."""

from __future__ import annotations

import json
import subprocess

import pytest

from bench.numerics import MODES, PINNED
from poseparity import numerics
from tests.conftest import ROOT


@pytest.mark.slow
def test_every_stage_is_measured_in_every_mode(demo_result, tmp_path):
    path = tmp_path / "skeleton.csv"
    path.write_bytes(demo_result.csv)
    command = [ROOT / "scripts/bench", "numerics", path, "--rounds", "2", "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    figures = json.loads(done.stdout)
    assert list(figures["stages"]) == ["inspect", "interpolate", "trim", "normalise", "recognise", "all"]
    for modes in figures["stages"].values():
        assert list(modes) == [mode.name for mode in MODES]
        assert modes[PINNED.name]["pinned_over_this"] == {"median": 1, "min": 1, "max": 1}
        assert all(mode["seconds"] > 0 for mode in modes.values())
    assert figures["largest_difference"][PINNED.name] == {"pixels": 0, "score": 0}


@pytest.mark.parametrize("mode", MODES)
def test_a_free_mode_has_no_pin_that_chooses_code(mode):
    environment = mode.environment()
    absent = numerics.unset_pins(environment)
    assert bool(absent) is not mode.pinned
    if not mode.pinned:
        assert not {"ATEN_CPU_CAPABILITY", "MKL_CBWR", "OPENCV_IPP", "NPY_DISABLE_CPU_FEATURES"} & set(environment)
        assert environment["OMP_NUM_THREADS"] == str(mode.threads)
