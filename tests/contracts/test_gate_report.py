"""What the gate keeps and says, and the lines of status.yml: the filters behind them, on their own."""

from __future__ import annotations

import json
from importlib.util import module_from_spec, spec_from_file_location

import pytest

from tests.e2e.playbooks import ANSIBLE

IMAGE = {"name": "poseparity/app:1", "id": "sha256:" + "a" * 64}
BUNDLE = {"name": "demo", "version": "1", "sha256": "b" * 64}
MISMATCH = "packages.numpy.version   1.24.3   1.26.4   MISMATCH   Other results."
CAUSE = {"code": "padding", "title": "crop.padding is 0.1, not 0.15", "evidence": {}, "confirm": "look at bundle.toml"}


def load(path: str):
    spec = spec_from_file_location("filters", ANSIBLE / "roles" / path)
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


gate = load("verification/filter_plugins/gate.py")
deployment = load("overview/filter_plugins/deployment.py")


def compared(verdict: str = "identical", causes: tuple = (), warnings: tuple = ()) -> dict:
    """One result of the loop over `poseparity compare --json`."""
    summary = "stage crop diverges first (box by 4 pixels); likeliest cause: crop.padding is 0.1, not 0.15"
    answer = {"verdict": verdict, "summary": summary, "causes": list(causes), "warnings": list(warnings)}
    return {"item": "clip.mp4", "rc": int(verdict != "identical"), "stdout": json.dumps(answer), "stderr": ""}


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "clip.mp4.trace.json").write_text(json.dumps({"bundle": BUNDLE}))
    return tmp_path


def report(folder, *comparisons: dict, table: tuple[str, ...] = ()) -> dict:
    return gate.gate_report(list(comparisons), folder, folder / "local", IMAGE, "server-1", list(table))


def message(folder, *comparisons: dict, table: tuple[str, ...] = ()) -> list[str]:
    return gate.gate_message(report(folder, *comparisons, table=table), folder, "lockfiles/parity.toml").splitlines()


def test_what_is_identical_passes(folder):
    kept = report(folder, compared(), table=("match: 0 error",))
    assert (kept["verdict"], kept["bundle"], kept["image"], kept["host"]) == ("passed", BUNDLE, IMAGE, "server-1")


@pytest.mark.parametrize("verdict", ["within-tolerance", "diverged"])
def test_anything_but_identical_is_refused(folder, verdict):
    assert report(folder, compared(), compared(verdict))["verdict"] == "refused"


def test_a_difference_of_the_environment_is_refused(folder):
    assert report(folder, compared(), table=(MISMATCH,))["verdict"] == "refused"


def test_nothing_compared_is_not_passed(folder):
    assert report(folder)["verdict"] == "refused"


def test_the_message_names_stage_cause_and_environment(folder):
    (folder / "clip.mp4.html").write_text("")
    lines = message(folder, compared("diverged", (CAUSE,)), table=(MISMATCH,) * 9)
    assert len(lines) == 7
    assert lines[0].startswith("poseparity/app:1 is refused on server-1; what runs there was not touched")
    assert lines[1] == "On clip.mp4 stage crop diverges first (box by 4 pixels)"
    assert lines[2] == "Likeliest cause: crop.padding is 0.1, not 0.15"
    assert lines[3] == "To be sure: look at bundle.toml"
    assert lines[4].startswith("Environment: packages.numpy.version is 1.26.4, expected 1.24.3, ")
    assert lines[4].endswith("6 more")
    assert lines[5] == f"Report: {folder / 'clip.mp4.html'}"


def test_the_message_is_short_whatever_was_found(folder):
    long = {**CAUSE, "title": "x" * 5000}
    lines = message(folder, *[compared("diverged", (long,))] * 5, table=(MISMATCH.replace("1.26.4", "y" * 5000),) * 50)
    assert len(lines) == 7 and all(len(line) <= 220 for line in lines[:5])


def test_what_other_facts_follow_from_is_named_first(folder):
    symptoms = [f"modules.torch.{name}   a   b   MISMATCH   Other." for name in "abcd"]
    symptoms += ["imports.path   -   + /extra   MISMATCH   Other."]
    assert "Environment: packages.numpy.version is 1.26.4" in "\n".join(message(folder, table=(*symptoms, MISMATCH)))


def test_digests_are_shortened(folder):
    line = f"bundle.files.bundle.toml   {'a' * 64}   {'b' * 28}..{'c' * 7}   MISMATCH   Another model."
    assert f"is {'b' * 12}, expected {'a' * 12}" in "\n".join(message(folder, table=(line,)))


def test_a_difference_without_effect_on_the_clip_is_named(folder):
    lines = message(folder, compared(warnings=({"title": "another crop.padding"},)), table=(MISMATCH,))
    assert lines[1].startswith("Every stage gave the same bits on what was replayed")
    assert lines[1].endswith("Found: another crop.padding")


