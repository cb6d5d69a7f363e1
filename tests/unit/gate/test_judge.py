"""Only what is equal passes, under one policy; whatever an image leaves, it is judged."""

from __future__ import annotations

import json
import re
from dataclasses import replace

import pytest

from poseparity.errors import InputError, PoseParityError
from poseparity.gate import comparing
from poseparity.gate.judge import FORMAT
from poseparity.parity.result import Cause
from tests.handmade_traces import SHA, document, stage, value
from tests.unit.environment.support import POLICY, put, small_snapshot
from tests.unit.gate.support import CLIP, IMAGE

OTHER_NUMPY = put("packages.numpy.version", "1.26.4")


def test_what_is_equal_passes(folders):
    report = folders.judged()
    kept = json.loads(json.dumps(report.to_dict(), allow_nan=False))
    assert [*kept] == ["format", "when", "host", "image", "bundle", "verdict", "differs", "environment", "unexplained",
                       "clips"]  # fmt: skip
    assert (kept["format"], kept["verdict"], kept["host"]) == (FORMAT, "passed", IMAGE.host)
    assert kept["image"] == {"name": IMAGE.name, "id": IMAGE.id}
    assert kept["bundle"] == {"name": "demo", "version": "1", "sha256": SHA}
    assert kept["differs"] == kept["environment"] == kept["unexplained"] == []
    (clip,) = kept["clips"]
    assert (clip["clip"], clip["verdict"], clip["comparison"]["verdict"]) == (CLIP, "identical", "identical")


@pytest.mark.parametrize("box, verdict", [(4.0 + 1e-7, "within-tolerance"), (8.0, "diverged")])
def test_anything_but_identical_is_refused(folders, box, verdict):
    folders.ran(folders.local, "other.csv")
    folders.ran(folders.server, "other.csv", box=box)
    report = folders.judged()
    assert report.verdict == "refused"
    assert [clip.to_dict()["verdict"] for clip in report.clips] == ["identical", verdict]


def test_a_stage_that_one_side_alone_ran_is_refused(folders):
    more = document(stage("crop", value("box", 4.0), padding=0.15), stage("trim"), environment=small_snapshot())
    folders.write(folders.local, f"{CLIP}.trace.json", json.dumps(more))
    assert folders.differs() == [f"On {CLIP} only one side ran trim; what both ran gave the same bits"]


def test_a_difference_of_the_environment_is_refused(folders):
    folders.ran(folders.server, change=OTHER_NUMPY)
    report = folders.judged()
    assert (report.verdict, report.clips[0].comparison.verdict) == ("refused", "identical")
    (row,) = report.to_dict()["environment"]
    assert row.startswith("packages.numpy.version  1.24.3  1.26.4  MISMATCH  Array operations ")


def test_a_difference_in_the_environment_of_any_clip_is_refused(folders):
    folders.ran(folders.local, "other.csv")
    folders.ran(folders.server, "other.csv", change=OTHER_NUMPY)
    assert folders.judged(CLIP).verdict == "passed"
    assert folders.judged().verdict == "refused"


NUMPY_RULE = 'paths = ["packages.numpy.**"]\nverdict = '
PYTHON_RULE = 'paths = ["interpreter.version", "interpreter.cache_tag"]\nverdict = '


@pytest.fixture
def with_verdict(folders, tmp_path):
    """with_verdict(rule, verdict): the folders are judged by a policy of the user, which has another verdict there."""

    def write(rule: str, verdict: str) -> None:
        text, count = re.subn(f'{re.escape(rule)}"[a-z-]+"', f'{rule}"{verdict}"', POLICY.read_text("utf-8"))
        assert count == 1
        folders.policy = tmp_path / "own.toml"
        folders.policy.write_text(text, "utf-8")

    return write


def test_what_the_policy_of_the_user_allows_is_neither_a_mismatch_nor_a_warning(folders, with_verdict):
    folders.ran(folders.server, change=OTHER_NUMPY)
    assert folders.judged().clips[0].comparison.warnings[0].code == "numpy"
    with_verdict(NUMPY_RULE, "may-differ")
    report = folders.judged()
    comparison = report.clips[0].comparison
    assert report.verdict == "passed" and comparison.warnings == ()
    assert "allowed" in {each["verdict"] for each in comparison.environment} <= {"allowed", "information"}
    assert comparison.summary == "every stage that both have made the same bits"


