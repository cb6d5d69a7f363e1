"""The table of docs/faults.md says of every fault what the suite expects of it, and of no other."""

from __future__ import annotations

import re

import pytest

from bench.faults.fault import Fault
from bench.faults.suite import FAULTS
from bench.faults.table import BEGIN, END, HEADER, PAGE, UNHARMED, markdown, write
from tests.conftest import ROOT

ROW = re.compile(r"\| (?P<fault>[^|]*) \| (?P<stage>[^|]*) \| [^|]* \| (?P<code>[a-z0-9-]+): [^|]* \|")


def table() -> str:
    return PAGE.read_text(encoding="utf-8").partition(BEGIN)[2].partition(END)[0]


@pytest.fixture(scope="module")
def rows() -> list[re.Match]:
    head, _, *lines = table().strip().splitlines()
    assert head == f"| {' | '.join(HEADER)} |"
    found = [ROW.fullmatch(line) for line in lines]
    assert lines and all(found), [line for line, row in zip(lines, found, strict=True) if not row]
    return found


def test_every_fault_has_its_row(rows):
    assert [row["fault"] for row in rows] == [fault.name for fault in FAULTS]


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_a_row_names_stage_and_cause(rows, fault: Fault):
    (row,) = [row for row in rows if row["fault"] == fault.name]
    assert (row["stage"], row["code"]) == (fault.stage or UNHARMED, fault.cause)


@pytest.mark.parametrize("page", ["README.md", "docs/faults.md", "docs/quickstart.ko.md"])
def test_a_page_counts_them_rightly(page):
    counted = re.findall(
        r"(?:\[|all )(\d+) (?:faults|are refused)|(\d+)가지 결함", (ROOT / page).read_text(encoding="utf-8")
    )
    assert [int(a or b) for a, b in counted] == [len(FAULTS)]


def test_the_table_holds_no_checksum():
    """They change with every edit of the code, and nobody would write the table again for that."""
    assert not re.search(r"\b[0-9a-f]{12,}\b", table())
    assert "sha256 … in A" in markdown([("name", "detect", "", "stage-code: sha256 b1adb9863b25 in A")])


def test_only_what_is_between_the_markers_is_written(tmp_path):
    page = tmp_path / "faults.md"
    page.write_text(f"# Title\n{BEGIN}\nold\n\n{END}below\n", encoding="utf-8")
    write("new\n", page)
    assert page.read_text(encoding="utf-8") == f"# Title\n{BEGIN}\nnew\n\n{END}below\n"


def test_a_page_without_its_markers_is_left_alone(tmp_path):
    page = tmp_path / "faults.md"
    page.write_text(f"# Title\n{BEGIN}old\n", encoding="utf-8")
    with pytest.raises(ValueError, match="end of faults"):
        write("new\n", page)
    assert page.read_text(encoding="utf-8") == f"# Title\n{BEGIN}old\n"
