"""The command line as users start it: a process of its own, with and without the pins in its environment.

A process takes seconds to load the libraries and more to describe its environment. So one of a command starts like
that, and the others in this process, whose environment has the pins.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from bench.faults import bundles
from poseparity import numerics, skeleton_csv, startup
from poseparity.cli import main as cli
from poseparity.environment import snapshots
from poseparity.inputs import Input
from poseparity.trace.recording import record
from poseparity.trace.writing import read_trace

POSEPARITY = Path(sys.executable).with_name("poseparity")


def poseparity(*arguments: object) -> subprocess.CompletedProcess:
    """In a process that sets the pins itself."""
    pins = numerics.read_pins()
    return subprocess.run(
        [POSEPARITY, *map(str, arguments)],
        env={name: value for name, value in os.environ.items() if name not in pins},
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )


@pytest.fixture
def here(pipeline, monkeypatch, capsys):
    """`here(*arguments)`: the command in this process, with the demo bundle's models as they are loaded already."""
    load = startup.load_pipeline
    demo = pipeline.bundle.folder

    def loaded(settings, **options):
        return pipeline if settings.bundle.resolve() == demo else load(settings, **options)

    monkeypatch.setattr(startup, "load_pipeline", loaded)

    def run(*arguments: object) -> subprocess.CompletedProcess:
        capsys.readouterr()
        status = cli.main([str(argument) for argument in arguments])
        return subprocess.CompletedProcess(arguments, status, *capsys.readouterr())

    return run


def test_run_sets_the_pins_itself_and_gives_the_bits_of_a_pinned_process(demo_clip, demo_result, tmp_path):
    done = poseparity("run", demo_clip, "--csv", tmp_path / "out.csv", "--json")
    assert done.returncode == 0, done.stderr
    expected = demo_result.to_dict()
    answer = json.loads(done.stdout)
    assert answer["prediction"] == expected["prediction"]
    assert (tmp_path / "out.csv").read_bytes() == demo_result.csv


def test_run_on_a_csv_prints_a_summary_with_what_was_missing_and_where(here, demo_result, tmp_path):
    keypoints = demo_result.filled.keypoints.copy()
    keypoints[:, 4] = 0
    keypoints[3:5] = 0
    (tmp_path / "skeleton.csv").write_bytes(skeleton_csv.write(keypoints))
    done = here("run", tmp_path / "skeleton.csv")
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


def test_env_prints_the_snapshot_with_the_fingerprint():
    done = poseparity("env", "--json")
    assert done.returncode == 0, done.stderr
    operations = json.loads(done.stdout)["fingerprint"]["operations"]
    assert len(operations) >= 40 and all("sha256" in facts for facts in operations.values())


def test_env_shows_every_pin():
    done = poseparity("env")
    assert done.returncode == 0, done.stderr
    assert all(pin in done.stdout for pin in numerics.read_pins())


def test_bundle_verify_and_show(demo_bundle):
    assert "all as recorded" in poseparity("bundle", "verify").stdout
    shown = json.loads(poseparity("bundle", "show", demo_bundle.folder).stdout)
    assert shown["name"] == demo_bundle.name


@pytest.mark.slow
def test_verify_replays_the_golden_traces_and_says_by_its_status_what_it_found(demo_bundle, here, tmp_path):
    folder = shutil.copytree(demo_bundle.folder, tmp_path / "bundle")
    done = poseparity("bundle", "verify", folder, "--replay")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines()[-2:] == ["clip.mp4: 9 of 9 stages identical", "gaps.csv: 5 of 5 stages identical"]
    manifest = folder / "bundle.toml"
    manifest.write_text(manifest.read_text().replace("threshold = 0.06", "threshold = 0.6"))
    done = here("bundle", "verify", folder, "--replay")
    assert done.returncode == 1
    assert "clip.mp4: 6 of 9 stages identical; first different: trim: " in done.stdout


