"""`poseparity bundle fetch`: a whole bundle from a real HTTP server, out of files of every official kind."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import cv2
import pytest

from poseparity.bundle.bundle import load_bundle
from poseparity.bundle.toml import dump
from poseparity.cli import main as cli
from poseparity.fetching.named import available
from tests.file_server import FileServer, cut, resumable, status, whole
from tests.integration.caffe_files import write_caffemodel
from tests.mmaction2_run import LABELS
from tests.planted_network import NET_HEIGHT, planted_layers

POSEPARITY = Path(sys.executable).with_name("poseparity")
LOCK = "poseparity-fetch.lock"
ROLES = ("detector", "pose", "checkpoint", "config", "clip")
NAMES = {"detector": "figure.pt", "pose": "planted.caffemodel", "checkpoint": "stgcn.pth", "config": "config.py",
         "clip": "figure.mp4"}  # fmt: skip
FRAMES = 3
HALF = 100 * 2**20  # of the pose network's 200 MiB


@pytest.fixture(scope="module")
def published(training_runs, demo_bundle, demo_clip, tmp_path_factory) -> Path:
    """A folder with a file of each role, as ultralytics, Caffe, MMAction2 and a camera would have written it."""
    folder = tmp_path_factory.mktemp("published")
    run = training_runs / "stgcn-j"
    _save_detector(demo_bundle, folder / NAMES["detector"])
    write_caffemodel(folder / NAMES["pose"], planted_layers())
    shutil.copyfile(run / "work/epoch_1.pth", folder / NAMES["checkpoint"])
    shutil.copyfile(run / "config.py", folder / NAMES["config"])
    _shorten(demo_clip, folder / NAMES["clip"])
    return folder


def _save_detector(bundle, path: Path) -> None:
    """The demo bundle's detector as ultralytics' own save writes it."""
    from ultralytics import YOLO

    yolo = YOLO(bundle.folder / bundle.detect.architecture, task="detect")
    yolo.model.load_state_dict(bundle.load_weights("detector"))
    yolo.model.names = {0: "person"}
    yolo.save(path)


def _shorten(clip: Path, path: Path) -> None:
    capture = cv2.VideoCapture(str(clip))
    size = (int(capture.get(cv2.CAP_PROP_FRAME_WIDTH)), int(capture.get(cv2.CAP_PROP_FRAME_HEIGHT)))
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"mp4v"), 30, size)
    for _ in range(FRAMES):
        writer.write(capture.read()[1])
    writer.release()


@pytest.fixture
def server():
    with FileServer() as server:
        yield server


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Path:
    """Where the commands run."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def write_manifest(folder: Path, server: FileServer, **known: dict) -> Path:
    """A manifest of one's own.

    Args:
        known: what is known of the file of a role, such as its md5.
    """
    table = {
        "format": 1,
        "name": "figures",
        "version": "7",
        "summary": "made by the tests",
        "licence": "CC0-1.0",
        "labels": list(LABELS),
        "settings": ["detect.image_size=320", f"pose.net_height={NET_HEIGHT}"],
        "files": {
            role: {"name": NAMES[role], "urls": [server.url(NAMES[role])], "licence": f"licence of {role}"}
            | known.get(role, {})
            for role in ROLES
        },
    }
    path = folder / "figures.toml"
    path.write_text(dump(table))
    return path


def refused(capsys, *arguments: object) -> str:
    """What the command says when it refuses."""
    assert cli.main(["bundle", "fetch", *map(str, arguments), "--cache", "cache"]) == 2
    return capsys.readouterr().err


@dataclass(frozen=True)
class Fetched:
    """What one command made of the published files.

    Attributes:
        folder: where it ran.
        urls: of each role.
    """

    folder: Path
    done: subprocess.CompletedProcess[str]
    ranges: list[str | None]
    urls: dict[str, str]


@pytest.fixture(scope="module")
def fetched(published, tmp_path_factory) -> Fetched:
    """One command, and a server that is not there at first and then cuts the largest file in the middle."""
    folder = tmp_path_factory.mktemp("fetched")
    with FileServer() as server:
        urls = {role: server.serve(NAMES[role], resumable((published / NAMES[role]).read_bytes())) for role in ROLES}
        pose = (published / NAMES["pose"]).read_bytes()
        troubles = status(503), cut(pose, HALF, ETag='"one"')
        server.serve(NAMES["pose"], *troubles, resumable(pose))
        manifest = write_manifest(folder, server, pose={"md5": hashlib.md5(pose).hexdigest()})
        command = [POSEPARITY, "bundle", "fetch", manifest, "bundle", "--cache", "cache"]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=300, check=False)
        return Fetched(folder, done, server.ranges(), urls)


@pytest.mark.slow
def test_a_whole_bundle(published, fetched):
    assert fetched.done.returncode == 0, fetched.done.stderr
    bundle = load_bundle(fetched.folder / "bundle")
    assert (bundle.name, bundle.version, bundle.labels.names) == ("figures", "7", LABELS)
    assert bundle.demo.recorded and f"recognised as '{bundle.demo.label}'" in fetched.done.stdout
    assert "nothing was checked: look whether the clip shows that" in fetched.done.stdout
    assert "503 Service Unavailable; try 2 of 6" in fetched.done.stderr
    assert f"bytes={HALF}-" in fetched.ranges
    assert fetched.done.stderr.count("import only configs that you trust") == 1
    recorded = json.loads((fetched.folder / LOCK).read_text())["files"]
    assert {url: entry["sha256"] for url, entry in recorded.items()} == {
        fetched.urls[role]: hashlib.sha256((published / NAMES[role]).read_bytes()).hexdigest() for role in ROLES
    }
    assert {path.name for path in fetched.folder.iterdir()} == {"bundle", "cache", "figures.toml", LOCK}


