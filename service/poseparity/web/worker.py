"""Gunicorn's threaded worker, with this service's errors, and with an answer to everybody when it stops."""

from __future__ import annotations

import socket
import struct
import threading
import time
from contextlib import suppress

from gunicorn.workers.gthread import ThreadWorker

from . import unreadable

_LEAVE_S = 2  # for a client to read its answer and to close its side: what Gunicorn gives it, too
_CHUNK = 2**18  # bytes of a body that nobody reads, thrown away at once
_MARGIN_S = 2  # of the time to finish: what an answer to those takes who cannot be answered


def _take_leave(connection: socket.socket) -> None:
    """End a connection so that its client has the answer, and does not go on sending a body that nobody reads.

    A client that sends is not told of the end by a close alone: if what came was just read, the kernel sends nothing
    more, and the client, whose window is full, asks for a minute and more whether there is room (seen with 27 MB).
    """
    connection.shutdown(socket.SHUT_WR)
    end = time.monotonic() + _LEAVE_S
    while (left := end - time.monotonic()) > 0:
        connection.settimeout(left)
        try:
            if not connection.recv(_CHUNK):
                break
        except TimeoutError:
            break
    else:
        # It still sends: the close that follows resets the connection.
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.shutdown(socket.SHUT_RDWR)


class Worker(ThreadWorker):
    """Answers all who have connected, or wait at its port, when it stops."""

    def set_accept_enabled(self, enabled: bool) -> None:
        if self.alive:
            super().set_accept_enabled(enabled)
            return
        self._take_who_waits_at_the_port()
        super().set_accept_enabled(False)
        for listener in self.sockets:
            listener.close()  # who comes now is refused at once, and does not wait for a worker that has gone
        # End what is still computed so early that its client can be told before Gunicorn ends the process.
        seconds = max(self.cfg.graceful_timeout - _MARGIN_S, self.cfg.graceful_timeout / 2)
        timer = threading.Timer(seconds, self.wsgi.extensions["inference"].end)
        timer.daemon = True
        timer.start()

    def handle(self, conn):
        """Answer a request; of a connection that ends with it, wait here, and not in the main thread, for its end.

        Gunicorn gives a client two seconds to close its side, and accepts nobody meanwhile.
        """
        goes_on = super().handle(conn)
        if not goes_on:
            with suppress(OSError):  # the client has gone
                _take_leave(conn.sock)
        return goes_on

    def handle_error(self, req, client, addr, exc) -> None:
        """Answer what cannot be read in the one shape of every error, and not in HTML."""
        unreadable.answer(client, addr, exc)

    def _take_who_waits_at_the_port(self) -> None:
        """Accept the connections that the kernel holds: it would reset them when the port is closed."""
        for listener in self.sockets:
            listener.setblocking(False)
            before = None
            while before != self.nr_conns < self.worker_connections:
                before = self.nr_conns
                self.accept(listener)
