"""Cache, folder, lock file and manifests of fetched files, and what a user is told meanwhile."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from poseparity.errors import FetchError
from poseparity.fetching.checks import digests
from poseparity.fetching.download import Patience
from poseparity.fetching.lockfile import LockFile
from poseparity.fetching.named import RemoteFile, load_named
from poseparity.fetching.obtain import Source, alone, default_cache, obtain
from poseparity.fetching.progress import Progress, size
from tests.conftest import ROOT
from tests.file_server import FileServer, resumable, slow, stalling, status, whole

CONTENT = b"weights" * 5000
SHA256 = hashlib.sha256(CONTENT).hexdigest()
NAME = "weights.bin"
ONCE = Patience(retries=0)


@pytest.fixture
def server():
    with FileServer() as server:
        yield server


@pytest.fixture
def source(tmp_path) -> Source:
    return Source(cache=tmp_path / "cache", patience=ONCE)


@pytest.fixture
def lock(tmp_path) -> LockFile:
    return LockFile(tmp_path / "fetch.lock")


def remote(url: str = "https://nowhere.example/weights.bin", **known) -> RemoteFile:
    return RemoteFile(**{"name": NAME, "urls": (url,), "licence": "CC0-1.0", **known})


def test_a_second_fetch_takes_the_cache(server, source, lock):
    file = remote(server.serve(NAME, whole(CONTENT)))
    first, second = (obtain([file], source, lock, Progress()) for _ in range(2))
    assert first == second == {file: digests(source.place(file))}
    assert len(server.requests) == 1


@pytest.mark.parametrize("harm", [b"", CONTENT[:-1], CONTENT[:-1] + b"!"], ids=["empty", "cut", "another"])
def test_a_damaged_cache_is_fetched_again(server, source, lock, harm, capsys):
    file = remote(server.serve(NAME, whole(CONTENT)), sha256=SHA256)
    obtain([file], source, lock, Progress())
    source.place(file).write_bytes(harm)
    obtain([file], source, lock, Progress())
    assert source.place(file).read_bytes() == CONTENT
    assert "in the cache, but wrong content" in capsys.readouterr().err


def test_two_urls_share_no_place_in_the_cache(source):
    places = {source.place(remote(f"https://nowhere.example/{version}/weights.bin")) for version in (1, 2)}
    assert len(places) == 2
    assert {place.name for place in places} == {NAME}


def test_a_mirror_takes_the_place_of_every_url(server, tmp_path, lock):
    server.serve(f"mirror/{NAME}", whole(CONTENT))
    mirror = Source(cache=tmp_path / "cache", mirror=server.url("mirror/"), patience=ONCE)
    file = remote(server.serve(NAME, whole(b"never asked for")))
    obtain([file], mirror, lock, Progress())
    assert mirror.place(file).read_bytes() == CONTENT
    assert [path for path, _ in server.requests] == [f"/mirror/{NAME}"]


def test_a_folder_is_used_without_network_and_cache(tmp_path, lock):
    (tmp_path / NAME).write_bytes(CONTENT)
    folder = Source(cache=tmp_path / "cache", folder=tmp_path)
    file = remote(sha256=SHA256[:8])
    with alone(folder, Progress()):
        assert obtain([file], folder, lock, Progress())[file].sha256 == SHA256
    assert folder.place(file) == tmp_path / NAME
    assert not (tmp_path / "cache").exists()


def test_a_folder_that_lacks_files_names_them_all(tmp_path, lock):
    files = [remote(), remote("https://nowhere.example/other", name="other.bin")]
    with pytest.raises(FetchError, match=r"lacks weights.bin, other.bin$") as error:
        obtain(files, Source(folder=tmp_path), lock, Progress())
    assert all(file.urls[0] in error.value.fix for file in files)


def test_a_wrong_file_in_a_folder_is_refused(tmp_path, lock):
    (tmp_path / NAME).write_bytes(CONTENT)
    with pytest.raises(FetchError, match=f"{NAME}: wrong content: md5 is .* expected {'0' * 32}"):
        obtain([remote(md5="0" * 32)], Source(folder=tmp_path), lock, Progress())


def test_proxy_variables_are_heeded(server, source, lock, monkeypatch):
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("http_proxy", server.url())
    server.serve(NAME, whole(CONTENT))
    file = remote(f"http://nowhere.example/{NAME}")
    obtain([file], source, lock, Progress())
    assert [path for path, _ in server.requests] == [f"http://nowhere.example/{NAME}"]


def test_a_first_fetch_is_recorded_and_held_to(source, lock):
    file, found = remote(), digests(Path(__file__))
    assert lock.sha256(file) is None
    assert (lock.record([(file, found)]), lock.record([(file, found)])) == ([NAME], [])
    assert LockFile(lock.path).sha256(file) == found.sha256
    entry = {"name": NAME, "bytes": found.bytes, "sha256": found.sha256, "licence": "CC0-1.0"}
    assert json.loads(lock.path.read_text()) == {"format": 1, "files": {file.urls[0]: entry}}


def test_what_another_fetch_recorded_meanwhile_stays(lock):
    one, two = remote("https://nowhere.example/1"), remote("https://nowhere.example/2")
    found, other = digests(Path(__file__)), digests(ROOT / "README.md")
    LockFile(lock.path).record([(two, other)])
    lock.record([(one, found)])
    assert LockFile(lock.path).sha256(two) == other.sha256
    with pytest.raises(FetchError, match=f"sha256 is {found.sha256}, the lock file has {other.sha256}"):
        lock.record([(two, found)])


@pytest.mark.parametrize(
    "text",
    [
        "", "[]", "{}", '{"format": 2, "files": {}}', '{"format": 1, "files": []}',
        '{"format": 1, "files": {"u": {}}}', '{"format": 1, "files": {"u": {"sha256": "A"}}}',
    ],
)  # fmt: skip
def test_a_damaged_lock_file_is_refused(tmp_path, text):
    (tmp_path / "fetch.lock").write_text(text)
    with pytest.raises(FetchError, match=r"fetch\.lock is no lock file of poseparity"):
        LockFile(tmp_path / "fetch.lock")


# A process of its own that obtains one file: FOLDER URL
OBTAIN = """
import sys
from pathlib import Path
from poseparity.fetching.download import Patience
from poseparity.fetching.lockfile import LockFile
from poseparity.fetching.named import RemoteFile
from poseparity.fetching.obtain import Source, alone, obtain
from poseparity.fetching.progress import Progress
folder, url = Path(sys.argv[1]), sys.argv[2]
source, progress = Source(cache=folder / "cache", patience=Patience(retries=0)), Progress()
file = RemoteFile(name="weights.bin", urls=[url], licence="CC0-1.0")
with alone(source, progress):
    found = obtain([file], source, LockFile(folder / "fetch.lock"), progress)
