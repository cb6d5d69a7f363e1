"""Draws a posed figure: shaded, tapered limbs from far to near, and the head with its face."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from training.rendering.camera import Camera
from training.rendering.figure import JOINTS, Body, Point
from training.rendering.look import Clothes, Light

_SHIFT = 4  # OpenCV draws with 1/16 pixel precision
_BACK = 0.05  # metres that something must be nearer to hide a joint


@dataclass(frozen=True)
class Part:
    """A limb between two points, `girths` metres thick (radius) at each, that carries the joints `owns`."""

    name: str
    ends: tuple[Point, Point]
    girths: tuple[float, float]
    owns: tuple[Point, ...]


def _both(name: str, ends: tuple[str, str], girths: tuple[float, float], owns: tuple[str, ...]) -> list[Part]:
    return [Part(name, (Point[f"{side}_{ends[0]}"], Point[f"{side}_{ends[1]}"]), girths,
                 tuple(Point[f"{side}_{joint}"] for joint in owns)) for side in ("L", "R")]  # fmt: skip


PARTS: tuple[Part, ...] = (
    *_both("upper_arm", ("SHOULDER", "ELBOW"), (0.058, 0.045), ("SHOULDER", "ELBOW")),
    *_both("forearm", ("ELBOW", "WRIST"), (0.043, 0.031), ("ELBOW", "WRIST")),
    *_both("hand", ("WRIST", "HAND"), (0.038, 0.034), ("ELBOW", "WRIST")),
    *_both("thigh", ("HIP", "KNEE"), (0.088, 0.06), ("HIP", "KNEE")),
    *_both("shin", ("KNEE", "ANKLE"), (0.057, 0.04), ("KNEE", "ANKLE")),
    *_both("foot", ("ANKLE", "TOE"), (0.046, 0.036), ("KNEE", "ANKLE")),
    Part("neck", (Point.NECK, Point.HEAD), (0.055, 0.05), (Point.L_SHOULDER, Point.R_SHOULDER)),
)
_TORSO_OWNS = (Point.L_SHOULDER, Point.R_SHOULDER, Point.L_HIP, Point.R_HIP)
_FACE = (Point.NOSE, Point.L_EYE, Point.R_EYE, Point.L_EAR, Point.R_EAR)
_FACE_SLACK = {Point.NOSE: -0.1, Point.L_EYE: 0.05, Point.R_EYE: 0.05, Point.L_EAR: -0.2, Point.R_EAR: -0.2}
_CHEST_GIRTH, _HIP_GIRTH = 0.075, 0.095


@dataclass(frozen=True)
class View:
    """A figure seen: `pixels` (frames, points, 2), `depth` in metres, `scale` in pixels a metre (frames, points)."""

    pixels: np.ndarray
    depth: np.ndarray
    scale: np.ndarray


def look_at(camera: Camera, points: np.ndarray) -> View:
    """Projects world points (frames, len(Point), 3)."""
    pixels, depth = camera.project(points)
    return View(pixels, depth, camera.focal / depth)


def boxes(view: View, body: Body, size: tuple[int, int]) -> np.ndarray:
    """Tight boxes (frames, 4) x1, y1, x2, y2 of everything drawn of the figure but the club, cut at the frame."""
    ends = [end for part in PARTS for end in zip(part.ends, part.girths, strict=True)]
    circles = [*((point, girth * body.girth) for point, girth in ends), (Point.HEAD, body.head * 1.12)]
    index = [point for point, _ in circles]
    radius = view.scale[:, index] * np.array([r for _, r in circles])
    centre = view.pixels[:, index]
    low, high = (centre - radius[..., None]).min(1), (centre + radius[..., None]).max(1)
    limit = np.array(size) - 1
    return np.concatenate([np.clip(low, 0, limit), np.clip(high, 0, limit)], 1)


def visible(view: View, body: Body, points: np.ndarray, camera: Camera) -> np.ndarray:
    """Which of COCO's joints (frames, 17) a viewer sees: in the frame, on this side of the head, nothing in front."""
    joints = view.pixels[:, :JOINTS]
    seen = ((joints >= 0) & (joints <= np.array(camera.size) - 1)).all(-1)
    for part in PARTS:
        seen &= ~_hidden_by(view, part.ends, max(part.girths) * body.girth, part.owns)
    sides = ((Point.L_SHOULDER, Point.L_HIP), (Point.R_SHOULDER, Point.R_HIP), (Point.NECK, Point.PELVIS))
    for ends in sides:
        seen &= ~_hidden_by(view, ends, _CHEST_GIRTH * body.girth, _TORSO_OWNS)
    seen &= ~_hidden_by(view, (Point.HEAD, Point.HEAD), body.head, _FACE)
    for joint in _FACE:
        outward = points[:, joint] - points[:, Point.HEAD]
        inward = camera.place - points[:, joint]
        cosine = (outward * inward).sum(-1) / (np.linalg.norm(outward, axis=-1) * np.linalg.norm(inward, axis=-1))
        seen[:, joint] &= cosine > _FACE_SLACK[joint]
    return seen


