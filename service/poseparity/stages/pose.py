"""OpenPose keypoints on the crop of every frame."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
import torch

from ..bundle import Bundle, check_state
from ..keypoints import Coco17, coco17_from_coco18
from ..observe import Observe, Observed, unobserved
from ..openpose.decode import decode_persons
from ..openpose.follow import choose
from ..openpose.image import NetworkInput, fit_to_network
from ..openpose.network import build_network
from ..records import CroppedVideo, Skeleton
from .crop import no_person
from .decode import frames


class Pose(Observed):
    """Run the pose network on each frame's crop, keep the person whom the bundle follows, move it to the full frame.

    Reads: CroppedVideo. Adds: the skeleton, COCO-17, pixels of the full frame; a missing joint is 0, 0, 0.
    Raises: NoPersonFound when no frame has a single joint.
    """

    name = "pose"
    observed: ClassVar = {
        "network_input": "grey levels",
        "network_output": "confidence, and part affinity",
        "persons": "pixels of the network's input",
    }

    def __init__(self, bundle: Bundle) -> None:
        self._parameters = bundle.pose
        self._network = build_network(bundle.pose.network)
        check_state(self._network, bundle.load_weights("pose"), bundle.folder / bundle.weights["pose"].file)
        self._network.eval()

    def __call__(self, cropped: CroppedVideo, observe: Observe = unobserved) -> Skeleton:
        box, video = cropped.crop, cropped.video
        keypoints = np.zeros((video.frame_count, len(Coco17), 3))
        followed = None
        for index, frame in frames(video):
            network_input = self._fit(frame[box.y : box.y + box.height, box.x : box.x + box.width])
            person = choose(self._persons(network_input, observe), self._parameters.follow, followed)
            if person is not None:
                followed, keypoints[index] = person, _joints(person, network_input)
        skeleton = Skeleton(_moved(keypoints, box.x, box.y), frame_size=video.size, crop=box)
        if skeleton.missing.all():
            raise no_person(
                "the pose network found no joint in any frame",
                decoded=video.frame_count,
                sampled=cropped.frames_sampled,
                with_person=cropped.frames_with_person,
            )
        return skeleton

    def _fit(self, crop: np.ndarray) -> NetworkInput:
        return fit_to_network(
            crop, net_height=self._parameters.net_height, width_multiple=self._parameters.width_multiple
        )

    def _persons(self, network_input: NetworkInput, observe: Observe) -> np.ndarray:
        """float64 (persons, 18, 3), COCO-18, pixels of the network's input."""
        observe("network_input", network_input.picture)
        with torch.inference_mode():
            output = self._network(torch.from_numpy(network_input.pixels))[0].numpy()
        observe("network_output", output)
        height, width = network_input.pixels.shape[2:]
        persons = decode_persons(output, (width, height), self._parameters)
        observe("persons", persons)
        return persons


def _joints(person: np.ndarray, network_input: NetworkInput) -> np.ndarray:
    """From COCO-18 in network pixels to COCO-17, float64 (17, 3), in pixels of the crop."""
    joints = coco17_from_coco18(person)
    present = joints[:, 2] > 0
    joints[present, :2] = network_input.to_crop(joints[present, :2])
    return joints


def _moved(keypoints: np.ndarray, x: int, y: int) -> np.ndarray:
    """Move joints from the crop to the full frame; missing ones stay 0, 0, 0."""
    present = keypoints.any(axis=-1)
    keypoints[present, :2] += (x, y)
    return keypoints
