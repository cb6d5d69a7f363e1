"""Real MMAction2 training runs, as short as they can be: their configs, and the checkpoints that mmengine saved.

python -m tests.mmaction2_run FOLDER    trains every one of VARIANTS, below FOLDER
"""

from __future__ import annotations

import pickle
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np

from training.rendering.clip import Clip
from training.rendering.skeletons import estimated

LABELS = ("golf_swing", "squat")
FRAME = (320, 240)  # width, height
BACKBONES = {
    "stgcn": "graph_cfg=dict(layout='{layout}', mode='stgcn_spatial')",
    "stgcn++": (
        "graph_cfg=dict(layout='{layout}', mode='spatial'), gcn_adaptive='init', gcn_with_res=True, tcn_type='mstcn', "
        "tcn_ms_cfg=[(3, 1), (3, 2), ('max', 3), '1x1']"
    ),
}
# OpenPose's 18 joints as places in COCO's 17; the neck, the middle of the shoulders, takes two of them.
OPENPOSE = ((0,), (5, 6), (6,), (8,), (10,), (5,), (7,), (9,), (12,), (14,), (16,), (11,), (13,), (15,), (2,), (1,),
            (4,), (3,))  # fmt: skip


@dataclass(frozen=True)
class Variant:
    """A model and what it is fed: its graph, the features that it looks at, whether coordinates are normalised."""

    backbone: str
    layout: str = "coco"
    features: tuple[str, ...] = ("j",)
    normalised: bool = True

    def config(self, annotations: Path) -> str:
        """The MMAction2 config, as a user would have written it."""
        return CONFIG.format(
            backbone=BACKBONES[self.backbone].format(layout=self.layout),
            channels=3 * len(self.features),
            layout=self.layout,
            features=list(self.features),
            normalise="[dict(type='PreNormalize2D')]" if self.normalised else "[]",
            annotations=annotations,
        )

    def poses(self, keypoints: np.ndarray) -> np.ndarray:
        """COCO-17 keypoints (frames, 17, 3) as the graph's joints (frames, 17 or 18, 3)."""
        return openpose18(keypoints) if self.layout == "openpose" else keypoints


VARIANTS = {
    "stgcn-j": Variant("stgcn"),
    "stgcn-b": Variant("stgcn", features=("b",)),
    "stgcn-j-b": Variant("stgcn", features=("j", "b")),
    "stgcn-jm-not-normalised": Variant("stgcn", features=("jm",), normalised=False),
    "stgcn-openpose": Variant("stgcn", layout="openpose"),
    "stgcn++-j": Variant("stgcn++"),
    "stgcn++-b": Variant("stgcn++", features=("b",)),
    "stgcn++-openpose-bm": Variant("stgcn++", layout="openpose", features=("bm",)),
}
CONFIG = """
default_scope = 'mmaction'
model = dict(
    type='RecognizerGCN',
    backbone=dict(type='STGCN', base_channels=16, num_stages=3, inflate_stages=[2], down_stages=[2],
                  in_channels={channels}, {backbone}),
    cls_head=dict(type='GCNHead', num_classes=2, in_channels=32, loss_cls=dict(type='CrossEntropyLoss')))
train_pipeline = {normalise} + [
    dict(type='GenSkeFeat', dataset='{layout}', feats={features}),
    dict(type='UniformSampleFrames', clip_len=16),
    dict(type='PoseDecode'),
    dict(type='FormatGCNInput', num_person=2),
    dict(type='PackActionInputs')]
test_pipeline = {normalise} + [
    dict(type='GenSkeFeat', dataset='{layout}', feats={features}),
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

    variant: Variant
    config: Path
    checkpoint: Path


def run_of(folder: Path, name: str) -> TrainingRun:
    """Where `train` leaves its files."""
    return TrainingRun(VARIANTS[name], folder / name / "config.py", folder / name / "work/epoch_1.pth")


def train(folder: Path, name: str) -> None:
    """Train one of VARIANTS for one epoch on eight rendered skeletons, with mmengine's Runner, EMA and message hub."""
    from mmengine.config import Config
    from mmengine.runner import Runner

    from poseparity.libraries.mmaction2 import registries

    registries()
    run = run_of(folder, name)
    run.config.parent.mkdir()
    annotations = write_annotations(run.config.parent / "annotations.pkl", run.variant)
    run.config.write_text(run.variant.config(annotations))
    content = Config.fromfile(run.config)
    content.work_dir = str(run.checkpoint.parent)
    content.experiment_name = name
    content.log_level = "ERROR"
    content.randomness = {"seed": 1}
    content.pop("test_dataloader")  # a Runner takes it only together with an evaluator
    Runner.from_cfg(content).train()


def write_annotations(path: Path, variant: Variant, kept: Sequence[np.ndarray] | None = None) -> Path:
    """Skeletons of both labels by turns, rendered ones unless given, in the format of MMAction2's PoseDataset."""
    entries = []
    for seed, skeleton in enumerate(skeletons() if kept is None else kept):
        keypoints = variant.poses(skeleton)
        entries.append({
            "frame_dir": f"clip{seed}",
            "label": seed % 2,
            "img_shape": FRAME[::-1],
            "original_shape": FRAME[::-1],
            "total_frames": len(keypoints),
            "keypoint": keypoints[None, ..., :2].astype(np.float16),
            "keypoint_score": keypoints[None, ..., 2].astype(np.float16),
        })  # fmt: skip
    content = {"split": {"train": [entry["frame_dir"] for entry in entries]}, "annotations": entries}
    path.write_bytes(pickle.dumps(content))
    return path


@cache
def skeletons() -> tuple[np.ndarray, ...]:
    """Eight clips' COCO-17 keypoints, the two labels by turns."""
    rng = np.random.default_rng(5)
    clips = [Clip(seed, LABELS[seed % 2], FRAME, (2, 2)) for seed in range(8)]
    return tuple(estimated(rng, clip).keypoints for clip in clips)


def openpose18(keypoints: np.ndarray) -> np.ndarray:
    """(frames, 17, 3) to (frames, 18, 3), written without the package's own code, which the tests hold against it."""
    parts = np.zeros((len(keypoints), len(OPENPOSE), 3))
    for frame, part in np.ndindex(parts.shape[:2]):
        sources = [keypoints[frame, joint] for joint in OPENPOSE[part]]
        if all(source.any() for source in sources):
            parts[frame, part, :2] = sum(source[:2] for source in sources) / len(sources)
            parts[frame, part, 2] = min(source[2] for source in sources)
    return parts


if __name__ == "__main__":
    for variant in VARIANTS:
        train(Path(sys.argv[1]), variant)
