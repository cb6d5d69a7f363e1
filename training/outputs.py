"""What training leaves behind: each network in the file that its users know it by, which `bundle import` takes.

The recogniser as an MMAction2 config and a checkpoint of mmengine, the detector as ultralytics pickles its models, the
pose network as safetensors that say in their metadata which network they hold.
"""

from __future__ import annotations

import copy
import json
from pathlib import Path

import torch
from safetensors.torch import save
from torch import nn

from poseparity.importing.readers.small_pose import TABLE
from poseparity.libraries.mmaction2 import registries
from training import manifest

DETECTOR, POSE, CONFIG, CHECKPOINT = "detector.pt", "pose.safetensors", "stgcn_demo.py", "stgcn_demo.pth"
FILES = {"detector": (DETECTOR,), "pose": (POSE,), "recogniser": (CONFIG, CHECKPOINT)}


def save_detector(model: nn.Module, out: Path) -> Path:
    """Writes a model of ultralytics as its own trainer does: pickled whole, in a dict with what belongs to it."""
    from ultralytics import __version__

    model.criterion = None  # the loss belongs to training
    model.names = dict(enumerate(manifest.read_template()["detect"]["classes"]))
    plain = copy.deepcopy(model).to(memory_format=torch.contiguous_format)
    content = {"epoch": -1, "model": plain, "ema": None, "version": __version__, "license": manifest.licence()}
    torch.save(content, out / DETECTOR)
    return out / DETECTOR


def save_pose(network: nn.Module, out: Path) -> Path:
    """Writes a pose network with its `[pose.network]` table."""
    state = {name: value.contiguous() for name, value in network.state_dict().items()}
    table = manifest.read_template()["pose"]["network"]
    (out / POSE).write_bytes(save(state, metadata={TABLE: json.dumps(table)}))
    return out / POSE


def save_recogniser(model: nn.Module, out: Path) -> Path:
    """Writes a config and a checkpoint through mmengine, as MMAction2's training leaves them in its work_dir."""
    from mmengine.config import Config
    from mmengine.runner import save_checkpoint

    registries()
    template = manifest.read_template()
    pipeline, table = template["normalise"]["transforms"], template["recognise"]["model"]
    Config({"default_scope": "mmaction", "model": table, "test_pipeline": pipeline}).dump(out / CONFIG)
    meta = {"dataset_meta": {"classes": template["labels"]["names"]}}
    content = {"meta": meta, "state_dict": model.state_dict()}
    save_checkpoint(content, str(out / CHECKPOINT))
    return out / CHECKPOINT
