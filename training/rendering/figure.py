"""The figure's body and its forward kinematics: a motion's angles to 3-D joints.

World axes: x to the right of the picture, y up, z towards the camera; metres. At yaw 0 the figure faces the camera and
its left is +x.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

import numpy as np

from poseparity.keypoints import Coco17
from training.rendering.motion import Dof, Motion

# Rows of a figure's points: COCO's 17 joints in COCO's order, then what only the drawing needs. The neck is half way
# between the shoulders, as OpenPose defines it; HEAD is the centre of the skull; CLUB is the end of the golf club, or
# the pelvis when there is none.
_DRAWN = ("NECK", "HEAD", "CROWN", "L_HAND", "R_HAND", "L_TOE", "R_TOE", "PELVIS", "CLUB", "MOUTH")
Point = IntEnum("Point", [*(joint.name for joint in Coco17), *_DRAWN], start=0)
JOINTS = len(Coco17)


@dataclass(frozen=True)
class Body:
    """Lengths in metres; `girth` scales every limb's thickness."""

    spine: float
    shoulder: float
    hip: float
    upper_arm: float
    forearm: float
    thigh: float
    shin: float
    head: float
    girth: float


def sample_body(rng: np.random.Generator) -> Body:
    """A body 1.5 to 2.0 m tall with proportions of its own."""
    size = rng.uniform(0.86, 1.12)

    def part(metres: float) -> float:
        return metres * size * rng.uniform(0.93, 1.07)

    return Body(spine=part(0.5), shoulder=part(0.185), hip=part(0.105), upper_arm=part(0.29), forearm=part(0.255),
                thigh=part(0.43), shin=part(0.42), head=part(0.112), girth=size * rng.uniform(0.85, 1.25))  # fmt: skip


def pose_points(body: Body, motion: Motion, yaw: float) -> np.ndarray:
    """World points (frames, len(Point), 3) of `body` doing `motion`, turned by `yaw` degrees."""
    dof = motion.poses
    pelvis_turn = _turn_y(yaw + dof[:, Dof.PELVIS_YAW])
    torso_turn = (pelvis_turn @ _turn_x(dof[:, Dof.TORSO_PITCH]) @ _turn_z(dof[:, Dof.TORSO_ROLL])
                  @ _turn_y(dof[:, Dof.TORSO_TWIST]))  # fmt: skip
    points = np.zeros((len(dof), len(Point), 3))
    _place_torso(points, body, pelvis_turn, torso_turn)
    _place_head(points, body, dof, torso_turn)
    for left in (True, False):
        _place_arm(points, body, dof, torso_turn, left)
        _place_leg(points, body, dof, pelvis_turn, left)
    if motion.clasped:
        _clasp_hands(points, body)
    return _stand(points, motion)


def _place_torso(points: np.ndarray, body: Body, pelvis_turn: np.ndarray, torso_turn: np.ndarray) -> None:
    points[:, Point.NECK] = torso_turn @ np.array([0, body.spine, 0])
    for side, shoulder, hip in ((1, Point.L_SHOULDER, Point.L_HIP), (-1, Point.R_SHOULDER, Point.R_HIP)):
        points[:, shoulder] = points[:, Point.NECK] + torso_turn @ np.array([side * body.shoulder, 0, 0])
        points[:, hip] = pelvis_turn @ np.array([side * body.hip, 0, 0])


def _place_head(points: np.ndarray, body: Body, dof: np.ndarray, torso_turn: np.ndarray) -> None:
    """The skull and the face's points on its surface, in units of the head's radius."""
    turn = torso_turn @ _turn_y(dof[:, Dof.HEAD_YAW]) @ _turn_x(dof[:, Dof.HEAD_PITCH])
    centre = points[:, Point.NECK] + turn @ (body.head * np.array([0, 1.95, 0.2]))
    points[:, Point.HEAD] = centre
    face = {Point.NOSE: (0, -0.12, 1.05), Point.L_EYE: (0.38, 0.2, 0.88), Point.R_EYE: (-0.38, 0.2, 0.88),
            Point.L_EAR: (0.92, 0, -0.05), Point.R_EAR: (-0.92, 0, -0.05), Point.CROWN: (0, 1.2, -0.1),
            Point.MOUTH: (0, -0.52, 0.85)}  # fmt: skip
    for point, place in face.items():
        points[:, point] = centre + turn @ (body.head * np.array(place))


def _place_arm(points: np.ndarray, body: Body, dof: np.ndarray, turn: np.ndarray, left: bool) -> None:
    first = Dof.L_ARM_FLEX if left else Dof.R_ARM_FLEX
    shoulder, elbow, wrist, hand = (
        (Point.L_SHOULDER, Point.L_ELBOW, Point.L_WRIST, Point.L_HAND) if left else
        (Point.R_SHOULDER, Point.R_ELBOW, Point.R_WRIST, Point.R_HAND))  # fmt: skip
    upper = _limb(turn, dof[:, first], dof[:, first + 1], left)
    fore = _limb(turn, dof[:, first + 2], dof[:, first + 3], left)
    points[:, elbow] = points[:, shoulder] + body.upper_arm * upper
    points[:, wrist] = points[:, elbow] + body.forearm * fore
    points[:, hand] = points[:, wrist] + 0.3 * body.forearm * fore


