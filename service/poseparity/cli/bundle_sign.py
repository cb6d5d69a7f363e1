"""poseparity bundle sign."""

from __future__ import annotations

import argparse
from pathlib import Path

from ..bundle.signing import LIST, SIGNATURE, sign


def add_parser(actions) -> None:
    """Add `sign` to the actions of `poseparity bundle`."""
    text = "sign every file of a bundle with an SSH key, for servers whose POSEPARITY_BUNDLE_SIGNERS asks for it"
    action = actions.add_parser("sign", help=text, description=text)
    action.add_argument("folder", type=Path, metavar="DIR")
    text = "private key, as ssh-keygen makes it, or the public one of a key in the agent"
    action.add_argument("--key", type=Path, required=True, metavar="FILE", help=text)
    action.set_defaults(command=_run)


def _run(options: argparse.Namespace) -> int:
    from ..bundle.bundle import load_bundle

    bundle = load_bundle(options.folder)
    count = sign(bundle.folder, options.key)
    print(f"{bundle.folder}: {count} files signed; {LIST} and {SIGNATURE} travel with the bundle")
    return 0