def test_an_image_that_cannot_run_the_clip_says_why(folder):
    (folder / "clip.mp4.error.txt").write_text(
        "poseparity: WARNING: --unpinned: ...\nposeparity: bundle.toml is not TOML: line 3\n  fix: correct that line\n"
    )
    failed = {"item": "clip.mp4", "rc": 2, "stdout": "", "stderr": "no such file"}
    assert message(folder, failed)[1] == "It cannot run clip.mp4: poseparity: bundle.toml is not TOML: line 3"


def test_an_image_that_cannot_run_the_clip_is_asked_for_its_bundle(folder):
    (folder / "local").mkdir()
    for place, confidence in ((folder / "local", 0.5), (folder, 0.9)):
        shown = {"folder": str(place), "sha256": str(confidence), "detect": {"confidence": confidence, "iou": 0.6}}
        (place / "bundle.json").write_text(json.dumps(shown))
    failed = {"item": "clip.mp4", "rc": 2, "stdout": "", "stderr": "no such file"}
    assert message(folder, failed)[1:3] == [
        "It cannot run clip.mp4: no such file",
        "Bundle: detect.confidence is 0.9, expected 0.5",
    ]


@pytest.mark.parametrize(
    "code, more", [("unknown", True), ("pixels-changed", True), ("startup", True), ("crop-padding", False)]
)
def test_arrays_are_asked_for_where_digests_do_not_tell_the_cause(code, more):
    found = gate.gate_unexplained([compared("diverged", ({**CAUSE, "code": code},))])
    assert found == (["clip.mp4"] if more else [])


def test_arrays_are_not_asked_for_where_nothing_differs_or_nothing_ran():
    failed = {"item": "clip.mp4", "rc": 2, "stdout": "", "stderr": "no such file"}
    assert gate.gate_unexplained([compared(), failed]) == []


TRACEBACK = "Traceback (most recent call last):\n  File \"compare.py\", line 3, in main\nKeyError: 'verdict'\n"
WHOLE = json.loads(compared("diverged", (CAUSE,))["stdout"])
UNREADABLE = {
    "nothing": (1, "", "", "exit status 1; it printed nothing"),
    "a traceback": (1, "", TRACEBACK, "exit status 1; it says KeyError: 'verdict'"),
    "half of its JSON": (0, json.dumps(WHOLE)[:40], "", 'exit status 0; it printed {"verdict": "diverged"'),
    "a list": (0, "[]", "", "exit status 0; it printed []"),
    "a number": (1, "1", "", "exit status 1; it printed 1"),
    "another object": (0, '{"verdict": "identical"}', "", 'it printed {"verdict": "identical"}'),
    "causes of another type": (1, json.dumps(WHOLE | {"causes": ["padding"]}), "", "exit status 1; it printed {"),
    "no summary": (1, json.dumps(WHOLE | {"summary": None}), "", "exit status 1; it printed {"),
    "a verdict of skeleton CSVs": (1, json.dumps(WHOLE | {"verdict": "explained"}), "", "exit status 1; it printed {"),
    "a status that is not its verdict's": (0, json.dumps(WHOLE), "", "exit status 0; it printed {"),
    "the end by a signal": (-9, "", "", "exit status -9; it printed nothing"),
    "a nesting without end": (0, "[" * 100_000, "", "exit status 0; it printed [["),
}


@pytest.mark.parametrize("rc, stdout, stderr, words", UNREADABLE.values(), ids=UNREADABLE)
def test_an_answer_that_is_no_comparison_is_refused_and_kept(folder, rc, stdout, stderr, words):
    answer = {"item": "clip.mp4", "rc": rc, "stdout": stdout, "stderr": stderr}
    kept, lines = report(folder, compared(), answer), message(folder, compared(), answer, table=(MISMATCH,))
    assert kept["verdict"] == "refused" and len(lines) <= 7
    assert lines[1].startswith(
        "It cannot be compared on clip.mp4: `poseparity compare` gave no answer that can be read ("
    )
    assert words in lines[1]
    assert kept["clips"][1]["printed"] == {"stdout": stdout, "stderr": stderr}
    assert "Environment: packages.numpy.version is 1.26.4" in lines[2]
    assert gate.gate_unexplained([answer]) == gate.gate_diverged([answer]) == []


def test_of_a_trace_that_is_half_the_message_says_so(folder):
    (folder / "clip.mp4.trace.json").write_text('{"bundle": {"na')
    (folder / "clip.mp4.error.txt").write_text("poseparity: WARNING: --unpinned: ...\n")
    failed = {"item": "clip.mp4", "rc": 2, "stdout": "", "stderr": "poseparity: clip.mp4.trace.json is no trace\n"}
    assert message(folder, failed)[1] == (
        "It cannot be compared on clip.mp4: its trace is no JSON object, see clip.mp4.trace.json beside the report"
    )