@pytest.mark.slow
def test_run_draws_the_overlay_and_the_plot(here, demo_clip, demo_result, tmp_path):
    overlay, plot = tmp_path / "out.mp4", tmp_path / "out.png"
    done = here("run", demo_clip, "--overlay", overlay, "--plot", plot)
    assert done.returncode == 0, done.stderr
    capture = cv2.VideoCapture(str(overlay))
    frames = 0
    while capture.grab():
        frames += 1
    assert frames == demo_result.skeleton.frame_count
    assert capture.get(cv2.CAP_PROP_FRAME_WIDTH) == demo_result.skeleton.frame_size.width
    with Image.open(plot) as image:
        assert image.size == (1950, 975)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out.mp4", "out.png"]


@pytest.mark.slow
def test_a_refused_skeleton_is_plotted_all_the_same(here, demo_result, tmp_path):
    keypoints = np.where(np.arange(17)[:, None] < 9, 0, demo_result.skeleton.keypoints)
    (tmp_path / "skeleton.csv").write_bytes(skeleton_csv.write(keypoints))
    done = here("run", tmp_path / "skeleton.csv", "--plot", tmp_path / "out.png")
    assert done.returncode == 2
    assert done.stdout == ""
    assert "joints are missing" in done.stderr and "--plot" in done.stderr
    assert (tmp_path / "out.png").is_file()


@pytest.mark.parametrize(
    "option, name, words",
    [
        ("--overlay", "out.avi", "expected .mp4"),
        ("--overlay", "folder.mp4", "is a folder"),
        ("--overlay", "absent/out.mp4", "is no folder"),
        ("--overlay", "input.mp4", "is the input"),
        ("--plot", "out.jpg", "expected .png"),
        ("--plot", "/proc/out.png", "cannot be written"),
        ("--csv", "absent/out.csv", "is no folder"),
        ("--trace", "absent/out.json", "is no folder"),
        ("--trace", "out.npz", "expected .json"),
    ],
)
def test_an_output_that_cannot_be_written_is_told_before_the_models_are_loaded(
    here, demo_clip, tmp_path, option, name, words
):
    (tmp_path / "folder.mp4").mkdir()
    (tmp_path / "input.mp4").write_bytes(demo_clip.read_bytes())
    # A bundle that is not there would be told of as soon as it is loaded.
    arguments = ("run", tmp_path / "input.mp4", "--bundle", tmp_path / "absent", option, tmp_path / name)
    done = here(*arguments)
    assert done.returncode == 2
    message, fix = done.stderr.splitlines()
    assert message.startswith("poseparity: ") and words in message
    assert fix.startswith("  fix: ")


def test_an_overlay_needs_a_video(here, demo_result, tmp_path):
    (tmp_path / "skeleton.csv").write_bytes(demo_result.csv)
    arguments = ("run", tmp_path / "skeleton.csv", "--bundle", tmp_path, "--overlay", tmp_path / "out.mp4")
    done = here(*arguments)
    assert done.returncode == 2
    message, fix = done.stderr.splitlines()[-2:]
    assert message.endswith("--overlay draws over a video, " + str(tmp_path / "skeleton.csv") + " is a skeleton CSV")
    assert "--plot" in fix


def test_run_writes_a_trace_and_its_arrays(here, demo_result, tmp_path):
    (tmp_path / "skeleton.csv").write_bytes(demo_result.csv)
    done = here("run", tmp_path / "skeleton.csv", "--trace", tmp_path / "out.json", "--trace-arrays")
    assert done.returncode == 0, done.stderr
    trace = read_trace(tmp_path / "out.json")
    assert trace.arrays.file == "out.npz"
    assert trace.arrays.sha256 == hashlib.sha256((tmp_path / "out.npz").read_bytes()).hexdigest()
    with np.load(tmp_path / "out.npz") as arrays:
        assert arrays["recognise.scores"].tobytes() == demo_result.prediction.scores.tobytes()
    pins = trace.environment["pins"]["by_name"]
    assert {pin["ok"] for pin in pins.values()} == {True}
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out.json", "out.npz", "skeleton.csv"]


