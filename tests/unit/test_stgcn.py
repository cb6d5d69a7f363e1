"""Persons of clips computed apart: `torch.equal` to what MMAction2's `inference_skeleton` computes in one batch."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import cache

import numpy as np
import pytest
import torch
from mmengine.dataset import Compose
from torch import nn

from poseparity.compute.lanes import InPlace, Lanes
from poseparity.libraries.mmaction2 import registries
from poseparity.records import Size, Skeleton
from poseparity.stages.normalise import annotation
from poseparity.stages.recognise import build_model
from poseparity.stages.stgcn import Inference

FRAME = Size(1280, 720)
GRAPHS = {
    "ST-GCN": {"graph_cfg": {"layout": "coco", "mode": "stgcn_spatial"}},
    "ST-GCN++": {
        "graph_cfg": {"layout": "coco", "mode": "spatial"},
        "gcn_adaptive": "init", "gcn_with_res": True, "tcn_type": "mstcn",
    },
}  # fmt: skip
FRAMES = (1, 2, 57, 99, 100, 101, 250, 1000)


@cache
def model(graph: str, base_channels: int, **arguments) -> nn.Module:
    """MMAction2's model with random weights, none of which is nothing: batch norms as after training."""
    torch.manual_seed(base_channels)
    head = {"type": "GCNHead", "num_classes": 60, "in_channels": 4 * base_channels}
    backbone = {"type": "STGCN", "base_channels": base_channels, **GRAPHS[graph], **arguments}
    made = build_model({"type": "RecognizerGCN", "backbone": backbone, "cls_head": head}).eval()
    for module in made.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            for values in (module.weight, module.running_var):
                nn.init.uniform_(values, 0.5, 1.5)
            for values in (module.bias, module.running_mean):
                nn.init.normal_(values, 0, 0.2)
    nn.init.normal_(made.cls_head.fc.weight)
    return made


@cache
def pipeline(feature: str, persons: int, clips: int) -> Compose:
    registries()
    return Compose([
        {"type": "PreNormalize2D"},
        {"type": "GenSkeFeat", "dataset": "coco", "feats": [feature]},
        {"type": "UniformSampleFrames", "clip_len": 100, "num_clips": clips, "test_mode": True},
        {"type": "PoseDecode"},
        {"type": "FormatGCNInput", "num_person": persons},
        {"type": "PackActionInputs"},
    ])  # fmt: skip


@cache
def keypoints(frames: int) -> np.ndarray:
    """A walk of 17 joints, float64 (frames, 17, 3), with joints that are missing."""
    chance = np.random.default_rng(frames)
    positions = chance.uniform((300, 200), (900, 600), (17, 2)) + chance.normal(0, 4, (frames, 17, 2)).cumsum(axis=0)
    found = np.concatenate([positions, chance.uniform(0.3, 1, (frames, 17, 1))], axis=-1)
    found[chance.random((frames, 17)) < 0.03] = 0
    return found


def of_mmaction2(model: nn.Module, frames: int, transforms: Compose) -> tuple[torch.Tensor, torch.Tensor]:
    """The head's logits and the scores of `inference_skeleton`."""
    from mmaction.apis import inference_skeleton

    logits = []
    poses = [{"keypoints": each[None, :, :2], "keypoint_scores": each[None, :, 2]} for each in keypoints(frames)]
    hook = model.cls_head.register_forward_hook(lambda _module, _inputs, output: logits.append(output.clone()))
    try:
        scores = inference_skeleton(model, poses, (FRAME.height, FRAME.width), transforms).pred_score
    finally:
        hook.remove()
    return logits[0], scores


def of_ours(inference: Inference, frames: int, transforms: Compose) -> tuple[torch.Tensor, torch.Tensor]:
    box = (0, 0, FRAME.width, FRAME.height)
    sample = transforms(annotation(Skeleton(keypoints(frames), frame_size=FRAME), box))
    logits, scores = inference(sample["inputs"].numpy(), sample["data_samples"])
    return torch.from_numpy(logits), torch.from_numpy(scores)


def equal(one: tuple[torch.Tensor, torch.Tensor], other: tuple[torch.Tensor, torch.Tensor]) -> bool:
    return all(torch.equal(a, b) for a, b in zip(one, other, strict=True))


