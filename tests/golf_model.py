"""A model like those of the service that this project replaces, trained as its users train, and its preprocessing.

Two classes of golf swing on bones; coordinates divided by 1920 and 1080 whatever the video's size, all confidences 1,
float32, static ends trimmed, no PreNormalize2D. The preprocessing is written out here without the package's own code.

python -m tests.golf_model FOLDER    trains it, and leaves config, checkpoint and annotations there
"""

from __future__ import annotations

import csv
import io
import pickle
import sys
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np

from training.rendering.clip import Clip
from training.rendering.skeletons import estimated

LABELS = ("Ordinary", "Professional")  # here: a swing backwards, and one forwards
JOINTS = ("Nose", "LEye", "REye", "LEar", "REar", "LShoulder", "RShoulder", "LElbow", "RElbow", "LWrist", "RWrist",
          "LHip", "RHip", "LKnee", "RKnee", "LAnkle", "RAnkle")  # fmt: skip
SEEDS = range(40, 64)  # of the clips that training sees
TRIM = {"threshold": 0.06, "margin": 4, "min_frames": 24}
CONFIG = """
default_scope = 'mmaction'
clip_len = 100
model = dict(
    type='RecognizerGCN',
    backbone=dict(type='STGCN', gcn_adaptive='init', gcn_with_res=True, tcn_type='mstcn',
                  graph_cfg=dict(layout='coco', mode='spatial'),
                  base_channels=16, num_stages=3, inflate_stages=[2], down_stages=[2]),
    cls_head=dict(type='GCNHead', num_classes=2, in_channels=32, dropout=0.3,
                  loss_cls=dict(type='CrossEntropyLoss', loss_weight=1.0)))
train_pipeline = [
    # dict(type='PreNormalize2D'),  the annotations are in [0, 1] already
    dict(type='GenSkeFeat', dataset='coco', feats=['b']),
    dict(type='UniformSampleFrames', clip_len=clip_len),
    dict(type='PoseDecode'),
    dict(type='FormatGCNInput', num_person=1),
    dict(type='PackActionInputs')]
test_pipeline = [
    # dict(type='PreNormalize2D'),
    dict(type='GenSkeFeat', dataset='coco', feats=['b']),
    dict(type='UniformSampleFrames', clip_len=clip_len, num_clips=10, test_mode=True),
    dict(type='PoseDecode'),
    dict(type='FormatGCNInput', num_person=1),
    dict(type='PackActionInputs')]
dataset = dict(type='PoseDataset', ann_file='{annotations}', split='train')
train_dataloader = dict(
    batch_size=8, num_workers=0, sampler=dict(type='DefaultSampler', shuffle=True),
    dataset=dict(**dataset, pipeline=train_pipeline))
test_dataloader = dict(
    batch_size=1, num_workers=0, sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(**dataset, pipeline=test_pipeline, test_mode=True))
test_evaluator = [dict(type='AccMetric')]
test_cfg = dict(type='TestLoop')
train_cfg = dict(type='EpochBasedTrainLoop', max_epochs={epochs})
optim_wrapper = dict(optimizer=dict(type='Adam', lr=0.01))
default_hooks = dict(checkpoint=dict(type='CheckpointHook', interval={epochs}))
"""
EPOCHS = 20


@dataclass(frozen=True)
class GolfModel:
    """What training left behind."""

    folder: Path

    @property
    def config(self) -> Path:
        return self.folder / "my_stgcnpp_2class.py"

    @property
    def checkpoint(self) -> Path:
        return self.folder / f"work/epoch_{EPOCHS}.pth"

    @property
    def annotations(self) -> Path:
        return self.folder / "train.pkl"


# --- the preprocessing, written out ----------------------------------------------------------------------------------


def read_csv(content: bytes) -> np.ndarray:
    """A plain skeleton CSV as float64 (frames, 17, 3)."""
    rows = csv.DictReader(io.StringIO(content.decode("utf-8-sig")))
    return np.array([[[float(row[f"{joint}_{c}"]) for c in "xyc"] for joint in JOINTS] for row in rows])


def interpolated(keypoints: np.ndarray) -> np.ndarray:
    """Joints at 0,0,0 filled over time, between their neighbours and with the nearest at the ends."""
    filled = keypoints.copy()
    for joint in range(17):
        known = [frame for frame in range(len(keypoints)) if keypoints[frame, joint].any()]
        for frame in range(len(keypoints)):
            if known and frame not in known:
                filled[frame, joint] = [
                    np.interp(frame, known, keypoints[known, joint, channel]) for channel in range(3)
                ]
    return filled


