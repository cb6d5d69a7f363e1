"""The findings as a table and as JSON."""

from __future__ import annotations

import json
import re

from poseparity.environment.report import render, report, show_lists
from tests.unit.environment.support import answer_otherwise, package, put


def test_table_names_both_sides_verdict_and_effect(compare):
    text = render(compare(put("packages.opencv-python.version", "4.11.0.86")), False, None)
    heading, row, empty, summary = text.splitlines()
    assert heading.split(None, 4) == ["fact", "local", "server", "verdict", "what it does to results"]
    assert row.split(None, 4)[:4] == ["packages.opencv-python.version", "4.12.0.88", "4.11.0.86", "MISMATCH"]
    assert "skeleton coordinates" in row
    assert empty == ""
    assert summary.startswith("mismatch: ") and "1 error" in summary


def test_table_fits_the_terminal_and_says_nothing_where_nothing_differs(compare):
    findings = compare(put("packages.opencv-python.version", "4.11.0.86"))
    assert max(map(len, render(findings, False, 110).splitlines()[:-1])) <= 110
    assert render([], False, None).startswith("match: ")


def test_table_shows_short_lists_in_full_and_of_long_ones_what_the_other_side_lacks():
    assert show_lists(["a"], ["a", "b"]) == ["a", "a, b"]
    assert show_lists([], ["b"]) == ["none", "b"]
    assert show_lists(["a", "c" * 30], ["a", "c" * 30, "extra"]) == ["-", "+ extra"]


def test_table_shows_versions_of_packages_that_one_side_lacks(compare):
    row = render(compare(put("packages.torch", package("2.13.0"))), False, None).splitlines()[1]
    assert row.split()[1:4] == ["absent", "2.13.0", "MISMATCH"]


def test_table_has_one_row_for_the_operations_of_a_library_after_their_causes(compare):
    def change(snapshot):
        answer_otherwise(snapshot)
        put("pins.by_name.OMP_NUM_THREADS.state", "not set")(snapshot)

    _, pin, resize, products, _, summary = render(compare(change), False, None).splitlines()
    assert pin.startswith("pins.by_name.OMP_NUM_THREADS.state ")
    assert re.split(r"\s{2,}", resize)[:4] == ["fingerprint of cv2", "-", "1 operation differs", "MISMATCH"]
    assert re.split(r"\s{2,}", products)[:4] == ["fingerprint of torch", "-", "2 operations differ", "MISMATCH"]
    assert resize.endswith("(resize.cubic)") and products.endswith("(linear, matmul)")
    assert summary.startswith("mismatch: ") and "4 error" in summary


def test_information_is_shown_on_request_only(compare):
    findings = compare(put("taken.at", "later"))
    assert "taken.at" not in render(findings, False, None)
    assert "taken.at" in render(findings, True, None)


def test_json_report_is_complete(compare):
    document = json.loads(json.dumps(report(compare(put("packages.numpy.version", "1.26.4")))))
    assert document["format"] == 1
    assert document["verdict"] == "mismatch"
    assert document["counts"]["error"] == 1
    assert set(document["findings"][0]) == {"path", "reference", "current", "verdict", "problem", "why", "effect"}
