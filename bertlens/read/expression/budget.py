"""Budget: what one expression may cost, checked before anything is computed."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from typing import Any

MOST_BYTES = 512 * 2**20
"""Memory of one value."""

MOST_BYTES_IN_ALL = 2 * MOST_BYTES
"""Memory of all values of one expression together, kept or not."""

MOST_PRODUCTS = 2 * 10**10
"""Multiplications of one matrix product (about a second on two cores)."""

MOST_SORTED = 20_000_000
"""Elements that may be sorted at once."""

MOST_STEPS = 20_000
"""Parts of an expression that are evaluated, those in loops counted each time."""

MOST_SECONDS = 2.0
"""Time of one expression, looked at between its parts."""

LARGEST_NUMBER = 2**63 - 1
"""Whole numbers beyond it fit into no tensor."""

LONGEST = 10_000
"""Elements of a list, a tuple, a range or a string, those of the lists in it counted too."""

DEEPEST = 16
"""Lists within each other."""


class OverBudget(Exception):
    """What would be exceeded: got, expected."""

    def __init__(self, got: str, expected: str) -> None:
        self.got, self.expected = got, expected
        super().__init__(got)


class Budget:
    """What is left for one expression."""

    def __init__(self) -> None:
        self._bytes = 0
        self._steps = 0
        self._until = time.monotonic() + MOST_SECONDS

    def step(self) -> None:
        """One more part is evaluated."""
        self._steps += 1
        if self._steps > MOST_STEPS:
            raise OverBudget(f"more than {MOST_STEPS:,} steps", f"at most {MOST_STEPS:,}")
        if time.monotonic() > self._until:
            raise OverBudget(f"more than {MOST_SECONDS:g} seconds", f"at most {MOST_SECONDS:g}")

    def memory(self, shape: Sequence[int], itemsize: int = 4) -> None:
        """A value of this shape is about to be made."""
        size = math.prod(shape) * itemsize
        if size > MOST_BYTES:
            words = " × ".join(f"{length:,}" for length in shape)
            raise OverBudget(f"{words} elements, {_size(size)}", f"at most {_size(MOST_BYTES)} in one value")
        self._bytes += size
        if self._bytes > MOST_BYTES_IN_ALL:
            raise OverBudget(f"{_size(self._bytes)} over all steps", f"at most {_size(MOST_BYTES_IN_ALL)} together")

    def products(self, count: int) -> None:
        """A matrix product with this many multiplications is about to be made."""
        if count > MOST_PRODUCTS:
            raise OverBudget(f"{count:.1e} multiplications", f"at most {MOST_PRODUCTS:.0e}")

    def sorting(self, count: int) -> None:
        """This many elements are about to be sorted."""
        if count > MOST_SORTED:
            raise OverBudget(f"{count:,} elements to sort", f"at most {MOST_SORTED:,}")

    def container(self, value: Any) -> None:
        """A list or tuple is there: x = [x, x] has twice as many elements each time, and `for` each time one level more."""
        waiting, count = [(value, 1)], 0
        while waiting:
            one, depth = waiting.pop()
            if isinstance(one, (list, tuple)):
                count += len(one)
                self.length(count)
                if depth > DEEPEST:
                    raise OverBudget(f"more than {DEEPEST} lists within each other", f"at most {DEEPEST}")
                waiting += [(item, depth + 1) for item in one if isinstance(item, (list, tuple))]

    def length(self, count: int) -> None:
        """A list, tuple, range or string of this length is about to be made."""
        if count > LONGEST:
            raise OverBudget(f"{count:,} elements" if count < 10**30 else "too many elements", f"at most {LONGEST:,}")


def _size(count: float) -> str:
    for unit in ("bytes", "KiB", "MiB", "GiB", "TiB"):
        if count < 1024 or unit == "TiB":
            return f"{count:,.0f} {unit}"
        count /= 1024
    raise AssertionError
