"""Timing: how long a forward pass takes, and how long each readout of its states."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import closing
from statistics import median
from typing import TypeVar

import torch

from bertlens.read.readout import Readout
from bertlens.read.vectors import layers_of, vectors_of
from bertlens.run.inputs import Inputs
from bertlens.run.outputs import Outputs, forward
from bertlens.run.progress import Progress, silent
from bertlens.run.variants import running

Result = TypeVar("Result")


def timed(
    inputs: Inputs, readouts: Sequence[Readout], repeats: int = 5, progress: Progress = silent
) -> tuple[float, dict[Readout, float]]:
    """Seconds of the first forward pass with all hidden states, and of each readout's own computation on them.

    Of the quickest round, since other work can only make a round slower. Each is done once before the clock runs, so that no
    first allocation is counted.
    """
    checkpoint = inputs.checkpoint
    layers = {readout: layers_of(checkpoint, readout) for readout in readouts}
    first = inputs.select(inputs.groups[0][0])

    def passed() -> Outputs:
        with closing(forward(first, layers=range(checkpoint.architecture.layers + 1))) as passes:
            return next(passes)

    progress(0, len(layers) + 1, "timing the forward pass")
    outputs, whole = _quickest(passed, repeats, checkpoint.device)
    found = {}
    with running(inputs.condition.dtype, None):
        for done, (readout, chosen) in enumerate(layers.items(), start=1):
            progress(done, len(layers) + 1, f"timing {readout}")
            _, found[readout] = _quickest(lambda: vectors_of(outputs, readout, chosen), repeats, checkpoint.device)  # noqa: B023
    return whole, found


def _quickest(work: Callable[[], Result], repeats: int, device: str) -> tuple[Result, float]:
    result, seconds = work(), []
    _finished(device)
    for _ in range(repeats):
        start = time.perf_counter()
        result = work()
        _finished(device)
        seconds.append(time.perf_counter() - start)
    return result, min(seconds)


def _finished(device: str) -> None:
    """Wait for an accelerator, which computes while Python goes on."""
    if device != "cpu":
        torch.accelerator.synchronize()


def take_turns(
    works: Sequence[Callable[[], object]], device: str, repeats: int = 5, progress: Progress = silent
) -> tuple[float, ...]:
    """Median seconds of several things, done in turns, so that whatever else the machine does meets all of them alike."""
    seconds: list[list[float]] = [[] for _ in works]
    for work in works:
        work()
    for done in range(repeats):
        progress(done, repeats, "timing")
        for kept, work in zip(seconds, works, strict=True):
            _finished(device)
            start = time.perf_counter()
            work()
            _finished(device)
            kept.append(time.perf_counter() - start)
    return tuple(median(kept) for kept in seconds)
