"""What the three training loops share."""

from __future__ import annotations

import os
import random
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from typing import TypeVar

import cv2
import numpy as np
import torch
from torch import nn

SEED = 42
T = TypeVar("T")


def seed_everything() -> None:
    """Seeds every generator that training draws from."""
    random.seed(SEED)
    np.random.seed(SEED)
    torch.manual_seed(SEED)


def in_processes(make: Callable[[int], T], seeds: range) -> list[T]:
    """`make(seed)` for every seed, in order, by one process a core.

    They are spawned: a fork of a process in which torch has started its threads can hang.
    """
    cores = len(os.sched_getaffinity(0))
    with ProcessPoolExecutor(cores, get_context("spawn"), initializer=cv2.setNumThreads, initargs=(1,)) as pool:
        return list(pool.map(make, seeds, chunksize=32))


class Course:
    """AdamW with a one-cycle learning rate and clipped gradients, and a line of progress every `report` steps."""

    def __init__(self, network: nn.Module, steps: int, rate: float, report: int = 100) -> None:
        decay = [p for p in network.parameters() if p.ndim > 1]
        plain = [p for p in network.parameters() if p.ndim <= 1]
        groups = [{"params": decay, "weight_decay": 1e-2}, {"params": plain, "weight_decay": 0.0}]
        self._network, self._steps, self._report = network, steps, report
        self._optimiser = torch.optim.AdamW(groups, lr=rate)
        self._schedule = torch.optim.lr_scheduler.OneCycleLR(self._optimiser, rate, total_steps=steps, pct_start=0.15)
        self._losses: list[float] = []
        self._began = time.monotonic()

    def step(self, loss: torch.Tensor) -> None:
        """One update."""
        self._optimiser.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(self._network.parameters(), 5.0)
        self._optimiser.step()
        self._schedule.step()
        self._losses.append(loss.item())
        if len(self._losses) % self._report == 0:
            recent = np.mean(self._losses[-self._report :])
            print(f"step {len(self._losses)}/{self._steps} loss {recent:.5f} {time.monotonic() - self._began:.0f} s",
                  flush=True)  # fmt: skip
