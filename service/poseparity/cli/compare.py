"""`poseparity compare`."""

from __future__ import annotations

import argparse
import codecs
import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import InputError, OutputError
from ..outputs import check_output
from ..parity.skeletons.report import report
from ..parity.skeletons.result import CsvComparison
from ..settings import load_settings

if TYPE_CHECKING:  # the command line loads without NumPy: a processor that NumPy cannot run on is refused by name
    from ..skeleton_csv import SkeletonCsv

_HELP = "say where two runs differ first, and why; exit 0 identical, 1 different, 2 error"
_DESCRIPTION = (
    "Two traces (poseparity run --trace, or a service's answer to -F trace=1): the first stage that differs, by how "
    "much, and the likeliest causes. Two skeleton CSVs: what explains their difference. Exit status: 0 identical, "
    "1 different (within tolerance, too), 2 error."
)
_HEAD_BYTES = 64  # a byte order mark, and what spaces a program may write before its first bracket


def add_parser(commands) -> None:
    """Add `compare` to the commands of `poseparity`."""
    compare = commands.add_parser("compare", help=_HELP, description=_DESCRIPTION)
    compare.add_argument("a", type=Path, metavar="A", help="a trace or a skeleton CSV: what it should be")
    compare.add_argument(
        "b", type=Path, metavar="B", help="the same of the other run: what it is, such as the server's"
    )
    compare.add_argument(
        "--html", type=Path, metavar="FILE.html", help="write a page with pictures; of two traces only"
    )
    compare.add_argument("--json", action="store_true", help="print the whole comparison as JSON")
    compare.set_defaults(command=_run)


def _run(options: argparse.Namespace) -> int:
    if _are_traces(options.a, options.b):
        if options.html:
            for source in (options.a, options.b):
                check_output(options.html, source=source, suffix=".html")
        from ..parity.traces.compare import compare_traces
        from ..parity.traces.report import render
        from ..trace.reading import load_trace

        a, b = load_trace(options.a), load_trace(options.b)
        comparison, text = compare_traces(a, b), render
        if options.html:
            from ..parity.traces.page.drawings import figures_of
            from ..parity.traces.page.page import write_page

            write_page(options.html, comparison, figures_of(a, b))
    elif options.html:
        raise OutputError(
            "--html is for two traces, these are skeleton CSVs",
            fix="record traces of both: poseparity run CSV --trace FILE.json --trace-arrays",
        )
    else:
        comparison, text = compare_files(options.a, options.b), report
    print(json.dumps(comparison.to_dict(), indent=2, allow_nan=False) if options.json else text(comparison))
    return comparison.exit_status


def _are_traces(a: Path, b: Path) -> bool:
    """Whether both files are traces and not skeleton CSVs; their content tells.

    Raises:
        InputError: one is, the other is not.
    """
    traces = []
    for path in (a, b):
        with path.open("rb") as file:
            traces.append(file.read(_HEAD_BYTES).removeprefix(codecs.BOM_UTF8).lstrip().startswith(b"{"))
    if any(traces) and not all(traces):
        trace, other = (a, b) if traces[0] else (b, a)
        raise InputError(
            f"{trace} is JSON, such as a trace, and {other} is not: two of one kind can be compared",
            fix=f"record a trace of the other: poseparity run {other} --trace FILE.json",
        )
    return all(traces)


def compare_files(a: Path, b: Path) -> CsvComparison:
    """Compare two skeleton CSVs.

    Raises:
        InputError: a file is no skeleton CSV; the message names it.
    """
    files = _read(a), _read(b)
    from ..parity.skeletons.compare import compare_skeletons  # imports SciPy: a wrong path is told before that

    comparison = compare_skeletons(*(file.keypoints for file in files))
    first, second = (replace(side, file=str(path)) for path, side in zip((a, b), comparison.sides, strict=True))
    read = [f"{name}: {notice.message}" for name, file in zip("AB", files, strict=True) for notice in file.notices]
    return replace(comparison, sides=(first, second), notes=(*read, *comparison.notes))


def _read(path: Path) -> SkeletonCsv:
    from .. import skeleton_csv
    from ..inputs import kind_of

    try:
        if kind_of(path) == "video":
            raise InputError(
                "it is a video or another binary file, expected a skeleton CSV",
                fix="make its skeleton CSV first: poseparity run VIDEO --csv FILE",
            )
        return skeleton_csv.read_with_notices(path.read_bytes(), max_frames=load_settings().max_frames)
    except InputError as error:
        error.args = (f"{path}: {error}",)
        raise
