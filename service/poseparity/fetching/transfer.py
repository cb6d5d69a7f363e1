"""One HTTP request for a file, or for the rest of it."""

from __future__ import annotations

import errno
import re
import shutil
import ssl
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http import HTTPStatus

import requests
import urllib3

from ..errors import FetchError
from .named import RemoteFile
from .partial import Partial, Start, validator_of
from .progress import Report

LARGEST = 4 * 2**30  # of a file whose size the manifest does not know
_CHUNK = 64 * 2**10  # at most: a read gives what has come, so that a slow line is seen to be slow
_LEAST = 16 * 2**10  # bytes that must come within the stall time: at so many a minute a GiB takes 45 days
_CONTENT_RANGE = re.compile(r"bytes (\d+)-(\d+)/(\d+|\*)")
# Refusals that are over in a while: RFC 9110, 8470 and 6585.
_PASSING = {HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_EARLY, HTTPStatus.TOO_MANY_REQUESTS}
_AUTHORITIES = "set REQUESTS_CA_BUNDLE to a file with the certificates of your network's authorities"
_NO_ROOM = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}  # the disk, a quota, or the largest file that a file system holds


class Passing(Exception):
    """A trouble that may be over in a moment.

    Args:
        wait_s: how long the server asks to be left alone, None when it does not say.
    """

    def __init__(self, message: str, wait_s: float | None = None) -> None:
        super().__init__(message)
        self.wait_s = wait_s


@dataclass(frozen=True)
class Timeouts:
    """Seconds until a connection must stand, and until some more bytes must have come."""

    connect_s: float = 20  # Linux asks again after 1, 3, 7 and 15 seconds
    stall_s: float = 60


def transfer(session: requests.Session, file: RemoteFile, url: str, partial: Partial, timeouts: Timeouts,
             report: Report) -> None:  # fmt: skip
    """Bring `partial` to the end of `url`, from where it stopped if the server still has the same content.

    Args:
        report: called with bytes there, and bytes in total or None, after each piece.

    Raises:
        Passing: worth another try; what has come so far is kept.
        FetchError: not worth one.
    """
    begun = partial.resumable(url)
    headers = {"Accept-Encoding": "identity"}
    if begun.byte:
        headers |= {"Range": f"bytes={begun.byte}-", "If-Range": begun.validator}
    timeout = (timeouts.connect_s, timeouts.stall_s)
    with _telling(timeouts), session.get(url, headers=headers, stream=True, timeout=timeout) as response:
        _check_answer(response, url)
        start = _start_of(response, begun, partial)
        total = _total(response, start, file)
        if not start:
            partial.begin(url, response, total)
        free = shutil.disk_usage(partial.path.parent).free
        if total is not None and total - start > free:
            raise _no_room(partial, f"{total - start} bytes are to come, {free} are free")
        _receive(response, partial, start, total, file.bytes or LARGEST, timeouts.stall_s, report)


def _check_answer(response: requests.Response, url: str) -> None:
    status = response.status_code
    if status >= 500 or status in _PASSING:
        asked = response.headers.get("Retry-After", "")  # seconds; it may be a date, which is left aside
        raise Passing(f"the server answers {_status(response)}", float(asked) if asked.isdecimal() else None)
    if status not in (HTTPStatus.OK, HTTPStatus.PARTIAL_CONTENT, HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE):
        raise FetchError(f"the server answers {_status(response)}", fix="see whether the file has moved")
    if url.startswith("https://") and not all(hop.url.startswith("https://") for hop in [*response.history, response]):
        raise FetchError("the server sends us on to a URL without TLS", fix="name another mirror")
    if response.headers.get("Content-Encoding", "identity") != "identity":
        raise FetchError("the server sends it compressed, unasked", fix="name another mirror")
    if response.headers.get("Content-Type", "").startswith("text/html"):
        raise FetchError(
            "the server sends a web page, expected a file", fix="open it in a browser: is there a login page?"
        )


def _status(response: requests.Response) -> str:
    return f"{response.status_code} {response.reason}".strip()


