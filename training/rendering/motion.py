"""What the figure does: actions as keyframes of joint angles, sampled into smooth motions.

Angles are degrees. A limb's *flex* swings it forwards (backwards when negative) from hanging down, its *abd* swings it
outwards (across the body when negative); the two name a direction in the torso's (arms) or pelvis' (legs) frame, so a
forearm's or shin's angles are absolute in that frame and not relative to the limb above it.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

import numpy as np

FPS = 30


class Dof(IntEnum):
    """Columns of a motion array of shape (frames, len(Dof))."""

    PELVIS_YAW = 0
    TORSO_PITCH = 1
    TORSO_ROLL = 2
    TORSO_TWIST = 3
    HEAD_PITCH = 4
    HEAD_YAW = 5
    JUMP = 6  # metres that the lower foot is above the ground
    L_ARM_FLEX = 7
    L_ARM_ABD = 8
    L_FORE_FLEX = 9
    L_FORE_ABD = 10
    R_ARM_FLEX = 11
    R_ARM_ABD = 12
    R_FORE_FLEX = 13
    R_FORE_ABD = 14
    L_THIGH_FLEX = 15
    L_THIGH_ABD = 16
    L_SHIN_FLEX = 17
    L_SHIN_ABD = 18
    R_THIGH_FLEX = 19
    R_THIGH_ABD = 20
    R_SHIN_FLEX = 21
    R_SHIN_ABD = 22


_TURNS = (Dof.PELVIS_YAW, Dof.TORSO_ROLL, Dof.TORSO_TWIST, Dof.HEAD_YAW)
_MIRROR = [
    *range(Dof.L_ARM_FLEX),
    *range(Dof.R_ARM_FLEX, Dof.L_THIGH_FLEX),
    *range(Dof.L_ARM_FLEX, Dof.R_ARM_FLEX),
    *range(Dof.R_THIGH_FLEX, len(Dof)),
    *range(Dof.L_THIGH_FLEX, Dof.R_THIGH_FLEX),
]


def _pose(**angles: float) -> np.ndarray:
    """A pose vector (len(Dof),): standing, with `angles` set; `arm_flex=40` sets both sides, `l_arm_flex` the left."""
    stand = {"arm_flex": 3, "arm_abd": 9, "fore_flex": 12, "fore_abd": 6, "thigh_abd": 5, "shin_abd": 3}
    vector = np.zeros(len(Dof))
    for name, value in {**stand, **angles}.items():
        names = [name] if name.upper() in Dof.__members__ else [f"l_{name}", f"r_{name}"]
        for member in names:
            vector[Dof[member.upper()]] = value
    return vector


@dataclass(frozen=True)
class Action:
    """One labelled action.

    `keys` holds (time in 0..1, pose) of one cycle; `cycles` and `seconds` are the ranges drawn from (seconds a cycle);
    `stance` weighs the ankles (left, right) that stay in place; `clasped` keeps both hands on one club.
    """

    keys: tuple[tuple[float, np.ndarray], ...]
    cycles: tuple[int, int]
    seconds: tuple[float, float]
    stance: tuple[float, float] = (0.5, 0.5)
    clasped: bool = False


_STAND = _pose()
_ADDRESS = {"torso_pitch": 30, "head_pitch": 12, "thigh_flex": 20, "shin_flex": -14, "thigh_abd": 11, "shin_abd": 9}
_GOLF_ADDRESS = _pose(**_ADDRESS, arm_flex=34, arm_abd=-10, fore_flex=44, fore_abd=-26)
_GOLF_TOP = _pose(**{**_ADDRESS, "torso_pitch": 24, "head_pitch": 5}, pelvis_yaw=-32, torso_twist=-48, head_yaw=55,
                  torso_roll=6, l_arm_flex=100, l_arm_abd=-38, l_fore_flex=128, l_fore_abd=-48,
                  r_arm_flex=62, r_arm_abd=42, r_fore_flex=172, r_fore_abd=8)  # fmt: skip
_GOLF_IMPACT = _pose(**_ADDRESS, pelvis_yaw=24, torso_twist=-10, torso_roll=-6, arm_flex=36, arm_abd=-10,
                     fore_flex=44, fore_abd=-26)  # fmt: skip
_GOLF_FINISH = _pose(torso_pitch=2, pelvis_yaw=52, torso_twist=38, head_yaw=-35, thigh_abd=9, l_thigh_flex=-2,
                     r_thigh_flex=14, r_shin_flex=-38, r_arm_flex=106, r_arm_abd=-38, r_fore_flex=138, r_fore_abd=-46,
                     l_arm_flex=70, l_arm_abd=46, l_fore_flex=172, l_fore_abd=10)  # fmt: skip
_SQUAT_LOW = _pose(torso_pitch=36, thigh_flex=98, thigh_abd=16, shin_flex=-30, shin_abd=5, arm_flex=112, arm_abd=4,
                   fore_flex=114, fore_abd=0, head_pitch=-18)  # fmt: skip
_JACK_OPEN = _pose(arm_abd=152, arm_flex=4, fore_abd=168, fore_flex=6, thigh_abd=26, shin_abd=25)
_JACK_AIR = _pose(arm_abd=85, fore_abd=95, thigh_abd=15, shin_abd=14, jump=0.14)
_WAVE_IN = _pose(r_arm_abd=82, r_arm_flex=12, r_fore_abd=212, r_fore_flex=10)
_WAVE_OUT = _pose(r_arm_abd=86, r_arm_flex=12, r_fore_abd=132, r_fore_flex=10, torso_roll=-2)
_KICK_BACK = _pose(r_thigh_flex=-28, r_shin_flex=-88, torso_pitch=8, l_thigh_flex=6, l_shin_flex=-10, l_arm_flex=40,
                   l_fore_flex=62, r_arm_flex=-28, r_fore_flex=-5)  # fmt: skip
_KICK_HIGH = _pose(r_thigh_flex=88, r_shin_flex=84, torso_pitch=-13, l_thigh_flex=4, l_shin_flex=-8, l_arm_flex=-25,
                   l_arm_abd=30, l_fore_flex=-5, r_arm_flex=30, r_arm_abd=32, r_fore_flex=45)  # fmt: skip
_CLAP_OPEN = _pose(arm_flex=52, arm_abd=26, fore_flex=88, fore_abd=42)
_CLAP_SHUT = _pose(arm_flex=52, arm_abd=4, fore_flex=84, fore_abd=-43)

ACTIONS: dict[str, Action] = {
    "golf_swing": Action(
        ((0, _GOLF_ADDRESS), (0.1, _GOLF_ADDRESS), (0.45, _GOLF_TOP), (0.52, _GOLF_TOP), (0.64, _GOLF_IMPACT),
         (0.82, _GOLF_FINISH), (1, _GOLF_FINISH)), (1, 1), (1.7, 2.7), clasped=True),
    "squat": Action(((0, _STAND), (0.42, _SQUAT_LOW), (0.55, _SQUAT_LOW), (1, _STAND)), (1, 2), (1.1, 2.0)),
    "jumping_jack": Action(((0, _STAND), (0.25, _JACK_AIR), (0.5, _JACK_OPEN), (0.75, _JACK_AIR), (1, _STAND)),
                           (2, 4), (0.65, 1.1)),
    "wave": Action(((0, _WAVE_IN), (0.5, _WAVE_OUT), (1, _WAVE_IN)), (3, 5), (0.42, 0.8)),
    "kick": Action(((0, _STAND), (0.35, _KICK_BACK), (0.6, _KICK_HIGH), (1, _STAND)), (1, 2), (1.1, 1.7),
                   stance=(1, 0)),
    "clap": Action(((0, _CLAP_OPEN), (0.5, _CLAP_SHUT), (1, _CLAP_OPEN)), (3, 5), (0.4, 0.75)),
}  # fmt: skip
LABELS = tuple(ACTIONS)
_RAISED = ("wave", "clap")  # their cycle starts with the hands up: stand, raise, repeat, lower


@dataclass(frozen=True)
class Motion:
    """A sampled motion: `poses` (frames, len(Dof)) in degrees, its label, the still frames before and after.

    `stance` and `clasped` are the action's, `stance` with its sides exchanged when the motion is mirrored.
    """

    label: str
    poses: np.ndarray
    still: tuple[int, int]
    mirrored: bool
    stance: tuple[float, float]
    clasped: bool


def sample_motion(rng: np.random.Generator, label: str, still: tuple[int, int] | None = None) -> Motion:
    """One performance of `label`: tempo, amplitude, habits, side and still ends drawn from `rng`.

    `still` fixes the number of motionless frames (before, after); by default half of the motions have some.
    """
    action = ACTIONS[label]
    times, keys = _timeline(rng, label, action)
    poses = _ease(times, keys, np.arange(0, times[-1], 1 / FPS))
    poses = _habits(rng, poses)
    still = still if still is not None else _draw_still(rng)
    poses = np.concatenate([np.repeat(poses[:1], still[0], 0), poses, np.repeat(poses[-1:], still[1], 0)])
    poses = poses + _smooth_noise(rng, len(poses), 0.35, period=12)
    mirrored = bool(rng.random() < 0.5)
    if not mirrored:
        return Motion(label, poses, still, False, action.stance, action.clasped)
    return Motion(label, mirror(poses), still, True, action.stance[::-1], action.clasped)


def mirror(poses: np.ndarray) -> np.ndarray:
    """The same motion with left and right exchanged."""
    mirrored = poses[:, _MIRROR].copy()
    mirrored[:, _TURNS] *= -1
    return mirrored


def _timeline(rng: np.random.Generator, label: str, action: Action) -> tuple[np.ndarray, np.ndarray]:
    """Key times in seconds (keys,) and poses (keys, len(Dof)) of all cycles."""
    times, keys = [], []
    clock = 0.0
    if label in _RAISED:
        times, keys, clock = [0.0], [_STAND], rng.uniform(0.4, 0.7)
    for _ in range(rng.integers(action.cycles[0], action.cycles[1] + 1)):
        seconds = rng.uniform(*action.seconds)
        amplitude = rng.uniform(0.8, 1.12)
        for share, pose in action.keys:
            times.append(clock + share * seconds)
            keys.append(action.keys[0][1] + amplitude * (pose - action.keys[0][1]))
        clock += seconds + 1e-3
    if label in _RAISED:
        times, keys = [*times, clock + rng.uniform(0.4, 0.7)], [*keys, _STAND]
    return np.array(times), np.array(keys)


def _ease(times: np.ndarray, keys: np.ndarray, at: np.ndarray) -> np.ndarray:
    """Poses at the seconds `at`: between two keys the angles follow a smoothstep, so that each key is a rest."""
    after = np.clip(np.searchsorted(times, at, side="right"), 1, len(times) - 1)
    share = np.clip((at - times[after - 1]) / np.maximum(times[after] - times[after - 1], 1e-6), 0, 1)[:, None]
    share = share * share * (3 - 2 * share)
    return keys[after - 1] * (1 - share) + keys[after] * share


def _habits(rng: np.random.Generator, poses: np.ndarray) -> np.ndarray:
    """Adds what differs between people: a constant offset of every angle and a slow wander during the action."""
    spread = np.full(len(Dof), 3.0)
    spread[[Dof.HEAD_PITCH, Dof.HEAD_YAW]] = 9.0
    spread[Dof.JUMP] = 0.0
    offset = rng.normal(0, 1, len(Dof)) * spread
    fade = np.minimum(1, np.minimum(np.arange(len(poses)), np.arange(len(poses))[::-1]) / 8)[:, None]
    return poses + offset + fade * _smooth_noise(rng, len(poses), 2.0, period=25)


def _smooth_noise(rng: np.random.Generator, frames: int, degrees: float, period: int) -> np.ndarray:
    """Slow noise (frames, len(Dof)) of about `degrees`, with a new random value every `period` frames."""
    knots = rng.normal(0, degrees, (frames // period + 2, len(Dof)))
    knots[:, Dof.JUMP] = 0
    at = np.arange(frames) / period
    return _ease(np.arange(len(knots), dtype=float), knots, at)


def _draw_still(rng: np.random.Generator) -> tuple[int, int]:
    if rng.random() < 0.5:
        return 0, 0
    return int(rng.integers(4, 22)), int(rng.integers(4, 22))
