"""A real HTTP server of files that misbehaves as it is told to, on a port of this machine."""

from __future__ import annotations

import ssl
import sys
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit

OLD = "Mon, 01 Jan 2024 00:00:00 GMT"


class FileServer:
    """Use as a context manager. Every path has a list of behaviours: one a request, the last one for all that follow.

    Args:
        certificate: PEM file with a certificate and its key: the server speaks TLS.

    Attributes:
        requests: (path, headers) of each request, in order.
    """

    def __init__(self, certificate: Path | None = None) -> None:
        self.requests: list[tuple[str, dict[str, str]]] = []
        self._behaviours: dict[str, list[Behaviour]] = {}
        self._server = _Server(("127.0.0.1", 0), _handler(self))
        self._scheme = "https" if certificate else "http"
        if certificate:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate)
            self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        self._released = threading.Event()

    def __enter__(self) -> FileServer:
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        return self

    def __exit__(self, *_) -> None:
        self._released.set()
        self._server.shutdown()
        self._server.server_close()

    def serve(self, name: str, *behaviours: Behaviour) -> str:
        """Let `name` be answered like this; returns its URL."""
        self._behaviours[f"/{name}"] = list(behaviours)
        return self.url(name)

    def url(self, name: str = "") -> str:
        return f"{self._scheme}://127.0.0.1:{self._server.server_port}/{name}"

    def ranges(self) -> list[str | None]:
        """The Range of each request."""
        return [headers.get("Range") for _, headers in self.requests]

    def wait(self, seconds: float) -> None:
        """Sleep, but not longer than the server runs."""
        self._released.wait(seconds)

    def answer(self, handler: BaseHTTPRequestHandler) -> None:
        """Note the request, and do what is next for its path."""
        self.requests.append((handler.path, dict(handler.headers)))
        left = self._behaviours.get(urlsplit(handler.path).path, [status(404)])  # a proxy is sent the whole URL
        behaviour = left.pop(0) if len(left) > 1 else left[0]
        behaviour(handler, self)


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request, client_address) -> None:
        """A client that hangs up is what the tests are about."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


def _handler(server: FileServer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            server.answer(self)

        def log_message(self, *_) -> None:
            """Nothing: standard error is looked at by the tests."""

    return Handler


Behaviour = Callable[[BaseHTTPRequestHandler, FileServer], None]


def head(handler: BaseHTTPRequestHandler, code: int, **headers: object) -> None:
    handler.send_response(code)
    for name, value in headers.items():
        handler.send_header(name.replace("_", "-"), str(value))
    handler.end_headers()


def whole(content: bytes, **headers: object) -> Behaviour:
    """200 and all of it, whatever Range says."""

    def answer(handler, _) -> None:
        head(handler, 200, Content_Length=len(content), **headers)
        handler.wfile.write(content)

    return answer


def resumable(content: bytes, etag: str | None = '"one"', **headers: object) -> Behaviour:
    """Range and If-Range as RFC 9110 has them."""
    marks = ({"ETag": etag} if etag else {}) | headers

    def answer(handler, server) -> None:
        asked, condition = handler.headers.get("Range"), handler.headers.get("If-Range")
        if not asked or condition not in (None, etag, headers.get("Last_Modified")):
            return whole(content, **marks)(handler, server)
        start = int(asked.removeprefix("bytes=").removesuffix("-"))
        if start >= len(content):
            return head(handler, 416, Content_Range=f"bytes */{len(content)}", Content_Length=0)
        return part(content, start, **marks)(handler, server)

    return answer


def part(content: bytes, start: int, **headers: object) -> Behaviour:
    """206 from `start` on, whatever Range and If-Range say."""

    def answer(handler, _) -> None:
        span = f"bytes {start}-{len(content) - 1}/{len(content)}"
        head(handler, 206, Content_Length=len(content) - start, Content_Range=span, **headers)
        handler.wfile.write(content[start:])

    return answer


def cut(content: bytes, after: int, **headers: object) -> Behaviour:
    """Promises all of it and closes the connection early."""

    def answer(handler, _) -> None:
        head(handler, 200, Content_Length=len(content), **headers)
        handler.wfile.write(content[:after])
        handler.close_connection = True

    return answer


def stalling(content: bytes, after: int, seconds: float, **headers: object) -> Behaviour:
    """Promises all of it and falls silent, with the connection open."""

    def answer(handler, server) -> None:
        cut(content, after, **headers)(handler, server)
        handler.wfile.flush()
        server.wait(seconds)

    return answer


def dripping(content: bytes, every_s: float) -> Behaviour:
    """A byte at a time."""

    def answer(handler, server) -> None:
        head(handler, 200, Content_Length=len(content))
        try:
            for byte in content:
                handler.wfile.write(bytes([byte]))
                server.wait(every_s)
        except OSError:  # the client has had enough
            handler.close_connection = True

    return answer


def slow(behaviour: Behaviour, seconds: float) -> Behaviour:
    def answer(handler, server) -> None:
        time.sleep(seconds)
        behaviour(handler, server)

    return answer


def chunked(content: bytes, *, ends: bool = True) -> Behaviour:
    """Without a length; without `ends`, also without the mark of the end."""

    def answer(handler, _) -> None:
        head(handler, 200, Transfer_Encoding="chunked")
        handler.wfile.write(b"%x\r\n%s\r\n" % (len(content), content))
        handler.wfile.write(b"0\r\n\r\n" if ends else b"")
        handler.close_connection = not ends

    return answer


def until_closed(content: bytes) -> Behaviour:
    """As HTTP/1.0 did it: the end of the connection is the end of the file."""

    def answer(handler, _) -> None:
        head(handler, 200, Connection="close")
        handler.wfile.write(content)

    return answer


def status(code: int, **headers: object) -> Behaviour:
    def answer(handler, _) -> None:
        head(handler, code, Content_Length=0, **headers)

    return answer


def dropped(handler: BaseHTTPRequestHandler, server: FileServer) -> None:
    """No answer at all."""
    handler.close_connection = True