def test_trace_starts_once_for_all_clips_and_one_without_an_answer_stops_no_other(pipeline, demo_result, tmp_path):
    """Between two good ones lies one with too few joints; an earlier call had left what is the other way round now."""
    lost = np.where(np.arange(17)[:, None] < 9, 0, demo_result.skeleton.keypoints)
    contents = {"a.csv": demo_result.csv, "lost.csv": skeleton_csv.write(lost), "b.csv": demo_result.csv[:20_000]}
    contents["b.csv"] = contents["b.csv"].rpartition(b"\n")[0] + b"\n"
    clips = [tmp_path / name for name in contents]
    for clip in clips:
        clip.write_bytes(contents[clip.name])
    out = tmp_path / "out"
    out.mkdir()
    for name in ("a.csv.error.txt", "lost.csv.trace.json", "lost.csv.trace.npz"):
        (out / name).write_text("of an earlier call")
    done = poseparity("trace", *clips, "--output", out, "--trace-arrays")
    assert done.returncode == 2
    assert done.stdout.splitlines() == [
        f"{clips[0]}: {out / 'a.csv.trace.json'}",
        f"{clips[1]}: no trace, see {out / 'lost.csv.error.txt'}",
        f"{clips[2]}: {out / 'b.csv.trace.json'}",
    ]
    assert sorted(path.name for path in out.iterdir()) == [
        "a.csv.trace.json", "a.csv.trace.npz", "b.csv.trace.json", "b.csv.trace.npz", "lost.csv.error.txt",
    ]  # fmt: skip
    said = (out / "lost.csv.error.txt").read_text()
    assert done.stderr == said and said.startswith("poseparity: ") and "joints are missing" in said
    assert len(said.splitlines()) == 2
    traces = [read_trace(out / f"{name}.trace.json") for name in ("a.csv", "b.csv")]
    assert traces[0].environment == traces[1].environment is not None
    for clip, trace in zip((clips[0], clips[2]), traces, strict=True):
        alone = record(pipeline, Input(clip, "csv"))[1]
        assert (trace.input, trace.prediction, trace.bundle) == (alone.input, alone.prediction, alone.bundle)
        assert [stage.digest for stage in trace.stages] == [stage.digest for stage in alone.stages]
        assert trace.arrays.sha256 == hashlib.sha256((out / trace.arrays.file).read_bytes()).hexdigest()


def test_a_bundle_that_cannot_be_loaded_is_what_every_clip_says(
    demo_bundle, demo_result, tmp_path, monkeypatch, capsys
):
    monkeypatch.setattr(snapshots, "of", lambda _: {})
    damaged = bundles.flipped_bit("pose", bundles.FIRST["pose"], in_manifest=False)
    bundle = bundles.copied(demo_bundle.folder, tmp_path / "bundle", damaged)
    clips = [tmp_path / name for name in ("a.csv", "b.csv")]
    for clip in clips:
        clip.write_bytes(demo_result.csv)
    status = cli.main(["trace", *map(str, clips), "--output", str(tmp_path), "--bundle", str(bundle)])
    assert status == 2
    said = [(tmp_path / f"{clip.name}.error.txt").read_text() for clip in clips]
    assert said[0] == said[1] and "pose.safetensors has sha256" in said[0]
    assert capsys.readouterr().err == "".join(said)


