"""Families of skeleton models that bundles do not run: one sentence each, and what to do."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

_ST_GCN = "train ST-GCN or ST-GCN++ of MMAction2 on the same annotations (a ...-keypoint-2d.py config), and import that"
_2D = "a video gives 2D joints only: train on 2D keypoints in COCO-17 order (a ...-keypoint-2d.py config), import that"
# What tells a family: a name that stands as a `type`, a layout or a dataset in the model or in its test pipeline. The
# first that is found decides, so what is more telling comes first: 2s-AGCN and CTR-GCN exist on 3D joints as well.
_FAMILIES = (
    (("AAGCN", "AGCN"), "2s-AGCN is not supported yet: bundles run MMAction2's ST-GCN and ST-GCN++", _ST_GCN),
    (("CTRGCN",), "CTR-GCN is not supported: it is no part of MMAction2's package, but of its projects", _ST_GCN),
    (("MSG3D", "DGSTGCN"), "MS-G3D and DG-STGCN are not supported: they are no part of MMAction2's package", _ST_GCN),
    (
        ("GeneratePoseTarget", "ResNet3dSlowOnly", "Recognizer3D", "PoseCompact"),
        "PoseC3D is not supported yet: it looks at volumes of heatmaps, which bundles do not make",
        _ST_GCN,
    ),
    (
        ("PreNormalize3D", "nturgb+d"),
        "models of 3D joints are not supported (NTU's 25 of a depth camera, PreNormalize3D)",
        _2D,
    ),
    (
        ("UniformSample", "Collect", "ToTensor"),
        "this is a config of pyskl, whose transforms have other names, and whose PreNormalize2D may be another one",
        "write it as MMAction2's: UniformSampleFrames for UniformSample, PackActionInputs for Collect and ToTensor, "
        "cls_head.fc for cls_head.fc_cls in the checkpoint; then hold its scores on known clips against pyskl's",
    ),
)
_TELLING = ("type", "layout", "dataset")


def family_of(*tables: Any) -> tuple[str, str] | None:
    """What is not supported in these tables of a config, and what to do; None where none of the families is found."""
    names = set(_names(tables))
    for telling, sentence, fix in _FAMILIES:
        if names.intersection(telling):
            return sentence, fix
    return None


def _names(value: Any) -> Iterator[str]:
    """Every name by which a family could be told, without the scope that a registry may have before it."""
    if isinstance(value, dict):
        for key, child in value.items():
            if key in _TELLING and not isinstance(child, dict | list | tuple):
                yield str(getattr(child, "__name__", child)).rpartition(".")[2]
            yield from _names(child)
    elif isinstance(value, list | tuple):
        for child in value:
            yield from _names(child)