print(found[file].sha256)
"""


def start_obtaining(folder: Path, url: str) -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, "-c", OBTAIN, folder, url], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def test_two_at_once_wait_for_each_other(server, tmp_path):
    url = server.serve(NAME, slow(whole(CONTENT), 0.5))
    answers = [process.communicate(timeout=60) for process in [start_obtaining(tmp_path, url) for _ in range(2)]]
    assert [out.strip() for out, _ in answers] == [SHA256, SHA256], answers
    assert len(server.requests) == 1
    told = "".join(err for _, err in answers)
    assert "another fetch is using" in told and "in the cache, checked" in told


def test_a_killed_fetch_leaves_nothing_in_place_and_is_continued(server, tmp_path):
    url = server.serve(NAME, stalling(CONTENT, 10_000, 60, ETag='"one"'), resumable(CONTENT))
    process = start_obtaining(tmp_path, url)
    deadline = time.monotonic() + 30
    while not any(path.stat().st_size for path in tmp_path.rglob("*.part")):
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert list(tmp_path.rglob(NAME)) == []
    out, err = start_obtaining(tmp_path, url).communicate(timeout=60)
    assert out.strip() == SHA256, err
    assert server.ranges()[0] is None and server.ranges()[1].startswith("bytes=")


def test_progress_is_lines_where_there_is_no_terminal(server, source, lock, capsys):
    obtain([remote(server.serve(NAME, whole(CONTENT)))], source, lock, Progress())
    err = capsys.readouterr().err
    assert err.startswith(f"{NAME}: {server.url(NAME)}\n{NAME}: 34.2 KiB of 34.2 KiB (100%), ")
    assert "\r" not in err


def test_progress_is_one_line_on_a_terminal(server, source, lock):
    controller, terminal = os.openpty()
    with os.fdopen(terminal, "w") as stream:
        obtain([remote(server.serve(NAME, whole(CONTENT)))], source, lock, Progress(stream))
        print("all shown", file=stream, flush=True)
        shown = ""
        while "all shown" not in shown:
            shown += os.read(controller, 10_000).decode()
    os.close(controller)
    assert f"\r{NAME}: 34.2 KiB of 34.2 KiB (100%), " in shown
    assert shown.count("\n") == 3  # where it comes from, the line that was rewritten, and ours


@pytest.mark.parametrize("count, text", [(0, "0 B"), (1023, "1023 B"), (1536, "1.5 KiB"), (2**43, "8192.0 GiB")])
def test_sizes_are_readable(count, text):
    assert size(count) == text


def test_the_cache_is_where_the_user_keeps_caches(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert default_cache() == tmp_path / "poseparity"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert default_cache() == tmp_path / ".cache/poseparity"


MANIFEST = """
format = 1
name = "mine"
version = "1"
summary = ""
licence = "CC0-1.0"
labels = ["a", "b"]
config_file = "config.py"
[files]
detector = { name = "a.pt", urls = ["https://nowhere.example/a.pt"], licence = "CC0-1.0" }
pose = { name = "b.caffemodel", urls = ["https://nowhere.example/b.caffemodel"], licence = "CC0-1.0" }
checkpoint = { name = "c.pth", urls = ["https://nowhere.example/c.pth"], licence = "CC0-1.0" }
"""


def test_a_config_lies_beside_its_manifest(tmp_path):
    (tmp_path / "mine.toml").write_text(MANIFEST)
    named = load_named(str(tmp_path / "mine.toml"))
    with pytest.raises(FetchError, match=r"mine: its config .*/config.py is no file"):
        named.local_config()
    (tmp_path / "config.py").touch()
    assert named.local_config() == tmp_path / "config.py"


@pytest.mark.parametrize(
    "change, words",
    [
        (("format = 1", "format = 2"), "format"),
        (("format = 1", "format ="), "is not TOML"),
        (('name = "mine"', 'name = "My Model"'), "name"),
        (("[files]", "colour = 1\n[files]"), "colour"),
        (("pose =", "clip ="), "files lacks pose"),
        (("c.pth", "../c.pth"), "files.checkpoint.name"),
        (('"c.pth"', '"a.pt"'), "two files have one name"),
        (("https://nowhere.example/c", "file:///c"), "is no http or https URL"),
        (('config_file = "config.py"', ""), "exactly one of mmaction2_config, config_file and files.config"),
        (("config_file", 'mmaction2_config = "x.py"\nconfig_file'), "exactly one of"),
    ],
)
def test_a_wrong_manifest_is_refused(tmp_path, change, words):
    assert change[0] in MANIFEST
    (tmp_path / "mine.toml").write_text(MANIFEST.replace(*change))
    with pytest.raises(FetchError, match=words) as error:
        load_named(str(tmp_path / "mine.toml"))
    assert error.value.fix


@pytest.mark.parametrize("name", ["ntu61", "absent.toml", "../bundles/demo"])
def test_a_name_that_there_is_not(name):
    with pytest.raises(FetchError, match=r"is no (named bundle|file)"):
        load_named(name)


def test_a_missing_file_is_told_with_what_else_can_be_done(server, source, lock):
    with pytest.raises(FetchError, match="the server answers 404 Not Found") as error:
        obtain([remote(server.serve(NAME, status(404)))], source, lock, Progress())
    assert f"--from FOLDER with {NAME} in it" in error.value.fix
