"""Makes the demo bundle the way every bundle is made: `poseparity bundle import` on what training left behind."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np

from poseparity import skeleton_csv
from poseparity.bundle.toml import dump
from poseparity.importing.overrides import settable
from poseparity.stages.base import BY_TABLE
from training import manifest, outputs
from training.rendering.clip import Clip

GAPS = "gaps.csv"
_POSEPARITY = Path(sys.executable).with_name("poseparity")
_CLIP_SEED = 6
_CLIP_SIZE = (480, 360)
_STILL = (18, 18)
_CLIP_LIMIT = 400_000


def write_clip(out: Path) -> None:
    """Renders the demo clip.

    Raises:
        ValueError: it is too large to be kept in git.
    """
    demo = manifest.read_template()["demo"]
    Clip(_CLIP_SEED, demo["label"], _CLIP_SIZE, _STILL).write(out / demo["clip"])
    size = (out / demo["clip"]).stat().st_size
    if size > _CLIP_LIMIT:
        raise ValueError(f"{demo['clip']} has {size} bytes, expected at most {_CLIP_LIMIT}: choose another _CLIP_SEED")


def write_bundle(out: Path, bundle: Path) -> None:
    """Runs `import_command`, and adds a second golden input, see `write_gaps`.

    Raises:
        SystemExit: a network has not been trained, or the import is refused; it has said why then.
    """
    absent = [name for name, files in outputs.FILES.items() if not all((out / file).is_file() for file in files)]
    if absent:
        raise SystemExit(f"{out} lacks {', '.join(absent)}: train them first, or run `all` or `restore`")
    if not (out / manifest.read_template()["demo"]["clip"]).is_file():
        write_clip(out)
    _run(import_command(out, bundle))
    write_gaps(bundle)
    inputs = [part for name in (manifest.read_template()["demo"]["clip"], GAPS) for part in ("--input", name)]
    _run([str(_POSEPARITY), "bundle", "record", str(bundle), *inputs])


def write_gaps(bundle: Path) -> None:
    """Writes the clip's skeleton with gaps between frames that have a joint: of these the clip itself has none.

    Only there do the ways to interpolate differ, so only there would another way show.
    """
    clip = Path(manifest.read_template()["demo"]["clip"]).stem
    with np.load(bundle / f"golden/{clip}.npz") as golden:
        keypoints = golden["pose.keypoints"].copy()
    for joint in range(keypoints.shape[1]):
        for gap in range(3):  # of one to eight frames, elsewhere for each joint, and none at an end
            first = 20 + 25 * gap + joint % 7
            keypoints[first : first + 1 + (joint + gap) % 8, joint] = 0
    (bundle / GAPS).write_bytes(skeleton_csv.write(keypoints))


def _run(command: list[str]) -> None:
    done = subprocess.run(command, check=False)
    if done.returncode:
        raise SystemExit(done.returncode)


def import_command(out: Path, bundle: Path) -> list[str]:
    """The command that a user would type, with every parameter of manifest.toml."""
    template = manifest.read_template()
    named = {
        "--recogniser-config": out / outputs.CONFIG,
        "--recogniser-checkpoint": out / outputs.CHECKPOINT,
        "--labels": ",".join(template["labels"]["names"]),
        "--detector": out / outputs.DETECTOR,
        "--pose": out / outputs.POSE,
        "--clip": out / template["demo"]["clip"],
        "--clip-label": template["demo"]["label"],
        **{f"--{name}": template[name] for name in ("name", "version", "summary", "licence")},
    }
    options = [str(part) for option in named.items() for part in option]
    return [str(_POSEPARITY), "bundle", "import", str(bundle), *options, *settings(template)]


def settings(template: dict) -> list[str]:
    """`--set SECTION.KEY=VALUE` for every parameter that does not come from the networks' files."""
    lines = [
        f"{section}.{dump({key: template[section][key]}).strip()}"
        for section in BY_TABLE
        for key in settable(section)
        if key in template[section]
    ]
    return [part for line in lines for part in ("--set", line)]