def test_what_the_policy_of_the_user_allows_is_no_cause(folders, with_verdict):
    folders.ran(folders.server, change=OTHER_NUMPY, box=8.0)
    comparison = folders.judged().clips[0].comparison
    assert comparison.causes[0].code == "numpy" and comparison.causes[0].title in comparison.summary
    with_verdict(NUMPY_RULE, "may-differ")
    comparison = folders.judged().clips[0].comparison
    assert [cause.code for cause in comparison.causes] == ["unknown"]
    first, _, cause = comparison.summary.partition("; likeliest cause: ")
    assert (first, cause) == ("stage crop diverges first (box by 4 pixels)", comparison.causes[0].title)


def test_what_the_policy_of_the_user_forbids_is_a_mismatch_and_a_warning(folders, with_verdict):
    folders.ran(folders.server, change=put("interpreter.version", "3.11.9"))
    assert folders.judged().verdict == "passed"
    with_verdict(PYTHON_RULE, "must-equal")
    assert folders.differs()[1] == "Environment: interpreter.version is 3.11.9, expected 3.11.2"
    assert folders.judged().clips[0].comparison.warnings[0].code == "environment"


# --- what an image may leave ---

WHOLE = document(stage("crop", value("box", 4.0), padding=0.15), environment=small_snapshot())
DAMAGED = WHOLE | {"stages": [stage("crop", value("box", 4.0) | {"sha256": "f" * 64}, padding=0.15)]}
NO_NUMBER = {"scores": [{"label": "a", "score": float("nan")}], "index": 0, "label": "a"}
NO_OBJECT = "its trace is no JSON object, see "
UNREADABLE = {
    "nothing": ("", NO_OBJECT),
    "half of its JSON": (json.dumps(WHOLE)[:400], NO_OBJECT),
    "a list": ("[]", NO_OBJECT),
    "a number": ("1", NO_OBJECT),
    "no text": ("\0\0\0", NO_OBJECT),
    "a nesting without end": ("[" * 100_000, NO_OBJECT),
    "another object": ('{"verdict": "identical"}', "is no trace: its format is None"),
    "another format": (json.dumps(WHOLE | {"format": "poseparity-trace/9"}), "its format is 'poseparity-trace/9'"),
    "no stages": (json.dumps(WHOLE | {"stages": []}), "is damaged: it has no stages"),
    "stages of another type": (json.dumps(WHOLE | {"stages": ["crop"]}), "is damaged: stages.0"),
    "a value that is not its digest's": (json.dumps(DAMAGED), "is not what its sha256 says"),
    "arrays that are somewhere else": (json.dumps(WHOLE | {"arrays": {"file": "../a.npz", "sha256": SHA}}),
                                       "its arrays are to lie in '../a.npz'"),
    "a score that is no number": (json.dumps(WHOLE | {"prediction": NO_NUMBER}), "(ValueError: "),
    "an environment that is none": (json.dumps(WHOLE | {"environment": {"kind": "x"}}), "is no snapshot"),
}  # fmt: skip


@pytest.mark.parametrize("content, words", UNREADABLE.values(), ids=UNREADABLE)
def test_a_trace_that_cannot_be_compared_is_refused_with_the_reason(folders, content, words):
    folders.ran(folders.local, "other.csv")
    folders.write(folders.server, "other.csv.trace.json", content)
    folders.write(folders.server, "other.csv.error.txt", "poseparity: WARNING: --unpinned: ...\n")
    lines = folders.differs()
    assert lines[0].startswith("It cannot be compared on other.csv: ")
    report = folders.judged()
    assert words in report.clips[1].why_not
    kept = json.loads(json.dumps(report.to_dict(), allow_nan=False))
    assert [clip["verdict"] for clip in kept["clips"]] == ["identical", "failed"] and kept["unexplained"] == []
    assert kept["clips"][1]["bundle"] is None and "Error" in kept["clips"][1]["printed"]["stderr"]


def test_a_comparison_that_breaks_off_is_refused(folders, monkeypatch):
    def broken(*_):
        raise KeyError("verdict")

    monkeypatch.setattr(comparing, "compare_traces", broken)
    assert folders.differs() == [f"It cannot be compared on {CLIP}: the comparison broke off (KeyError: 'verdict')"]
    assert "Traceback" in folders.judged().to_dict()["clips"][0]["printed"]["stderr"]