def test_trace_prints_the_answers_of_run(pipeline, demo_result, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(snapshots, "of", lambda _: {})
    monkeypatch.setattr(startup, "load_pipeline", lambda *_, pinned: pipeline)
    (tmp_path / "a.csv").write_bytes(demo_result.csv)
    (tmp_path / "empty.csv").write_bytes(b"")
    clips = [str(tmp_path / name) for name in ("a.csv", "empty.csv")]
    assert cli.main(["trace", *clips, "--output", str(tmp_path), "--json"]) == 2
    answers = json.loads(capsys.readouterr().out)
    expected = pipeline.run(Input(tmp_path / "a.csv", "csv")).to_dict()
    assert answers.keys() == {"a.csv", "empty.csv"} and answers["empty.csv"] is None
    assert answers["a.csv"].keys() == expected.keys()
    assert all(answers["a.csv"][key] == expected[key] for key in expected.keys() - {"seconds"})


@pytest.mark.parametrize(
    "clips, words",
    [
        (("x/a.csv", "y/a.csv"), "have one name"),
        (("x/a.csv", "out/x/../a.csv.trace.json"), "is an input, which is not overwritten"),
        (("x/a.csv", "x/a.csv"), "have one name"),
    ],
)
def test_traces_that_would_take_each_others_place_are_refused_before_anything_is_taken_away(
    tmp_path, capsys, clips, words
):
    paths = [tmp_path / clip for clip in clips]
    for path in (*paths, tmp_path / "out/x/y"):
        path.parent.mkdir(parents=True, exist_ok=True)
    for path in (*paths, tmp_path / "out/a.csv.error.txt"):
        path.write_text("Nose_x,Nose_y")
    # A bundle that is not there would be told of as soon as it is loaded.
    options = ["--output", str(tmp_path / "out"), "--bundle", str(tmp_path / "absent")]
    assert cli.main(["trace", *map(str, paths), *options]) == 2
    message, fix = capsys.readouterr().err.splitlines()
    assert words in message and fix.startswith("  fix: ")
    assert all(path.exists() for path in (*paths, tmp_path / "out/a.csv.error.txt"))


def test_traces_go_to_a_folder_that_is_there(tmp_path, capsys):
    assert cli.main(["trace", str(tmp_path / "a.csv"), "--output", str(tmp_path / "absent")]) == 2
    assert "absent is no folder" in capsys.readouterr().err


@pytest.mark.slow
def test_an_unpinned_run_says_so_loudly_and_in_its_trace(demo_result, tmp_path):
    (tmp_path / "skeleton.csv").write_bytes(demo_result.csv)
    done = poseparity("run", tmp_path / "skeleton.csv", "--unpinned", "--trace", tmp_path / "out.json")
    assert done.returncode == 0, done.stderr
    assert "WARNING: --unpinned" in done.stderr
    pins = read_trace(tmp_path / "out.json").environment["pins"]["by_name"]
    assert pins["MKL_CBWR"]["state"] == "not set"
    assert not any(pin["ok"] for pin in pins.values())


@pytest.mark.slow
def test_an_input_without_an_answer_leaves_no_trace(here, demo_result, tmp_path, monkeypatch):
    monkeypatch.setattr(snapshots, "of", lambda _: {})
    keypoints = np.where(np.arange(17)[:, None] < 9, 0, demo_result.skeleton.keypoints)
    (tmp_path / "skeleton.csv").write_bytes(skeleton_csv.write(keypoints))
    options = ("--trace", tmp_path / "out.json", "--trace-arrays")
    done = here("run", tmp_path / "skeleton.csv", *options)
    assert done.returncode == 2
    assert [path.name for path in tmp_path.iterdir()] == ["skeleton.csv"]


def test_numpy_is_not_loaded_before_the_processor_is_looked_at():
    """Its pinned kernels would end the process, without a word, on a processor that lacks what they need."""
    loaded = "import sys, poseparity.cli.main; sys.exit(str(sorted({'numpy', 'torch', 'cv2'} & {*sys.modules})))"
    done = subprocess.run([sys.executable, "-c", loaded], capture_output=True, text=True, check=False)
    assert done.stderr == "[]\n"


def test_a_reader_that_has_enough_ends_it_quietly():
    program = Path(sys.executable).with_name("poseparity")
    command = f"'{program}' bundle show | head -n 1; echo ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() in (["{", "141"], ["{", "0"]) and done.stderr == ""
    command = f"'{program}' env | true; echo ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("141\n", "")
