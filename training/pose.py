"""Trains the pose network: rendered crops to heatmaps and part affinity fields."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from poseparity.engines.openpose.layout import CHANNELS, FIRST_PAF, HEATMAPS, LIMBS, STRIDE
from poseparity.engines.openpose.network import build_network
from poseparity.engines.openpose.small import ConvReLU, SmallNetwork
from poseparity.keypoints import Coco18
from training import manifest
from training.dataset import PoseSample, pose_samples
from training.optimise import Course, in_processes, seed_everything
from training.outputs import save_pose

FIRST_SEED = 1_000_000
SIGMA = 7.0  # of a heatmap's Gaussian, in network pixels
LIMB_WIDTH = 8.0  # distance from a limb's axis, in network pixels, up to which its field is taught
_FLIP = [Coco18[part.name.replace("R_", "#").replace("L_", "R_").replace("#", "L_")] for part in Coco18]


def train(out: Path, clips: int = 6_000, steps: int = 4_000, batch: int = 16) -> Path:
    """Renders three frames of each of `clips` clips, trains for `steps` batches, writes `out`/pose.safetensors."""
    seed_everything()
    parameters = manifest.parameters().pose
    make = partial(pose_samples, net_height=parameters.net_height, width_multiple=parameters.width_multiple)
    samples = [s for group in in_processes(make, range(FIRST_SEED, FIRST_SEED + clips)) for s in group]
    network = build_network(parameters.network)
    add_batch_norm(network)
    network.to(memory_format=torch.channels_last).train()
    course = Course(network, steps, rate=3e-3)
    for pictures, joints in _batches(samples, steps, batch):
        target, weight = targets(joints, pictures.shape[-2] // STRIDE, pictures.shape[-1] // STRIDE)
        with torch.autocast("cpu", torch.bfloat16):
            outputs = network.stages(pictures)
        course.step(sum((weight * (output.float() - target) ** 2).mean() for output in outputs) * 20)
    fold_batch_norm(network)
    return save_pose(network, out)


def add_batch_norm(network: SmallNetwork) -> None:
    """Puts a batch normalisation behind every convolution that has a ReLU: training needs it, the service does not."""
    for block in _blocks(network):
        block.conv = nn.Sequential(block.conv, nn.BatchNorm2d(block.conv.out_channels))
        nn.init.kaiming_normal_(block.conv[0].weight, nonlinearity="relu")


def fold_batch_norm(network: SmallNetwork) -> None:
    """Undoes `add_batch_norm`: multiplies each normalisation into its convolution's weights."""
    network.eval()
    for block in _blocks(network):
        block.conv = fuse_conv_bn_eval(*block.conv)


def _blocks(network: SmallNetwork) -> list[ConvReLU]:
    return [module for module in network.modules() if isinstance(module, ConvReLU)]


def targets(joints: torch.Tensor, rows: int, columns: int) -> tuple[torch.Tensor, torch.Tensor]:
    """What the network is to answer: (n, 57, rows, columns), and the weight of every value in the loss.

    Args:
        joints: (n, 18, 2) in network pixels, NaN where nothing is taught. The centre of cell i is pixel 8 i + 3.5.
    """
    y = torch.arange(rows) * STRIDE + (STRIDE - 1) / 2
    x = torch.arange(columns) * STRIDE + (STRIDE - 1) / 2
    cells = torch.stack(torch.meshgrid(x, y, indexing="xy"), -1)
    square = ((cells - joints[:, :, None, None]) ** 2).sum(-1)
    heat = torch.exp(-square / (2 * SIGMA**2)).nan_to_num(0.0)
    background = 1 - heat.amax(1, keepdim=True)
    fields = _fields(joints, cells)
    target = torch.cat([heat, background, fields.permute(0, 1, 4, 2, 3).flatten(1, 2)], 1)
    target[:, HEATMAPS:] = target[:, _field_order()]
    weight = torch.ones_like(target)
    weight[:, : HEATMAPS - 1] += 4 * target[:, : HEATMAPS - 1]
    return target, weight


def _fields(joints: torch.Tensor, cells: torch.Tensor) -> torch.Tensor:
    """Unit vectors along every limb near its axis: (n, limbs, rows, columns, 2), in the order of LIMBS."""
    start = joints[:, [limb.start for limb in LIMBS], None, None]
    axis = joints[:, [limb.end for limb in LIMBS], None, None] - start
    length = axis.norm(dim=-1, keepdim=True).clamp(min=1e-3)
    unit = axis / length
    away = cells - start
    along = (away * unit).sum(-1)
    across = (away[..., 0] * unit[..., 1] - away[..., 1] * unit[..., 0]).abs()
    near = (across < LIMB_WIDTH) & (along > -STRIDE / 2) & (along < length[..., 0] + STRIDE / 2)
    return torch.where(near[..., None], unit, torch.zeros(())).nan_to_num(0.0)


def _field_order() -> list[int]:
    """Where, in heatmaps + fields in the order of LIMBS, each PAF channel of the network's output comes from."""
    source = {channel: FIRST_PAF + 2 * i + axis
              for i, limb in enumerate(LIMBS) for axis, channel in enumerate((limb.paf_x, limb.paf_y))}  # fmt: skip
    return [source[channel] for channel in range(FIRST_PAF, CHANNELS)]


def _batches(samples: list[PoseSample], steps: int, batch: int) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """Random batches of one width each, mirrored and recoloured at random: pictures (n, 3, h, w), joints (n, 18, 2)."""
    rng = np.random.default_rng(FIRST_SEED)
    widths = defaultdict(list)
    for sample in samples:
        widths[sample.picture.shape[-1]].append(sample)
    groups = [group for group in widths.values() if len(group) >= batch]
    shares = np.array([len(group) for group in groups]) / sum(len(group) for group in groups)
    for _ in range(steps):
        group = groups[rng.choice(len(groups), p=shares)]
        chosen = [_varied(rng, group[i]) for i in rng.choice(len(group), batch, replace=False)]
        pictures = torch.from_numpy(np.stack([picture for picture, _ in chosen]))
        yield (pictures.contiguous(memory_format=torch.channels_last),
               torch.from_numpy(np.stack([joints for _, joints in chosen])).float())  # fmt: skip


def _varied(rng: np.random.Generator, sample: PoseSample) -> tuple[np.ndarray, np.ndarray]:
    """Network input (3, h, w) float32 and joints of one sample, mirrored half of the time, in a light of its own."""
    picture, joints = sample.picture.astype(np.float32) / 256 - 0.5, sample.joints
    if rng.random() < 0.5:
        picture = picture[:, :, ::-1]
        joints = joints[_FLIP] * (-1, 1) + (picture.shape[-1] - 1, 0)
    gain = rng.uniform(0.8, 1.2) * rng.uniform(0.94, 1.06, (3, 1, 1)).astype(np.float32)
    return np.clip(picture * gain + rng.uniform(-0.1, 0.1), -0.5, 0.5).astype(np.float32), joints
