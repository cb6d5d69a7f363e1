"""Shows or writes rendered clips.

python -m training.rendering.render sheet OUT.png [--seed N] [--rows N]     one row a clip: frames with box and joints
python -m training.rendering.render clip OUT.mp4 [--seed N] [--label NAME]  one clip; prints its truth's summary
"""

from __future__ import annotations

import argparse
from pathlib import Path

import cv2
import numpy as np

from training.rendering.clip import Clip
from training.rendering.motion import LABELS

_CELL = (240, 240)


def sheet(seed: int, rows: int, columns: int = 6) -> np.ndarray:
    """A contact sheet: `rows` clips, one action after the other, `columns` frames of each with their ground truth."""
    clips = [Clip(seed + row, LABELS[row % len(LABELS)]) for row in range(rows)]
    return np.concatenate([_strip(clip, columns) for clip in clips])


def _strip(clip: Clip, columns: int) -> np.ndarray:
    indices = np.linspace(0, len(clip) - 1, columns).round().astype(int).tolist()
    pictures = [_annotate(clip, index, frame) for index, frame in zip(indices, clip.frames(indices), strict=True)]
    return np.concatenate([_fit(picture) for picture in pictures], axis=1)


def _annotate(clip: Clip, index: int, frame: np.ndarray) -> np.ndarray:
    x1, y1, x2, y2 = clip.truth.boxes[index].round().astype(int).tolist()
    cv2.rectangle(frame, (x1, y1), (x2, y2), (0, 255, 255), 1)
    for joint, (place, seen) in enumerate(zip(clip.truth.joints[index], clip.truth.visible[index], strict=True)):
        left = joint % 2 == 1  # COCO's left joints have odd numbers
        colour = (60, 60, 255) if left else (255, 120, 0)
        cv2.circle(frame, place.round().astype(int).tolist(), 3, colour, -1 if seen else 1, cv2.LINE_AA)
    cv2.putText(frame, f"{clip.truth.label} {index}", (4, 14), cv2.FONT_HERSHEY_SIMPLEX, 0.45, (255, 255, 255), 1)
    return frame


def _fit(picture: np.ndarray) -> np.ndarray:
    height, width = picture.shape[:2]
    scale = min(_CELL[0] / width, _CELL[1] / height)
    small = cv2.resize(picture, (round(width * scale), round(height * scale)), interpolation=cv2.INTER_AREA)
    cell = np.zeros((_CELL[1], _CELL[0], 3), np.uint8)
    cell[: small.shape[0], : small.shape[1]] = small
    return cell


def main() -> None:
    """Command line; see the module's docstring."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("sheet", "clip"))
    parser.add_argument("out", type=Path)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--rows", type=int, default=len(LABELS))
    parser.add_argument("--label", choices=LABELS)
    options = parser.parse_args()
    if options.what == "sheet":
        cv2.imwrite(str(options.out), sheet(options.seed, options.rows))
        return
    clip = Clip(options.seed, options.label)
    clip.write(options.out)
    print(f"{options.out}: {clip.truth.label}, {len(clip)} frames of {clip.camera.size}, still {clip.truth.still}")


if __name__ == "__main__":
    main()
