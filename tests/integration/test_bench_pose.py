"""scripts/bench pose: what the ways are given is one network, and its figures are told as they are."""

from __future__ import annotations

import json

import numpy as np
import torch
from torch.nn.functional import conv2d, max_pool2d, relu

from bench import pose
from poseparity.engines.openpose.network import build_network


def test_the_program_is_the_network(tmp_path):
    """Step by step, by what each operation of ONNX is defined as."""
    pose.write_network(tmp_path)
    state = np.load(tmp_path / "weights.npz")
    x = torch.from_numpy(np.load(tmp_path / "368x208.npy"))[:, :, :64, :48]
    values = {"x": x}
    network = build_network({"kind": "coco"}).eval()
    network.load_state_dict({name: torch.from_numpy(state[name]) for name in state.files})
    for kind, inputs, output, *kernel in json.loads((tmp_path / "program.json").read_text(encoding="utf-8")):
        given = [values[name] for name in inputs]
        if kind == "Conv":
            weight, bias = (torch.from_numpy(state[f"layers.{output}.{each}"]) for each in ("weight", "bias"))
            values[output] = conv2d(*given, weight, bias, padding=kernel[0] // 2)
        else:
            values[output] = {"Relu": relu, "MaxPool": lambda x: max_pool2d(x, 2)}.get(
                kind, lambda *parts: torch.cat(parts, 1)
            )(*given)
    with torch.inference_mode():
        assert torch.equal(values[output], network(x))


def runs(cpu: list[float]) -> pose.Runs:
    return pose.Runs("1.0", {size: [{"wall": 2 * each, "cpu": each} for each in cpu] for size in pose.SIZES})


def test_ratios_are_of_the_same_round_and_of_the_fastest_without_pins():
    measured = {way: runs([1.0, 2.0, 4.0]) for way in pose.WAYS}
    measured |= {"direct": runs([1.5, 1.5, 1.5]), "openvino": runs([3.0, 4.0, 8.0]), "torch": runs([1.8, 3.4, 7.2])}
    measured |= {way: runs([9.0, 9.0, 9.0]) for way in ("onnxruntime", "opencv")}
    figures = pose.summary({1: measured, 2: measured})
    assert figures["ratios"] == {"pose_per_core": 1.8, "pose_all_cores": 1.8}
    assert figures["threads"]["1"]["368x368"]["openvino"] == {
        "seconds": {"median": 4.0, "min": 3.0, "max": 8.0},
        "over_fast": {"median": 2.0, "min": 2.0, "max": 3.0},
    }
    assert figures["threads"]["2"]["368x208"]["openvino"]["seconds"]["median"] == 8.0
    assert "openvino 1.0, free" in pose.table(figures)
