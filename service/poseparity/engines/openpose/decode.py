"""From heatmaps and part affinity fields (PAF) to persons.

Source of the algorithm: Cao et al., "OpenPose: Realtime Multi-Person 2D Pose Estimation using Part Affinity Fields";
thresholds and sampling as in the COCO model of CMU-Perceptual-Computing-Lab/openpose.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import cv2
import numpy as np

from ...bundle.tables import OpenPoseParameters
from .layout import CHANNELS, LIMBS, PARTS, Limb

_CENTROID_RADIUS = 3  # a 7x7 window


@dataclass(frozen=True)
class Connection:
    """A limb between peak `start` and peak `end` (indices into their parts' peaks)."""

    start: int
    end: int
    score: float


@dataclass
class Person:
    """A person while it is put together: part to peak index, and the sum of the scores of its peaks and limbs."""

    peaks: dict[int, int] = field(default_factory=dict)
    score: float = 0.0


def decode_persons(output: np.ndarray, net_size: tuple[int, int], parameters: OpenPoseParameters) -> np.ndarray:
    """Decode every person.

    Args:
        output: float32 (57, height / 8, width / 8): 18 heatmaps, the background, 38 PAF channels.
        net_size: width and height of the network's input, in pixels.
        parameters: the bundle's thresholds.

    Returns:
        float64 (persons, 18, 3): x, y in pixels of the network's input, confidence; COCO-18 order, a missing part is
        0, 0, 0; the person with the highest sum of scores first.
    """
    maps = upsample(output, net_size)
    peaks = [find_peaks(maps[..., part], parameters.peak_threshold) for part in range(PARTS)]
    persons: list[Person] = []
    for limb in LIMBS:
        for connection in connect(maps, limb, peaks[limb.start], peaks[limb.end], parameters):
            _add(persons, limb, connection, peaks)
    kept = [
        person
        for person in persons
        if (parts := len(person.peaks)) >= parameters.min_parts and person.score / parts >= parameters.min_score
    ]
    kept.sort(key=lambda person: -person.score)  # stable: equal scores keep the order in which they were found
    arrays = np.zeros((len(kept), PARTS, 3))
    for array, person in zip(arrays, kept, strict=True):
        for part, peak in person.peaks.items():
            array[part] = peaks[part][peak]
    return arrays


def upsample(output: np.ndarray, net_size: tuple[int, int]) -> np.ndarray:
    """Cubic upsampling to the size of the network's input: float32 (57, h, w) to (height, width, 57)."""
    if output.ndim != 3 or len(output) != CHANNELS:
        raise ValueError(f"`output` has shape {output.shape}, expected ({CHANNELS}, height / 8, width / 8)")
    return cv2.resize(np.ascontiguousarray(output.transpose(1, 2, 0)), net_size, interpolation=cv2.INTER_CUBIC)


def find_peaks(heatmap: np.ndarray, threshold: float) -> np.ndarray:
    """Local maxima of a heatmap, refined to the score-weighted centroid of the 7x7 pixels around each.

    Args:
        heatmap: float32 (height, width).
        threshold: a peak is above it, and above all of its 8 neighbours. Pixels on the border are none.

    Returns:
        float64 (peaks, 3): x, y, score; row by row.
    """
    centre = heatmap[1:-1, 1:-1]
    is_peak = centre > threshold
    height, width = heatmap.shape
    for dy in (0, 1, 2):
        for dx in (0, 1, 2):
            if (dy, dx) != (1, 1):
                is_peak &= centre > heatmap[dy : height - 2 + dy, dx : width - 2 + dx]
    return np.array([_refined(heatmap, x + 1, y + 1) for y, x in np.argwhere(is_peak)]).reshape(-1, 3)


def _refined(heatmap: np.ndarray, x: int, y: int) -> tuple[float, float, float]:
    top, left = max(0, y - _CENTROID_RADIUS), max(0, x - _CENTROID_RADIUS)
    window = heatmap[top : y + _CENTROID_RADIUS + 1, left : x + _CENTROID_RADIUS + 1].astype(np.float64)
    window = np.maximum(window, 0)
    rows, columns = np.indices(window.shape)
    total = window.sum()
    return left + (window * columns).sum() / total, top + (window * rows).sum() / total, float(heatmap[y, x])


def connect(
    maps: np.ndarray, limb: Limb, starts: np.ndarray, ends: np.ndarray, parameters: OpenPoseParameters
) -> list[Connection]:
    """Pair the peaks of a limb's two parts: best score first, each peak used once.

    Args:
        maps: float32 (height, width, 57).
        starts, ends: float64 (peaks, 3), the peaks of the limb's two parts.
    """
    scored = [
        Connection(i, j, score)
        for i, start in enumerate(starts)
        for j, end in enumerate(ends)
        if (score := limb_score(maps, limb, start, end, parameters)) is not None
    ]
    taken: list[Connection] = []
    for connection in sorted(scored, key=lambda candidate: -candidate.score):
        if all(connection.start != other.start and connection.end != other.end for other in taken):
            taken.append(connection)
    return taken


def limb_score(
    maps: np.ndarray, limb: Limb, start: np.ndarray, end: np.ndarray, parameters: OpenPoseParameters
) -> float | None:
    """How well the field agrees with a limb from `start` to `end`; None when it does not."""
    vector = end[:2] - start[:2]
    length = np.sqrt(np.square(vector).sum())
    if length < 1e-6:
        return None
    samples = max(5, min(25, int(np.sqrt(5 * np.abs(vector).max()) + 0.5)))
    points = start[:2] + np.arange(samples)[:, None] * (vector / samples)
    x, y = np.clip(np.floor(points + 0.5).astype(int), 0, np.array(maps.shape[1::-1]) - 1).T
    direction = vector / length
    agreement = direction[0] * maps[y, x, limb.paf_x] + direction[1] * maps[y, x, limb.paf_y]
    agreeing = agreement[agreement > parameters.paf_threshold]
    return float(agreeing.mean()) if len(agreeing) > parameters.paf_share * samples else None


def _add(persons: list[Person], limb: Limb, connection: Connection, peaks: list[np.ndarray]) -> None:
    """Put a connection into the person it belongs to, join two persons through it, or start a new one."""
    ends = {int(limb.start): connection.start, int(limb.end): connection.end}
    owners = [person for person in persons if any(person.peaks.get(part) == peak for part, peak in ends.items())]
    if len(owners) == 1:
        # A person who has another peak of that part keeps it.
        if all(owners[0].peaks.get(part, peak) == peak for part, peak in ends.items()):
            _extend(owners[0], ends, connection.score, peaks)
    elif len(owners) == 2 and not limb.fills_only and not owners[0].peaks.keys() & owners[1].peaks.keys():
        owners[0].peaks.update(owners[1].peaks)
        owners[0].score += owners[1].score + connection.score
        persons[:] = [person for person in persons if person is not owners[1]]
    elif not owners and not limb.fills_only:
        person = Person()
        _extend(person, ends, connection.score, peaks)
        persons.append(person)


def _extend(person: Person, ends: dict[int, int], score: float, peaks: list[np.ndarray]) -> None:
    person.score += score + sum(float(peaks[part][peak, 2]) for part, peak in ends.items() if part not in person.peaks)
    person.peaks.update(ends)
