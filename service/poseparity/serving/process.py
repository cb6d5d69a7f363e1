"""The process that computes: it loads the models once and answers any number of requests at once, on its lanes.

`python -m poseparity.serving.process REQUESTS TOLD`: a socket on which each request's own socket comes, and a pipe from
which it takes its settings and on which it tells once how loading went. It ends with the process that started it, whose
end of the socket is closed then.
"""

from __future__ import annotations

import logging.config
import os
import signal
import socket
import sys
import threading
import traceback
from contextlib import suppress
from dataclasses import replace
from multiprocessing.connection import Connection
from pathlib import Path

from ..environment import snapshots
from ..errors import ClientLeft, PoseParityError
from ..numerics import enforce
from ..observe import unobserved
from ..pipeline import Pipeline
from ..settings import Settings
from ..startup import load_pipeline
from ..stop import Stop
from ..trace.tracer import Tracer
from .logs import logging_config
from .rest import Rest
from .work import Answer, At, DescribeEnvironment, Loaded, Predict, Unexpected

_MOST_FILES = 2  # a request's socket, and its video


def main(requests: socket.socket, told: Connection) -> None:
    """Load the models, then answer until nobody can ask any more."""
    settings = told.recv()
    logging.config.dictConfig(logging_config(settings.log_level))
    logging.captureWarnings(True)
    rest = Rest()
    try:
        with rest.interrupted():
            pipeline = load_pipeline(settings)
            pipeline.warm_up()
        told.send(Loaded(pipeline.bundle.identity(), enforce()))
    except PoseParityError as error:
        told.send(error)
        return
    except Exception:  # noqa: BLE001  told to the process that started this one, which logs it
        told.send(Unexpected(traceback.format_exc()))
        return
    while files := socket.recv_fds(requests, 1, _MOST_FILES)[1]:
        connection, *video = files
        given = (Connection(connection), video, pipeline, settings, rest)
        threading.Thread(target=_answer, args=given, daemon=True).start()


def _answer(connection: Connection, video: list[int], pipeline: Pipeline, settings: Settings, rest: Rest) -> None:
    """Answer the request of one connection with one message, after any number that say how far it is."""
    try:
        with rest.interrupted(), connection, suppress(OSError):  # whoever asked may have gone
            connection.send(_outcome(connection, video, pipeline, settings))
    finally:
        for file in video:
            os.close(file)


def _outcome(connection: Connection, video: list[int], pipeline: Pipeline, settings: Settings) -> object:
    try:
        work = connection.recv()
        if isinstance(work, DescribeEnvironment):
            return snapshots.of(settings.bundle)
        if video:
            work = replace(work, given=replace(work.given, source=Path(f"/proc/self/fd/{video[0]}")))
        stop = Stop(work.seconds, tell=lambda at: connection.send(At(**at)))
        threading.Thread(target=_listen, args=(connection, stop), daemon=True).start()
        with stop.watched():
            return predict(work, pipeline, settings)
    except PoseParityError as error:
        return error
    except Exception:  # noqa: BLE001  told to the process that asked, which logs it
        return Unexpected(traceback.format_exc())


def predict(work: Predict, pipeline: Pipeline, settings: Settings) -> Answer:
    """The pipeline's answer, as it goes to the process that asked.

    Raises:
        PoseParityError: see Pipeline.run.
    """
    tracer = Tracer() if work.trace else None
    result = pipeline.run(work.given, observe=tracer or unobserved)
    trace = None
    if tracer:
        # The environment is described for the first request that wants it, which takes seconds.
        trace = tracer.finish(pipeline, result, work.given, snapshots.of(settings.bundle)).model_dump(mode="json")
    return Answer(result.to_dict(), result.prediction, result.kept.notices, result.csv, trace)


def _listen(connection: Connection, stop: Stop) -> None:
    """End the work with the reason that is told, or when nobody is there any more."""
    try:
        reason = connection.recv()
    except (EOFError, OSError):
        reason = ClientLeft("nobody waits for the answer", fix="stay until it is there")
    stop.because(reason)


if __name__ == "__main__":
    # A key or a service manager that ends the group asks the other process, which decides when this one is done.
    for each in (signal.SIGINT, signal.SIGTERM):
        signal.signal(each, signal.SIG_IGN)
    main(socket.socket(fileno=int(sys.argv[1])), Connection(int(sys.argv[2])))
    os._exit(0)  # whatever lanes still compute, nobody waits for it
