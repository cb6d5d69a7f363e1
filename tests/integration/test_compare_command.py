"""`poseparity compare` as users call it: exit status, text, JSON, and a clear word on what is no skeleton CSV."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from bench.faults.csvs import plant
from poseparity import skeleton_csv
from poseparity.cli import main as cli
from training.rendering.clip import Clip
from training.rendering.skeletons import estimated

POSEPARITY = Path(sys.executable).with_name("poseparity")


@pytest.fixture(scope="module")
def files(tmp_path_factory) -> dict[str, Path]:
    """A local CSV, the server's, and files that are none."""
    folder = tmp_path_factory.mktemp("csvs")
    clip = estimated(np.random.default_rng(5), Clip(5)).keypoints
    contents = {
        "local.csv": skeleton_csv.write(clip),
        "server.csv": skeleton_csv.write(plant(clip, "trimmed", "in [0, 1]")),
        "trace.json": b'{"format": "poseparity-trace/1", "created": "2025-01-01T00:00:00Z"}\n',
        "header.csv": b"a,b,c\n1,2,3\n",
        "one.csv": b"\n".join(skeleton_csv.write(clip).splitlines()[:2]),
        "empty.csv": b"",
    }
    for name, content in contents.items():
        (folder / name).write_bytes(content)
    return {name: folder / name for name in (*contents, "absent.csv")}


def test_a_difference_is_told_in_words_and_by_the_exit_status(files):
    done = subprocess.run(
        [POSEPARITY, "compare", files["local.csv"], files["server.csv"]], capture_output=True, text=True, check=False
    )
    lines = done.stdout.splitlines()
    assert done.returncode == 1, done.stderr
    assert lines[0] == "different, explained: 2 causes"
    assert str(files["local.csv"]) in lines[1] and str(files["server.csv"]) in lines[2]
    assert lines[4] == "1. B is A trimmed: without its first 11 and last 7 frames (proven)"


def test_the_same_file_is_identical(files, capsys):
    assert cli.main(["compare", str(files["local.csv"]), str(files["local.csv"])]) == 0
    assert capsys.readouterr().out.startswith("identical")


def test_json_holds_the_same(files, capsys):
    assert cli.main(["compare", str(files["local.csv"]), str(files["server.csv"]), "--json"]) == 1
    comparison = json.loads(capsys.readouterr().out)
    assert (comparison["kind"], comparison["verdict"]) == ("csv", "explained")
    assert [side["file"] for side in comparison["sides"]] == [str(files["local.csv"]), str(files["server.csv"])]
    assert [cause["code"] for cause in comparison["causes"]] == ["trimmed", "unit-range"]
    assert set(comparison["causes"][0]) == {"code", "title", "evidence", "confirm", "score", "stage"}


def test_what_reading_a_file_took_for_missing_is_noted(files, tmp_path, capsys):
    skeleton = skeleton_csv.read(files["local.csv"].read_bytes(), max_frames=1000)
    marked = np.where(skeleton.any(axis=-1)[..., None], skeleton, -1.0)
    (tmp_path / "marked.csv").write_bytes(skeleton_csv.write(marked))
    assert cli.main(["compare", str(files["local.csv"]), str(tmp_path / "marked.csv")]) == 0
    printed = capsys.readouterr().out
    assert "B: 133 of 1768 joints are -1,-1,-1 and taken as missing" in printed
    marked[..., 2] = np.maximum(marked[..., 2], 0)
    (tmp_path / "marked.csv").write_bytes(skeleton_csv.write(marked))
    assert cli.main(["compare", str(files["local.csv"]), str(tmp_path / "marked.csv")]) == 1
    printed = capsys.readouterr().out
    assert "1. missing joints of B are written as -1,-1,0, those of A as 0,0,0 (proven)" in printed


def test_json_of_what_is_hardly_different(files, tmp_path, capsys):
    skeleton = skeleton_csv.read(files["local.csv"].read_bytes(), max_frames=1000)
    (tmp_path / "free.csv").write_bytes(skeleton_csv.write(plant(skeleton, "pins off")))
    assert cli.main(["compare", str(files["local.csv"]), str(tmp_path / "free.csv"), "--json"]) == 1
    comparison = json.loads(capsys.readouterr().out)
    assert [(cause["code"], cause["score"]) for cause in comparison["causes"]] == [("numerics", 0.9)]


@pytest.mark.parametrize(
    "name, words",
    [
        ("trace.json", "two of one kind can be compared"),
        ("header.csv", "the header has 3 columns"),
        ("one.csv", "at least 2"),
        ("empty.csv", "is empty"),
        ("absent.csv", "No such file"),
    ],
)
@pytest.mark.parametrize("second", [False, True])
def test_what_is_no_skeleton_csv_is_named(files, capsys, name, words, second):
    arguments = [str(files["local.csv"]), str(files[name])]
    assert cli.main(["compare", *(arguments if second else reversed(arguments))]) == 2
    message, fix = capsys.readouterr().err.splitlines()
    assert message.startswith("poseparity: ") and str(files[name]) in message and words in message
    assert fix.startswith("  fix: ")


def test_a_video_is_named(demo_clip, files, capsys):
    assert cli.main(["compare", str(demo_clip), str(files["local.csv"])]) == 2
    assert "poseparity run VIDEO --csv" in capsys.readouterr().err
