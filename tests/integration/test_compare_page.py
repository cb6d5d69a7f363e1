"""The page about a comparison: whole, self-contained, and safe whatever a trace holds."""

from __future__ import annotations

from html.parser import HTMLParser

import numpy as np
import pytest

from poseparity.parity.traces.compare import compare_traces
from poseparity.parity.traces.page import page
from poseparity.parity.traces.page.drawings import figures_of
from tests.handmade_traces import side, stage, value

VOID = {"meta", "rect", "line", "circle", "input", "br"}
EVIL = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)>"


class Page(HTMLParser):
    """Tags, text and attributes; fails where a tag is closed that is not the open one."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags, self.text, self.attributes, self._open = [], [], [], []
        self.feed(text)
        assert self._open == []

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        self.attributes += [(tag, *attribute) for attribute in attributes]
        if tag not in VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.tags.append(tag)
        self.attributes += [(tag, *attribute) for attribute in attributes]

    def handle_endtag(self, tag):
        assert self._open.pop() == tag

    def handle_data(self, data):
        self.text.append(data)


def rendered(a, b) -> tuple[str, Page]:
    text = page.render_page(compare_traces(a, b), figures_of(a, b))
    return text, Page(text)


@pytest.fixture
def keypoints():
    return np.random.default_rng(3).random((2, 17, 3)) * 200 + 20


def pose(keypoints):
    return stage("pose", value("keypoints", keypoints, by_frame=True))


def test_it_shows_both_skeletons_over_time_and_by_joint(keypoints):
    other = keypoints.copy()
    other[1, 9, 0] += 30
    other[1, 10] = 0
    text, found = rendered(side(pose(keypoints)), side(pose(other)))
    words = " ".join(found.text)
    assert "Frame 1: LWrist is 30 pixels apart; B alone misses RWrist" in words
    assert found.tags.count("circle") == 17 + 1 and found.tags.count("figure") == 2  # 17 joints, and the legend
    labelled = [value for tag, name, value in found.attributes if (tag, name) == ("svg", "aria-label")]
    assert any(
        "Largest difference of a joint in frames 0 to 1: at most 30 pixels, in frame 1" in each for each in labelled
    )
    assert "Difference by joint" in words and text.index("LWrist", text.index("Difference by joint")) > 0


def test_it_needs_nothing_from_anywhere(keypoints):
    text, found = rendered(side(pose(keypoints)), side(pose(keypoints + 1)))
    assert not {"script", "link", "img", "iframe", "object", "form"} & set(found.tags)
    assert not [each for each in found.attributes if each[1] in ("src", "href") or each[1].startswith("on")]
    assert "http:" not in text and "https:" not in text and "@import" not in text
    assert (
        "meta",
        "content",
        "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'",
    ) in (found.attributes)
    assert "prefers-color-scheme: dark" in text and "@media print" in text


def test_nothing_from_a_trace_becomes_markup(keypoints):
    scores = [{"label": EVIL, "score": 0.5}, {"label": "b", "score": 0.5}]
    changes = {
        "created": EVIL,
        "poseparity": EVIL,
        "bundle": {"name": EVIL, "version": EVIL, "sha256": "1" * 64},
        "input": {"name": EVIL, "kind": "video", "bytes": 1, "sha256": "1" * 64},
        "prediction": {"index": 0, "label": EVIL, "scores": scores},
    }
    evil = stage(EVIL, value(EVIL, 1.0, unit=EVIL), **{EVIL: EVIL, "weights_sha256": EVIL})
    _, found = rendered(
        side(evil, pose(keypoints), name=EVIL),
        side(stage(EVIL, value(EVIL, 2.0, unit=EVIL)), pose(keypoints + 1), name=EVIL, **changes),
    )
    assert not {"script", "img"} & set(found.tags)
    assert not [each for each in found.attributes if each[1].startswith("on")]
    assert EVIL in " ".join(found.text)


def test_states_are_told_by_words_and_marks(keypoints):
    _, found = rendered(
        side(pose(keypoints), stage("x", value("v", 1.0))), side(pose(keypoints), stage("x", value("v", 2.0)))
    )
    words = " ".join(found.text)
    assert "= identical" in words.replace("=  ", "= ") and "≠" in words and "diverged" in words


def test_identical_traces_make_a_page_too(keypoints):
    text, found = rendered(side(pose(keypoints)), side(pose(keypoints)))
    assert "Identical" in " ".join(found.text) and "Difference over time" not in text
