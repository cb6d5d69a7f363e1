"""`poseparity compare`."""

from __future__ import annotations

import argparse
import json
from dataclasses import replace
from pathlib import Path

import numpy as np

from .. import skeleton_csv
from ..errors import InputError
from ..inputs import kind_of
from ..settings import load_settings
from .report import report
from .result import Comparison

_HELP = "say what explains the difference between two skeleton CSVs; exit 0 identical, 1 different, 2 error"
_HEAD_BYTES = 64


def add_parser(commands) -> None:
    """Add `compare` to the commands of `poseparity`."""
    compare = commands.add_parser("compare", help=_HELP, description=_HELP)
    compare.add_argument("a", type=Path, metavar="A", help="skeleton CSV: what it should be, such as the local one")
    compare.add_argument("b", type=Path, metavar="B", help="skeleton CSV: what it is, such as the server's")
    compare.add_argument("--json", action="store_true", help="print the whole comparison as JSON")
    compare.set_defaults(command=_run)


def _run(options: argparse.Namespace) -> int:
    comparison = compare_files(options.a, options.b)
    print(json.dumps(comparison.to_dict(), indent=2, allow_nan=False) if options.json else report(comparison))
    return comparison.exit_status


def compare_files(a: Path, b: Path) -> Comparison:
    """Compare two skeleton CSVs.

    Raises:
        InputError: a file is no skeleton CSV; the message names it.
    """
    skeletons = _read(a), _read(b)
    from .csvs import compare_skeletons  # imports SciPy: a wrong path is told before that

    comparison = compare_skeletons(*skeletons)
    sides = [{"file": str(path)} | side for path, side in zip((a, b), comparison.sides, strict=True)]
    return replace(comparison, sides=(sides[0], sides[1]))


def _read(path: Path) -> np.ndarray:
    """A skeleton: float64 (frames, 17, 3)."""
    with path.open("rb") as file:
        is_json = file.read(_HEAD_BYTES).lstrip().startswith(b"{")
    if is_json:
        raise InputError(
            f"{path} is JSON, expected a skeleton CSV: traces cannot be compared yet",
            fix="give the skeleton CSVs of the two runs: poseparity run INPUT --csv FILE",
        )
    try:
        if kind_of(path) == "video":
            raise InputError(
                "it is a video or another binary file, expected a skeleton CSV",
                fix="make its skeleton CSV first: poseparity run VIDEO --csv FILE",
            )
        return skeleton_csv.read(path.read_bytes(), max_frames=load_settings().max_frames)
    except InputError as error:
        error.args = (f"{path}: {error}",)
        raise