@contextmanager
def batches(backbone: nn.Module) -> Iterator[list[tuple]]:
    """The clips and persons of each batch that the backbone computes within the block."""
    seen: list[tuple] = []
    hook = backbone.register_forward_pre_hook(lambda _module, inputs: seen.append(tuple(inputs[0].shape[:2])))
    try:
        yield seen
    finally:
        hook.remove()


@pytest.mark.parametrize("clips", [10, pytest.param(1, marks=pytest.mark.slow)])
@pytest.mark.parametrize("persons", [2, 1])
@pytest.mark.parametrize("feature", ["j", *(pytest.param(each, marks=pytest.mark.slow) for each in ("b", "jm"))])
@pytest.mark.parametrize("graph", GRAPHS)
def test_logits_and_scores_are_those_of_the_whole_batch(graph, feature, persons, clips):
    """Narrow models, whose batches take little time."""
    made, transforms = model(graph, 8), pipeline(feature, persons, clips)
    inference = Inference(made, InPlace())
    wrong = [
        frames
        for frames in FRAMES
        if not equal(of_mmaction2(made, frames, transforms), of_ours(inference, frames, transforms))
    ]
    assert not wrong


@pytest.mark.slow
@pytest.mark.parametrize("frames", [57, 100])
@pytest.mark.parametrize("graph", GRAPHS)
def test_so_are_those_of_a_model_of_official_size(graph, frames):
    made, transforms = model(graph, 64), pipeline("j", 2, 10)
    assert equal(of_mmaction2(made, frames, transforms), of_ours(Inference(made, InPlace()), frames, transforms))


def test_alone_a_person_has_other_bits():
    """What the kernel of the whole batch is chosen for: without it the equalities above would not hold."""
    made, transforms = model("ST-GCN", 16), pipeline("j", 2, 10)
    inputs = transforms(annotation(Skeleton(keypoints(57)), (0, 0, 1280, 720)))["inputs"]
    with torch.no_grad():
        alone = torch.cat([made.backbone(inputs[n : n + 1]) for n in range(len(inputs))])
        assert not torch.equal(alone, made.backbone(inputs))


def test_requests_at_once_do_not_meet():
    lanes = Lanes(2)
    asked = [(graph, frames) for graph in GRAPHS for frames in (57, 99, 100, 250)]
    inferences = {graph: Inference(model(graph, 16), lanes) for graph in GRAPHS}
    transforms = pipeline("b", 2, 10)
    wanted = {(graph, frames): of_mmaction2(model(graph, 16), frames, transforms) for graph, frames in set(asked)}
    # MMAction2's transforms draw from NumPy's one generator, which `Normalise` guards.
    samples = [transforms(annotation(Skeleton(keypoints(frames)), (0, 0, 1280, 720))) for _, frames in asked]

    def answer(number: int) -> tuple[torch.Tensor, torch.Tensor]:
        sample = samples[number]
        logits, scores = inferences[asked[number][0]](sample["inputs"].numpy(), sample["data_samples"])
        return torch.from_numpy(logits), torch.from_numpy(scores)

    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(answer, range(len(asked))))
    lanes.close()
    assert all(equal(wanted[asked[number]], found[number]) for number in range(len(asked)))


@pytest.mark.parametrize(("lanes", "parts"), [(1, [5, 5]), (2, [5, 5]), (4, [2, 3, 2, 3]), (16, [1] * 10)])
def test_each_person_is_computed_once_and_nobody_once_for_all(lanes, parts):
    made = model("ST-GCN", 8)
    for persons in (2, 1):
        pool = Lanes(lanes)
        inference = Inference(made, pool)
        for frames, computed in ((57, parts), (57, parts), (100, [1])):
            with batches(made.backbone) as seen:
                of_ours(inference, frames, pipeline("j", persons, 10))
            nobody = [1] if persons == 2 and inference._of_nobody.cache_info().hits == 0 else []
            assert sorted(seen) == sorted((size, 1) for size in [*nobody, *computed])
        pool.close()


@pytest.mark.parametrize("arguments", [{"gcn_act": "SiLU"}, {"gcn_norm": "IN"}, {"data_bn_type": "MVC"}])
def test_what_cannot_be_computed_apart_is_one_batch_as_before(arguments):
    made, transforms = model("ST-GCN", 16, **arguments), pipeline("j", 2, 10)
    with batches(made.backbone) as seen:
        found = of_ours(Inference(made, InPlace()), 57, transforms)
    assert seen == [(10, 2)] and equal(of_mmaction2(made, 57, transforms), found)
