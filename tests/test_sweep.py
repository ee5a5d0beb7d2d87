"""What the padded length does, with the mask and without it."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import bertlens
from bertlens.judge.sweep import lengths_between, sweep
from bertlens.read.readout import Readout
from bertlens.read.vectors import read
from bertlens.run.checkpoint import Checkpoint
from bertlens.run.condition import Condition
from bertlens.run.inputs import prepare

TEXTS = ("A cat sat.", "Rain fell all night on the old stone bridge.")


@given(st.integers(1, 600), st.integers(1, 600), st.integers(1, 20))
def test_lengths(shortest: int, limit: int, count: int) -> None:
    lengths = lengths_between(shortest, limit, count)
    assert list(lengths) == sorted(set(lengths))
    assert (lengths[0], lengths[-1]) == (shortest, max(shortest, limit))
    assert len(lengths) <= max(count, 1) + 2


def test_lengths_are_in_equal_ratios() -> None:
    assert lengths_between(8, 512, 7) == (8, 16, 32, 64, 128, 256, 512)


def test_every_number_by_hand(minilm: Checkpoint) -> None:
    found = bertlens.padding_sweep(minilm, TEXTS, count=3, readout="mean")
    assert found.lengths == (12, 78, 512)
    assert set(found.max_abs) == {(dtype, mask) for dtype in ("float32", "float64") for mask in ("on", "off")}

    def vectors(condition: str, dtype: str) -> np.ndarray:
        return read(prepare(minilm, TEXTS, Condition.parse(condition)), Readout("mean"), dtype=dtype)

    for (dtype, mask), values in found.max_abs.items():
        alone = vectors("batch=alone", dtype)
        expected = [np.abs(vectors(f"padding={length},mask={mask}", dtype) - alone).max() for length in found.lengths]
        assert np.array_equal(values, expected)
    assert (found.max_abs["float64", "on"] < 1e-13).all()
    assert (found.max_abs["float32", "on"] < 1e-5).all()
    assert (found.max_abs["float64", "off"] > 0.01).all()
    assert list(found.to_frame().columns) == [
        "padded length",
        *(f"{d}, mask {m}" for d in ("float32", "float64") for m in ("on", "off")),
    ]
    assert "up to 512 tokens" in found.sentence


def test_every_family_with_the_mask_is_rounding_and_without_it_is_not(checkpoint: Checkpoint) -> None:
    found = bertlens.padding_sweep(checkpoint, TEXTS, count=3)
    assert found.lengths[-1] == 64
    assert found.max_abs["float64", "on"].max() < 1e-13
    assert found.max_abs["float64", "off"].max() > 1e-3


def test_what_is_kept_of_the_condition(minilm: Checkpoint) -> None:
    left = bertlens.padding_sweep(minilm, TEXTS, condition="side=left", count=2)
    assert left.max_abs["float64", "on"].max() > 0.1, "positions shift with the padding"
    healed = bertlens.padding_sweep(minilm, TEXTS, condition="side=left,positions=from-mask", count=2)
    assert healed.max_abs["float64", "on"].max() < 1e-13
    bare = bertlens.padding_sweep(
        minilm, TEXTS, condition="specials=off,batch=1,mask=inverted,dtype=bfloat16,padding=99", count=2
    )
    assert bare.lengths[0] == 10
    assert bare.max_abs["float64", "on"].max() < 1e-13


def test_each_run_is_made_once_and_told() -> None:
    told: list[tuple[int, int]] = []
    runs: list[tuple[str, str]] = []

    def run(condition: Condition, dtype: str) -> np.ndarray:
        runs.append((str(condition), dtype))
        return np.array([[float(condition.padding) if condition.mask == "off" else 0.0]])

    found = sweep(run, Condition(), (3, 9), "cls", (0,), lambda done, total, what: told.append((done, total)))
    assert len(runs) == len(set(runs)) == 2 * (1 + 2 * 2)
    assert told == [(at, 8) for at in range(9)]
    assert found.max_abs["float64", "off"].tolist() == [3.0, 9.0]
    assert "0 with the mask and by 9 without it" in found.sentence


@pytest.mark.parametrize("count", [1, 2])
def test_a_text_that_fills_the_model(checkpoint: Checkpoint, count: int) -> None:
    found = bertlens.padding_sweep(checkpoint, ["one two three four " * 30], count=count)
    assert found.lengths == (64,)
    assert all(values.shape == (1,) for values in found.max_abs.values())
