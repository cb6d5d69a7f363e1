"""Downloads from a real HTTP server that cuts, stalls, lies and changes its mind: never a half or a wrong file."""

from __future__ import annotations

import hashlib
import resource
import shutil
import subprocess
from pathlib import Path

import pytest

from poseparity.errors import FetchError
from poseparity.fetching import transfer
from poseparity.fetching.download import Download, Patience
from poseparity.fetching.named import RemoteFile
from poseparity.fetching.progress import Progress
from tests.file_server import (
    OLD,
    FileServer,
    chunked,
    cut,
    dripping,
    dropped,
    head,
    part,
    resumable,
    stalling,
    status,
    until_closed,
    whole,
)

CONTENT = bytes(range(256)) * 1200  # 300 KiB: several pieces
OTHER = CONTENT[::-1]
MIDDLE = len(CONTENT) // 2
SHA256 = hashlib.sha256(CONTENT).hexdigest()
NAME = "weights.bin"
ETAG = {"ETag": '"one"'}
QUICK = Patience(transfer.Timeouts(), retries=2, wait_s=0.001)
HASTY = Patience(transfer.Timeouts(stall_s=0.7), retries=2, wait_s=0.001)


@pytest.fixture
def server():
    with FileServer() as server:
        yield server


@pytest.fixture
def target(tmp_path) -> Path:
    return tmp_path / "cache" / NAME


def remote(url: str, **known) -> RemoteFile:
    return RemoteFile(**{"name": NAME, "urls": (url,), "licence": "CC0-1.0", "sha256": SHA256, **known})


def fetch(file: RemoteFile, target: Path, locked: str | None = None, patience: Patience = QUICK):
    return Download(file, target, locked, patience, Progress()).run(file.urls)


def refused(file: RemoteFile, target: Path, words: str, **options) -> FetchError:
    with pytest.raises(FetchError, match=words) as error:
        fetch(file, target, **options)
    assert error.value.fix
    assert not target.exists()
    return error.value


@pytest.mark.parametrize("behaviour", [whole(CONTENT), chunked(CONTENT), until_closed(CONTENT), resumable(CONTENT)])
def test_a_whole_file_arrives_and_nothing_else_stays(server, target, behaviour):
    found = fetch(remote(server.serve(NAME, behaviour)), target)
    assert (found.bytes, found.sha256, found.md5) == (len(CONTENT), SHA256, hashlib.md5(CONTENT).hexdigest())
    assert target.read_bytes() == CONTENT
    assert list(target.parent.iterdir()) == [target]


def test_a_redirect_is_followed(server, target):
    server.serve("elsewhere", whole(CONTENT))
    fetch(remote(server.serve(NAME, status(302, Location="/elsewhere"))), target)
    assert target.read_bytes() == CONTENT


@pytest.mark.parametrize(
    "first",
    [status(503), status(500), status(429, Retry_After="0"), dropped, cut(CONTENT, 0), chunked(CONTENT, ends=False),
     stalling(CONTENT, 1000, 5), dripping(CONTENT, 0.05)],
    ids=["503", "500", "429", "dropped", "cut", "cut-chunks", "stalled", "dripping"],
)  # fmt: skip
def test_a_passing_trouble_is_tried_again(server, target, first):
    fetch(remote(server.serve(NAME, first, whole(CONTENT))), target, patience=HASTY)
    assert target.read_bytes() == CONTENT
    assert server.ranges() == [None, None]


@pytest.mark.parametrize(
    "behaviour, words",
    [
        (status(503), "503 Service Unavailable, after 3 tries$"),
        (stalling(CONTENT, 1000, 5, **ETAG), "nothing came for 0.7 s, after 3 tries; 1000 bytes are kept"),
        (cut(CONTENT, MIDDLE, **ETAG), f"the connection .*after 3 tries; {MIDDLE} bytes are kept"),
    ],
    ids=["503", "stalled", "cut"],
)
def test_tries_are_bounded(server, target, behaviour, words):
    refused(remote(server.serve(NAME, behaviour)), target, words, patience=HASTY)
    assert len(server.requests) == 3