UNUSABLE = f"Environment: the environment of {CLIP} is none that can be used, expected a snapshot"
ENVIRONMENTS = {
    "null": None,
    "a list": [],
    "text": "x",
    "another kind": {"kind": "x"},
    "another format": small_snapshot() | {"format": 2},
    "a section that is missing": {name: part for name, part in small_snapshot().items() if name != "packages"},
}


@pytest.mark.parametrize("environment", ENVIRONMENTS.values(), ids=ENVIRONMENTS)
def test_an_environment_that_is_none_is_refused(folders, environment):
    folders.failed(said="poseparity: no person found\n")
    folders.describe(folders.server, environment)
    found = folders.differs()
    assert found[0] == f"It cannot run {CLIP}: poseparity: no person found"
    assert found[1] == UNUSABLE
    assert folders.judged().to_dict()["environment"][0].startswith(f"the environment of {CLIP}  a snapshot  ")


@pytest.mark.parametrize("part", ["packages", "os", "pins", "modules", "fingerprint", "kind"])
@pytest.mark.parametrize("content", [None, 1, [], "x", {"x": [None]}])
def test_an_environment_with_a_part_of_another_form_is_refused(folders, part, content):
    folders.ran(folders.server, environment=small_snapshot() | {part: content})
    assert folders.differs()


def test_an_image_that_says_nothing_of_its_environment_is_refused(folders):
    folders.ran(folders.server, environment=None)
    (equal, environment) = folders.differs()
    assert equal.startswith("Every stage gave the same bits")
    assert environment == UNUSABLE
    folders.describe(folders.server, small_snapshot())
    assert folders.judged().verdict == "passed"


def test_an_image_that_says_nothing_at_all_is_refused(folders):
    (folders.server / f"{CLIP}.trace.json").unlink()
    assert folders.differs() == [f"It cannot run {CLIP}: it says nothing"]


def test_the_environment_of_an_image_that_cannot_run_a_clip_is_what_it_describes(folders):
    folders.failed(said="poseparity: pose.safetensors has sha256 ...\n")
    described = small_snapshot()
    OTHER_NUMPY(described)
    folders.describe(folders.server, described)
    assert "Environment: packages.numpy" in "\n".join(folders.differs())


# --- where arrays would tell more ---


@pytest.mark.parametrize(
    "code, more", [("unknown", True), ("pixels-changed", True), ("startup", True), ("crop-padding", False)]
)
def test_arrays_are_asked_for_where_digests_do_not_tell_the_cause(code, more, folders):
    folders.ran(folders.server, box=8.0)
    clip = folders.judged().clips[0]
    comparison = replace(clip.comparison, causes=(Cause(code, "", {}, "", 0.5),))
    assert replace(clip, comparison=comparison).unexplained is more


def test_arrays_are_not_asked_for_where_nothing_differs_or_nothing_ran(folders):
    assert folders.judged().to_dict()["unexplained"] == []
    folders.failed()
    assert folders.judged().to_dict()["unexplained"] == []
    folders.ran(folders.server, box=8.0)
    assert folders.judged().to_dict()["unexplained"] == [CLIP]


# --- what is no measure ---


def test_nothing_to_compare_with_is_no_verdict(folders):
    (folders.local / f"{CLIP}.trace.json").unlink()
    with pytest.raises(InputError, match="nothing to compare with"):
        folders.judged()
    with pytest.raises(FileNotFoundError):
        folders.judged(CLIP)


@pytest.mark.parametrize("name", [f"{CLIP}.trace.json", "environment.json"])
@pytest.mark.parametrize("content", ["", "{", "[]", '{"kind": "x"}'])
def test_a_local_side_that_is_damaged_is_no_measure(folders, name, content):
    folders.write(folders.local, name, content)
    with pytest.raises(PoseParityError, match=name):
        folders.judged()


@pytest.mark.parametrize("content", ["", "format = 2", "[[rule]]\n", "format = 1\n[[rule]]\npaths = []\n"])
def test_a_policy_that_is_none_is_no_measure(folders, tmp_path, content):
    folders.policy = tmp_path / "own.toml"
    with pytest.raises(InputError, match=r"own\.toml"):
        folders.judged()
    folders.policy.write_text(content)
    with pytest.raises(InputError, match=r"own\.toml"):
        folders.judged()


def test_a_side_that_is_no_folder_is_told(folders, tmp_path):
    folders.server = tmp_path / "absent"
    with pytest.raises(InputError, match="absent is no folder"):
        folders.judged()
