"""`scripts/bench faults [WORD]...`: plant every fault and write the table of docs/faults.md.

With words, only the faults whose name holds one of them, and the page stays as it is.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from .fault import can_exist
from .suite import FAULTS, Suite
from .table import PAGE, markdown, row, write


def main(words: list[str]) -> int:
    """Return the exit status: 0 every fault was named rightly, 1 not, 2 no fault has such a name."""
    chosen = [fault for fault in FAULTS if not words or any(word in fault.name for word in words)]
    if not chosen:
        print(f"found no fault whose name holds {' or '.join(map(repr, words))}; see {PAGE}", file=sys.stderr)
        return 2
    absent = [fault.name for fault in chosen if not can_exist(fault)]
    with tempfile.TemporaryDirectory() as folder:
        suite = Suite(Path(folder))
        suite.begin(fault for fault in chosen if can_exist(fault))
        outcomes = [suite.examine(fault) for fault in chosen if can_exist(fault)]
    table = markdown(map(row, outcomes))
    print(table, end="")
    wrong = [f"{outcome.fault.name}: {problem}" for outcome in outcomes for problem in outcome.problems]
    not_planted = [f"NOT planted, this processor cannot have it: {name}" for name in absent]
    for line in (*wrong, *not_planted):
        print(line, file=sys.stderr)
    if wrong:
        return 1
    # A page without a row would say that there is no such fault.
    if not words and not absent:
        write(table)
        print(f"written to {PAGE}", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
