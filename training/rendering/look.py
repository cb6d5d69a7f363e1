"""How a figure and its surroundings look: clothes, skin, light, background. Colours are BGR floats in 0..255."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

Colour = np.ndarray

_SKIN = np.array([(198, 219, 241), (150, 188, 228), (110, 155, 205), (75, 115, 170), (50, 78, 125), (35, 52, 85)])
_HAIR = np.array([(25, 25, 30), (35, 50, 75), (60, 95, 140), (110, 170, 215), (150, 150, 155), (40, 60, 150)])


@dataclass(frozen=True)
class Clothes:
    """Colours of a figure's parts, and which of them the cloth covers."""

    skin: Colour
    hair: Colour
    shirt: Colour
    stripe: Colour
    stripes: int
    trousers: Colour
    shoes: Colour
    long_sleeves: bool
    long_legs: bool
    hat: bool
    glove: Colour | None


@dataclass(frozen=True)
class Light:
    """Direction in the picture that light comes from, its strength, and the camera's tint, gain and noise."""

    direction: tuple[float, float]
    contrast: float
    tint: Colour
    gain: float
    noise: float
    blur: float


def sample_clothes(rng: np.random.Generator) -> Clothes:
    """Clothes, skin and hair of one figure."""
    skin = _SKIN[rng.integers(len(_SKIN))] * rng.uniform(0.9, 1.08)
    return Clothes(
        skin=np.clip(skin, 0, 255), hair=_HAIR[rng.integers(len(_HAIR))] * rng.uniform(0.8, 1.1),
        shirt=_cloth(rng), stripe=_cloth(rng), stripes=int(rng.choice([0, 0, 0, 1, 3, 5])),
        trousers=_cloth(rng), shoes=_cloth(rng), long_sleeves=bool(rng.random() < 0.45),
        long_legs=bool(rng.random() < 0.65), hat=bool(rng.random() < 0.25),
        glove=_cloth(rng) if rng.random() < 0.15 else None)  # fmt: skip


def sample_light(rng: np.random.Generator) -> Light:
    """Light and sensor of one clip."""
    angle = rng.uniform(-np.pi, 0)
    return Light((float(np.cos(angle)), float(np.sin(angle))), rng.uniform(0.1, 0.4), rng.uniform(0.92, 1.08, 3),
                 rng.uniform(0.75, 1.15), rng.uniform(0, 7), float(rng.choice([0, 0, 0.6, 0.9, 1.2])))  # fmt: skip


def paint_background(rng: np.random.Generator, size: tuple[int, int], floor: float) -> np.ndarray:
    """A still background (height, width, 3) float32: wall, floor from row `floor` down, texture and clutter."""
    width, height = size
    rows = np.linspace(0, 1, height)[:, None, None]
    wall = _backdrop(rng) * (1 - rows) + _backdrop(rng) * rows
    picture = np.ascontiguousarray(np.broadcast_to(wall, (height, width, 3)), np.float32)
    if rng.random() < 0.75:
        _paint_floor(rng, picture, floor)
    for _ in range(rng.integers(0, 9)):
        _paint_clutter(rng, picture)
    picture += _texture(rng, size, rng.uniform(0, 16))
    return np.clip(picture, 0, 255)


def _cloth(rng: np.random.Generator) -> Colour:
    hsv = np.array([[[rng.integers(180), rng.integers(0, 230), rng.integers(25, 245)]]], np.uint8)
    return cv2.cvtColor(hsv, cv2.COLOR_HSV2BGR)[0, 0].astype(float)


def _backdrop(rng: np.random.Generator) -> Colour:
    hsv = np.array([[[rng.integers(180), rng.integers(0, 120), rng.integers(50, 240)]]], np.uint8)
    return cv2.cvtColor(hsv, cv2.COLOR_HSV2BGR)[0, 0].astype(float)


def _paint_floor(rng: np.random.Generator, picture: np.ndarray, floor: float) -> None:
    height, width = picture.shape[:2]
    horizon = int(np.clip(floor - rng.uniform(0.02, 0.25) * height, 0, height - 1))
    shade = np.linspace(0.85, 1.1, height - horizon)[:, None, None]
    picture[horizon:] = _backdrop(rng) * shade
    if rng.random() < 0.4:
        for x in np.linspace(-width, 2 * width, rng.integers(8, 20)):
            ends = (int(width / 2 + (x - width / 2) * 0.4), horizon), (int(x), height)
            cv2.line(picture, *ends, tuple((picture[-1, 0] * 0.8).tolist()), 1, cv2.LINE_AA)


def _paint_clutter(rng: np.random.Generator, picture: np.ndarray) -> None:
    """One box, ball or pole of any colour, size and place."""
    height, width = picture.shape[:2]
    colour = tuple(_cloth(rng).tolist())
    x, y = int(rng.integers(width)), int(rng.integers(height))
    kind = rng.integers(3)
    if kind == 0:
        w, h = rng.integers(8, width // 3), rng.integers(8, height // 2)
        cv2.rectangle(picture, (x, y), (int(x + w), int(y + h)), colour, -1)
    elif kind == 1:
        axes = int(rng.integers(5, width // 8)), int(rng.integers(5, height // 8))
        cv2.ellipse(picture, (x, y), axes, float(rng.uniform(0, 180)), 0, 360, colour, -1, cv2.LINE_AA)
    else:
        end = int(x + rng.normal(0, 20)), int(y + rng.normal(0, height / 3))
        cv2.line(picture, (x, y), end, colour, int(rng.integers(2, 14)), cv2.LINE_AA)


def _texture(rng: np.random.Generator, size: tuple[int, int], strength: float) -> np.ndarray:
    """Coarse noise (height, width, 1) of standard deviation `strength`."""
    width, height = size
    cell = int(rng.integers(3, 24))
    coarse = rng.normal(0, strength, (height // cell + 2, width // cell + 2)).astype(np.float32)
    return cv2.resize(coarse, (width, height), interpolation=cv2.INTER_LINEAR)[..., None]