def _start_of(response: requests.Response, begun: Start, partial: Partial) -> int:
    """At which byte the answer starts: where we asked for, or at the first one; never two versions in one file."""
    if response.status_code == HTTPStatus.OK:
        return 0
    found = _CONTENT_RANGE.fullmatch(response.headers.get("Content-Range", ""))
    if response.status_code == HTTPStatus.PARTIAL_CONTENT and begun.byte and found:
        same_version = validator_of(response) in (begun.validator, "") and found[3] in (str(begun.total), "*")
        if int(found[1]) == begun.byte and same_version:
            return begun.byte
    partial.discard()
    raise Passing("what is there so far does not fit what the server has now, so it is fetched from the start")


def _total(response: requests.Response, start: int, file: RemoteFile) -> int | None:
    """Bytes of the whole file as the server says, None when it does not; as many as are expected, where that is known.

    Raises:
        FetchError: it is another file, too large, or could be cut short without a sign of it.
    """
    found = _CONTENT_RANGE.fullmatch(response.headers.get("Content-Range", ""))
    length = response.headers.get("Content-Length", "")
    if start and found[3] != "*":
        total = int(found[3])
    elif length.isdecimal():
        total = start + int(length)
    elif response.raw.chunked or file.bytes or file.whole_hash:
        return None
    else:
        raise FetchError("the server does not say how long it is, so a cut is not seen", fix="name another mirror")
    if file.bytes and total != file.bytes:
        raise FetchError(
            f"the server has {total} bytes, expected {file.bytes}", fix="it is another file: name another mirror"
        )
    if total > LARGEST:
        raise _too_large(LARGEST)
    return total


def _too_large(limit: int) -> FetchError:
    return FetchError(f"the server sends more than {limit} bytes, the most expected", fix="name another mirror")


def _no_room(partial: Partial, why: str) -> FetchError:
    return FetchError(
        f"no room in {partial.path.parent}: {why}", code="disk-full", fix="make room, or name another folder: --cache"
    )


def _receive(response: requests.Response, partial: Partial, start: int, total: int | None, limit: int, stall_s: float,
             report: Report) -> None:  # fmt: skip
    size = start
    report(size, total)
    with partial.path.open("ab" if start else "wb", buffering=0) as out:
        for chunk in _chunks(response.raw, stall_s):
            size += len(chunk)
            if size > limit:
                raise _too_large(limit)
            rest = memoryview(chunk)
            try:
                while rest:
                    rest = rest[out.write(rest) :]
            except OSError as error:
                if error.errno in _NO_ROOM:
                    raise _no_room(partial, error.strerror) from error
                raise
            report(size, total)
    if total is not None and size != total:
        raise Passing(f"the connection ended after {size} of {total} bytes")


def _chunks(raw: urllib3.HTTPResponse, stall_s: float) -> Iterator[bytes]:
    """The body as it comes; one that drips has stalled as much as one that stands still."""
    since, came = time.monotonic(), 0
    while chunk := raw.read1(_CHUNK, decode_content=False):
        yield chunk
        came += len(chunk)
        now = time.monotonic()
        if came >= _LEAST:
            since, came = now, 0
        elif now - since > stall_s:
            raise Passing(f"only {came} bytes came in {stall_s:g} s")


@contextmanager
def _telling(timeouts: Timeouts) -> Iterator[None]:
    """Turn what requests and urllib3 raise into the two kinds: worth another try, or not."""
    try:
        yield
    except (requests.exceptions.ReadTimeout, urllib3.exceptions.ReadTimeoutError) as error:
        raise Passing(f"nothing came for {timeouts.stall_s:g} s") from error
    except requests.exceptions.ConnectTimeout as error:
        raise Passing(f"no connection within {timeouts.connect_s:g} s") from error
    except (requests.exceptions.ConnectionError, urllib3.exceptions.HTTPError) as error:
        if isinstance(_innermost(error), ssl.SSLCertVerificationError):
            raise FetchError(f"TLS fails: {_words(error)}", fix=_AUTHORITIES) from error
        raise Passing(f"the connection fails: {_words(error)}") from error
    except requests.exceptions.RequestException as error:
        raise FetchError(f"it cannot be asked for: {_words(error)}", fix="correct the URL, or the proxy") from error


def _innermost(error: BaseException) -> BaseException:
    """What requests and urllib3 have wrapped, which is the part that says something."""
    while True:
        parts = (getattr(error, "reason", None), *error.args)
        inner = next((part for part in parts if isinstance(part, BaseException)), None)
        if inner is None:
            return error
        error = inner


def _words(error: BaseException) -> str:
    return " ".join(str(_innermost(error)).split())[:200]
