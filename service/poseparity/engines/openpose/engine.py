"""OpenPose's network in torch: `[pose] engine = "openpose"`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import ClassVar

import numpy as np
import torch

from ...bundle.bundle import Bundle
from ...bundle.tables import FAST
from ...bundle.weights import loaded
from ...compute.lanes import InPlace
from ...keypoints import coco17_from_coco18
from ...observe import Observe, unobserved
from ..base import PoseEngine
from .convolution import use_nnpack
from .decode import decode_persons
from .image import fit_to_network
from .network import build_network


class OpenPoseEngine(PoseEngine):
    """One forward pass a frame, decoded as OpenPose does, on the lanes.

    Raises: BundleError when the weights do not fit the network; EngineError when the bundle asks for NNPACK's
    convolutions, and this machine has none.
    """

    observed: ClassVar = {
        "network_input": "grey levels",
        "network_output": "confidence, and part affinity",
        **PoseEngine.observed,
    }

    def __init__(self, bundle: Bundle, lanes: InPlace) -> None:
        self._lanes = lanes
        self._parameters = bundle.pose
        self._weights = bundle.weights["pose"]
        state, path = bundle.load_weights("pose"), bundle.folder / self._weights.file
        self.network = loaded(lambda: build_network(bundle.pose.network), state, path).eval()
        if self.network.convolution == FAST:
            use_nnpack(self.network)

    def persons(self, crops: Iterable[np.ndarray], observe: Observe = unobserved) -> Iterator[np.ndarray]:
        for found in self._lanes.map(self._frame, crops):
            for name in self.observed:
                observe(name, found[name])
            yield found["persons"]

    def describe(self) -> dict:
        network = {**self._parameters.network, "convolution": self.network.convolution}
        return {**self._parameters.model_dump(mode="json"), "network": network, "weights_sha256": self._weights.sha256}

    def _frame(self, crop: np.ndarray) -> dict[str, np.ndarray]:
        """Everything that is observed of one frame."""
        parameters = self._parameters
        network_input = fit_to_network(crop, net_height=parameters.net_height, width_multiple=parameters.width_multiple)
        with torch.inference_mode():
            output = self.network(torch.from_numpy(network_input.pixels))[0].numpy()
        height, width = network_input.pixels.shape[2:]
        # A decoded person has two parts at least, the ends of a limb: something is left of it without the neck.
        persons = coco17_from_coco18(decode_persons(output, (width, height), parameters))
        present = persons[..., 2] > 0
        persons[present, :2] = network_input.to_crop(persons[present, :2])
        return {"network_input": network_input.picture, "network_output": output, "persons": persons}
