"""Passes side by side: the same results in the same order, and nothing of it left behind."""

from __future__ import annotations

import threading
import time

import numpy as np
import pytest
import torch

import bertlens
from bertlens.read.readout import Readout
from bertlens.read.vectors import read_all
from bertlens.run.condition import Condition
from bertlens.run.inputs import prepare
from bertlens.run.packing import packed
from bertlens.run.side_by_side import in_order
from bertlens.run.texts import as_texts

TEXTS = as_texts(["word " * count for count in (3, 60, 7, 40, 1, 22, 60, 50, 9, 2)])


def test_results_come_in_order_whoever_is_done_first() -> None:
    def slow_first(number: int) -> int:
        time.sleep(0.05 if number % 3 == 0 else 0.0)
        return number * number

    assert list(in_order(slow_first, range(20), 3)) == [number * number for number in range(20)]


def test_each_works_on_one_core_and_the_others_keep_theirs() -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        inside = list(in_order(lambda _: torch.get_num_threads(), range(6), 2))
        assert inside == [1] * 6 and torch.get_num_threads() == 2
        later: list[int] = []
        thread = threading.Thread(target=lambda: later.append((torch.ones(2).sum(), torch.get_num_threads())[1]))
        thread.start()
        thread.join()
        assert later == [2], "threads that begin later have all cores"
    finally:
        torch.set_num_threads(before)


def test_what_one_raises_is_raised_and_ends_the_work() -> None:
    begun: list[int] = []

    def third_fails(number: int) -> int:
        begun.append(number)
        if number == 3:
            raise ValueError("third")
        return number

    with pytest.raises(ValueError, match="third"):
        list(in_order(third_fails, range(1000), 2))
    assert max(begun) < 10


def test_closing_early_begins_nothing_more() -> None:
    begun: list[int] = []
    work = in_order(lambda number: begun.append(number), range(1000), 2)
    next(work)
    work.close()
    assert max(begun) < 10 and not [thread for thread in threading.enumerate() if thread.name.startswith("pass")]


@pytest.mark.parametrize("dtype", ["float32", "float64", "bfloat16"])
def test_vectors_are_those_of_one_pass_after_another(minilm: bertlens.Checkpoint, dtype: str) -> None:
    inputs = packed(prepare(minilm, TEXTS, Condition(dtype=dtype)), "mean", 64)
    readouts = [Readout.parse(readout) for readout in ("mean|l2", "cls@last4:concat", "max")]
    assert len(inputs) > 4
    alone, together = read_all(inputs, readouts), read_all(inputs, readouts, workers=3)
    for readout in readouts:  # the tests run on one core, so that not a bit may differ
        np.testing.assert_array_equal(alone[readout], together[readout])


def test_cancelling_stops_the_passes(minilm: bertlens.Checkpoint) -> None:
    class Cancelled(Exception): ...

    def cancel(done: int, total: int, what: str) -> None:
        if done == 2:
            raise Cancelled

    inputs = packed(prepare(minilm, TEXTS, Condition()), "mean", 64)
    with pytest.raises(Cancelled):
        read_all(inputs, [Readout("mean")], workers=2, progress=cancel)
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("pass")]
