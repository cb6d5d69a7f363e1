"""The process's one inference slot: models loaded in the background, one inference at a time, a bounded queue."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from contextvars import copy_context
from functools import wraps
from typing import TYPE_CHECKING

from flask import Flask, current_app

from ..errors import CapacityError, ClientLeft, NotReadyError, PoseParityError
from ..numerics import enforce
from ..settings import Settings
from ..stop import Stop
from .clients import Client
from .doors import DOORS
from .logs import log
from .waiting import Kind, Waiting

if TYPE_CHECKING:
    from ..pipeline import Pipeline, PipelineResult

EXTENSION = "inference"
_LOADING_RETRY_S = 5
_LOOK_S = 0.25  # how often it is looked whether a client has left


class Inference:
    """One thread that loads the models and then runs every inference of this process, first come, first served.

    One thread, and not a lock that many threads share: requests keep their order, and the models are only ever used by
    the thread that loaded them. Requests that arrive while the models load wait in the same queue. Whoever leaves is
    taken out of the queue, or has the inference ended between two frames.

    Args:
        settings: the bundle and the limits.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="inference")
        self._loaded: Future[Pipeline] | None = None
        self._places = threading.Lock()
        self._taken = 0
        self._waiting = Waiting(longest=settings.inference_timeout_s)
        self.pins: list[dict] = []

    def init_app(self, app: Flask) -> None:
        app.extensions[EXTENSION] = self

    def start(self) -> None:
        """Begin to load the models. Call it once, in the process that is to serve: after Gunicorn's fork."""
        if self._loaded is None:
            self._loaded = self._thread.submit(self._load)
            self._loaded.add_done_callback(_log_outcome)
            self._loaded.add_done_callback(lambda _: self._tell_the_others())

    def require_ready(self) -> Pipeline:
        """The loaded and warmed pipeline, for what it says of itself; inferences go through `run`.

        Raises:
            NotReadyError: the models are not loaded yet, or could not be loaded; the message says why.
        """
        if self._loaded is None or not self._loaded.done():
            raise NotReadyError(
                "the models are being loaded",
                fix=f"ask again in {_LOADING_RETRY_S} seconds",
                details={"retry_after_s": _LOADING_RETRY_S},
            )
        return self._pipeline()

    def require_place(self) -> None:
        """Nothing, where this worker or another one could take a request now.

        Raises:
            NotReadyError: all places of all workers are taken.
        """
        if self._all_taken() and not DOORS.another_is_open():
            full = self._full()
            raise NotReadyError(str(full), code="busy", fix=full.fix, details=full.details)

    @property
    def leaves_it_to_others(self) -> bool:
        """Whether a new connection should go to another worker: this one can take no request, and that one can."""
        return not self._can_take() and DOORS.another_is_open()

    @contextmanager
    def place(self) -> Iterator[None]:
        """A place in the slot or in its queue, to be taken before the request's body is received.

        Raises:
            NotReadyError: the models could not be loaded.
            CapacityError: all places are taken.
        """
        if self._loaded is not None and self._loaded.done():
            self._pipeline()
        self._take_place()
        try:
            yield
        finally:
            with self._places:
                self._taken -= 1
            self._tell_the_others()

    def run(self, work: Callable[[Pipeline], PipelineResult], kind: Kind) -> PipelineResult:
        """Wait for the slot, then do `work` in it. Only for whoever has a `place`: that is what bounds the queue.

        Args:
            kind: of the input: what is like it tells how long it will take.

        Raises:
            NotReadyError: the models could not be loaded, nobody has begun to load them, or the service stops.
            ClientLeft: the client did; what is queued for it is never begun.
            TookTooLong: see the setting inference_timeout_s.
            PoseParityError: whatever `work` raises.
        """
        if self._loaded is None:
            self.require_ready()
        stop, client = Stop(self._settings.inference_timeout_s), Client.current()
        with self._waiting.joined(kind, stop):
            # The request's context goes along, so that what is logged in the slot carries the request's id.
            future = self._thread.submit(copy_context().run, self._infer, work, stop)
            while not wait([future], timeout=_LOOK_S).done:
                if client.has_left:
                    stop.because(_client_left())
                if stop.reason is not None and future.cancel():
                    raise stop.reason
            return future.result()

    def end(self) -> None:
        """End everything that waits or is computed: the service stops now."""
        for stop in self._waiting.stops():
            stop.because(_stopping())

    def _infer(self, work: Callable[[Pipeline], PipelineResult], stop: Stop) -> PipelineResult:
        pipeline = self._pipeline()
        if stop.reason is not None:
            raise stop.reason
        with self._waiting.begun(stop), stop.watched():
            return work(pipeline)

    def _load(self) -> Pipeline:
        # Imported here, in the worker: torch must not be loaded before the fork, and takes seconds to import.
        from ..startup import load_pipeline

        pipeline = load_pipeline(self._settings)
        self.pins = enforce()
        pipeline.warm_up()
        return pipeline

    def _pipeline(self) -> Pipeline:
        error = self._loaded.exception()
        if error is None:
            return self._loaded.result()
        if isinstance(error, PoseParityError):
            raise NotReadyError(
                f"the service refuses to work: {error}", fix=error.fix, details={"cause": error.to_dict()}
            )
        raise NotReadyError(
            f"the models could not be loaded: {type(error).__name__}: {error}", fix="see the service's log"
        )

    def _take_place(self) -> None:
        with self._places:
            if self._all_taken():
                raise self._full()
            self._taken += 1
        self._tell_the_others()

    def _all_taken(self) -> bool:
        return self._taken >= 1 + self._settings.queue_limit

    def _can_take(self) -> bool:
        loaded = self._loaded is not None and self._loaded.done() and self._loaded.exception() is None
        return loaded and not self._all_taken()

    def _tell_the_others(self) -> None:
        with self._places:
            DOORS.set_open(self._can_take())

    def _full(self) -> CapacityError:
        seconds = self._waiting.seconds_left(places=self._taken)
        return CapacityError(
            f"requests that are being received, wait or are being answered hold all places: {self._taken}",
            fix=f"send it again after {seconds} seconds, or let the service have more workers",
            details={"retry_after_s": seconds, "queue_limit": self._settings.queue_limit},
        )


def slot() -> Inference:
    """The inference slot of the current application."""
    return current_app.extensions[EXTENSION]


def holds_place(view):
    """A decorator: call the view in a place, or answer 429 or 503 before the request's body is received."""

    @wraps(view)
    def placed(*args, **kwargs):
        with slot().place():
            return view(*args, **kwargs)

    return placed


def _client_left() -> ClientLeft:
    return ClientLeft(
        "the client closed its connection before it was answered",
        fix="keep the connection open, both ways, until the answer is there",
    )


def _stopping() -> NotReadyError:
    return NotReadyError(
        "the service stops before this request could be answered",
        code="stopping",
        fix=f"send it again in {_LOADING_RETRY_S} seconds",
        details={"retry_after_s": _LOADING_RETRY_S},
    )


def _log_outcome(loaded: Future) -> None:
    error = loaded.exception()
    if error is None:
        log.info("ready", bundle=loaded.result().bundle.identity())
    elif isinstance(error, PoseParityError):
        log.critical("refuses to work", **error.to_dict())
    else:
        log.critical("loading failed", exc_info=error)
