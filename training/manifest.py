"""The demo bundle's parameters, as training and the service both read them."""

from __future__ import annotations

import tomllib
from pathlib import Path

from poseparity.bundle.bundle import Bundle, InterpolateParameters, NormaliseParameters, TrimParameters
from poseparity.bundle.tables import OpenPoseParameters

TEMPLATE = Path(__file__).with_name("manifest.toml")
ARCHITECTURE = Path(__file__).with_name("detector.yaml")
BUNDLE = Path(__file__).resolve().parents[1] / "service/bundles/demo"


def read_template() -> dict:
    """The manifest without its weights, as plain TOML values."""
    return tomllib.loads(TEMPLATE.read_text(encoding="utf-8"))


def parameters() -> Bundle:
    """A bundle without weights: enough to build the stages between the pose network and the recogniser."""
    tables = read_template()
    return Bundle.model_construct(
        pose=OpenPoseParameters(**tables["pose"]),
        interpolate=InterpolateParameters(**tables["interpolate"]),
        trim=TrimParameters(**tables["trim"]),
        normalise=NormaliseParameters(**tables["normalise"]),
    )


def licence() -> str:
    """Of everything in the bundle."""
    return read_template()["licence"]
