"""ST-GCN: MMAction2's own model."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from ..bundle import Bundle, check_state
from ..records import NormalisedClips, Prediction
from ._mmaction2 import registries


class Recognise:
    """Run the recogniser as MMAction2's `inference_recognizer` does, one sample a forward pass.

    Reads: NormalisedClips. Adds: each clip's logits, and the class scores, averaged over the clips.
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
        with torch.no_grad(), _outputs_of(self.model.cls_head) as logits:
            (result,) = self.model.test_step(batch)
        return Prediction(labels=self._labels, scores=result.pred_score.numpy(), logits=logits[0].numpy())

    def describe(self) -> dict:
        """The labels, in the order of the scores."""
        return {"labels": list(self._labels)}


@contextmanager
def _outputs_of(module: torch.nn.Module) -> Iterator[list[torch.Tensor]]:
    """What a module returns within the block: a copy, so that whoever goes on with it cannot change what was seen."""
    outputs: list[torch.Tensor] = []
    hook = module.register_forward_hook(lambda _module, _inputs, output: outputs.append(output.clone()))
    try:
        yield outputs
    finally:
        hook.remove()


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
