"""Makes the demo bundle.

python -m training.train detector|pose|recogniser [--out DIR]   trains one network, writes its weights
python -m training.train bundle [--out DIR]                     writes the rest of the bundle around them
python -m training.train all [--out DIR]                        everything; see training/README.md for how long it takes
"""

from __future__ import annotations

import argparse
import shutil
import time
from pathlib import Path

import torch

from training import detector, manifest, pose, recogniser
from training.clip import Clip

NETWORKS = {"detector": detector.train, "pose": pose.train, "recogniser": recogniser.train}
_CLIP_SEED = 6
_CLIP_SIZE = (480, 360)
_STILL = (18, 18)
_CLIP_LIMIT = 400_000


def write_bundle(out: Path) -> None:
    """Writes what belongs to the weights in `out`: the demo clip, the detector's architecture and the manifest.

    Raises:
        SystemExit: weights are missing.
        ValueError: the demo clip is too large to be kept in git.
    """
    absent = [name for name in NETWORKS if not (out / f"{name}.safetensors").is_file()]
    if absent:
        raise SystemExit(f"{out} lacks the weights of {', '.join(absent)}: train them first, or run `all`")
    demo = manifest.read_template()["demo"]
    Clip(_CLIP_SEED, demo["label"], _CLIP_SIZE, _STILL).write(out / demo["clip"])
    size = (out / demo["clip"]).stat().st_size
    if size > _CLIP_LIMIT:
        raise ValueError(f"{demo['clip']} has {size} bytes, expected at most {_CLIP_LIMIT}: choose another _CLIP_SEED")
    shutil.copyfile(manifest.ARCHITECTURE, out / manifest.read_template()["detect"]["architecture"])
    tables = [manifest.weights_table(name, out / f"{name}.safetensors") for name in NETWORKS]
    text = manifest.TEMPLATE.read_text(encoding="utf-8").split("\n", 2)[2]
    header = "# Written by training/train.py from training/manifest.toml: edit there.\n"
    (out / "bundle.toml").write_text(header + text + "".join(tables), encoding="utf-8")


def main() -> None:
    """Command line; see the module's docstring."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=(*NETWORKS, "bundle", "all"))
    parser.add_argument("--out", type=Path, default=manifest.BUNDLE)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    options.out.mkdir(parents=True, exist_ok=True)
    for name, train in NETWORKS.items():
        if options.what in (name, "all"):
            began = time.monotonic()
            path = train(options.out)
            print(f"{path}: {path.stat().st_size} bytes, {time.monotonic() - began:.0f} s", flush=True)
    if options.what in ("bundle", "all"):
        write_bundle(options.out)


if __name__ == "__main__":
    main()
