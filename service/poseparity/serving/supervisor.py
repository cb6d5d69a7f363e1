"""Keeps the process that computes running, and gives it work; what it died with is computed once more."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from typing import BinaryIO

import structlog

from ..errors import ComputeDied, NotReadyError, PoseParityError
from ..settings import Settings
from .work import Answer, At, DescribeEnvironment, Loaded, Predict, Unexpected

log = structlog.get_logger("poseparity.serving")

_LOOK_S = 0.25  # how often it is looked whether an answer is still wanted
_HANGS_S = 60  # beyond its time, after which the process is ended: a frame of the largest network takes seconds
_LONGEST_PAUSE_S = 30  # between two tries to start a process that dies before its models are loaded
_LOADING_RETRY_S = 5


class _Died(Exception):
    """The process did, with a request in hand."""

    def __init__(self, at: At) -> None:
        super().__init__(at)
        self.at = at


@dataclass
class _Process:
    """One process, and the ways to it."""

    popen: subprocess.Popen
    requests: socket.socket
    told: Connection
    lock: threading.Lock = field(default_factory=threading.Lock)

    @classmethod
    def start(cls, settings: Settings) -> _Process:
        (mine, theirs), (told, tells) = socket.socketpair(), Pipe()
        with theirs, tells:
            popen = subprocess.Popen(
                [sys.executable, "-m", f"{__package__}.process", str(theirs.fileno()), str(tells.fileno())],
                pass_fds=(theirs.fileno(), tells.fileno()),
            )
        told.send(settings)
        return cls(popen, mine, told)

    def ask(self, work: Predict | DescribeEnvironment, video: BinaryIO | None, look: Callable[[], None]) -> object:
        """What it answers to `work`; it is ended when it hangs.

        Args:
            look: raises when nobody waits for the answer any more; the process is told, and its own last word awaited.

        Raises:
            _Died: the process did.
        """
        mine, theirs = socket.socketpair()
        files = [theirs.fileno(), *([video.fileno()] if video else [])]
        at = At()
        try:
            with Connection(mine.detach()) as connection, theirs:
                with self.lock:  # a byte goes with its files
                    socket.send_fds(self.requests, [b"."], files)
                theirs.close()
                connection.send(work)
                ends, looked = time.monotonic() + work.seconds + _HANGS_S, time.monotonic()
                while True:
                    if connection.poll(_LOOK_S):
                        answer = connection.recv()
                        if not isinstance(answer, At):
                            return answer
                        at = answer
                    now = time.monotonic()
                    if now > ends:
                        self.popen.kill()
                    if now - looked >= _LOOK_S:
                        looked = now
                        try:
                            look()
                        except PoseParityError as reason:
                            connection.send(reason)
                            look, ends = (lambda: None), min(ends, now + _HANGS_S)
        except (EOFError, OSError) as error:
            raise _Died(at) from error

    def end(self) -> None:
        self.requests.close()
        self.told.close()


class Supervisor:
    """The process that computes, and another one whenever it dies.

    Args:
        settings: what it computes with.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._changed = threading.Condition()
        self._process: _Process | None = None
        self._loaded: Loaded | None = None
        self._refused: PoseParityError | None = None
        self._deaths_at_start = 0
        self._alone = threading.Lock()
        self._begun = False

    def start(self) -> None:
        """Begin to load the models. Call it once, in the process that is to serve: after Gunicorn's fork."""
        if not self._begun:
            self._begun = True
            threading.Thread(target=self._keep, name="supervisor", daemon=True).start()

    def require_loaded(self) -> Loaded:
        """What the process told when its models were loaded; also while another one loads them in its place.

        Raises:
            NotReadyError: they are not loaded yet, or cannot be loaded; the message says why.
        """
        with self._changed:
            if self._refused is not None:
                raise _refuses(self._refused)
            if self._deaths_at_start > 1:
                raise NotReadyError(
                    f"the process that computes died {self._deaths_at_start} times before its models were loaded",
                    fix="see the service's log; it is started again and again",
                    details={"retry_after_s": _LONGEST_PAUSE_S},
                )
            if self._loaded is None:
                raise NotReadyError(
                    "the models are being loaded",
                    fix=f"ask again in {_LOADING_RETRY_S} seconds",
                    details={"retry_after_s": _LOADING_RETRY_S},
                )
            return self._loaded

    def refuse_hopeless(self) -> None:
        """Nothing, where work will be done sooner or later.

        Raises:
            NotReadyError: the models cannot be loaded.
        """
        if self._refused is not None:
            raise _refuses(self._refused)

    def predict(self, work: Predict, video: BinaryIO | None, look: Callable[[], None]) -> Answer:
        """The answer to one input; computed once more where the process dies meanwhile.

        Args:
            video: the file, for a video.
            look: raises when nobody waits for the answer any more; called a few times a second.

        Raises:
            ComputeDied: the process died a second time; the error says at which frame.
            NotReadyError: the models cannot be loaded.
            PoseParityError: whatever the work or `look` raise.
        """
        return self._ask(work, video, look)

    def environment(self) -> dict:
        """The environment of the process that computes, see environment/snapshot.py.

        Raises:
            NotReadyError: the models are not loaded.
        """
        self.require_loaded()
        return self._ask(DescribeEnvironment(), None, self.refuse_hopeless)

    def _ask(self, work: Predict | DescribeEnvironment, video: BinaryIO | None, look: Callable[[], None]):
        try:
            answer = self._ask_current(work, video, look)
        except _Died as first:
            log.warning("computed again", stage=first.at.stage, frame=first.at.frame)
            answer = self._ask_alone(work, video, look)
        if isinstance(answer, PoseParityError):
            raise answer
        if isinstance(answer, Unexpected):
            raise RuntimeError(f"in the process that computes:\n{answer.traceback}")
        return answer

    def _ask_alone(self, work: Predict | DescribeEnvironment, video: BinaryIO | None, look: Callable[[], None]):
        """One at a time of all that a process died with: the next death tells whose fault it is."""
        while not self._alone.acquire(timeout=_LOOK_S):
            look()
        try:
            return self._ask_current(work, video, look)
        except _Died as second:
            at = second.at
            place = f"at frame {at.frame} of the stage {at.stage}" if at.frame is not None else f"in stage {at.stage}"
            raise ComputeDied(
                f"the process that computes died twice with this input, the second time {place}",
                fix="try another recording of it; `poseparity run` on the same file tells more",
                details={"stage": at.stage, "frame": at.frame},
            ) from second
        finally:
            self._alone.release()

    def _ask_current(self, work: Predict | DescribeEnvironment, video: BinaryIO | None, look: Callable[[], None]):
        """Of the process, as soon as there is one."""
        if not self._begun:
            self.require_loaded()
        while True:
            with self._changed:
                self.refuse_hopeless()
                process = self._process
                if process is not None:
                    break
                self._changed.wait(_LOOK_S)
            look()
        try:
            return process.ask(work, video, look)
        except _Died:
            with self._changed:  # nobody is to ask it again before its end was seen
                if self._process is process:
                    self._process = None
            raise

    def _keep(self) -> None:
        while self._refused is None:
            process = _Process.start(self._settings)
            with self._changed:
                self._process = process  # what is asked meanwhile waits in its socket
                self._changed.notify_all()
            loaded = self._load(process)
            status = process.popen.wait()
            with self._changed:
                self._process = None
                self._deaths_at_start = 0 if loaded else self._deaths_at_start + 1
            process.end()
            if self._refused is None:
                how = {"signal": signal.Signals(-status).name} if status < 0 else {"status": status}
                log.error("the process that computes died", **how, models_loaded=loaded)
            if not loaded:
                time.sleep(min(2 ** (self._deaths_at_start - 1), _LONGEST_PAUSE_S))

    def _load(self, process: _Process) -> bool:
        try:
            told = process.told.recv()
        except (EOFError, OSError):
            return False
        with self._changed:
            if isinstance(told, Loaded):
                self._loaded, self._deaths_at_start = told, 0
                log.info("ready", bundle=told.bundle, process=process.popen.pid)
            elif isinstance(told, Unexpected):
                last = told.traceback.strip().splitlines()[-1]
                self._refused = NotReadyError(f"the models could not be loaded: {last}", fix="see the service's log")
                log.critical("loading failed", exception=told.traceback)
            else:
                self._refused = told
                log.critical("refuses to work", **told.to_dict())
            self._changed.notify_all()
        return isinstance(told, Loaded)


def _refuses(error: PoseParityError) -> NotReadyError:
    return NotReadyError(f"the service refuses to work: {error}", fix=error.fix, details={"cause": error.to_dict()})
