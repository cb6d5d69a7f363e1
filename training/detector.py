"""Trains the person detector: ultralytics' model and loss in a loop of our own.

ultralytics' own trainer imports torchvision, which the project does without.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np
import torch
import yaml
from torch import nn

from training import manifest
from training.dataset import BoxSample, box_sample, reach_samples
from training.optimise import Course, in_processes, seed_everything
from training.outputs import save_detector

FIRST_SEED = 2_000_000
# The weights of ultralytics' three losses, as in its default configuration.
_GAINS = {"box": 7.5, "cls": 0.5, "dfl": 1.5}


def train(out: Path, clips: int = 5_000, steps: int = 1_500, batch: int = 12) -> Path:
    """Renders `clips` frames, trains for `steps` batches, then refines twice; writes `out`/detector.pt."""
    seed_everything()
    model = build_model()
    side = manifest.read_template()["detect"]["image_size"]
    first = range(FIRST_SEED, FIRST_SEED + clips)
    _run(model, in_processes(partial(box_sample, side=side, wide_share=0.0), first), steps, batch, rate=2e-3)
    refine_wide(model, side, clips * 3 // 10, steps // 5, batch)
    refine_reach(model, side, clips // 5, steps // 5, batch)
    return save_detector(model, out)


def refine_wide(model: nn.Module, side: int, clips: int, steps: int, batch: int) -> None:
    """A second, slower course on other clips, in whose frames the figure often stretches a leg or an arm."""
    first = FIRST_SEED + 100_000
    samples = in_processes(partial(box_sample, side=side, wide_share=0.7), range(first, first + clips))
    _run(model, samples, steps, batch, rate=6e-4)


def refine_reach(model: nn.Module, side: int, clips: int, steps: int, batch: int) -> None:
    """A third course, on those frames of other clips that decide how far the crop goes: kicks, swings, raised arms."""
    first = FIRST_SEED + 200_000
    groups = in_processes(partial(reach_samples, side=side), range(first, first + clips))
    _run(model, [sample for group in groups for sample in group], steps, batch, rate=6e-4)


def build_model() -> nn.Module:
    """ultralytics' model from our architecture, with untrained weights and what its loss needs to know."""
    from ultralytics.nn.tasks import DetectionModel
    from ultralytics.utils import IterableSimpleNamespace

    architecture = yaml.safe_load(manifest.ARCHITECTURE.read_text(encoding="utf-8"))
    model = DetectionModel(cfg=architecture, nc=architecture["nc"], verbose=False)
    model.args = IterableSimpleNamespace(**_GAINS)
    return model.to(memory_format=torch.channels_last).train()  # steps take about half as long


def _run(model: nn.Module, samples: list[BoxSample], steps: int, batch: int, rate: float) -> None:
    course = Course(model, steps, rate)
    for inputs in _batches(samples, steps, batch):
        loss, _ = model.loss(inputs)
        course.step(loss.sum() / batch)


def _batches(samples: list[BoxSample], steps: int, batch: int) -> Iterator[dict[str, torch.Tensor]]:
    """Random batches as ultralytics' loss reads them, mirrored and recoloured at random."""
    rng = np.random.default_rng(FIRST_SEED)
    for _ in range(steps):
        chosen = [_varied(rng, samples[i]) for i in rng.choice(len(samples), batch, replace=False)]
        yield {
            "img": torch.from_numpy(np.stack([picture for picture, _ in chosen])),
            "bboxes": torch.from_numpy(np.stack([box for _, box in chosen])),
            "cls": torch.zeros(batch, 1),
            "batch_idx": torch.arange(batch, dtype=torch.float32),
        }


def _varied(rng: np.random.Generator, sample: BoxSample) -> tuple[np.ndarray, np.ndarray]:
    """Network input (3, side, side) float32 in 0..1 and box of one sample, mirrored half of the time."""
    picture, box = sample.picture.astype(np.float32) / 255, sample.box.copy()
    if rng.random() < 0.5:
        picture, box[0] = picture[:, :, ::-1], 1 - box[0]
    gain = rng.uniform(0.8, 1.2) * rng.uniform(0.94, 1.06, (3, 1, 1)).astype(np.float32)
    return np.clip(picture * gain, 0, 1).astype(np.float32), box
