"""The pose networks that a bundle may name, and the targets that the small one is trained on."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from poseparity.engines.openpose.layout import CHANNELS, HEATMAPS, LIMBS, PAF_CHANNELS
from poseparity.engines.openpose.network import KINDS, build_network
from poseparity.errors import BundleError
from poseparity.keypoints import Coco18
from training import pose

TINY = {"kind": "small", "stem": [4, 6], "width": 8, "depth": 2, "refinements": 2, "refinement_depth": 2}


@pytest.mark.parametrize(("height", "width"), [(184, 96), (368, 656), (64, 64)])
def test_output_has_openpose_channels_at_stride_8(height: int, width: int) -> None:
    output = build_network(TINY)(torch.zeros(1, 3, height, width))
    assert output.shape == (1, CHANNELS, height // 8, width // 8)
    assert CHANNELS == HEATMAPS + PAF_CHANNELS == 57


def test_every_stage_has_the_full_output() -> None:
    outputs = build_network(TINY).stages(torch.zeros(1, 3, 64, 48))
    assert [tuple(output.shape) for output in outputs] == [(1, 57, 8, 6)] * 3


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"widht": 8}, r"pose\.network\.widht: Extra inputs are not permitted, found 8"),
        ({"depth": 0}, r"pose\.network\.depth: .* greater than 0, found 0"),
        ({"kind": "coco"}, r"pose\.network\.stem: Extra inputs are not permitted"),
    ],
)
def test_wrong_parameters_are_refused(change: dict, words: str) -> None:
    with pytest.raises(BundleError, match=words):
        build_network({**TINY, **change})


@pytest.mark.parametrize("kind", ["body_25", None, ["coco"]])
def test_an_unknown_kind_is_refused_and_the_known_ones_are_named(kind) -> None:
    with pytest.raises(BundleError) as refused:
        build_network({"kind": kind})
    assert f"kind is {kind!r}" in str(refused.value)
    assert all(f'"{known}"' in str(refused.value) for known in KINDS)


def test_the_coco_network_is_the_published_one() -> None:
    with torch.device("meta"):  # shapes alone: its 209 MB are not needed
        network = build_network({"kind": "coco"})
        output = network(torch.zeros(1, 3, 368, 656))
    assert output.shape == (1, CHANNELS, 46, 82)
    assert sum(parameter.numel() for parameter in network.parameters()) == 52_311_446
    assert len(network.layers) == 12 + 2 * 5 + 5 * 2 * 7


def test_only_convolutions_hold_weights_and_the_operations_are_the_plain_ones() -> None:
    leaves = {type(module).__name__ for module in build_network(TINY).modules() if not list(module.children())}
    assert leaves == {"Conv2d", "ReLU"}


def test_folding_batch_norm_changes_nothing_but_the_form() -> None:
    torch.manual_seed(0)
    network = build_network(TINY)
    names = set(network.state_dict())
    pose.add_batch_norm(network)
    network.train()
    for _ in range(3):
        network(torch.rand(4, 3, 64, 64) - 0.5)
    network.eval()
    picture = torch.rand(1, 3, 64, 64) - 0.5
    with torch.no_grad():
        before = network(picture)
        pose.fold_batch_norm(network)
        after = network(picture)
    assert set(network.state_dict()) == names
    torch.testing.assert_close(before, after, rtol=1e-4, atol=1e-5)


def _joints() -> torch.Tensor:
    generator = np.random.default_rng(1)
    return torch.from_numpy(generator.uniform(20, 140, (2, len(Coco18), 2))).float()


def test_heatmap_target_peaks_at_the_joint_and_background_is_the_rest() -> None:
    joints = _joints()
    joints[0, Coco18.NOSE] = torch.tensor([8 * 5 + 3.5, 8 * 7 + 3.5])  # the centre of the cell in row 7, column 5
    target, _ = pose.targets(joints, 20, 20)
    assert target[0, Coco18.NOSE].argmax() == 7 * 20 + 5
    assert target[0, Coco18.NOSE, 7, 5] == 1
    torch.testing.assert_close(target[:, 18], 1 - target[:, :18].amax(1))


def test_field_target_points_from_start_to_end_in_openpose_channels() -> None:
    joints = _joints()
    target, _ = pose.targets(joints, 20, 20)
    for limb in LIMBS:
        start, end = joints[1, limb.start], joints[1, limb.end]
        column, row = (((start + end) / 2 - 3.5) / 8).round().int().tolist()
        field = torch.stack([target[1, limb.paf_x, row, column], target[1, limb.paf_y, row, column]])
        torch.testing.assert_close(field, (end - start) / (end - start).norm())


def test_untaught_joints_leave_no_trace() -> None:
    joints = _joints()
    joints[:, Coco18.L_EAR] = torch.nan
    target, _ = pose.targets(joints, 20, 20)
    assert torch.isfinite(target).all()
    assert (target[:, Coco18.L_EAR] == 0).all()
    for limb in LIMBS:
        if Coco18.L_EAR in (limb.start, limb.end):
            assert (target[:, [limb.paf_x, limb.paf_y]] == 0).all()


def test_mirroring_a_sample_exchanges_left_and_right() -> None:
    assert [Coco18(part).name for part in pose._FLIP[:6]] == [
        "NOSE", "NECK", "L_SHOULDER", "L_ELBOW", "L_WRIST", "R_SHOULDER"]  # fmt: skip
    assert [pose._FLIP[part] for part in pose._FLIP] == list(range(len(Coco18)))
