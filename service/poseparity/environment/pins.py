"""The numerical pins: their file, and what became of each."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from pathlib import Path

from .files import VerifyError, read_text, readable_digest
from .probes import PROBES, Effect, unobservable


def read_pins(path: Path) -> dict[str, str]:
    """The pins of a numerics.env: NAME=VALUE a line, "#" starts a comment line. Raises VerifyError on anything else."""
    pins: dict[str, str] = {}
    for number, line in enumerate(read_text(Path(path), "the pins' file").splitlines(), 1):
        text = line.strip()
        if not text or text.startswith("#"):
            continue
        name, equals, value = text.partition("=")
        if not equals or not re.fullmatch(r"[A-Z_][A-Z0-9_]*", name) or name in pins:
            raise VerifyError(f"{path}, line {number}: found {text!r}, expected a new NAME=VALUE: correct it")
        pins[name] = value
    return pins


def probe_pins(pins: dict[str, str], environ: dict[str, str] | None = None, without: Iterable[str] = ()) -> list[dict]:
    """For each pin: the value wanted, the one set, and whether it took effect as the libraries of this process see it.

    `ok` needs the variable to be set as wanted and, where the library tells, to have had its effect; where it does not
    tell, `observed` is False and `how` says so. `state` sums it up in words. Imports numpy, cv2, scipy and torch, but
    for those in `without`. Pass the environment as it was at start: ultralytics sets OMP_NUM_THREADS when it is loaded.
    """
    values = os.environ if environ is None else environ
    return [probe_pin(name, wanted, values.get(name), without) for name, wanted in pins.items()]


def probe_pin(name: str, wanted: str, value: str | None, without: Iterable[str]) -> dict:
    probe = PROBES.get(name)
    effect = probe(wanted, without) if probe else unobservable("no way to observe this pin is known")
    return {"name": name, "wanted": wanted, "set": value, "effective": effect.seen, "observed": effect.seen is not None,
            "ok": value == wanted and effect.ok, "state": pin_state(wanted, value, effect), "how": effect.how}


IN_EFFECT, NOT_OBSERVABLE = "in effect", "set, effect not observable"


def pin_state(wanted: str, value: str | None, effect: Effect) -> str:
    """What became of a pin, in words; one of the two above is as it should be."""
    if value is None:
        return "not set"
    if value != wanted:
        return f"set to {value}"
    if effect.seen is None:
        return NOT_OBSERVABLE
    return IN_EFFECT if effect.ok else f"no effect, {effect.seen}"


def failed_pin(name: str, wanted: str, value: str | None, failure: str | None) -> dict:
    return {"name": name, "wanted": wanted, "set": value, "effective": None, "observed": False, "ok": False,
            "state": "not checked", "how": f"the check itself failed: {failure}"}


def describe_pins(path: Path, pins: dict[str, str] | None, probed: list[dict], applied: bool) -> dict:
    """The pins' file and what became of each pin; found is False where there is no such file."""
    if pins is None:
        return {"found": False, "sha256": None, "source": None, "by_name": {}}
    return {"found": True, "sha256": readable_digest(path), "source": "applied" if applied else "environment",
            "by_name": {item["name"]: {key: item[key] for key in item if key != "name"} for item in probed}}