def trimmed(keypoints: np.ndarray) -> np.ndarray:
    """Without the frames at both ends in which no joint moves further than a share of the torso."""

    def length(vector: np.ndarray) -> float:
        return float(np.sqrt(vector[0] * vector[0] + vector[1] * vector[1]))

    middle = [(frame[[5, 6], :2].mean(axis=0), frame[[11, 12], :2].mean(axis=0)) for frame in keypoints]
    torso = float(np.median([length(shoulders - hips) for shoulders, hips in middle]))
    moving = [
        index
        for index in range(1, len(keypoints))
        if max(length(keypoints[index, j, :2] - keypoints[index - 1, j, :2]) for j in range(17)) / torso
        > TRIM["threshold"]
    ]
    if not moving:
        return keypoints
    first = max(0, moving[0] - 1 - TRIM["margin"])
    end = min(len(keypoints), moving[-1] + 1 + TRIM["margin"])
    return keypoints[first:end] if end - first >= TRIM["min_frames"] else keypoints


def annotation(keypoints: np.ndarray, name: str = "", label: int = 0) -> dict:
    """What the service makes of a skeleton for MMAction2: [0, 1] of 1920x1080, confidences 1, float32."""
    positions = keypoints[None, ..., :2].copy()
    positions[..., 0] = positions[..., 0] / 1920.0
    positions[..., 1] = positions[..., 1] / 1080.0
    return {
        "frame_dir": name,
        "label": label,
        "img_shape": (1080, 1920),
        "original_shape": (1080, 1920),
        "total_frames": len(keypoints),
        "keypoint": positions.astype(np.float32),
        "keypoint_score": np.ones(positions.shape[:3], np.float32),
    }


def preprocessed(content: bytes) -> dict:
    """From a skeleton CSV to what MMAction2 reads."""
    return annotation(trimmed(interpolated(read_csv(content))))


@cache
def _model(golf: GolfModel) -> tuple:
    import torch
    from mmengine.config import Config
    from mmengine.dataset import Compose

    from poseparity.libraries.mmaction2 import registries

    registry = registries()
    config = Config.fromfile(golf.config)
    model = registry.MODELS.build(config.model)
    state = torch.load(golf.checkpoint, map_location="cpu", weights_only=False)["state_dict"]
    model.load_state_dict(state)
    return model.eval(), Compose(config.test_pipeline)


def scores_of_the_service(golf: GolfModel, content: bytes) -> np.ndarray:
    """MMAction2's answer on a skeleton CSV that was preprocessed as above: float32 (2,)."""
    import torch

    model, pipeline = _model(golf)
    sample = pipeline({**preprocessed(content), "start_index": 0, "modality": "Pose"})
    batch = {"inputs": [sample["inputs"]], "data_samples": [sample["data_samples"]]}
    with torch.no_grad():
        return model.test_step(batch)[0].pred_score.numpy()


# --- training --------------------------------------------------------------------------------------------------------


def swing(seed: int, size: tuple[int, int] = (480, 360)) -> np.ndarray:
    """A rendered golf swing's skeleton, forwards: float64 (frames, 17, 3)."""
    return estimated(np.random.default_rng(seed), Clip(seed, "golf_swing", size, (6, 6))).keypoints


def train(folder: Path) -> None:
    """Train on swings of several frame sizes, each forwards (1) and backwards (0)."""
    from mmengine.config import Config
    from mmengine.runner import Runner

    from poseparity.libraries.mmaction2 import registries

    registries()
    golf = GolfModel(folder)
    entries = []
    for seed in SEEDS:
        keypoints = interpolated(swing(seed, ((480, 360), (1280, 720), (1920, 1080))[seed % 3]))
        for label, ordered in enumerate((keypoints[::-1], keypoints)):
            entries.append(annotation(trimmed(ordered), f"swing{seed}-{label}", label))
    content = {"split": {"train": [entry["frame_dir"] for entry in entries]}, "annotations": entries}
    golf.annotations.write_bytes(pickle.dumps(content, protocol=4))
    golf.config.write_text(CONFIG.format(annotations=golf.annotations, epochs=EPOCHS))
    config = Config.fromfile(golf.config)
    config.work_dir = str(golf.checkpoint.parent)
    config.experiment_name = "golf"
    config.log_level = "ERROR"
    config.randomness = {"seed": 1}
    for name in ("test_dataloader", "test_evaluator", "test_cfg"):
        config.pop(name)
    Runner.from_cfg(config).train()


if __name__ == "__main__":
    train(Path(sys.argv[1]))
