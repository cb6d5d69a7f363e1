"""Models that bundles do not run get one sentence that says so, and what to do."""

from __future__ import annotations

import json
from pathlib import Path

import mmaction
import pytest

from poseparity.errors import ImportRefused
from poseparity.importing.readers import config_process
from poseparity.importing.readers.config import TestConfig, understood
from poseparity.importing.unsupported import family_of

SKELETON = Path(mmaction.__file__).parent / ".mim/configs/skeleton"
CTRGCN = """
_base_ = []
default_scope = 'mmaction'
custom_imports = dict(imports='projects.ctrgcn.models')
model = dict(type='RecognizerGCN', backbone=dict(type='CTRGCN', graph_cfg=dict(layout='coco', mode='spatial')),
             cls_head=dict(type='GCNHead', num_classes=60, in_channels=256))
test_pipeline = [dict(type='PreNormalize2D'), dict(type='GenSkeFeat', dataset='coco', feats=['j']),
                 dict(type='PackActionInputs')]
"""
PYSKL = """
model = dict(
    type='RecognizerGCN',
    backbone=dict(type='STGCN', gcn_adaptive='init', gcn_with_res=True, tcn_type='mstcn',
                  graph_cfg=dict(layout='coco', mode='spatial')),
    cls_head=dict(type='GCNHead', num_classes=60, in_channels=256))
test_pipeline = [
    dict(type='PreNormalize2D'),
    dict(type='GenSkeFeat', dataset='coco', feats=['j']),
    dict(type='UniformSample', clip_len=100, num_clips=10, test_mode=True),
    dict(type='PoseDecode'),
    dict(type='FormatGCNInput', num_person=2),
    dict(type='Collect', keys=['keypoint', 'label'], meta_keys=[]),
    dict(type='ToTensor', keys=['keypoint'])]
data = dict(videos_per_gpu=16, test=dict(type='PoseDataset', pipeline=test_pipeline))
"""


def read(config: Path, folder: Path) -> TestConfig:
    config_process.main(config, folder / "answer.json")
    return understood(config, json.loads((folder / "answer.json").read_text()))


@pytest.mark.parametrize(
    "config, words",
    [
        ("2s-agcn/2s-agcn_8xb16-joint-u100-80e_ntu60-xsub-keypoint-2d.py", "2s-AGCN is not supported yet"),
        ("2s-agcn/2s-agcn_8xb16-joint-u100-80e_ntu60-xsub-keypoint-3d.py", "2s-AGCN is not supported yet"),
        ("posec3d/slowonly_r50_8xb16-u48-240e_ntu60-xsub-keypoint.py", "PoseC3D is not supported yet"),
        ("stgcn/stgcn_8xb16-joint-u100-80e_ntu60-xsub-keypoint-3d.py", "models of 3D joints are not supported"),
        ("stgcnpp/stgcnpp_8xb16-bone-u100-80e_ntu60-xsub-keypoint-3d.py", "models of 3D joints are not supported"),
        (CTRGCN, "CTR-GCN is not supported"),
        (PYSKL, "this is a config of pyskl"),
    ],
)
def test_one_sentence_for_each_family(tmp_path, config, words):
    path = SKELETON / config
    if "\n" in config:
        path = tmp_path / "config.py"
        path.write_text(config)
    with pytest.raises(ImportRefused, match=words) as error:
        read(path, tmp_path)
    assert error.value.fix and "another name" not in error.value.fix


@pytest.mark.parametrize("folder", ["stgcn", "stgcnpp"])
def test_what_is_supported_is_taken(tmp_path, folder):
    for config in sorted((SKELETON / folder).glob("*-2d.py"))[:2]:
        assert read(config, tmp_path).model["backbone"]["type"] == "STGCN"


def test_names_are_found_wherever_they_stand():
    assert family_of({"backbone": {"type": "mmaction.AAGCN"}})[0].startswith("2s-AGCN")
    assert family_of({}, [[{"type": "PreNormalize3D"}]])[0].startswith("models of 3D joints")
    assert (
        family_of({"backbone": {"type": "STGCN", "graph_cfg": {"layout": "coco"}}}, [[{"type": "PoseDecode"}]]) is None
    )
