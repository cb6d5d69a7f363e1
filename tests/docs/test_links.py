"""Every link, anchor, picture and path on the project's pages leads somewhere."""

from __future__ import annotations

import re

import pytest

from tests.conftest import ROOT

from .pages import PAGES, Page, anchor

_OUTSIDE = ("http://", "https://", "mailto:")
_FOLDERS = sorted(path.name for path in ROOT.iterdir() if path.is_dir() and not path.name.startswith("."))
# A pattern, or what stands for a name of the reader's.
_NO_PATH = re.compile(r"[<>*{}…]|NAME|\.\.\.")
MOST_LINES = 150
README = next(page for page in PAGES if page.name == "README.md")
by_name = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)


@by_name
def test_every_link_leads_to_a_file_of_the_project_and_to_a_heading_of_it(page: Page):
    problems = []
    for target in page.targets:
        if target.startswith(_OUTSIDE):
            continue
        path, _, heading = target.partition("#")
        file = (page.path.parent / path).resolve() if path else page.path
        if not file.is_relative_to(ROOT) or not file.exists():
            problems.append(f"{target}: there is no {path}")
        elif heading and heading not in Page(file).anchors:
            problems.append(f"{target}: {file.name} has no such heading, only {sorted(Page(file).anchors)}")
    assert problems == []


@by_name
def test_every_path_that_a_page_names_is_there(page: Page):
    """`scripts/...`, `service/poseparity/...` and the like, in code; a moved file must take its mentions along."""
    named = [span.split()[0] for span in page.code_spans if span.split()]
    paths = [name.removeprefix("./") for name in named if name.partition("/")[0] in _FOLDERS and "/" in name]
    absent = [path for path in paths if not _NO_PATH.search(path) and not (ROOT / path).exists()]
    assert absent == []


@by_name
def test_a_heading_is_on_a_page_once(page: Page):
    """Of two equal ones, a link reaches the first alone."""
    assert len(page.headings) == len(page.anchors), page.headings


@pytest.mark.parametrize("page", [page for page in PAGES if page.name.startswith("docs/")], ids=lambda page: page.name)
def test_the_index_leads_to_every_page(page: Page):
    index = next(each for each in PAGES if each.name == "docs/index.md")
    assert page is index or page.path.name in index.targets


def test_no_picture_is_left_over_or_large():
    shown = {(page.path.parent / target).resolve() for page in PAGES for target in page.targets}
    for picture in (ROOT / "docs/pictures").iterdir():
        assert picture in shown, f"no page shows {picture.name}"
        assert picture.stat().st_size < 150_000, picture.name


def test_the_readme_is_read_in_two_minutes():
    assert len(README.text.splitlines()) <= MOST_LINES


@pytest.mark.parametrize(
    "heading, name",
    [
        ('The trace\'s format, "poseparity-trace/1"', "the-traces-format-poseparity-trace1"),
        ("Moving to /v1/predictions", "moving-to-v1predictions"),
        ("What is in `front` of it", "what-is-in-front-of-it"),
        ("빠른 시작", "빠른-시작"),
    ],
)
def test_an_anchor_is_made_as_github_makes_it(heading, name):
    assert anchor(heading) == name
