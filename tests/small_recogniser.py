"""The smallest recogniser that a bundle may have, as an MMAction2 config says it: two classes on COCO's joints."""

from __future__ import annotations

MODEL = {
    "type": "RecognizerGCN",
    "backbone": {
        "type": "STGCN", "base_channels": 8, "num_stages": 2, "inflate_stages": [2], "down_stages": [2],
        "graph_cfg": {"layout": "coco", "mode": "stgcn_spatial"},
    },
    "cls_head": {"type": "GCNHead", "num_classes": 2, "in_channels": 16},
}  # fmt: skip
PIPELINE = [
    {"type": "PreNormalize2D"},
    {"type": "GenSkeFeat", "dataset": "coco", "feats": ["j"]},
    {"type": "UniformSampleFrames", "clip_len": 8, "num_clips": 2, "test_mode": True},
    {"type": "PoseDecode"},
    {"type": "FormatGCNInput", "num_person": 2},
    {"type": "PackActionInputs"},
]
