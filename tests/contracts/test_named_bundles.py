"""The named bundles: what their manifests say agrees with the installed MMAction2 and with the importer."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
import yaml

from poseparity.fetching.named import available, load_named
from poseparity.importing.parts import OPENPOSE_LICENCE
from poseparity.importing.preprocessing import decide
from poseparity.importing.readers.caffe import OFFICIAL_MD5, OFFICIAL_NAME
from poseparity.importing.readers.config import TestConfig
from poseparity.importing.readers.mmaction2 import fit
from poseparity.stages.recognise import build_model

NAMES = ["ntu60-stgcn", "ntu60-stgcnpp"]


def zoo_entry(config: Path) -> dict:
    """What MMAction2's model zoo says of the model of this config."""
    models = yaml.safe_load(config.with_name("metafile.yml").read_text())["Models"]
    (entry,) = [model for model in models if model["Name"] == config.stem]
    return entry


def test_these_are_named():
    assert [named.name for named in available()] == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_a_checkpoint_is_that_of_the_model_zoo(name):
    named = load_named(name)
    checkpoint = named.files["checkpoint"]
    assert checkpoint.urls == (zoo_entry(named.local_config())["Weights"],)
    assert checkpoint.urls[0].endswith(f"/{checkpoint.name}")
    assert checkpoint.name.endswith(f"-{checkpoint.sha256}.pth")


@pytest.mark.parametrize("name", NAMES)
def test_labels_fit_the_config(name):
    from mmengine.config import Config

    named = load_named(name)
    config = Config.fromfile(named.local_config())
    assert config.model.cls_head.num_classes == len(named.labels) == len(set(named.labels)) == 60
    assert config.model.backbone.graph_cfg.layout == "coco"


@pytest.mark.parametrize("name", NAMES)
def test_the_files_are_the_official_ones(name):
    files = load_named(name).files
    assert (files["pose"].name, files["pose"].md5, files["pose"].licence) == (
        OFFICIAL_NAME, OFFICIAL_MD5, OPENPOSE_LICENCE
    )  # fmt: skip
    assert {file.name for file in files.values()} >= {"yolov8n.pt", "demo_skeleton.mp4"}
    assert all(url.endswith(f"/{file.name}") for file in files.values() for url in file.urls)
    # Without TLS only where a hash of the whole file is known.
    assert all(url.startswith("https://") or file.whole_hash for file in files.values() for url in file.urls)


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_the_importer_takes_the_config_with_a_checkpoint_of_its_shape(name, tmp_path):
    """The official weights are not here: these are what MMAction2 makes of the official config, untrained."""
    from mmengine.config import Config

    named = load_named(name)
    config = Config.fromfile(named.local_config())
    model, pipeline = config.model.to_dict(), [dict(step) for step in config.test_pipeline]
    checkpoint = tmp_path / named.files["checkpoint"].name
    torch.save({"meta": {}, "state_dict": build_model(model).state_dict()}, checkpoint)
    recogniser = fit(TestConfig(model, pipeline), checkpoint, named.labels)
    assert [step["type"] for step in recogniser.transforms][:2] == ["PreNormalize2D", "GenSkeFeat"]
    assert decide(recogniser.transforms, {}, None).normalise["reference"] == "frame"
