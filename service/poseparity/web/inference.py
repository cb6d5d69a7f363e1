"""The process's one inference slot: models loaded in the background, one inference at a time, a bounded queue."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import copy_context
from functools import wraps
from typing import TYPE_CHECKING

from flask import Flask, current_app

from ..errors import CapacityError, NotReadyError, PoseParityError
from ..numerics import enforce
from ..settings import Settings
from .logs import log

if TYPE_CHECKING:
    from ..pipeline import Pipeline, PipelineResult

EXTENSION = "inference"
_LOADING_RETRY_S = 5


class Inference:
    """One thread that loads the models and then runs every inference of this process, first come, first served.

    One thread, and not a lock that many threads share: requests keep their order, and the models are only ever used by
    the thread that loaded them. Requests that arrive while the models load wait in the same queue.

    Args:
        settings: the bundle and the limits.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="inference")
        self._loaded: Future[Pipeline] | None = None
        self._places = threading.Lock()
        self._taken = 0
        self._last_seconds = 1.0
        self.pins: list[dict] = []

    def init_app(self, app: Flask) -> None:
        app.extensions[EXTENSION] = self

    def start(self) -> None:
        """Begin to load the models. Call it once, in the process that is to serve: after Gunicorn's fork."""
        if self._loaded is None:
            self._loaded = self._thread.submit(self._load)
            self._loaded.add_done_callback(_log_outcome)

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

    def run(self, work: Callable[[Pipeline], PipelineResult]) -> PipelineResult:
        """Wait for the slot, then do `work` in it. Only for whoever has a `place`: that is what bounds the queue.

        Raises:
            NotReadyError: the models could not be loaded, or nobody has begun to load them.
            PoseParityError: whatever `work` raises.
        """
        if self._loaded is None:
            self.require_ready()
        # The request's context goes along, so that what is logged in the slot carries the request's id.
        return self._thread.submit(copy_context().run, self._infer, work).result()

    def _infer(self, work: Callable[[Pipeline], PipelineResult]) -> PipelineResult:
        began = time.perf_counter()
        try:
            return work(self._pipeline())
        finally:
            self._last_seconds = time.perf_counter() - began

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
            if self._taken >= 1 + self._settings.queue_limit:
                raise self._full()
            self._taken += 1

    def _full(self) -> CapacityError:
        seconds = max(1, math.ceil(self._last_seconds * self._taken))
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


def _log_outcome(loaded: Future) -> None:
    error = loaded.exception()
    if error is None:
        log.info("ready", bundle=loaded.result().bundle.identity())
    elif isinstance(error, PoseParityError):
        log.critical("refuses to work", **error.to_dict())
    else:
        log.critical("loading failed", exc_info=error)
