"""`--pose FILE.safetensors`: a small pose network that says which network it is."""

from __future__ import annotations

import json

import pytest
import torch
from safetensors.torch import load_file, save_file

from poseparity.engines.openpose.network import build_network
from poseparity.errors import BundleError, ImportRefused
from poseparity.importing.parts import pose_part
from poseparity.importing.readers.small_pose import read_small_pose

NETWORK = {"kind": "small", "stem": [4, 4], "width": 8, "depth": 1, "refinements": 1, "refinement_depth": 1}


@pytest.fixture
def state() -> dict[str, torch.Tensor]:
    torch.manual_seed(1)
    return {name: value.clone() for name, value in build_network(NETWORK).state_dict().items()}


def test_the_network_becomes_a_part_of_a_bundle(state, tmp_path):
    save_file(state, tmp_path / "mine.safetensors", {"pose.network": json.dumps(NETWORK)})
    part = pose_part(tmp_path / "mine.safetensors", None, "CC0-1.0")
    assert part.tables["pose"]["network"] == {**NETWORK, "convolution": "fast"}
    (tmp_path / "bundle").mkdir()
    entry = part.write(tmp_path / "bundle")["pose"]
    assert (entry["source"], entry["licence"]) == ("mine.safetensors", "CC0-1.0")
    written = load_file(tmp_path / "bundle/pose.safetensors")
    assert written.keys() == state.keys()
    assert all(torch.equal(written[name], value) for name, value in state.items())


@pytest.mark.parametrize(
    "metadata, words",
    [
        (None, "does not say which network it is: no 'pose.network' in its metadata"),
        ({"format": "pt"}, "does not say which network it is"),
        ({"pose.network": "{"}, "is no JSON"),
        ({"pose.network": "[" * 10**5}, "is no JSON"),
        ({"pose.network": "3"}, "a pose network of kind 3, expected 'small'"),
        ({"pose.network": '{"kind": "coco"}'}, "a pose network of kind 'coco', expected 'small'"),
        ({"pose.network": json.dumps({**NETWORK, "width": 0})}, "pose.network.width: .*greater than 0, found 0"),
        ({"pose.network": json.dumps({**NETWORK, "colour": 1})}, "pose.network.colour"),
    ],
)
def test_a_file_that_does_not_say_which_network_it_is(state, tmp_path, metadata, words):
    save_file(state, tmp_path / "mine.safetensors", metadata)
    with pytest.raises(ImportRefused, match=words) as error:
        read_small_pose(tmp_path / "mine.safetensors")
    assert error.value.fix
    assert "\n" not in str(error.value)


def test_weights_of_another_network(state, tmp_path):
    save_file(state, tmp_path / "mine.safetensors", {"pose.network": json.dumps({**NETWORK, "depth": 2})})
    with pytest.raises(BundleError, match=r"mine\.safetensors does not fit its model"):
        read_small_pose(tmp_path / "mine.safetensors")


@pytest.mark.parametrize("content", [b"", b"hello, I am no tensor", b"\xff" * 64])
def test_a_file_that_is_no_safetensors(tmp_path, content):
    (tmp_path / "mine.safetensors").write_bytes(content)
    with pytest.raises(ImportRefused, match="is no safetensors file"):
        read_small_pose(tmp_path / "mine.safetensors")


def test_no_file(tmp_path):
    with pytest.raises(ImportRefused, match="is no file"):
        read_small_pose(tmp_path / "mine.safetensors")
