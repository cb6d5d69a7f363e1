"""`poseparity bundle verify` and `poseparity bundle record`."""

from __future__ import annotations

import argparse
from pathlib import Path

from .. import numerics
from ..settings import Settings, load_settings

_VERIFY = "check every file of a bundle against its bundle.toml"
_RECORD = "write a bundle's golden traces: what its inputs give here is right from now on"


def add_parsers(actions) -> None:
    """Add both to the actions of `poseparity bundle`. Nothing heavy is imported here."""
    verify = actions.add_parser("verify", help=_VERIFY, description=_VERIFY)
    verify.add_argument("folder", type=Path, nargs="?", metavar="DIR")
    verify.add_argument("--replay", action="store_true",
                        help="also run its golden inputs, and name the first stage that differs here")  # fmt: skip
    verify.set_defaults(command=_verify)

    record = actions.add_parser("record", help=_RECORD, description=_RECORD)
    record.add_argument("folder", type=Path, nargs="?", metavar="DIR")
    record.add_argument("--input", action="append", metavar="NAME",
                        help="a file in DIR; may be repeated (default: those it has, or its clip)")  # fmt: skip
    record.set_defaults(command=_record)


def _verify(options: argparse.Namespace) -> int:
    """Exit status: 0 as recorded, 1 a golden input gives something else here."""
    if options.replay:
        numerics.restart_with_pins()
    settings = _settings(options.folder)
    from ..bundle.bundle import load_bundle

    bundle = load_bundle(settings.bundle, settings.bundle_signers)
    print(f"{bundle.folder}: {bundle.name} {bundle.version}, {len(bundle.weights)} weights files, all as recorded")
    if not options.replay:
        return 0
    from ..golden.replay import replay
    from ..startup import load_pipeline

    replays = replay(load_pipeline(settings))
    print("\n".join(map(str, replays)))
    return 1 if any(each.differing for each in replays) else 0


def _record(options: argparse.Namespace) -> int:
    numerics.restart_with_pins()
    settings = _settings(options.folder, bundle_signers=None)  # what is recorded is signed after
    from ..golden.record import record
    from ..startup import load_pipeline

    pipeline = load_pipeline(settings)
    bundle = pipeline.bundle
    inputs = tuple(options.input or [entry.input for entry in bundle.golden] or [bundle.demo.clip])
    for name, result in zip(inputs, record(pipeline, inputs), strict=True):
        prediction = result.prediction
        print(f"{name}: {prediction.label} {prediction.scores[prediction.index]:.4f}, recorded")
    return 0


def _settings(bundle: Path | None, **changes) -> Settings:
    return load_settings(**({} if bundle is None else {"bundle": bundle}), **changes)