@pytest.mark.parametrize("by_hand", [True, False])
def test_a_label_that_somebody_gives_is_held_to(server, folder, capsys, by_hand):
    """The label is looked at before the weights, which may be anything here."""
    for role in ROLES:
        (folder / NAMES[role]).write_bytes(b"anything")
    manifest = write_manifest(folder, server)
    given = ["--clip", NAMES["clip"], "--clip-label", "juggle"] if by_hand else []
    if not by_hand:
        manifest.write_text('clip_label = "juggle"\n' + manifest.read_text())
    told = refused(capsys, manifest, "bundle", "--from", ".", *given)
    assert "the clip's label is 'juggle', the model's labels are golf_swing, squat" in told
    assert not (folder / "bundle").exists() and not (folder / LOCK).exists()


def test_a_file_that_no_hash_vouches_for_is_forgotten_when_no_bundle_comes_of_it(server, folder, capsys):
    """A network's login page in the place of a file would otherwise be in the cache for ever."""
    known = b"known"
    for role in ROLES:
        server.serve(NAMES[role], whole(known if role == "clip" else b"welcome, please log in"))
    manifest = write_manifest(folder, server, clip={"sha256": hashlib.sha256(known).hexdigest()})
    assert "figure.pt starts with b'welc'" in refused(capsys, manifest, "bundle")
    kept = [path.name for path in (folder / "cache").rglob("*") if path.is_file() and path.name in NAMES.values()]
    assert kept == [NAMES["clip"]]
    assert not (folder / "bundle").exists() and not (folder / LOCK).exists()


def test_a_changed_file_makes_no_bundle(server, folder, capsys):
    manifest = write_manifest(folder, server)
    old, new = (hashlib.sha256(content).hexdigest() for content in (b"old", b"new"))
    entry = {"name": NAMES["detector"], "bytes": 3, "sha256": old, "licence": "CC0-1.0"}
    (folder / LOCK).write_text(json.dumps({"format": 1, "files": {server.url(NAMES["detector"]): entry}}))
    before = (folder / LOCK).read_bytes()
    server.serve(NAMES["detector"], whole(b"new"))
    assert f"sha256 is {new}, the lock file has {old}" in refused(capsys, manifest, "bundle")
    assert (folder / LOCK).read_bytes() == before
    assert not (folder / "bundle").exists()


def test_licences_are_shown_before_anything_is_fetched(server, folder, capsys):
    manifest = write_manifest(folder, server)
    assert cli.main(["bundle", "fetch", str(manifest), "bundle", "--cache", "cache"]) == 2
    told = capsys.readouterr()
    assert all(f"licence of {role}" in told.out for role in ROLES)
    assert f"{NAMES['detector']} cannot be fetched" in told.err
    assert "404 Not Found" in told.err


def test_a_mirror_is_asked_in_the_place_of_the_official_urls(server, folder, capsys):
    told = refused(capsys, write_manifest(folder, server), "bundle", "--mirror", server.url("mirror"))
    assert [path for path, _ in server.requests] == [f"/mirror/{NAMES['detector']}"]
    assert f"{server.url('mirror')}/{NAMES['detector']}: the server answers 404 Not Found" in told


@pytest.mark.parametrize(
    "arguments, words",
    [
        ([], "expected NAME and OUTPUT"),
        (["ntu60-stgcn"], "expected NAME and OUTPUT"),
        (["ntu61", "bundle"], "ntu61 is no named bundle"),
        (["figures.toml", "."], ". exists"),
        (["figures.toml", "absent/bundle"], "absent is no folder"),
        (["figures.toml", "bundle", "--set", "crop.colour=1"], "no such parameter"),
        (["figures.toml", "bundle", "--clip", "a.mp4"], "expected --clip and --clip-label"),
        (["figures.toml", "bundle", "--mirror", "mirror/"], "--mirror mirror/ is no http or https URL"),
        (["figures.toml", "bundle", "--from", "absent"], f"absent lacks {NAMES['detector']}, {NAMES['pose']}, "),
        (["figures.toml", "bundle", "--retries", "-1"], "--retries -1"),
        (["figures.toml", "bundle", "--lock", "figures.toml"], "figures.toml is no lock file"),
        (["figures.toml", "bundle", "--lock", "absent/fetch.lock"], "absent is no folder"),
    ],
)
def test_what_cannot_work_is_told_before_anything_is_fetched(server, folder, capsys, arguments, words):
    write_manifest(folder, server)
    told = refused(capsys, *arguments)
    assert words in told and "\n  fix: " in told
    assert server.requests == []
    assert [path.name for path in folder.iterdir()] == ["figures.toml"]


def test_the_list_names_files_sizes_and_licences(capsys):
    assert cli.main(["bundle", "fetch", "--list"]) == 0
    told = capsys.readouterr().out
    assert [named.name for named in available()] == ["ntu60-stgcn", "ntu60-stgcnpp"]
    for named in available():
        assert named.name in told and named.licence in told
        assert all(text in told for file in named.files.values() for text in (file.name, file.licence, *file.urls))
    assert "pose_iter_440000.caffemodel, 199.6 MiB" in told and "size not known" in told
    assert "noncommercial research use only" in told