def _hidden_by(view: View, ends: tuple[Point, Point], girth: float, owns: tuple[Point, ...]) -> np.ndarray:
    """Which joints (frames, 17) lie behind the capsule between `ends`."""
    start, end = view.pixels[:, ends[0], None], view.pixels[:, ends[1], None]
    joints = view.pixels[:, :JOINTS]
    axis = end - start
    share = np.clip(((joints - start) * axis).sum(-1) / np.maximum((axis**2).sum(-1), 1e-6), 0, 1)
    gap = np.linalg.norm(joints - start - share[..., None] * axis, axis=-1)
    depth = view.depth[:, ends[0], None] * (1 - share) + view.depth[:, ends[1], None] * share
    hidden = (gap < 0.9 * girth * view.scale[:, :JOINTS]) & (depth < view.depth[:, :JOINTS] - _BACK)
    hidden[:, list(owns)] = False
    return hidden


class Painter:
    """Paints one figure in one light onto float32 frames."""

    def __init__(self, body: Body, clothes: Clothes, light: Light) -> None:
        self._body, self._clothes, self._light = body, clothes, light

    def paint(self, frame: np.ndarray, view: View, index: int, club: bool) -> None:
        """Draws frame `index` of `view` onto `frame`, farthest part first."""
        pixels, depth, scale = view.pixels[index], view.depth[index], view.scale[index]
        jobs = [(depth[list(part.ends)].mean(), self._limb, (part, pixels, scale)) for part in PARTS]
        torso = depth[list(_TORSO_OWNS)].mean()
        jobs.append((torso, self._torso, (pixels, scale)))
        jobs.append((depth[Point.HEAD], self._head, (pixels, depth, scale)))
        if club:
            jobs.append((depth[Point.CLUB], self._club, (pixels, scale)))
        for _, draw, inputs in sorted(jobs, key=lambda job: -job[0]):
            draw(frame, *inputs)

    def _limb(self, frame: np.ndarray, part: Part, pixels: np.ndarray, scale: np.ndarray) -> None:
        start, end = pixels[part.ends[0]], pixels[part.ends[1]]
        radii = [girth * self._body.girth * scale[end] for girth, end in zip(part.girths, part.ends, strict=True)]
        self._capsule(frame, start, end, radii[0], radii[1], self._colour(part.name))
        if part.name == "upper_arm" and not self._clothes.long_sleeves:
            self._capsule(frame, start, (start + end) / 2, radii[0] * 1.1, radii[0], self._clothes.shirt)
        if part.name == "thigh" and not self._clothes.long_legs:
            self._capsule(frame, start, start * 0.35 + end * 0.65, radii[0], radii[0], self._clothes.trousers)

    def _colour(self, name: str) -> np.ndarray:
        look = self._clothes
        return {
            "upper_arm": look.shirt if look.long_sleeves else look.skin,
            "forearm": look.shirt * 0.95 if look.long_sleeves else look.skin,
            "hand": look.skin if look.glove is None else look.glove,
            "thigh": look.trousers if look.long_legs else look.skin,
            "shin": look.trousers * 0.93 if look.long_legs else look.skin,
            "foot": look.shoes,
            "neck": look.skin * 0.92,
        }[name]

    def _capsule(self, frame: np.ndarray, start: np.ndarray, end: np.ndarray, thick: float, thin: float,
                 colour: np.ndarray) -> None:  # fmt: skip
        """A tapered limb: dark rim, lit core shifted towards the light."""
        toward = np.array(self._light.direction)
        for share, shift, shade in ((1.0, 0.0, 1 - self._light.contrast), (0.8, 0.15, 1.0),
                                    (0.4, 0.4, 1 + 0.5 * self._light.contrast)):  # fmt: skip
            move = toward * shift
            _fill_capsule(frame, start + move * thick, end + move * thin, thick * share, thin * share, colour * shade)

    def _torso(self, frame: np.ndarray, pixels: np.ndarray, scale: np.ndarray) -> None:
        look, girth = self._clothes, self._body.girth
        chest, hip = _CHEST_GIRTH * girth * scale[Point.NECK], _HIP_GIRTH * girth * scale[Point.PELVIS]
        left, right = pixels[Point.L_SHOULDER], pixels[Point.R_SHOULDER]
        low_left, low_right = pixels[Point.L_HIP], pixels[Point.R_HIP]
        drop = 0.15 * (low_left + low_right - left - right) / 2
        self._slab(frame, [left + drop, right + drop, low_left, low_right], [chest, chest, hip, hip], look.shirt)
        for row in np.linspace(0.3, 0.85, look.stripes):
            cv2.line(frame, _fixed(left * (1 - row) + low_left * row), _fixed(right * (1 - row) + low_right * row),
                     look.stripe.tolist(), max(1, round(0.35 * chest)), cv2.LINE_AA, _SHIFT)  # fmt: skip
        self._slab(frame, [low_left, low_right], [hip, hip], look.trousers)

    def _slab(self, frame: np.ndarray, corners: list[np.ndarray], radii: list[float], colour: np.ndarray) -> None:
        toward = np.array(self._light.direction)
        for share, shift, shade in ((1.0, 0.0, 1 - self._light.contrast), (0.8, 0.2, 1.0)):
            ring = [_circle(corner + toward * shift * radius, radius * share)
                    for corner, radius in zip(corners, radii, strict=True)]  # fmt: skip
            hull = cv2.convexHull(np.concatenate(ring).astype(np.float32))[:, 0]
            cv2.fillConvexPoly(frame, _fixed(hull), (colour * shade).tolist(), cv2.LINE_AA, _SHIFT)

    def _head(self, frame: np.ndarray, pixels: np.ndarray, depth: np.ndarray, scale: np.ndarray) -> None:
        look, centre = self._clothes, pixels[Point.HEAD]
        radius = self._body.head * scale[Point.HEAD]
        crown = pixels[Point.CROWN] - centre
        back = centre + 0.12 * crown - 0.18 * (pixels[Point.NOSE] - centre)
        front = depth[Point.NOSE] < depth[Point.HEAD]
        ears = [ear for ear in (Point.L_EAR, Point.R_EAR) if depth[ear] < depth[Point.HEAD] + 0.5 * self._body.head]
        self._ball(frame, back, radius * 1.06, look.hair)
        if front:
            face = centre + 0.12 * (pixels[Point.NOSE] - centre) - 0.1 * crown
            self._ball(frame, face, radius * 0.9, look.skin)
        for ear in ears:
            self._ball(frame, pixels[ear], radius * 0.2, look.skin * 0.9)
        if front:
            self._face(frame, pixels, depth, radius)
        if look.hat:
            self._capsule(frame, centre + 0.45 * crown, centre + 0.8 * crown, radius * 0.95, radius * 0.7, look.stripe)

    def _face(self, frame: np.ndarray, pixels: np.ndarray, depth: np.ndarray, radius: float) -> None:
        limit = depth[Point.HEAD] - 0.2 * self._body.head
        for eye in (Point.L_EYE, Point.R_EYE):
            if depth[eye] < limit:
                _fill_circle(frame, pixels[eye], radius * 0.17, np.full(3, 235.0))
                _fill_circle(frame, pixels[eye], radius * 0.1, np.array([45.0, 30, 25]))
        self._ball(frame, pixels[Point.NOSE], radius * 0.15, self._clothes.skin * 0.85)
        if depth[Point.MOUTH] < limit:
            _fill_circle(frame, pixels[Point.MOUTH], radius * 0.16, np.array([70.0, 60, 150]))

    def _ball(self, frame: np.ndarray, centre: np.ndarray, radius: float, colour: np.ndarray) -> None:
        toward = np.array(self._light.direction)
        _fill_circle(frame, centre, radius, colour * (1 - 0.7 * self._light.contrast))
        _fill_circle(frame, centre + toward * radius * 0.15, radius * 0.82, colour)

    def _club(self, frame: np.ndarray, pixels: np.ndarray, scale: np.ndarray) -> None:
        grip = (pixels[Point.L_WRIST] + pixels[Point.R_WRIST]) / 2
        _fill_capsule(frame, grip, pixels[Point.CLUB], 0.012 * scale[Point.NECK], 0.012 * scale[Point.NECK],
                      np.array([70.0, 70, 75]))  # fmt: skip
        _fill_circle(frame, pixels[Point.CLUB], 0.045 * scale[Point.NECK], np.array([55.0, 55, 60]))


def _fixed(pixels: np.ndarray) -> np.ndarray:
    return np.round(pixels * (1 << _SHIFT)).astype(np.int32)


_RING = np.stack([np.cos(np.linspace(0, 2 * np.pi, 17)[:-1]), np.sin(np.linspace(0, 2 * np.pi, 17)[:-1])], -1)


def _circle(centre: np.ndarray, radius: float) -> np.ndarray:
    return centre + radius * _RING


def _fill_circle(frame: np.ndarray, centre: np.ndarray, radius: float, colour: np.ndarray) -> None:
    cv2.circle(frame, _fixed(centre).tolist(), int(max(radius, 0.7) * (1 << _SHIFT)), colour.tolist(), -1, cv2.LINE_AA,
               _SHIFT)  # fmt: skip


def _fill_capsule(frame: np.ndarray, start: np.ndarray, end: np.ndarray, thick: float, thin: float,
                  colour: np.ndarray) -> None:  # fmt: skip
    """Two circles and what lies between them."""
    hull = cv2.convexHull(np.concatenate([_circle(start, thick), _circle(end, thin)]).astype(np.float32))[:, 0]
    cv2.fillConvexPoly(frame, _fixed(hull), colour.tolist(), cv2.LINE_AA, _SHIFT)
