"""A pose network of kind "small" in a safetensors file that says, in its metadata, which network it is."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open

from ...bundle.plain_files import shown
from ...bundle.weights import BUILD_ERRORS, WithoutMemory, check_state
from ...engines.openpose.network import build_network
from ...errors import BundleError, ImportRefused

SUFFIX = ".safetensors"
TABLE = "pose.network"  # the key in the file's metadata, whose value is the table as JSON
_FIX = f"write it with safetensors.torch.save_file(state, FILE, metadata={{{TABLE!r}: json.dumps(the table)}})"


@dataclass(frozen=True)
class SmallPose:
    """A pose network that is not OpenPose's own.

    Attributes:
        network: the `[pose.network]` table.
        state: parameter name to tensor.
    """

    network: dict[str, Any]
    state: dict[str, torch.Tensor]


def read_small_pose(path: Path) -> SmallPose:
    """Read table and weights, and check that they fit each other.

    Raises:
        ImportRefused: it is no safetensors file, or its metadata hold no table of a small network.
        BundleError: the weights do not fit the network of the table.
    """
    if not path.is_file():
        raise ImportRefused(f"{path} is no file", fix="check the path of --pose")
    try:
        with safe_open(path, "pt") as file:
            metadata = file.metadata() or {}
            state = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118, the file is no dict
    except (SafetensorError, *BUILD_ERRORS) as error:
        raise ImportRefused(f"{path.name} is no safetensors file: {error!s:.200}", fix="get the file again") from error
    table = _table(metadata.get(TABLE), path)
    with WithoutMemory():
        try:
            network = build_network(table)
        except BundleError as error:
            raise ImportRefused(f"{path.name}: {error}", fix=_FIX) from error
        check_state(network, state, path)
    return SmallPose(table, state)


def _table(text: str | None, path: Path) -> dict[str, Any]:
    if text is None:
        raise ImportRefused(f"{path.name} does not say which network it is: no {TABLE!r} in its metadata", fix=_FIX)
    try:
        table = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ImportRefused(f"{path.name} has metadata {TABLE!r} that is no JSON: {error}", fix=_FIX) from error
    if not isinstance(table, dict) or table.get("kind") != "small":
        kind = table.get("kind") if isinstance(table, dict) else table
        raise ImportRefused(
            f"{path.name} holds a pose network of kind {shown(kind)}, expected 'small'",
            fix="import OpenPose's COCO network from its own file: --pose FILE.caffemodel",
        )
    return table
