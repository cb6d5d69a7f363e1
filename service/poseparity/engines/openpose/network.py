"""The pose networks that a bundle may name. All have the input and the output of openpose/layout.py."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ValidationError
from torch import nn

from ...bundle.bundle import first_problem
from ...bundle.plain_files import shown
from ...errors import BundleError
from .coco import CocoNetwork, CocoParameters
from .small import SmallNetwork, SmallParameters

KINDS: dict[str, tuple[type[BaseModel], type[nn.Module]]] = {
    "small": (SmallParameters, SmallNetwork),
    "coco": (CocoParameters, CocoNetwork),
}


def build_network(parameters: dict[str, Any]) -> nn.Module:
    """Build the network that a bundle's `[pose.network]` table describes, with untrained weights.

    Raises:
        BundleError: its `kind` is unknown, or another key is unknown, absent or out of its limits.
    """
    kind = parameters.get("kind")
    if not isinstance(kind, str) or kind not in KINDS:
        known = ", ".join(f'"{name}"' for name in KINDS)
        raise BundleError(
            f"pose.network.kind is {shown(kind)}, expected one of {known}", fix="correct it in bundle.toml"
        )
    table, network = KINDS[kind]
    try:
        return network(table.model_validate(parameters))
    except ValidationError as error:
        problem = first_problem(error, "pose.network")
        raise BundleError(problem, fix=f'correct it: the network is of kind "{kind}"') from error
