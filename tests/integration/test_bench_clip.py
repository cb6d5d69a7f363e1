"""scripts/bench clip and peers: the bundle of official size finds its person, and figures are told as they are."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from bench import clip, peers
from bench._official import SIZE, pose_layers, write_video
from poseparity.engines.openpose.network import build_network
from tests.planted_network import PLACES


def spread(value: float) -> dict[str, float]:
    return {"median": value, "min": value, "max": value}


@pytest.mark.slow
def test_the_planted_network_sees_the_parts_around_the_bright_spot(tmp_path):
    import cv2

    write_video(tmp_path / "clip.mp4", 3)
    frame = cv2.VideoCapture(str(tmp_path / "clip.mp4")).read()[1]
    assert frame.shape == (SIZE[1], SIZE[0], 3)
    network = build_network({"kind": "coco", "convolution": "direct"}).eval()
    network.load_state_dict({name: torch.from_numpy(value) for name, value in pose_layers().items()})
    picture = cv2.resize(frame, (208, 368)).transpose(2, 0, 1)[None] / np.float32(256) - np.float32(0.5)
    with torch.inference_mode():
        heatmaps = network(torch.from_numpy(np.ascontiguousarray(picture)))[0].numpy()
    spot = np.unravel_index(cv2.resize(frame, (208, 368))[:, :, 0].argmax(), (368, 208))
    for part, (x, y) in PLACES.items():
        row, column = np.unravel_index(heatmaps[part].argmax(), heatmaps[part].shape)
        assert heatmaps[part].max() > 0.5
        assert abs(row - spot[0] / 8 - y) <= 1.5 and abs(column - spot[1] / 8 - x) <= 1.5


def answers(seconds: float, skeleton: np.ndarray) -> dict:
    return {"seconds": seconds, "stages": {"pose": seconds}, "skeleton": skeleton.tolist()}


def found(**changes: float) -> dict[str, list[dict]]:
    skeleton = np.ones((4, 17, 3))
    ways = {clip.OURS: 2.0, clip.ONE_LANE: 3.8, clip.BEFORE: 12.0, clip.REPLACED: 3.0} | changes
    return {way: [answers(seconds, skeleton), answers(2 * seconds, skeleton)] for way, seconds in ways.items()}


def test_ratios_are_of_the_same_round_and_missed_goals_are_told():
    figures = clip.summary(found(), 104, "openvino")
    assert figures["ratios"] == {"clip": 1.5, "clip_before": 6.0, "clip_lanes": 1.9}
    assert clip.missed_goals(figures) == ["clip: 1.50 times as fast as replaced service, free, expected at least 1.7"]
    assert "replaced service, free  4.5 s [3.0, 6.0]" in clip.table(figures)


def test_ways_that_answer_another_question_are_no_comparison():
    other = found()
    other[clip.ONE_LANE][0]["skeleton"][0][0][0] += 1e-9
    with pytest.raises(SystemExit, match="of one lane and of all differ"):
        clip.summary(other, 104, "openvino")
    other = found()
    other[clip.REPLACED][0]["skeleton"] = (np.ones((4, 17, 3)) * 40).tolist()
    with pytest.raises(SystemExit, match="pixels away"):
        clip.summary(other, 104, "openvino")


def test_the_table_names_the_fastest_peer():
    ways = {way: {"seconds": spread(1.0), "over_fast": spread(ratio)}
            for way, ratio in (("fast", 1.0), ("direct", 1.5), ("torch", 3.0), ("openvino", 2.0))}  # fmt: skip
    rows = peers.of_pose({"threads": {"1": {"368x368": ways}}})
    assert peers.table(rows).splitlines()[2:] == [
        "| pose network 368x368, one core | 1.000 s | openvino 1.000 s | 2.00 [2.00, 2.00] |",
        "| pose network 368x368, one core | 1.000 s | direct 1.000 s | 1.50 [1.50, 1.50] |",
    ]
    rows = peers.of_clip(clip.summary(found(), 104, "openvino"))
    assert [row.other for row in rows][-1] == "replaced service, free, openvino 4.500 s"
