"""Makes the demo bundle.

python -m training.train detector|pose|recogniser [--out DIR]   trains one network, writes it as its users know it
python -m training.train bundle [--out DIR] [--bundle DIR]      imports what is in --out as a new bundle
python -m training.train all [--out DIR] [--bundle DIR]         everything; training/README.md says how long it takes
python -m training.train restore [--out DIR]                    writes the three networks from the bundle that ships
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import torch

from training import assemble, detector, pose, recogniser
from training.restore import restore

NETWORKS = {"detector": detector.train, "pose": pose.train, "recogniser": recogniser.train}
OUT = Path("trained")


def main() -> None:
    """Command line; see the module's docstring."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=(*NETWORKS, "bundle", "all", "restore"))
    parser.add_argument("--out", type=Path, default=OUT, help="folder of the trained networks (default: trained)")
    parser.add_argument("--bundle", type=Path, help="folder to write, which must not exist (default: OUT/bundle)")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    options.out.mkdir(parents=True, exist_ok=True)
    for name, train in NETWORKS.items():
        if options.what in (name, "all"):
            began = time.monotonic()
            path = train(options.out)
            print(f"{path}: {path.stat().st_size} bytes, {time.monotonic() - began:.0f} s", flush=True)
    if options.what == "restore":
        restore(options.out)
    if options.what in ("bundle", "all"):
        assemble.write_bundle(options.out, options.bundle or options.out / "bundle")


if __name__ == "__main__":
    main()
