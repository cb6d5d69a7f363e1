"""Whether the client of the current request is still there."""

from __future__ import annotations

import select
import socket

from flask import request

_GONE = select.POLLRDHUP | select.POLLHUP | select.POLLERR


class Client:
    """The other end of a request's connection.

    Args:
        connection: its socket; None where there is none to watch, and then the client never leaves.
    """

    def __init__(self, connection: socket.socket | None) -> None:
        self._connection = connection

    @classmethod
    def current(cls) -> Client:
        """The client of the request that is being answered."""
        return cls(request.environ.get("gunicorn.socket"))

    @property
    def has_left(self) -> bool:
        """It closed its connection, or its side of it: who sends no more is not told from who has gone."""
        if self._connection is None:
            return False
        poll = select.poll()
        try:
            # Bytes that came ahead of the end do not hide it, as they would from a read that peeks.
            poll.register(self._connection, _GONE)
            return bool(poll.poll(0))
        except (OSError, ValueError):  # closed at this end
            return True
