"""ST-GCN: MMAction2's own model."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from ..bundle.bundle import Bundle
from ..bundle.mmaction2_types import check_model
from ..bundle.weights import BUILD_ERRORS, loaded
from ..compute.lanes import InPlace
from ..errors import BundleError
from ..libraries.mmaction2 import registries
from ..records import NormalisedClips, Prediction
from .base import RECOGNISE, Stage
from .stgcn import Inference


class Recognise(Stage):
    """Run the recogniser as MMAction2's `inference_recognizer` does, one sample a forward pass.

    Reads: NormalisedClips. Adds: each clip's logits, and the class scores, averaged over the clips.
    Raises: BundleError when a score is infinite or no number, which no JSON can hold.
    """

    row = RECOGNISE
    name = row.name

    def __init__(self, bundle: Bundle, lanes: InPlace) -> None:
        self._labels = bundle.labels.names
        path = bundle.folder / bundle.weights[RECOGNISE.weights].file
        self.model = load_model(bundle.recognise.model, bundle.load_weights(RECOGNISE.weights), path).eval()
        self._inference = Inference(self.model, lanes)

    def __call__(self, clips: NormalisedClips) -> Prediction:
        logits, scores = self._inference(clips.inputs, clips.sample)
        prediction = Prediction(labels=self._labels, scores=scores, logits=logits)
        _check_finite("logits", prediction.logits)
        _check_finite("scores", prediction.scores)
        return prediction

    @staticmethod
    def values(prediction: Prediction) -> dict[str, np.ndarray]:
        logits = {} if prediction.logits is None else {"logits": prediction.logits}
        return {**logits, "scores": prediction.scores}

    def describe(self) -> dict:
        """The labels, in the order of the scores."""
        return {"labels": list(self._labels)}


def _check_finite(name: str, values: np.ndarray) -> None:
    if not np.isfinite(values).all():
        raise BundleError(
            f"stage {RECOGNISE.name}: the {name} are {values.ravel()[:4].tolist()}, expected numbers",
            code="not-finite",
            fix="look at this input's joints; `poseparity bundle verify --replay` tells whether weights are at fault",
        )


def load_model(table: dict, state: dict[str, torch.Tensor], path: Path) -> torch.nn.Module:
    """The model of a `[recognise.model]` table, with the weights of `path` in it.

    Raises:
        BundleError: the table is not one that bundles run, MMAction2 cannot build it, or the weights do not fit it.
    """
    registries()  # MMAction2 is imported before anything is made without memory, see WithoutMemory
    try:
        return loaded(lambda: build_model(table), state, path)
    except BUILD_ERRORS as error:
        words = " ".join(f"{type(error).__name__}: {error}".split())[:300]
        raise BundleError(
            f"MMAction2 cannot build the model: {words}", fix="correct the arguments in [recognise.model]"
        ) from error


def build_model(table: dict) -> torch.nn.Module:
    """MMAction2's model of a `[recognise.model]` table, with untrained weights.

    Raises:
        BundleError: the table is not one that bundles run, see mmaction2_tables.py.
    """
    check_model(table)
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
