"""The pins' file, and the states of a pin."""

from __future__ import annotations

import pytest

from poseparity.environment.files import VerifyError
from poseparity.environment.pins import pin_state, probe_pin, probe_pins, read_pins
from poseparity.environment.probes import PROBES, Effect, unobservable
from tests.conftest import ROOT


def test_pins_are_read_in_their_order(tmp_path):
    path = tmp_path / "numerics.env"
    path.write_text("# comment\n\nB_1=a b=c\nA=\n", encoding="utf-8")
    assert list(read_pins(path).items()) == [("B_1", "a b=c"), ("A", "")]


@pytest.mark.parametrize("line", ["NAME", "=x", "A B=1", "export A=1", "A=1\nA=2"])
def test_a_wrong_pins_file_is_refused_with_its_line(tmp_path, line):
    path = tmp_path / "numerics.env"
    path.write_text(f"# comment\n\n{line}\n", encoding="utf-8")
    with pytest.raises(VerifyError, match=r"line [34]"):
        read_pins(path)


def test_every_pin_of_the_project_has_a_probe():
    assert set(read_pins(ROOT / "lockfiles/numerics.env")) == set(PROBES)


def test_states_of_a_pin():
    seen, wrong, silent = Effect("1", True, ""), Effect("2", False, ""), unobservable("")
    assert pin_state("1", "1", seen) == "in effect"
    assert pin_state("1", "1", silent) == "set, effect not observable"
    assert pin_state("1", "1", wrong) == "no effect, 2"
    assert pin_state("1", "3", seen) == "set to 3"
    assert pin_state("1", None, seen) == "not set"


def test_a_pin_that_nothing_reads_is_said_to_be_unobservable():
    assert probe_pin("SOME_OTHER_PIN", "1", "1", ())["state"] == "set, effect not observable"


def test_modules_that_are_left_out_are_not_imported():
    names = ("ATEN_CPU_CAPABILITY", "ONEDNN_MAX_CPU_ISA", "MKL_CBWR", "OPENCV_IPP", "OPENBLAS_CORETYPE")
    pins = dict.fromkeys(names, "1")
    probed = probe_pins(pins, {}, without=("torch", "numpy", "scipy", "cv2"))
    assert [pin["observed"] for pin in probed] == [False] * len(pins)
    assert not any(pin["ok"] for pin in probed)
