"""What this processor computes, as a program that starts no other one: qemu-user emulates one process.

    python -m tests.computed [--l1 BYTES ...] [BUNDLE]

Prints a line of JSON, {"operations", "convolutions"}: the digest of each operation of the fingerprint, and the digests
of the pose network's fast convolutions, 3x3 and 7x7, in turn as NNPACK is here and with so many bytes of L1 cache a
thread. Then it does as `poseparity bundle verify BUNDLE --replay`. One program for all, because an emulated processor
takes longer over torch's import than over what is asked of it.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys

from poseparity.environment.fingerprint import take_fingerprint


def operations() -> dict[str, str]:
    """Name to sha256."""
    return {name: facts["sha256"] for name, facts in take_fingerprint([])["operations"].items()}


def convolutions(l1: int | None) -> list[str]:
    """The sha256 of 3x3 and of 7x7: more input channels than a block of NNPACK's sums holds, enough outputs for tiles.

    Args:
        l1: bytes of L1 cache a thread that NNPACK is made to see before the program pins it; None: the processor's.
    """
    import torch

    from poseparity.engines.openpose import convolution

    if l1 is not None:
        torch.backends.nnpack.is_available()  # NNPACK has no table before
        info = convolution.hardware_info()
        info.caches[0].size = info.blocking[0] = l1
    digests = []
    for kernel in (3, 7):
        conv = torch.nn.Conv2d(80, 4, kernel, padding=kernel // 2)
        for parameter in conv.parameters():
            torch.arange(parameter.numel(), out=parameter.data.view(-1)).mul_(0.7071).frac_().sub_(0.5)
        network = torch.nn.Sequential(conv).requires_grad_(False)
        convolution.use_nnpack(network)
        picture = torch.arange(80 * 144.0).mul_(0.6180).frac_().view(1, 80, 12, 12)
        digests.append(hashlib.sha256(network(picture).numpy().tobytes()).hexdigest())
    return digests


def main() -> int:
    """Exit status: that of the replay, 0 without."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--l1", type=int, action="append", default=[])
    parser.add_argument("bundle", nargs="?")
    options = parser.parse_args()
    found = {"operations": operations(), "convolutions": [convolutions(l1) for l1 in (None, *options.l1)]}
    print(json.dumps(found), flush=True)
    if options.bundle is None:
        return 0
    from poseparity.cli.main import main as poseparity

    return poseparity(["bundle", "verify", options.bundle, "--replay"])


if __name__ == "__main__":
    sys.exit(main())