def _place_leg(points: np.ndarray, body: Body, dof: np.ndarray, turn: np.ndarray, left: bool) -> None:
    first = Dof.L_THIGH_FLEX if left else Dof.R_THIGH_FLEX
    hip, knee, ankle, toe = (
        (Point.L_HIP, Point.L_KNEE, Point.L_ANKLE, Point.L_TOE) if left else
        (Point.R_HIP, Point.R_KNEE, Point.R_ANKLE, Point.R_TOE))  # fmt: skip
    shin = _limb(turn, dof[:, first + 2], dof[:, first + 3], left)
    points[:, knee] = points[:, hip] + body.thigh * _limb(turn, dof[:, first], dof[:, first + 1], left)
    points[:, ankle] = points[:, knee] + body.shin * shin
    forward = turn @ np.array([0.15 if left else -0.15, 0, 1.0])
    # The foot is at a right angle to the shin when the leg is lifted, flat on the ground when it is not.
    foot = forward - 0.8 * (forward * shin).sum(1, keepdims=True) * shin + 0.25 * shin
    points[:, toe] = points[:, ankle] + 0.36 * body.shin * foot / np.linalg.norm(foot, axis=1, keepdims=True)


def _clasp_hands(points: np.ndarray, body: Body) -> None:
    """Moves both wrists to one grip (two-bone inverse kinematics, the elbows keep their side) and adds the club."""
    grip = points[:, [Point.L_WRIST, Point.R_WRIST]].mean(1)
    arms = ((Point.L_SHOULDER, Point.L_ELBOW, Point.L_WRIST, Point.L_HAND),
            (Point.R_SHOULDER, Point.R_ELBOW, Point.R_WRIST, Point.R_HAND))  # fmt: skip
    for shoulder, elbow, wrist, hand in arms:
        points[:, elbow], points[:, wrist] = _bend(points[:, shoulder], points[:, elbow], grip, body)
        points[:, hand] = points[:, wrist] + 0.25 * (points[:, wrist] - points[:, elbow])
    chest = points[:, [Point.L_SHOULDER, Point.R_SHOULDER]].mean(1)
    reach = points[:, [Point.L_WRIST, Point.R_WRIST]].mean(1) - chest
    points[:, Point.CLUB] = chest + reach * (1 + 0.85 / np.linalg.norm(reach, axis=1, keepdims=True))


def _bend(shoulder: np.ndarray, elbow: np.ndarray, target: np.ndarray, body: Body) -> tuple[np.ndarray, np.ndarray]:
    """Elbow and wrist (frames, 3) of an arm that reaches for `target`, bent towards where the elbow was."""
    reach = target - shoulder
    distance = np.linalg.norm(reach, axis=1, keepdims=True)
    axis = reach / distance
    distance = np.clip(distance, abs(body.upper_arm - body.forearm) + 0.01, 0.995 * (body.upper_arm + body.forearm))
    along = (body.upper_arm**2 - body.forearm**2 + distance**2) / (2 * distance)
    pole = elbow - shoulder
    pole = pole - (pole * axis).sum(1, keepdims=True) * axis + 1e-9
    pole /= np.linalg.norm(pole, axis=1, keepdims=True)
    side = np.sqrt(np.maximum(body.upper_arm**2 - along**2, 0))
    return shoulder + along * axis + side * pole, shoulder + distance * axis


def _stand(points: np.ndarray, motion: Motion) -> np.ndarray:
    """Puts the lower foot on the ground and keeps the standing foot (or feet) in place."""
    ankles = points[:, [Point.L_ANKLE, Point.R_ANKLE]]
    feet = points[:, [Point.L_ANKLE, Point.R_ANKLE, Point.L_TOE, Point.R_TOE], 1]
    shift = (ankles * np.array(motion.stance)[None, :, None]).sum(1)
    shift[:, 1] = feet.min(1) - 0.05 - motion.poses[:, Dof.JUMP]
    if not motion.clasped:
        points[:, Point.CLUB] = points[:, Point.PELVIS]
    return points - shift[:, None]


def _limb(turn: np.ndarray, flex: np.ndarray, abd: np.ndarray, left: bool) -> np.ndarray:
    """Unit directions (frames, 3) of a limb in the world."""
    flex, abd = np.radians(flex), np.radians(abd)
    side = 1 if left else -1
    local = np.stack([side * np.sin(abd), -np.cos(abd) * np.cos(flex), np.cos(abd) * np.sin(flex)], -1)
    return (turn @ local[..., None])[..., 0]


def _turn_x(degrees: np.ndarray) -> np.ndarray:
    """Rotations (frames, 3, 3) that pitch forwards (y towards z)."""
    return _rotation(degrees, 1, 2)


def _turn_y(degrees: np.ndarray) -> np.ndarray:
    """Rotations (frames, 3, 3) that turn to the left (z towards x)."""
    return _rotation(degrees, 2, 0)


def _turn_z(degrees: np.ndarray) -> np.ndarray:
    """Rotations (frames, 3, 3) that lean to the figure's right (x towards y)."""
    return _rotation(degrees, 0, 1)


def _rotation(degrees: np.ndarray, source: int, target: int) -> np.ndarray:
    """Rotations by `degrees` that carry axis `source` towards axis `target`."""
    radians = np.radians(np.atleast_1d(degrees))
    turn = np.tile(np.eye(3), (len(radians), 1, 1))
    turn[:, source, source] = turn[:, target, target] = np.cos(radians)
    turn[:, target, source] = np.sin(radians)
    turn[:, source, target] = -np.sin(radians)
    return turn