def test_a_bundle_that_is_described_by_half_is_said_so(folder):
    (folder / "local").mkdir()
    (folder / "local/bundle.json").write_text("{}")
    (folder / "bundle.json").write_text('{"detect": ')
    failed = {"item": "clip.mp4", "rc": 2, "stdout": "", "stderr": "no such file"}
    assert message(folder, failed)[2] == "Bundle: its description is no JSON object, see bundle.json beside the report"


@pytest.mark.parametrize(
    "rc, stdout, stderr, words",
    [
        (1, "", TRACEBACK, "exit status 1; it says KeyError: 'verdict'"),
        (0, "", "", "exit status 0; it printed nothing"),
        (2, "", "verify_env.py: error: the snapshot x is not JSON", "it says verify_env.py: error: the snapshot"),
        (0, "fact   local   server", "", "exit status 0; it printed fact local server"),
    ],
)
def test_a_comparison_of_environments_without_a_verdict_is_refused(folder, rc, stdout, stderr, words):
    table = gate.gate_table({"rc": rc, "stdout_lines": stdout.splitlines(), "stdout": stdout, "stderr": stderr})
    assert report(folder, compared(), table=table)["verdict"] == "refused"
    found = message(folder, compared(), table=table)[2]
    assert found.startswith("Environment: the comparison of `verify_env.py` is absent (") and words in found
    assert found.endswith("expected an answer")


def test_a_comparison_of_environments_is_taken_as_it_is():
    lines = [MISMATCH, "", "mismatch: the server's results can differ"]
    assert gate.gate_table({"rc": 1, "stdout_lines": lines}) == lines
    assert gate.gate_table({"skipped": True}) == []


def test_the_environment_is_that_of_the_first_trace_that_holds_one(tmp_path):
    contents = {"a": '{"environment": ', "b": "[]", "c": '{"environment": null}', "d": '{"environment": {"kind": "x"}}'}
    for name, content in contents.items():
        (tmp_path / name).write_text(content)
    assert gate.gate_snapshot([str(tmp_path / name) for name in contents]) == '{"kind": "x"}'
    assert gate.gate_snapshot([str(tmp_path / "a")]) == "null"


CONTAINER = {
    "status": 200,
    "json": {"Image": IMAGE["id"], "State": {"Running": True, "StartedAt": "2026-01-02T03:04:05.6Z"}},
}
READY = {"status": 200, "json": {"bundle": BUNDLE}}


def status(tmp_path, container: dict, ready: dict, *kept: dict) -> list[str]:
    for number, each in enumerate(kept):
        (tmp_path / str(number)).mkdir()
        (tmp_path / str(number) / "report.json").write_text(json.dumps(each))
    return deployment.deployment_status(container, ready, tmp_path, "poseparity", "http://127.0.0.1:19031")


def test_the_status_names_what_runs_and_the_last_verification(folder, tmp_path):
    passed = report(folder, compared()) | {"when": "2026-01-02T03:00:00Z"}
    refused = report(folder, compared("diverged", (CAUSE,))) | {"when": "2026-01-03T00:00:00Z"}
    refused["image"] = {"name": "other", "id": "sha256:" + "c" * 64}
    now, verified, last, *differs = status(tmp_path, CONTAINER, READY, refused, passed)
    assert "sha256:aaaaaaaaaaaa runs since 2026-01-02T03:04:05Z, ready at http://127.0.0.1:19031" in now
    assert "bundle demo 1 (bbbbbbbbbbbb)" in now
    assert verified == "What runs was verified at 2026-01-02T03:00:00Z: passed"
    assert last.startswith("Last verification at 2026-01-03T00:00:00Z: refused, other (sha256:cccccccccccc)")
    assert differs[:2] == [
        "On clip.mp4 stage crop diverges first (box by 4 pixels)",
        "Likeliest cause: crop.padding is 0.1, not 0.15",
    ]


@pytest.mark.parametrize(
    "container, ready, words",
    [
        ({"status": -1, "msg": "no such socket"}, {}, "engine does not answer: no such socket"),
        ({"status": 404}, {}, "there is no container poseparity"),
        (
            {"status": 200, "json": {"Image": "sha256:1", "State": {"Running": False, "Status": "exited"}}},
            {},
            "is exited",
        ),
        (CONTAINER, {"status": 503, "content": "a pin\n"}, "not ready: http://127.0.0.1:19031 says a pin"),
        (CONTAINER, {"status": -1, "msg": "refused"}, "says refused"),
    ],
)
def test_the_status_where_nothing_serves(tmp_path, container, ready, words):
    lines = status(tmp_path, container, ready)
    assert words in lines[0]
    assert lines[-1] == "Last verification: none from this checkout"
