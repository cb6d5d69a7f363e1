"""What this service can take, and who waits for it: places for requests, turns at the process that computes."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from typing import BinaryIO

from flask import Flask, current_app

from ..errors import CapacityError, ClientLeft, NotReadyError
from ..inputs import Input
from ..serving.supervisor import Supervisor
from ..serving.turns import Turns
from ..serving.work import Answer, Loaded, Predict
from ..settings import Settings
from ..stop import Stop
from .clients import Client
from .waiting import Waiting

EXTENSION = "inference"
_STOPPING_RETRY_S = 5


class Inference:
    """Every request that is to be computed, from its place, taken before its body is received, to its answer.

    The models are in another process, see serving/supervisor.py. Requests that arrive while they load wait. Whoever
    leaves is taken out of the queue, or has the inference ended between two frames.

    Args:
        settings: the bundle and the limits.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._supervisor = Supervisor(settings)
        self._turns = Turns(settings.requests_at_once)
        self._most = settings.requests_at_once + settings.queue_limit
        self._places = threading.Lock()
        self._taken = 0
        self._waiting = Waiting(longest=settings.inference_timeout_s)

    def init_app(self, app: Flask) -> None:
        app.extensions[EXTENSION] = self

    def start(self) -> None:
        """Begin to load the models. Call it once, in the process that is to serve: after Gunicorn's fork."""
        self._supervisor.start()

    def require_ready(self) -> Loaded:
        """What the process that computes told when it was ready.

        Raises:
            NotReadyError: the models are not loaded yet, or could not be loaded; the message says why.
        """
        return self._supervisor.require_loaded()

    def require_place(self) -> None:
        """Nothing, where a request could be taken now.

        Raises:
            NotReadyError: all places are taken.
        """
        if self._taken >= self._most:
            full = self._full()
            raise NotReadyError(str(full), code="busy", fix=full.fix, details=full.details)

    def environment(self) -> dict:
        """That of the process that computes.

        Raises:
            NotReadyError: the models are not loaded.
        """
        return self._supervisor.environment()

    @contextmanager
    def place(self) -> Iterator[None]:
        """A place for a request, to be taken before its body is received.

        Raises:
            NotReadyError: the models could not be loaded.
            CapacityError: all places are taken.
        """
        self._supervisor.refuse_hopeless()
        with self._places:
            if self._taken >= self._most:
                raise self._full()
            self._taken += 1
        try:
            yield
        finally:
            with self._places:
                self._taken -= 1

    def run(self, given: Input, video: BinaryIO | None = None, *, trace: bool = False) -> Answer:
        """Wait for a turn, then have the input computed. Only for whoever has a `place`: that is what bounds the queue.

        Args:
            video: the file, for a video.
            trace: whether the answer is to have one.

        Raises:
            NotReadyError: the models could not be loaded, or the service stops.
            ClientLeft: the client did; what waits for its turn is never begun.
            TookTooLong: see the setting inference_timeout_s.
            ComputeDied: the process that computes died twice with this input.
            PoseParityError: whatever the pipeline raises.
        """
        stop, client = Stop(), Client.current()

        def look() -> None:
            if client.has_left:
                fix = "keep the connection open, both ways, until the answer is there"
                stop.because(ClientLeft("the client closed its connection before it was answered", fix=fix))
            if stop.reason is not None:
                raise stop.reason

        work = Predict(given, self._settings.inference_timeout_s, trace)
        with self._waiting.joined(given.kind, stop), self._turns.turn(given.kind, look), self._waiting.begun(stop):
            return self._supervisor.predict(work, video, look)

    def end(self) -> None:
        """End everything that waits or is computed: the service stops now."""
        for stop in self._waiting.stops():
            stop.because(
                NotReadyError(
                    "the service stops before this request could be answered",
                    code="stopping",
                    fix=f"send it again in {_STOPPING_RETRY_S} seconds",
                    details={"retry_after_s": _STOPPING_RETRY_S},
                )
            )

    def _full(self) -> CapacityError:
        seconds = self._waiting.seconds_left(places=self._taken)
        return CapacityError(
            f"requests that are being received, wait or are being answered hold all places: {self._taken}",
            fix=f"send it again after {seconds} seconds, or let the service have more lanes",
            details={"retry_after_s": seconds, "queue_limit": self._settings.queue_limit},
        )


def inference() -> Inference:
    """That of the current application."""
    return current_app.extensions[EXTENSION]


def holds_place(view: Callable) -> Callable:
    """A decorator: call the view in a place, or answer 429 or 503 before the request's body is received."""

    @wraps(view)
    def placed(*args, **kwargs):
        with inference().place():
            return view(*args, **kwargs)

    return placed
