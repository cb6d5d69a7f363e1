"""Trains the recogniser: MMAction2's ST-GCN on skeletons that went through the service's own stages."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from pathlib import Path

import numpy as np
import torch
from torch import nn

from poseparity.libraries.mmaction2 import registries
from training import manifest
from training.optimise import Course, in_processes, seed_everything
from training.outputs import save_recogniser
from training.rendering.clip import Clip
from training.rendering.skeletons import ServiceEnd, estimated, random_part

FIRST_SEED = 3_000_000


def train(out: Path, clips: int = 4_000, steps: int = 1_000, batch: int = 32) -> Path:
    """Makes the skeletons of `clips` clips, trains for `steps` batches, writes `out`/stgcn_demo.py and .pth."""
    seed_everything()
    made = in_processes(skeleton_sample, range(FIRST_SEED, FIRST_SEED + clips))
    inputs = np.concatenate([sample for sample, _ in made])
    answers = np.repeat([label for _, label in made], [len(sample) for sample, _ in made])
    model = build_model()
    course = Course(model, steps, rate=4e-3)
    loss = nn.CrossEntropyLoss(label_smoothing=0.05)
    for skeletons, labels in _batches(inputs, answers, steps, batch):
        course.step(loss(model.cls_head(model.backbone(skeletons)), labels))
    return save_recogniser(model, out)


def build_model() -> nn.Module:
    """MMAction2's model from the bundle's table, with untrained weights."""
    return registries().MODELS.build(dict(manifest.read_template()["recognise"]["model"])).train()


def skeleton_sample(seed: int) -> tuple[np.ndarray, int]:
    """The recogniser's input (clips, people, frames, joints, channels) made from clip `seed`, and its class."""
    rng = np.random.default_rng([seed, 4])
    clip = Clip(seed)
    skeleton = random_part(rng, estimated(rng, clip))
    label = manifest.read_template()["labels"]["names"].index(clip.truth.label)
    return _service_end()(skeleton, trim=bool(rng.random() < 0.7)), label


@cache
def _service_end() -> ServiceEnd:
    return ServiceEnd(manifest.parameters())


def _batches(inputs: np.ndarray, answers: np.ndarray, steps: int,
             batch: int) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:  # fmt: skip
    rng = np.random.default_rng(FIRST_SEED)
    for _ in range(steps):
        chosen = rng.choice(len(inputs), batch, replace=False)
        yield torch.from_numpy(inputs[chosen]), torch.from_numpy(answers[chosen])
