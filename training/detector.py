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

from training import manifest
from training.dataset import BoxSample, box_sample
from training.optimise import Course, in_processes, save_weights, seed_everything

FIRST_SEED = 2_000_000
# The weights of ultralytics' three losses, as in its default configuration.
_GAINS = {"box": 7.5, "cls": 0.5, "dfl": 1.5}


def train(out: Path, clips: int = 5_000, steps: int = 1_500, batch: int = 12) -> Path:
    """Renders a frame of each of `clips` clips, trains for `steps` batches, writes `out`/detector.safetensors."""
    from ultralytics.nn.tasks import DetectionModel
    from ultralytics.utils import IterableSimpleNamespace

    seed_everything()
    side = manifest.read_template()["detect"]["image_size"]
    samples = in_processes(partial(box_sample, side=side), range(FIRST_SEED, FIRST_SEED + clips))
    architecture = yaml.safe_load(manifest.ARCHITECTURE.read_text(encoding="utf-8"))
    model = DetectionModel(cfg=architecture, nc=architecture["nc"], verbose=False)
    model.args = IterableSimpleNamespace(**_GAINS)
    model.train()
    course = Course(model, steps, rate=2e-3)
    for inputs in _batches(samples, steps, batch):
        loss, _ = model.loss(inputs)
        course.step(loss.sum() / batch)
    return save_weights(model, out / "detector.safetensors")


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
