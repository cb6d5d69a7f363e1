"""Real MMAction2 training runs, as short as they can be: their configs, and the checkpoints that mmengine saved.

python -m tests.mmaction2_run FOLDER    trains ST-GCN and ST-GCN++ on joints and on bones, below FOLDER
"""

from __future__ import annotations

import pickle
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from training.clip import Clip
from training.skeletons import estimated

LABELS = ("golf_swing", "squat")
BACKBONES = {
    "stgcn": "graph_cfg=dict(layout='coco', mode='stgcn_spatial')",
    "stgcn++": (
        "graph_cfg=dict(layout='coco', mode='spatial'), gcn_adaptive='init', gcn_with_res=True, tcn_type='mstcn', "
        "tcn_ms_cfg=[(3, 1), (3, 2), ('max', 3), '1x1']"
    ),
}
CONFIG = """
default_scope = 'mmaction'
model = dict(
    type='RecognizerGCN',
    backbone=dict(type='STGCN', base_channels=16, num_stages=3, inflate_stages=[2], down_stages=[2], {backbone}),
    cls_head=dict(type='GCNHead', num_classes=2, in_channels=32, loss_cls=dict(type='CrossEntropyLoss')))
train_pipeline = [
    dict(type='PreNormalize2D'),
    dict(type='GenSkeFeat', dataset='coco', feats=['{feature}']),
    dict(type='UniformSampleFrames', clip_len=16),
    dict(type='PoseDecode'),
    dict(type='FormatGCNInput', num_person=2),
    dict(type='PackActionInputs')]
test_pipeline = [
    dict(type='PreNormalize2D'),
    dict(type='GenSkeFeat', dataset='coco', feats=['{feature}']),
    dict(type='UniformSampleFrames', clip_len=16, num_clips=3, test_mode=True),
    dict(type='PoseDecode'),
    dict(type='FormatGCNInput', num_person=2),
    dict(type='PackActionInputs')]
dataset = dict(type='PoseDataset', ann_file='{annotations}', split='train')
train_dataloader = dict(
    batch_size=4, num_workers=0, sampler=dict(type='DefaultSampler', shuffle=True),
    dataset=dict(**dataset, pipeline=train_pipeline))
test_dataloader = dict(
    batch_size=1, num_workers=0, sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(**dataset, pipeline=test_pipeline, test_mode=True))
train_cfg = dict(type='EpochBasedTrainLoop', max_epochs=1)
optim_wrapper = dict(optimizer=dict(type='SGD', lr=0.05, momentum=0.9))
default_hooks = dict(checkpoint=dict(type='CheckpointHook', interval=1), logger=dict(type='LoggerHook', interval=1))
custom_hooks = [dict(type='EMAHook', momentum=0.1)]
"""


@dataclass(frozen=True)
class TrainingRun:
    """What MMAction2 left behind."""

    config: Path
    checkpoint: Path


def run_of(folder: Path, model: str, feature: str) -> TrainingRun:
    """Where `train` leaves its files."""
    base = folder / f"{model}-{feature}"
    return TrainingRun(base / "config.py", base / "work/epoch_1.pth")


def train(folder: Path, model: str, feature: str) -> None:
    """Train `model` for one epoch on eight rendered skeletons, with mmengine's Runner, EMA and message hub."""
    from mmengine.config import Config
    from mmengine.runner import Runner

    from poseparity.stages._mmaction2 import registries

    registries()
    config = run_of(folder, model, feature).config
    config.parent.mkdir()
    annotations = write_annotations(config.parent / "annotations.pkl")
    config.write_text(CONFIG.format(backbone=BACKBONES[model], feature=feature, annotations=annotations))
    content = Config.fromfile(config)
    content.work_dir = str(config.parent / "work")
    content.experiment_name = config.parent.name
    content.log_level = "ERROR"
    content.randomness = {"seed": 1}
    content.pop("test_dataloader")  # a Runner takes it only together with an evaluator
    Runner.from_cfg(content).train()


def write_annotations(path: Path) -> Path:
    """Skeletons of both labels in the format of MMAction2's PoseDataset."""
    rng = np.random.default_rng(5)
    entries = []
    for seed in range(8):
        label = seed % 2
        keypoints = estimated(rng, Clip(seed, LABELS[label], (320, 240), (2, 2))).keypoints
        entries.append({
            "frame_dir": f"clip{seed}",
            "label": label,
            "img_shape": (240, 320),
            "original_shape": (240, 320),
            "total_frames": len(keypoints),
            "keypoint": keypoints[None, ..., :2].astype(np.float16),
            "keypoint_score": keypoints[None, ..., 2].astype(np.float16),
        })  # fmt: skip
    content = {"split": {"train": [entry["frame_dir"] for entry in entries]}, "annotations": entries}
    path.write_bytes(pickle.dumps(content))
    return path


if __name__ == "__main__":
    # mmengine's log of the environment imports torchvision, whose build need not fit a CPU-only torch.
    sys.modules["torchvision"] = None
    for name in BACKBONES:
        for kind in ("j", "b"):
            train(Path(sys.argv[1]), name, kind)
