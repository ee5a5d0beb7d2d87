"""Side by side: independent forward passes, one on each core of the CPU, instead of one pass on all cores.

A pass of a thousand tokens is too short to be shared out: its cores wait for each other after every matrix product.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import TypeVar

import torch

Given = TypeVar("Given")
Result = TypeVar("Result")

MOST = 8
"""Passes at once; each has its activations in memory."""

_STARTING = threading.Lock()


def cores() -> int:
    """How many passes may run at once: the threads that PyTorch would use for one, at most `MOST`."""
    return min(MOST, torch.get_num_threads())


def in_order(work: Callable[[Given], Result], given: Iterable[Given], workers: int) -> Generator[Result, None, None]:
    """`work` of everything given, in that order, on so many threads of one core each.

    At most one result per worker waits to be taken. What `work` raises is raised here, and nothing new is begun after it, nor
    after the generator was closed.
    """
    with ThreadPoolExecutor(workers, thread_name_prefix="pass") as pool:
        _one_core_each(pool, workers)
        waiting: deque[Future[Result]] = deque()
        try:
            for one in given:
                waiting.append(pool.submit(work, one))
                if len(waiting) > workers:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()


def _one_core_each(pool: ThreadPoolExecutor, workers: int) -> None:
    """PyTorch's own number of threads is per thread, but also what threads that begin later start with: so it is put back."""
    with _STARTING:
        before = torch.get_num_threads()
        all_there = threading.Barrier(workers)

        def limit() -> None:
            all_there.wait()  # else one thread could take the place of two
            torch.get_num_threads()  # what is asked first in a thread sets it to the number of all
            torch.set_num_threads(1)

        wait([pool.submit(limit) for _ in range(workers)])
        torch.set_num_threads(before)
