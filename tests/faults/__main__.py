"""`python -m tests.faults [NAME]...`: plant every fault, or those whose name holds a word; print README's table."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from .fault import can_exist
from .suite import FAULTS, Suite
from .table import markdown


def main(words: list[str]) -> int:
    """Return the exit status: 0 every fault was named rightly, 1 not."""
    chosen = [fault for fault in FAULTS if not words or any(word in fault.name for word in words)]
    absent = [fault.name for fault in chosen if not can_exist(fault)]
    with tempfile.TemporaryDirectory() as folder:
        suite = Suite(Path(folder))
        suite.begin(fault for fault in chosen if can_exist(fault))
        outcomes = [suite.examine(fault) for fault in chosen if can_exist(fault)]
    print(markdown(outcomes))
    wrong = [f"{outcome.fault.name}: {problem}" for outcome in outcomes for problem in outcome.problems]
    wrong_or_absent = [*wrong, *(f"NOT planted, this processor cannot have it: {name}" for name in absent)]
    print("\n".join(wrong_or_absent), file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
