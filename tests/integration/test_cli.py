"""The command line as users start it: a process of its own, with and without the pins in its environment."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from poseparity import numerics, skeleton_csv

POSEPARITY = Path(sys.executable).with_name("poseparity")


def poseparity(*arguments: object, pinned: bool = False) -> subprocess.CompletedProcess:
    pins = numerics.read_pins()
    bare = {name: value for name, value in os.environ.items() if name not in pins}
    return subprocess.run(
        [POSEPARITY, *map(str, arguments)],
        env={**bare, **pins} if pinned else bare,
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )


def test_run_sets_the_pins_itself_and_gives_the_bits_of_a_pinned_process(demo_clip, demo_result, tmp_path):
    done = poseparity("run", demo_clip, "--csv", tmp_path / "out.csv", "--json")
    assert done.returncode == 0, done.stderr
    expected = demo_result.to_dict()
    answer = json.loads(done.stdout)
    assert answer["prediction"] == expected["prediction"]
    assert (tmp_path / "out.csv").read_bytes() == demo_result.csv


def test_run_on_a_csv_prints_a_summary_with_what_was_missing_and_where(demo_result, tmp_path):
    keypoints = demo_result.filled.keypoints.copy()
    keypoints[:, 4] = 0
    keypoints[3:5] = 0
    (tmp_path / "skeleton.csv").write_bytes(skeleton_csv.write(keypoints))
    done = poseparity("run", tmp_path / "skeleton.csv", pinned=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split()[0] in demo_result.prediction.labels
    total, count = keypoints[..., 0].size, len(keypoints) + 2 * 16
    *_, headline, by_joint, never, empty, stretches = done.stdout.splitlines()
    assert headline == f"missing joints before interpolation: {count} of {total} joints ({count / total:.2%})"
    assert by_joint.startswith(f"  by joint: REar {len(keypoints)}, Nose 2, ")
    assert never == "  never seen: REar"
    assert empty == "  frames without any joint: 2 (longest: frames 3-4)"
    last = len(keypoints) - 1
    assert stretches == (
        f"  stretches of missing frames: 17 (longest: REar frames 0-{last}, Nose frames 3-4, LEye frames 3-4)"
    )


def test_errors_are_one_line_and_a_fix(tmp_path):
    text = tmp_path / "notes.mp4"
    text.write_text("these are notes\n")
    for arguments in (("run", text), ("run", tmp_path / "absent.mp4"), ("bundle", "verify", tmp_path)):
        done = poseparity(*arguments)
        assert done.returncode == 2
        message, fix = done.stderr.splitlines()[-2:]
        assert message.startswith("poseparity: ") and fix.startswith("  fix: ")
        assert "Traceback" not in done.stderr


def test_env_shows_every_pin():
    done = poseparity("env")
    assert done.returncode == 0, done.stderr
    assert all(pin in done.stdout for pin in numerics.read_pins())


def test_bundle_verify_and_show(demo_bundle):
    assert "all as recorded" in poseparity("bundle", "verify").stdout
    shown = json.loads(poseparity("bundle", "show", demo_bundle.folder).stdout)
    assert shown["name"] == demo_bundle.name
