"""How far vectors lie apart: bits, ULPs, cosine, and numbers that are none."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from bertlens.judge.measures import EPS, PRECISION, Row, bits, cosine, measure, ulps

WIDE: dict[str, Any] = {"float64": np.float64, "float32": np.float32, "bfloat16": np.float32, "float16": np.float32}


def one(a: list[float], b: list[float], dtype: str = "float32") -> Row:
    wide = WIDE[dtype]
    (row,) = measure(np.array([a], wide), np.array([b], wide), (dtype, dtype))
    return row


def stepped(value: float, dtype: str, steps: int) -> float:
    """`value` moved up by representable numbers of a format."""
    if dtype in ("float32", "float64"):
        number = WIDE[dtype](value)
        for _ in range(steps):
            number = np.nextafter(number, WIDE[dtype](np.inf))
        return float(number)
    tensor = torch.tensor([value], dtype=getattr(torch, dtype))
    for _ in range(steps):
        tensor = torch.nextafter(tensor, torch.tensor([float("inf")], dtype=tensor.dtype))
    return float(tensor.double())


@pytest.mark.parametrize("dtype", PRECISION)
@pytest.mark.parametrize("value", [1.0, -1.0, 0.0, 3e-5, -3e-5, 1024.0, -2.0])
@pytest.mark.parametrize("steps", [0, 1, 2, 7])
def test_ulps_count_representable_numbers(dtype: str, value: float, steps: int) -> None:
    start = stepped(value, dtype, 0)
    row = one([9.0, start, 9.0], [9.0, stepped(value, dtype, steps), 9.0], dtype)
    assert row.max_ulp == steps
    assert row.equal == (steps == 0)


@pytest.mark.parametrize("dtype", PRECISION)
def test_ulps_cross_zero_and_both_zeros_are_one_number(dtype: str) -> None:
    tiny = stepped(0.0, dtype, 3)
    assert one([tiny], [-tiny], dtype).max_ulp == 6
    zeros = one([0.0, 1.0], [-0.0, 1.0], dtype)
    assert (zeros.equal, zeros.max_abs, zeros.max_ulp) == (False, 0.0, 0)


def test_the_farthest_component_in_ulps_need_not_be_the_farthest_in_size() -> None:
    assert one([1.0, 0.0], [1.5, 1e-30]).max_ulp == int(np.float32(1e-30).view(np.int32))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_few_ulps_among_many_components(dtype: str) -> None:
    # Equal components in front, and the largest distance last: none may be left out.
    start, count = [1.0] * 40, list(range(40))
    assert one(start, [stepped(1.0, dtype, n) for n in count], dtype).max_ulp == 39
    assert one(start, [*start[:-1], stepped(1.0, dtype, 1)], dtype).max_ulp == 1


def test_the_largest_distance_of_all_fits() -> None:
    top = float(np.finfo(np.float64).max)
    assert one([top], [-top], "float64").max_ulp == 2 * int(np.float64(top).view(np.int64)) > 2**63


PAIRS = st.integers(1, 12).flatmap(
    lambda n: st.tuples(*[hnp.arrays(np.float32, n, elements=st.floats(width=32, allow_nan=False, allow_infinity=False))] * 2)
)


@given(PAIRS)
def test_measures_against_numpy(pair: tuple[np.ndarray, np.ndarray]) -> None:
    a, b = (side.astype(np.float64) for side in pair)
    (row,) = measure(pair[0][None], pair[1][None], ("float32", "float32"))
    (back,) = measure(pair[1][None], pair[0][None], ("float32", "float32"))
    assert row.equal == (pair[0].tobytes() == pair[1].tobytes())
    assert row.max_abs == np.abs(a - b).max()
    assert np.isclose(row.l2, np.sqrt(((a - b) ** 2).sum()))
    order = [int(np.copysign(abs(side).view(np.int32).astype(np.int64), side)[k]) for side in pair for k in range(len(a))]
    assert row.max_ulp == max(abs(x - y) for x, y in zip(order[: len(a)], order[len(a) :], strict=True))
    assert (row.max_abs, row.max_ulp, row.equal) == (back.max_abs, back.max_ulp, back.equal)
    assert -1 <= row.cosine <= 1 or np.isnan(row.cosine)
    if row.equal and np.abs(a).max() > 1e-30:
        assert row.cosine == 1.0


def test_cosine() -> None:
    left = np.array([[1, 0], [1, 0], [1, 0], [3, 4], [0, 0], [np.nan, 1]], np.float32)
    right = np.array([[0, 2], [-5, 0], [1, 1], [3, 4], [1, 0], [np.nan, 1]], np.float32)
    found = cosine(left, right)
    assert np.allclose(found[:4], [0, -1, 2**-0.5, 1])
    assert np.isnan(found[4:]).all()


@pytest.mark.parametrize("broken", [np.nan, np.inf, -np.inf])
def test_a_component_that_is_no_number_is_never_averaged_away(broken: float) -> None:
    row = one([1.0, broken, 2.0], [1.0, 2.0, 2.0])
    assert (row.equal, row.max_ulp) == (False, None)
    assert not np.isfinite(row.max_abs)
    assert not np.isfinite(row.l2)
    assert row.to_dict()["max_abs"] is None
    both = one([1.0, broken], [1.0, broken])
    assert (both.equal, both.max_ulp) == (True, None)


def test_two_formats_are_counted_in_the_coarser() -> None:
    fine, coarse = np.array([[1.0 + 2**-20]], np.float32), np.array([[1.0]], np.float32)
    for order in ((fine, coarse), (coarse, fine)):
        (row,) = measure(*order, ("float32", "bfloat16"))
        assert row.max_ulp == 0
        assert row.max_abs == 2**-20
    (row,) = measure(fine, coarse, ("float32", "float32"))
    assert row.max_ulp == 8


def test_constants() -> None:
    assert EPS["float32"] == np.finfo(np.float32).eps
    assert EPS["bfloat16"] == 2**-7
    assert [EPS[name] for name in PRECISION] == sorted(EPS.values())
    assert bits(np.array([0.0, -0.0]))[0] != bits(np.array([0.0, -0.0]))[1]
    assert ulps(np.ones((2, 3), np.float32), np.ones((2, 3), np.float32), "float16") == [0, 0]
