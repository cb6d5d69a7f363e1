"""Takes a snapshot of a Python environment and compares two of them: is the server what the local machine is?

    python verify_env.py snapshot [-o FILE]
    python verify_env.py compare REFERENCE [CURRENT] [--json] [--policy FILE]

REFERENCE is the local side, CURRENT the server's (absent: a snapshot taken now). lockfiles/parity.toml says which facts
must be equal, which may differ, and what a difference does to results. Exit status: 0 match, 1 mismatch, 2 error.

One file, standard library only, Python >= 3.8, Linux, macOS and Windows, so that it runs inside any environment that is
to be judged.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
from pathlib import Path

from .child import CHILD_COMMAND, child_main
from .compare import compare_snapshots, overall
from .files import VerifyError
from .policy import load_policy
from .project import default_root
from .report import render, report
from .snapshot import load_snapshot, take_snapshot, write_snapshot


class Parser(argparse.ArgumentParser):
    """argparse with errors in one line, as all errors of this program are."""

    def error(self, message: str) -> None:
        raise VerifyError(f"{message}: see --help")


def build_parser() -> Parser:
    parser = Parser(prog="verify_env.py", description="Compares the environment of a server with the local one.",
                    epilog="exit status: 0 match, 1 mismatch, 2 error")
    commands = parser.add_subparsers(dest="command", metavar="snapshot|compare")
    snapshot = commands.add_parser("snapshot", help="describe this interpreter's environment as JSON")
    snapshot.add_argument("-o", "--output", type=Path, help="file to write (default: standard output)")
    compare = commands.add_parser("compare", help="compare two snapshots, or one with this environment")
    compare.add_argument("reference", type=Path, help="snapshot of the local environment")
    compare.add_argument("current", type=Path, nargs="?", help="the server's (default: a snapshot taken now)")
    compare.add_argument("--json", action="store_true", help="print the findings as JSON")
    compare.add_argument("--policy", type=Path, help="rules to judge by (default: lockfiles/parity.toml)")
    compare.add_argument("--all", action="store_true", help="show differences that are mere information, too")
    for command in (snapshot, compare):
        add_snapshot_options(command)
    return parser


def add_snapshot_options(command: argparse.ArgumentParser) -> None:
    command.add_argument("--root", type=Path, default=default_root(), help="folder of lockfiles/ and service/")
    command.add_argument("--pins", type=Path, help="file of the pins (default: lockfiles/numerics.env)")
    command.add_argument("--bundle", type=Path, help="model bundle (default: that of the service)")
    command.add_argument("--apply-pins", action="store_true", help="set the pins, where this shell does not")
    command.add_argument("--no-integrity", dest="integrity", action="store_false", help="do not hash installed files")


def snapshot_from(options: argparse.Namespace) -> dict:
    return take_snapshot(options.root, pins_file=options.pins, bundle=options.bundle, integrity=options.integrity,
                         apply_pins=options.apply_pins)


def run_compare(options: argparse.Namespace) -> int:
    policy = load_policy(options.policy or options.root / "lockfiles" / "parity.toml")
    reference = load_snapshot(options.reference)
    current = load_snapshot(options.current) if options.current else snapshot_from(options)
    findings = compare_snapshots(reference, current, policy)
    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else None
    print(json.dumps(report(findings), indent=1) if options.json else render(findings, options.all, width))
    return 1 if overall(findings) == "mismatch" else 0


def main(argv: list[str] | None = None) -> int:
    """Runs the command line; 0 match, 1 mismatch, 2 error with one line on stderr."""
    arguments = sys.argv[1:] if argv is None else argv
    if arguments == [CHILD_COMMAND]:
        return child_main()
    try:
        parser = build_parser()
        options = parser.parse_args(arguments)
        if options.command is None:
            parser.error("found no command, expected snapshot or compare")
        if options.command == "compare":
            return run_compare(options)
        write_snapshot(snapshot_from(options), options.output)
        return 0
    except VerifyError as error:
        print(f"verify_env.py: error: {error}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.stdout.reconfigure(errors="backslashreplace")  # file names need not be printable in this terminal's encoding
    sys.exit(main())
