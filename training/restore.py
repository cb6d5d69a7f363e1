"""What training left behind when it made the bundle that ships, written again from the weights in that bundle.

So a parameter of manifest.toml can be changed without training anew.
"""

from __future__ import annotations

from pathlib import Path

from safetensors.torch import load_file
from torch import nn

from poseparity.bundle.bundle import load_bundle
from poseparity.bundle.weights import check_state
from poseparity.engines.openpose.network import build_network
from training import detector, manifest, recogniser
from training.outputs import save_detector, save_pose, save_recogniser


def restore(out: Path) -> None:
    """Writes the files of the three networks and copies the demo clip."""
    template = manifest.read_template()
    save_detector(_with_shipped_weights(detector.build_model(), "detector"), out)
    save_pose(_with_shipped_weights(build_network(template["pose"]["network"]), "pose"), out)
    save_recogniser(_with_shipped_weights(recogniser.build_model(), "recogniser"), out)
    clip = template["demo"]["clip"]
    (out / clip).write_bytes((manifest.BUNDLE / clip).read_bytes())


def _with_shipped_weights(network: nn.Module, name: str) -> nn.Module:
    path = manifest.BUNDLE / load_bundle(manifest.BUNDLE).weights[name].file
    state = load_file(path)
    check_state(network, state, path)
    network.load_state_dict(state)
    return network
