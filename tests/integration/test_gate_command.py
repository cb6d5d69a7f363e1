"""`poseparity gate` as the playbooks call it: exit status, message, report, pages, and one policy for all of it."""

from __future__ import annotations

import json
import re
import subprocess
import sys

import pytest

from poseparity.cli import main as cli
from poseparity.gate import judge
from tests.unit.environment.support import POLICY, put
from tests.unit.gate.support import CLIP, IMAGE, Folders

NAMES = ["--image", IMAGE.name, "--image-id", IMAGE.id, "--host", IMAGE.host]


@pytest.fixture
def folders(tmp_path) -> Folders:
    return Folders(tmp_path)


@pytest.fixture
def gate(folders, capsys):
    """gate(option, ...): exit status, standard output and error."""

    def run(*options: object) -> tuple[int, str, str]:
        status = cli.main(["gate", str(folders.local), str(folders.server), *NAMES, *map(str, options)])
        return status, *capsys.readouterr()

    return run


def test_what_is_equal_passes(folders, gate, tmp_path):
    message = f"{IMAGE.name} passes on {IMAGE.host}: every stage of {CLIP} gave the same bits\n"
    assert gate("--pages", folders.server) == (0, message, "")
    status, printed, _ = gate("--json", "--report", tmp_path / "report.json")
    report = json.loads(printed)
    assert (status, report["verdict"], report["image"]) == (0, "passed", {"name": IMAGE.name, "id": IMAGE.id})
    assert (tmp_path / "report.json").read_text("utf-8") == printed
    assert not list(folders.server.glob("*.html"))


def test_what_differs_is_refused_with_a_page(folders, gate):
    folders.ran(folders.server, box=8.0)
    kept = folders.server / "report.json"
    status, message, _ = gate("--report", kept, "--pages", folders.server)
    lines = message.splitlines()
    assert status == 1 and len(lines) <= 7
    assert lines[0].startswith(f"{IMAGE.name} is refused on {IMAGE.host}; what runs there was not touched. A is ")
    assert lines[1] == f"On {CLIP} stage crop diverges first (box by 4 pixels)"
    page = folders.server / f"{CLIP}.html"
    assert f"Report: {page}" in lines and "<html" in page.read_text("utf-8")
    report = json.loads(kept.read_text("utf-8"))
    assert (report["verdict"], report["unexplained"]) == ("refused", [CLIP]) and report["differs"] == lines[1:4]


def test_where_no_page_is_there_the_report_is_named(folders, gate, tmp_path):
    folders.failed(said="poseparity: no person found\n")
    kept = tmp_path / "report.json"
    status, message, _ = gate("--report", kept, "--pages", tmp_path)
    assert status == 1 and f"Report: {kept}" in message.splitlines()
    assert json.loads(kept.read_text("utf-8"))["clips"][0]["error"].endswith("poseparity: no person found")
    assert "Report: " not in gate()[1]


def test_only_the_clips_that_are_named_are_judged(folders, gate):
    folders.ran(folders.local, "other.csv")
    assert gate("--clip", CLIP)[0] == 0
    assert gate()[0] == gate("--clip", CLIP, "--clip", "other.csv")[0] == 1


def test_the_policy_that_is_named_is_the_only_one(folders, gate, tmp_path):
    folders.ran(folders.server, change=put("packages.numpy.version", "1.26.4"))
    own = tmp_path / "own.toml"
    rule = 'paths = ["packages.numpy.**"]\nverdict = '
    own.write_text(POLICY.read_text("utf-8").replace(f'{rule}"must-equal"', f'{rule}"may-differ"'), "utf-8")
    status, message, _ = gate()
    assert status == 1 and message.splitlines()[-1].endswith("parity.toml says what must be equal.")
    assert re.search("Found: NumPy .*\nEnvironment: packages.numpy.version is 1.26.4, expected 1.24.3\n", message)
    status, printed, _ = gate("--policy", own, "--json")
    report = json.loads(printed)
    assert (status, report["environment"]) == (0, [])
    assert report["clips"][0]["comparison"]["warnings"] == []
    assert {each["verdict"] for each in report["clips"][0]["comparison"]["environment"]} == {"allowed"}


def no_traces(folders: Folders) -> list:
    (folders.local / f"{CLIP}.trace.json").unlink()
    return []


def damaged_environment(folders: Folders) -> list:
    folders.describe(folders.local, {})
    return []


def no_policy(folders: Folders) -> list:
    folders.write(folders.local, "own.toml", "format = 2\n")
    return ["--policy", folders.local / "own.toml"]


CANNOT = {
    "no trace of this machine": (no_traces, "nothing to compare with"),
    "an unknown clip": (lambda _: ["--clip", "absent.mp4"], "absent.mp4.trace.json"),
    "an environment of this machine that is none": (damaged_environment, "is no snapshot of an environment"),
    "no policy": (no_policy, "own.toml has the keys"),
    "a policy that is not there": (lambda _: ["--policy", "absent.toml"], "the policy absent.toml cannot be read"),
    "nowhere to write pages": (lambda folders: ["--pages", folders.local / "absent"], "absent is no folder"),
    "a report that is no JSON": (lambda _: ["--report", "report.txt"], "report.txt ends in .txt, expected .json"),
}


@pytest.mark.parametrize("prepare, words", CANNOT.values(), ids=CANNOT)
def test_what_cannot_be_judged_is_neither_passed_nor_refused(folders, gate, prepare, words):
    status, printed, error = gate(*prepare(folders))
    message, fix = error.splitlines()
    assert (status, printed) == (2, "") and message.startswith("poseparity: ") and words in message
    assert fix.startswith("  fix: ")


def test_where_the_judgement_itself_breaks_off_nothing_passes(folders, gate, tmp_path, monkeypatch):
    def broken(*_):
        raise RuntimeError

    monkeypatch.setattr(judge, "forbidden", broken)
    with pytest.raises(RuntimeError):
        gate("--report", tmp_path / "report.json")
    assert not (tmp_path / "report.json").exists()


def test_the_command_loads_neither_torch_nor_opencv(folders):
    code = (
        "import sys; from poseparity.cli.main import main; status = main(['gate', *sys.argv[1:]]);"
        "print([name for name in ('torch', 'cv2', 'scipy') if name in sys.modules]); sys.exit(status)"
    )
    command = [sys.executable, "-c", code, folders.local, folders.server]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    message = f"the image passes on the server: every stage of {CLIP} gave the same bits"
    assert (done.returncode, done.stdout.splitlines()) == (0, [message, "[]"]), done.stderr
