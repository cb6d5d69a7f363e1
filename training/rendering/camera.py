"""Cameras: where the figure is seen from, and the projection of world points to pixels."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

SIZES = ((480, 360), (360, 480), (640, 480), (480, 480))
MAX_YAW = 50.0


@dataclass(frozen=True)
class Camera:
    """A pinhole camera. `size` is (width, height); `focal` and `centre` are pixels; `turn` (3, 3), `place` (3,)."""

    size: tuple[int, int]
    focal: float
    centre: tuple[float, float]
    turn: np.ndarray
    place: np.ndarray

    def project(self, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Pixels (..., 2) with y downwards, and depths (...) in metres, of world points (..., 3)."""
        seen = (points - self.place) @ self.turn.T
        depth = -seen[..., 2]
        flat = seen[..., :2] / depth[..., None] * self.focal
        return np.stack([self.centre[0] + flat[..., 0], self.centre[1] - flat[..., 1]], -1), depth


def aim(rng: np.random.Generator, points: np.ndarray, size: tuple[int, int] | None = None) -> Camera:
    """A camera that keeps all `points` (..., 3) in the picture, at an angle, distance and offset drawn from `rng`."""
    size = size or SIZES[rng.integers(len(SIZES))]
    target = points.reshape(-1, 3).mean(0)
    distance, elevation = rng.uniform(3.0, 6.5), np.radians(rng.uniform(-4, 16))
    place = target + distance * np.array([0, np.sin(elevation), np.cos(elevation)])
    turn = _look(target - place, np.radians(rng.normal(0, 1.5)))
    rough = Camera(size, 1.0, (0.0, 0.0), turn, place)
    flat = rough.project(points)[0].reshape(-1, 2)
    return _fit(rng, rough, flat.min(0), flat.max(0))


def _fit(rng: np.random.Generator, rough: Camera, low: np.ndarray, high: np.ndarray) -> Camera:
    """Chooses the focal length and centre so that the motion fills 55% to 88% of the tighter side."""
    size = np.array(rough.size, float)
    focal = rng.uniform(0.55, 0.88) * (size / (high - low)).min()
    slack = size - (high - low) * focal
    share = np.clip(rng.normal(0.5, 0.2, 2), 0.12, 0.88)
    centre = slack * share - low * focal
    return Camera(rough.size, float(focal), (float(centre[0]), float(centre[1])), rough.turn, rough.place)


def _look(direction: np.ndarray, roll: float) -> np.ndarray:
    """The rotation (3, 3) of world axes to a camera that looks along `direction` (its own -z)."""
    back = -direction / np.linalg.norm(direction)
    right = np.cross([0.0, 1.0, 0.0], back)
    right /= np.linalg.norm(right)
    up = np.cross(back, right)
    cos, sin = np.cos(roll), np.sin(roll)
    return np.stack([cos * right + sin * up, cos * up - sin * right, back])