@pytest.mark.parametrize(
    "behaviour, words",
    [
        (status(404), "404 Not Found"),
        (status(403), "403 Forbidden"),
        (status(302, Location="/weights.bin"), "redirects"),
        (whole(b"<html>", Content_Type="text/html; charset=utf-8"), "a web page, expected a file"),
        (whole(CONTENT, Content_Encoding="gzip"), "compressed, unasked"),
    ],
)
def test_what_will_not_pass_is_told_at_once(server, target, behaviour, words):
    error = refused(remote(server.serve(NAME, behaviour)), target, words)
    assert server.url(NAME) in str(error)
    assert len({path for path, _ in server.requests}) == 1
    assert len(server.requests) == 1 or "redirects" in words
    assert not target.parent.exists()


@pytest.mark.parametrize(
    "known, found",
    [
        ({}, "sha256 is [0-9a-f]{64}, expected [0-9a-f]{64}$"),
        ({"sha256": SHA256[:8]}, f"sha256 is [0-9a-f]{{64}}, expected {SHA256[:8]} at its start"),
        ({"sha256": None, "md5": hashlib.md5(CONTENT).hexdigest()}, "md5 is [0-9a-f]{32}, expected [0-9a-f]{32}"),
    ],
)
def test_wrong_bytes_never_get_into_place(server, target, known, found):
    refused(remote(server.serve(NAME, whole(OTHER)), **known), target, f"wrong content: {found}")
    assert list(target.parent.iterdir()) == []
    assert len(server.requests) == 1


def test_a_changed_file_is_refused_naming_both_hashes(server, target):
    other = hashlib.sha256(OTHER).hexdigest()
    file = remote(server.serve(NAME, whole(OTHER)), sha256=None)
    error = refused(file, target, f"it has changed: sha256 is {other}, the lock file has {SHA256}", locked=SHA256)
    assert (error.code, f"remove {file.urls[0]} from the lock file" in error.fix) == ("changed-file", True)


@pytest.mark.parametrize("behaviour, words", [(whole(CONTENT + b"!"), "the server has 307201 bytes, expected 307200"),
                                              (chunked(CONTENT * 2), "more than 307200 bytes")])  # fmt: skip
def test_a_file_that_is_too_large_is_not_received(server, target, behaviour, words):
    refused(remote(server.serve(NAME, behaviour), bytes=len(CONTENT)), target, words)


def test_a_file_of_unknown_size_has_a_limit(server, target, monkeypatch):
    monkeypatch.setattr(transfer, "LARGEST", 1000)
    refused(remote(server.serve(NAME, whole(CONTENT))), target, "more than 1000 bytes")


def test_without_length_and_hash_nobody_could_see_a_cut(server, target):
    file = remote(server.serve(NAME, until_closed(CONTENT)), sha256=SHA256[:8])
    refused(file, target, "does not say how long it is")


def test_the_next_url_is_asked_and_every_reason_told(server, target):
    answers = {"gone": status(404), "wrong": whole(OTHER), "fine": whole(CONTENT)}
    urls = [server.serve(name, answer) for name, answer in answers.items()]
    fetch(remote(urls[0], urls=urls), target)
    assert target.read_bytes() == CONTENT
    target.unlink()
    error = refused(remote(urls[0], urls=urls[:2]), target, "gone: the server answers 404")
    assert "wrong: wrong content" in str(error)


def test_a_cut_download_goes_on_where_it_stopped(server, target):
    file = remote(server.serve(NAME, cut(CONTENT, MIDDLE, **ETAG), resumable(CONTENT)))
    fetch(file, target)
    assert target.read_bytes() == CONTENT
    assert server.ranges() == [None, f"bytes={MIDDLE}-"]
    assert server.requests[1][1]["If-Range"] == '"one"'


def test_the_next_command_goes_on_too(server, target):
    file = remote(server.serve(NAME, cut(CONTENT, MIDDLE, Last_Modified=OLD)))
    refused(file, target, "are kept", patience=Patience(QUICK.timeouts, 0, 0))
    server.serve(NAME, resumable(CONTENT, etag=None, Last_Modified=OLD))
    fetch(file, target)
    assert target.read_bytes() == CONTENT
    assert server.ranges() == [None, f"bytes={MIDDLE}-"]


def test_what_had_come_whole_is_not_asked_for_again(server, target):
    file = remote(server.serve(NAME, cut(CONTENT, MIDDLE, **ETAG)))
    refused(file, target, "are kept", patience=Patience(QUICK.timeouts, 0, 0))
    with target.with_name(f"{NAME}.part").open("ab") as partial:
        partial.write(CONTENT[MIDDLE:])
    fetch(file, target)
    assert target.read_bytes() == CONTENT
    assert len(server.requests) == 1


