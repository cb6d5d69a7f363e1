"""ST-GCN: MMAction2's own model."""

from __future__ import annotations

import torch

from ..bundle import Bundle, check_state
from ..records import NormalisedClips, Prediction
from ._mmaction2 import registries


class Recognise:
    """Run the recogniser as MMAction2's `inference_recognizer` does, one sample a forward pass.

    Reads: NormalisedClips. Adds: the class scores, averaged over the clips.
    Raises: nothing.
    """

    name = "recognise"

    def __init__(self, bundle: Bundle) -> None:
        self._labels = bundle.labels.names
        self.model = build_model(bundle.recognise.model)
        check_state(self.model, bundle.load_weights("recogniser"), bundle.folder / bundle.weights["recogniser"].file)
        self.model.eval()

    def __call__(self, clips: NormalisedClips) -> Prediction:
        batch = {"inputs": [torch.from_numpy(clips.inputs)], "data_samples": [clips.sample]}
        with torch.no_grad():
            (result,) = self.model.test_step(batch)
        return Prediction(labels=self._labels, scores=result.pred_score.numpy())


def build_model(table: dict) -> torch.nn.Module:
    """MMAction2's model of a `[recognise.model]` table, with untrained weights."""
    backbone = dict(table["backbone"])
    if "tcn_ms_cfg" in backbone:
        backbone["tcn_ms_cfg"] = _branches(backbone["tcn_ms_cfg"])
    return registries().MODELS.build({**table, "backbone": backbone})


def _branches(value: list | str) -> list | tuple | str:
    """ST-GCN++'s temporal branches: MMAction2 tells them by being tuples, which TOML does not have."""
    if isinstance(value, str):
        return value
    if len(value) == 2 and not any(isinstance(item, list | tuple) for item in value) and isinstance(value[1], int):
        return tuple(value)
    return [_branches(item) for item in value]
