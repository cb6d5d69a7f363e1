"""Whole clips: a motion, a body, a camera and a look, with the exact truth about every frame."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import cv2
import numpy as np

from training.rendering import draw
from training.rendering.camera import MAX_YAW, Camera, aim
from training.rendering.figure import JOINTS, Body, Point, pose_points, sample_body
from training.rendering.look import Light, paint_background, sample_clothes, sample_light
from training.rendering.motion import FPS, LABELS, Motion, sample_motion


@dataclass(frozen=True)
class Truth:
    """What is known: `joints` (frames, 17, 2) in pixels, `visible` (frames, 17), `boxes` (frames, 4) x1, y1, x2, y2."""

    label: str
    joints: np.ndarray
    visible: np.ndarray
    boxes: np.ndarray
    still: tuple[int, int]


class Clip:
    """One rendered clip. Everything about it follows from `seed`; `label`, `size` and `still` fix what is not drawn."""

    def __init__(self, seed: int, label: str | None = None, size: tuple[int, int] | None = None,
                 still: tuple[int, int] | None = None) -> None:  # fmt: skip
        self._rng = np.random.default_rng([seed, 0])
        self._look_seed = [seed, 1]
        label = label or LABELS[self._rng.integers(len(LABELS))]
        self.motion: Motion = sample_motion(self._rng, label, still)
        self.body: Body = sample_body(self._rng)
        self.yaw = float(self._rng.uniform(-MAX_YAW, MAX_YAW))
        self.points = pose_points(self.body, self.motion, self.yaw)
        self.camera: Camera = aim(self._rng, self.points[:, [p for p in Point if p != Point.CLUB]], size)
        self.view = draw.look_at(self.camera, self.points)

    def __len__(self) -> int:
        return len(self.points)

    @cached_property
    def truth(self) -> Truth:
        """The exact answer for every frame."""
        return Truth(self.motion.label, self.view.pixels[:, :JOINTS],
                     draw.visible(self.view, self.body, self.points, self.camera),
                     draw.boxes(self.view, self.body, self.camera.size), self.motion.still)  # fmt: skip

    def frames(self, indices: list[int] | None = None) -> Iterator[np.ndarray]:
        """Yields BGR uint8 frames, all or those at `indices`; a frame looks the same whichever others are asked for."""
        rng = np.random.default_rng(self._look_seed)
        clothes, light = sample_clothes(rng), sample_light(rng)
        floor = self.view.pixels[:, [Point.L_ANKLE, Point.R_ANKLE], 1].max()
        background = paint_background(rng, self.camera.size, floor)
        grain = rng.normal(0, light.noise, (*background.shape[:2], 1)).astype(np.float32)
        painter = draw.Painter(self.body, clothes, light)
        for index in range(len(self)) if indices is None else indices:
            frame = background.copy()
            painter.paint(frame, self.view, index, self.motion.clasped)
            yield _expose(frame, light, grain, np.random.default_rng([*self._look_seed, index]))

    def write(self, path: Path) -> None:
        """Writes the clip as MPEG-4 part 2 in an mp4 container."""
        writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"mp4v"), FPS, self.camera.size)
        if not writer.isOpened():
            raise OSError(f"OpenCV cannot write {path}: the folder must exist and this OpenCV must have the mp4v codec")
        for frame in self.frames():
            writer.write(frame)
        writer.release()


def _expose(frame: np.ndarray, light: Light, grain: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """What the sensor makes of the scene: blur, tint, gain and grain that differs from frame to frame."""
    if light.blur:
        frame = cv2.GaussianBlur(frame, (0, 0), light.blur)
    frame = frame * (light.gain * light.tint).astype(np.float32)
    frame += np.roll(grain, tuple(rng.integers(0, grain.shape[:2])), (0, 1))
    return np.clip(frame, 0, 255).astype(np.uint8)
