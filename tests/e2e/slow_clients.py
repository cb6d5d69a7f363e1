"""Clients that hold connections: they send nothing, or headers or a body that never end."""

from __future__ import annotations

import asyncio
import threading
from collections import Counter
from contextlib import suppress

_POST = b"POST /v1/predictions HTTP/1.1\r\nHost: server\r\nContent-Type: multipart/form-data; boundary=x\r\n"
_FILE = b'--x\r\nContent-Disposition: form-data; name="file"; filename="a.mp4"\r\n\r\n'

# What each kind sends at once, and then again and again.
KINDS = {
    "idle": (b"", b""),
    "headers": (_POST, b"X-More: 1\r\n"),
    "short body": (_POST + b"Content-Length: 100000\r\n\r\n" + _FILE, b"a"),
    "long body": (_POST + b"Content-Length: 9000000\r\n\r\n" + _FILE + bytes(700_000), b"a"),
}


class SlowClients:
    """Holds connections until the block ends; one that the server ends is opened again a second later.

    Args:
        each: clients of each kind.

    Attributes:
        opened: connections that were opened.
        ended: how the server ended them: an HTTP status, or "" for none.
    """

    def __init__(self, host: str, port: int, each: int) -> None:
        self.opened = 0
        self.ended: Counter[str] = Counter()
        self._server, self._each = (host, port), each
        self._stop = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._hold_all()))

    def __enter__(self) -> SlowClients:
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._stop.set()
        self._thread.join()

    async def _hold_all(self) -> None:
        await asyncio.gather(*(self._hold(*kind) for kind in KINDS.values() for _ in range(self._each)))

    async def _hold(self, first: bytes, more: bytes) -> None:
        while not self._stop.is_set():
            with suppress(OSError):
                await self._hold_one(first, more)
            await asyncio.sleep(1)

    async def _hold_one(self, first: bytes, more: bytes) -> None:
        reader, writer = await asyncio.open_connection(*self._server)
        self.opened += 1
        try:
            writer.write(first)
            while not self._stop.is_set():
                with suppress(TimeoutError):
                    answer = await asyncio.wait_for(reader.read(12), 1)
                    self.ended[answer[9:].decode()] += 1
                    return
                writer.write(more)
                await writer.drain()
        finally:
            writer.close()