@pytest.mark.parametrize(
    "answers",
    [
        [whole(CONTENT, **ETAG)],
        [resumable(CONTENT, etag='"two"')],
        [part(CONTENT, MIDDLE, ETag='"two"'), whole(CONTENT)],
        [part(CONTENT, MIDDLE - 7, **ETAG), whole(CONTENT)],
        [part(CONTENT + b"!", MIDDLE, **ETAG), whole(CONTENT)],
        [part(OTHER, MIDDLE), whole(CONTENT)],
        [status(416), whole(CONTENT)],
    ],
    ids=["range-ignored", "another-etag", "if-range-ignored", "another-part", "another-size", "no-etag", "416"],
)
def test_two_versions_are_never_spliced(server, target, answers):
    file = remote(server.serve(NAME, cut(OTHER, MIDDLE, **ETAG), *answers))
    fetch(file, target)
    assert target.read_bytes() == CONTENT
    assert server.ranges() == [None, f"bytes={MIDDLE}-", None][: 1 + len(answers)]


@pytest.mark.parametrize("marks", [{}, {"ETag": 'W/"one"'}, {"Last_Modified": "Fri, 01 Jan 2999 00:00:00 GMT"}])
def test_without_a_strong_validator_it_starts_again(server, target, marks):
    fetch(remote(server.serve(NAME, cut(CONTENT, MIDDLE, **marks), resumable(CONTENT))), target)
    assert target.read_bytes() == CONTENT
    assert server.ranges() == [None, None]


def test_what_another_url_began_is_not_continued(server, target):
    begun = remote(server.serve("mirror", cut(OTHER, MIDDLE, **ETAG)))
    refused(begun, target, "are kept", patience=Patience(QUICK.timeouts, 0, 0))
    fetch(remote(server.serve(NAME, resumable(CONTENT))), target)
    assert target.read_bytes() == CONTENT
    assert server.ranges() == [None, None]


def test_a_full_disk_is_told(server, target):
    """The kernel refuses to let the file grow, as it does on a full disk or above a quota."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (MIDDLE, hard))
    try:
        error = refused(remote(server.serve(NAME, resumable(CONTENT))), target, "no room in .*: File too large")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert error.code == "disk-full"
    fetch(remote(server.url(NAME)), target)
    assert target.read_bytes() == CONTENT
    assert server.ranges() == [None, f"bytes={MIDDLE}-"]


def test_a_file_that_will_not_fit_is_not_begun(server, target, monkeypatch):
    monkeypatch.setattr(transfer, "LARGEST", 2**60)

    def promise(handler, _) -> None:
        head(handler, 200, Content_Length=2**59)
        handler.close_connection = True

    error = refused(remote(server.serve(NAME, promise)), target, f"{2**59} bytes are to come, .* are free")
    assert (error.code, len(server.requests)) == ("disk-full", 1)


def test_nobody_listens(server, target):
    server.__exit__()
    refused(remote(server.url(NAME)), target, "Connection refused")


@pytest.fixture(scope="module")
def certificate(tmp_path_factory) -> Path:
    """A certificate for 127.0.0.1 that no authority has signed, and its key."""
    if not shutil.which("openssl"):
        pytest.skip("no openssl: TLS was NOT tested")
    path = tmp_path_factory.mktemp("tls") / "server.pem"
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
               "-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1", "-days", "2",
               "-out", path, "-keyout", "-"]  # fmt: skip
    key = subprocess.run(command, check=True, capture_output=True).stdout
    path.write_bytes(path.read_bytes() + key)
    return path


def test_an_unknown_authority_is_refused_unless_the_user_names_it(certificate, target, monkeypatch):
    with FileServer(certificate) as server:
        file = remote(server.serve(NAME, whole(CONTENT)))
        error = refused(file, target, "TLS fails: .*certificate verify failed")
        assert "REQUESTS_CA_BUNDLE" in error.fix and server.requests == []
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificate))
        fetch(file, target)
    assert target.read_bytes() == CONTENT


def test_tls_is_not_left_on_the_way(certificate, server, target, monkeypatch):
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificate))
    with FileServer(certificate) as tls:
        away = status(302, Location=server.serve(NAME, whole(CONTENT)))
        refused(remote(tls.serve(NAME, away)), target, "on to a URL without TLS")
