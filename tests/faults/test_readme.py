"""README's table of faults says of every fault what the suite expects of it, and of no other."""

from __future__ import annotations

import re

import pytest

from tests.conftest import ROOT

from .fault import Fault
from .suite import FAULTS
from .table import HEADER, UNHARMED

ROW = re.compile(r"\| (?P<fault>[^|]*) \| (?P<stage>[^|]*) \| [^|]* \| (?P<code>[a-z0-9-]+): [^|]* \|")


@pytest.fixture(scope="module")
def rows() -> list[re.Match]:
    table = (ROOT / "README.md").read_text(encoding="utf-8").partition(" | ".join(HEADER))[2]
    lines = table.partition("\n\n")[0].splitlines()[2:]  # what is left of the header, and the line below it
    found = [ROW.fullmatch(line) for line in lines]
    assert lines and all(found), [line for line, row in zip(lines, found, strict=True) if not row]
    return found


def test_every_fault_has_its_row(rows):
    assert [row["fault"] for row in rows] == [fault.name for fault in FAULTS]


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_a_row_names_stage_and_cause(rows, fault: Fault):
    (row,) = [row for row in rows if row["fault"] == fault.name]
    assert (row["stage"], row["code"]) == (fault.stage or UNHARMED, fault.cause)
