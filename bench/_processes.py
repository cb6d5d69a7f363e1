"""Processes that benchmarks compare: under the numerical pins, or free of them."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any

from poseparity.numerics import read_pins

CORES = len(os.sched_getaffinity(0))
# They choose no code; without the first ultralytics would install packages.
_HARMLESS = ("YOLO_AUTOINSTALL", "PYTHONHASHSEED")
_THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMEXPR_NUM_THREADS")


@dataclass(frozen=True)
class Mode:
    """A way to run: under the pins, or without them on a number of threads."""

    name: str
    pinned: bool
    threads: int

    def environment(self) -> dict[str, str]:
        """The environment that a process of this mode starts with."""
        pins = read_pins()
        if self.pinned:
            return {**os.environ, **pins}
        free = {name: value for name, value in os.environ.items() if name not in pins or name in _HARMLESS}
        return {**free, **dict.fromkeys(_THREADS, str(self.threads))}


class Worker:
    """A process of its own that answers again and again.

    Args:
        mode: how it runs.
        make: called there once with `arguments`; what it returns answers each `ask`.
    """

    def __init__(self, mode: Mode, make: Callable[..., Callable], *arguments: object) -> None:
        context = multiprocessing.get_context("spawn")  # a new interpreter: pins act when a library loads
        self._connection, theirs = context.Pipe()
        self._process = context.Process(target=_serve, args=(theirs, make, arguments), daemon=True)
        with _environment(mode.environment()):
            self._process.start()
        theirs.close()

    def ask(self, *question: object) -> Any:
        """Ask and wait for the answer; raises EOFError where the process ended, which has said why."""
        self._connection.send(question)
        return self._connection.recv()

    def __enter__(self) -> Worker:
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.close()
        self._process.join()


@contextmanager
def _environment(values: dict[str, str]) -> Iterator[None]:
    """os.environ is `values` inside the block: what a process that is started there inherits."""
    saved = dict(os.environ)
    os.environ.clear()
    os.environ.update(values)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(saved)


def _serve(connection: Connection, make: Callable[..., Callable], arguments: tuple) -> None:
    """The process's side of a worker: ends when the other side closes."""
    answer = make(*arguments)
    while True:
        try:
            question = connection.recv()
        except EOFError:
            return
        connection.send(answer(*question))
