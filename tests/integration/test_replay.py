"""What the role `verification` runs inside of an image: which files it leaves, whatever becomes of the program.

The real one runs in tests/e2e; here a script stands in for `poseparity`, since it is its ways to fail that count.
"""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from tests.conftest import ROOT

REPLAY = (ROOT / "ansible/roles/verification/files/replay").read_text("utf-8")
CLIPS = ("a.mp4", "b c.csv", "d.csv")

# Each writes what it was asked for, in the way of `poseparity`, and appends its arguments to the calls.
RUN = 'run) echo made by run >"$5"; echo "poseparity: WARNING: --unpinned" >&2 ;;'
SHOW = "bundle) echo {} ;;"
TRACE = 'trace) for clip in "$2" "$3" "$4"; do echo made by trace >"$6/${clip##*/}.trace.json"; done ;;'
NO_ANSWER = """trace) echo "poseparity: nobody" >"$6/${3##*/}.error.txt"
    for clip in "$2" "$4"; do echo made by trace >"$6/${clip##*/}.trace.json"; done; exit 2 ;;"""
KILLED = 'trace) echo made by trace >"$6/${2##*/}.trace.json"; kill -9 $$ ;;'
KILLS = 'run) if [ "${2##*/}" = "b c.csv" ]; then echo last words >&2; kill -9 $$; fi; echo made by run >"$5" ;;'
EARLIER = "trace) echo \"poseparity: error: invalid choice: 'trace'\" >&2; exit 2 ;;"
BROKEN = "*) echo \"ModuleNotFoundError: No module named 'torch'\" >&2; exit 1 ;;"


class Replayed:
    """The folders of a replay, and the program of its image.

    Args:
        cases: of a shell's `case` over the first argument; none where the image has no such program.
    """

    def __init__(self, folder: Path, *cases: str) -> None:
        self.inputs, self.out, self.programs = (folder / name for name in ("in", "out", "bin"))
        for path in (self.inputs, self.out, self.programs):
            path.mkdir()
        for clip in CLIPS:
            (self.inputs / clip).write_text(clip)
        self._calls = folder / "calls"
        self._program("python", 'shift 3; echo {} >"$1"')  # verify_env.py snapshot --output FILE
        if cases:
            self._program("poseparity", "\n".join([f'echo "$*" >>{self._calls}', "case $1 in", *cases, "esac"]))

    def _program(self, name: str, text: str) -> None:
        path = self.programs / name
        path.write_text(f"#!/bin/sh\n{text}\n")
        path.chmod(0o755)

    def __call__(self, *options: str) -> dict[str, str]:
        """Replay; returns the name of each file that is left, with its content."""
        script = REPLAY.replace("/in/", f"{self.inputs}/").replace("/out", str(self.out))
        script = script.replace("/tmp/bundle.json", str(self.inputs.parent / "bundle.json"))
        variables = os.environ | {"PATH": f"{self.programs}:/usr/bin:/bin"}
        done = subprocess.run(["sh", "-c", script, "replay", *options], env=variables, check=True, capture_output=True)
        assert done.stdout == b""
        return {path.name: path.read_text() for path in sorted(self.out.iterdir())}

    @property
    def calls(self) -> list[str]:
        return [line.replace(f"{self.inputs}/", "").split(" --")[0] for line in self._calls.read_text().splitlines()]


def test_one_process_traces_all_clips(tmp_path):
    replayed = Replayed(tmp_path, TRACE, RUN, SHOW)
    assert replayed("--trace-arrays") == {f"{clip}.trace.json": "made by trace\n" for clip in CLIPS}
    command = (tmp_path / "calls").read_text()
    assert command.count("\n") == 1 and command.endswith(f" --output {tmp_path}/out --unpinned --trace-arrays\n")


def test_a_clip_without_an_answer_says_so_once_and_the_environment_is_described(tmp_path):
    replayed = Replayed(tmp_path, NO_ANSWER, RUN, SHOW)
    assert replayed() == {
        "a.mp4.trace.json": "made by trace\n",
        "b c.csv.error.txt": "poseparity: nobody\n",
        "bundle.json": "{}\n",
        "d.csv.trace.json": "made by trace\n",
        "environment.json": "{}\n",
    }
    assert [call.split()[0] for call in replayed.calls] == ["trace", "bundle"]


def test_where_the_process_dies_the_clips_that_are_left_have_one_each(tmp_path):
    replayed = Replayed(tmp_path, KILLED, KILLS, SHOW)
    left = replayed()
    assert left.pop("b c.csv.error.txt").startswith("last words\n")  # some shells add that it was killed
    assert left == {
        "a.mp4.trace.json": "made by trace\n",
        "bundle.json": "{}\n",
        "d.csv.error.txt": "",
        "d.csv.trace.json": "made by run\n",
        "environment.json": "{}\n",
    }
    assert replayed.calls == ["trace a.mp4 b c.csv d.csv", "run b c.csv", "run d.csv", "bundle show"]


def test_an_image_of_an_earlier_release_runs_clip_by_clip(tmp_path):
    left = Replayed(tmp_path, EARLIER, RUN, SHOW)("--trace-arrays")
    assert {name for name in left if name.endswith(".json")} == {f"{clip}.trace.json" for clip in CLIPS}
    assert all(left[f"{clip}.error.txt"] == "poseparity: WARNING: --unpinned\n" for clip in CLIPS)
    assert f"run {tmp_path}/in/a.mp4 --unpinned --trace {tmp_path}/out/a.mp4.trace.json --trace-arrays" in (
        (tmp_path / "calls").read_text().splitlines()
    )


@pytest.mark.parametrize("cases, words", [((BROKEN,), "No module named 'torch'"), ((), "poseparity")])
def test_an_image_whose_program_is_broken_or_absent_says_so_for_each_clip(tmp_path, cases, words):
    left = Replayed(tmp_path, *cases)()
    assert left.keys() == {"environment.json", *(f"{clip}.error.txt" for clip in CLIPS)}
    assert all(words in left[f"{clip}.error.txt"] for clip in CLIPS)
