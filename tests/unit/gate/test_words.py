"""What a refusal says: a few short lines, the gravest first."""

from __future__ import annotations

import json
from pathlib import Path

from poseparity.gate import words
from poseparity.gate.environments import Fact
from poseparity.gate.pages import write_pages
from poseparity.gate.side import Side
from tests.unit.environment.support import package, put
from tests.unit.gate.support import CLIP, IMAGE

NUMPY = Fact("packages.numpy.version", "1.24.3", "1.26.4", "Other results.")
OTHER_NUMPY = put("packages.numpy", package("1.26.4"))


def named(*facts: Fact) -> list[str]:
    """The lines on the environment of an image that passed otherwise."""
    return words.differences((), facts, Side(Path("local")), Side(Path("server")))[1:]


def test_the_message_names_stage_cause_and_environment(folders, tmp_path):
    folders.ran(folders.server, box=8.0, padding=0.1, change=OTHER_NUMPY)
    report = folders.judged()
    (page,) = write_pages(tmp_path, report.clips)
    assert page == tmp_path / f"{CLIP}.html" and page.exists()
    lines = words.message(IMAGE.name, IMAGE.host, report.differs, folders.policy, page).splitlines()
    assert len(lines) == 7
    assert lines[0].startswith("poseparity/app:1 is refused on server-1; what runs there was not touched")
    assert lines[1] == "On clip.mp4 stage crop diverges first (box by 4 pixels)"
    assert lines[2].startswith("Likeliest cause: the crop is padded otherwise: crop.padding is 0.15 in A and 0.1 in B")
    assert lines[3].startswith("To be sure: ")
    assert "packages.numpy.version is 1.26.4, expected 1.24.3" in lines[4] and lines[4].startswith("Environment: ")
    assert lines[5] == f"Report: {page}"
    assert lines[6].endswith("parity.toml says what must be equal.")


def test_the_message_is_short_whatever_was_found(folders):
    for number in range(5):
        folders.ran(folders.local, f"{number}.csv")
        folders.ran(folders.server, f"{number}.csv", box=number, padding=0.1)
    facts = tuple(Fact(f"packages.{number}", "x" * 5000, "y" * 5000, "Other.") for number in range(50))
    lines = words.differences(folders.judged().clips, facts, Side(folders.local), Side(folders.server))
    assert len(lines) == 4 and all(len(line) <= 220 for line in lines)
    assert named(*facts[:1] * 4)[0].startswith("Environment: packages.0 is y")


def test_more_than_a_line_holds_is_counted():
    assert named(*[NUMPY] * 9)[0].endswith(", 6 more")


def test_what_other_facts_follow_from_is_named_first():
    symptoms = [Fact(f"modules.torch.{name}", "a", "b", "Other.") for name in "abcd"]
    symptoms.append(Fact("imports.path", "-", "+ /extra", "Other."))
    assert named(*symptoms, NUMPY)[0].startswith("Environment: packages.numpy.version is 1.26.4, ")


def test_digests_are_shortened():
    fact = Fact("bundle.files.bundle.toml", "a" * 64, f"{'b' * 28}..{'c' * 7}", "Another model.")
    assert named(fact) == [f"Environment: bundle.files.bundle.toml is {'b' * 12}, expected {'a' * 12}"]


def test_a_difference_without_effect_on_the_clip_is_named(folders):
    folders.ran(folders.server, padding=0.1, change=OTHER_NUMPY)
    same, environment = folders.differs()
    assert same.startswith("Every stage gave the same bits on what was replayed, but other clips can differ. Found: ")
    assert "crop.padding is 0.15 in A and 0.1 in B" in same and environment.startswith("Environment: ")


def test_an_image_that_cannot_run_the_clip_says_why(folders):
    folders.failed(said=(
        "poseparity: WARNING: --unpinned: ...\nposeparity: bundle.toml is not TOML: line 3\n  fix: correct that line\n"
    ))  # fmt: skip
    assert folders.differs() == ["It cannot run clip.mp4: poseparity: bundle.toml is not TOML: line 3"]


def test_without_a_word_of_the_program_the_last_line_tells_why(folders):
    folders.failed(said="Traceback (most recent call last):\n  File \"run.py\", line 3\nKeyError: 'verdict'\n\n")
    assert folders.differs() == ["It cannot run clip.mp4: KeyError: 'verdict'"]


def test_an_image_that_cannot_run_the_clip_is_asked_for_its_bundle(folders):
    folders.failed(said="no such file")
    for side, confidence in ((folders.local, 0.5), (folders.server, 0.9)):
        shown = {"folder": str(side), "sha256": str(confidence), "detect": {"confidence": confidence, "iou": 0.6}}
        folders.write(side, "bundle.json", json.dumps(shown))
    assert folders.differs() == [
        "It cannot run clip.mp4: no such file",
        "Bundle: detect.confidence is 0.9, expected 0.5",
    ]


def test_a_bundle_that_is_described_by_half_is_said_so(folders):
    folders.failed(said="no such file")
    folders.write(folders.local, "bundle.json", "{}")
    folders.write(folders.server, "bundle.json", '{"detect": ')
    assert folders.differs()[1] == f"Bundle: its description is no JSON object, see {folders.server}/bundle.json"


def test_what_a_terminal_would_obey_is_not_printed(folders):
    folders.failed(said="poseparity: \x1b[2Jpassed\n")
    assert folders.differs() == ["It cannot run clip.mp4: poseparity: ?[2Jpassed"]


def test_the_rows_of_the_report_are_columns(folders):
    assert words.rows([NUMPY, Fact("os", "Linux", "a\nb", "None.")]) == [
        "packages.numpy.version  1.24.3  1.26.4  MISMATCH  Other results.",
        "os                      Linux   a\nb     MISMATCH  None.",
    ]
    assert words.rows([]) == []


def test_without_a_page_or_a_report_none_is_named(folders):
    lines = words.message("image", "host", ["it differs"], folders.policy, None).splitlines()
    assert len(lines) == 3 and not any(line.startswith("Report") for line in lines)


def test_a_page_that_cannot_be_drawn_is_none(folders, tmp_path):
    folders.ran(folders.server, box=8.0)
    assert write_pages(tmp_path / "absent", folders.judged().clips) == []
