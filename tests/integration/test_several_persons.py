"""What a user is told of two people in a video: in the text, in JSON, in the trace, on the page and in the overlay."""

from __future__ import annotations

import html
import json
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from poseparity.parity.traces import report as trace_report
from poseparity.parity.traces.compare import compare_traces
from poseparity.parity.traces.page import page
from poseparity.parity.traces.page.drawings import figures_of
from poseparity.trace.writing import read_trace
from tests.handmade_traces import side, stage, value

POSEPARITY = Path(sys.executable).with_name("poseparity")
FIGURE = slice(95, 345)  # columns of the demo clip's picture that hold its figure
FRAMES, EXCHANGED = 30, 20


def poseparity(*arguments: object) -> str:
    done = subprocess.run([POSEPARITY, *map(str, arguments)], capture_output=True, text=True, timeout=180, check=False)
    assert done.returncode in (0, 1), done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def pair(demo_clip, tmp_path_factory) -> Path:
    """Two rendered figures side by side; in the last third they have changed places."""
    capture = cv2.VideoCapture(str(demo_clip))
    path = tmp_path_factory.mktemp("video") / "pair.avi"
    writer = None
    for index in range(FRAMES):
        picture = capture.read()[1]
        figure = picture[:, FIGURE]
        smaller = cv2.resize(figure, None, fx=0.9, fy=0.9, interpolation=cv2.INTER_AREA)
        other = np.full_like(figure, 128)
        other[-smaller.shape[0] :, : smaller.shape[1]] = smaller
        scene = np.hstack([figure, other] if index < EXCHANGED else [other, figure])
        writer = writer or cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"MJPG"), 25, scene.shape[1::-1])
        writer.write(scene)
    writer.release()
    return path


@pytest.fixture(scope="module")
def run(pair, tmp_path_factory) -> Path:
    """The folder with everything that one run writes; text.txt is what it prints."""
    folder = tmp_path_factory.mktemp("run")
    (folder / "text.txt").write_text(
        poseparity("run", pair, "--csv", folder / "skeleton.csv", "--trace", folder / "trace.json")
    )
    return folder


def test_the_text_says_that_there_are_two_and_that_one_is_used(run):
    text = (run / "text.txt").read_text()
    assert "persons: 1 of the up to 2 that the model takes" in text
    count = f"2 persons in {FRAMES} of {FRAMES} frames"
    assert f"warning: {count}; the skeleton follows one by [pose] follow = score [several-persons]" in text
    assert "warning: the model takes up to 2 persons and gets one" in text
    assert "warning: the skeleton may be of two people, one after the other: it changes in frames" in text


def test_a_csv_holds_one_person_and_the_answer_says_so(run):
    answer = json.loads(poseparity("run", run / "skeleton.csv", "--json"))
    assert answer["persons"] == {"used": 1, "model": 2}
    assert "several_persons" not in answer["frames"]
    assert [warning["code"] for warning in answer["warnings"] if "person" in warning["code"]] == []
    assert "persons: 1 of the up to 2" in poseparity("run", run / "skeleton.csv")


def test_a_trace_holds_the_warnings_and_the_page_shows_them(run, demo_bundle, tmp_path):
    warnings = read_trace(run / "trace.json").warnings
    assert [warning.code for warning in warnings] == ["several-persons", "one-person", "identity-change"]
    golden = demo_bundle.folder / demo_bundle.golden[0].trace
    text = poseparity("compare", golden, run / "trace.json", "--html", tmp_path / "page.html")
    shown = html.unescape((tmp_path / "page.html").read_text())
    for warning in warnings:
        assert f"warning of B: {warning.message[:40]}" in text
        assert f"<li>{warning.message} " in shown and warning.code in shown
    assert "warning of A" not in text


def test_a_warning_in_a_trace_of_any_origin_becomes_no_markup_and_no_command():
    evil = {"code": "<b>", "message": "<script>alert(1)</script>\x1b[2J"}
    a, b = side(stage("x", value("v", 1.0)), warnings=[evil]), side(stage("x", value("v", 2.0)))
    comparison = compare_traces(a, b)
    shown = page.render_page(comparison, figures_of(a, b))
    assert "<script" not in shown and "&lt;script&gt;" in shown and ">none<" in shown
    assert "\x1b" not in trace_report.render(comparison) and "warning of A: <script>" in trace_report.render(comparison)
