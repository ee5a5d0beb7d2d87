"""Causes: which factor of the condition makes the difference, and how much of it.

One factor is changed at a time, from the reference and back from the candidate. Where single factors do not add up to the
whole (padding does nothing while the mask is on), pairs are tried, and then whatever is left together.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from typing import Any

import numpy as np

from bertlens.errors import BertlensError
from bertlens.judge.measures import plain

HARMLESS = ("batch", "padding", "attention", "dtype")
"""Factors that change nothing but rounding in a healthy run; they can reveal a fault, but they are not its name."""

Run = Callable[[frozenset[str]], np.ndarray]
Factors = Mapping[str, tuple[str, str]]


@dataclass(frozen=True)
class Cause:
    """One factor with the size of its effect.

    Attributes
    ----------
    factor, before, after : the key of the condition with its value in the reference and in the candidate.
    max_abs : largest absolute difference that the change makes, all else as in the reference.
    together : other factors that must change with it for that effect, key -> (before, after).
    undone : what is left of the whole difference when only this factor is put back; None where that cannot be run.
    """

    factor: str
    before: str
    after: str
    max_abs: float
    together: dict[str, tuple[str, str]] = field(default_factory=dict)
    undone: float | None = None

    def to_dict(self) -> dict[str, Any]:
        """The contract's names, with the companions of an interaction and what is left without the factor."""
        shown: dict[str, Any] = {"factor": self.factor, "from": self.before, "to": self.after, "max_abs": self.max_abs}
        if self.together:
            shown["with"] = {key: list(values) for key, values in self.together.items()}
        return {key: plain(value) for key, value in {**shown, "undone": self.undone}.items()}

    @property
    def words(self) -> str:
        """The change as a person says it: "mask on → off, with padding longest → 256"."""
        companions = "".join(f", with {key} {old} → {new}" for key, (old, new) in self.together.items())
        return f"{self.factor} {self.before} → {self.after}{companions}"


@dataclass(frozen=True)
class Explanation:
    """All causes of a difference, those factors that do nothing, and whether the causes are the whole story.

    Attributes
    ----------
    causes : largest first.
    innocent : factors that differ between the conditions without an effect, with the size that was measured.
    remainder : difference between the candidate and the reference with all causes applied; None where it was not needed.
    """

    causes: tuple[Cause, ...] = ()
    innocent: tuple[Cause, ...] = ()
    remainder: float | None = None


def explain(run: Run, factors: Factors, bound: float, measured: float, *, rounding: bool = False) -> Explanation:
    """Find the causes of the difference between a reference and a candidate.

    Parameters
    ----------
    run : the factors that are as in the candidate -> (texts, dimensions); called once per set of factors.
    factors : what differs, name -> (value in the reference, value in the candidate).
    bound : differences up to this size are no effect.
    measured : the difference between candidate and reference, which a single factor explains by itself.
    rounding : the difference is rounding, so a harmless factor gives it its name.
    """
    keys = tuple(factors)
    cause = _Causes(factors, rounding)
    if len(keys) <= 1:
        return Explanation(tuple(cause((key,), measured, 0.0) for key in keys))
    gap = _Gaps(run)
    alone = {key: gap((key,), ()) for key in keys}
    sets: list[tuple[str, ...]] = [(key,) for key, size in alone.items() if size is None or size > bound]
    remainder = gap(keys, _members(sets))
    if remainder is None or remainder > bound:
        sets += _pairs(gap, keys, sets, bound)
        remainder = gap(keys, _members(sets))
    if remainder is None or remainder > bound:
        sets, remainder = [keys], 0.0
    causes = []
    for members in cause.smallest(sets):
        size = gap(members, ())
        undone = gap(tuple(key for key in keys if key != cause.name(members)), ())
        causes.append(cause(members, size if size is not None else measured, undone))
    causes.sort(key=lambda one: -np.nan_to_num(one.max_abs, nan=np.inf))
    innocent = tuple(cause((key,), alone[key] or 0.0, None) for key in keys if key not in _members(sets))
    return Explanation(tuple(causes), innocent, remainder)


class _Gaps:
    """Differences between the reference with two sets of factors changed, each set run once."""

    def __init__(self, run: Run) -> None:
        self._run = run
        self._vectors: dict[frozenset[str], np.ndarray | None] = {}

    def __call__(self, left: Sequence[str], right: Sequence[str]) -> float | None:
        a, b = self._at(left), self._at(right)
        if a is None or b is None:
            return None
        a, b = a.astype(np.float64), b.astype(np.float64)
        with np.errstate(invalid="ignore"):
            gap = np.abs(a - b)
        # what is NaN or Inf on both sides alike is no difference; on one side it is an infinite one
        alike = (a == b) | (np.isnan(a) & np.isnan(b))
        return float(np.where(alike, 0.0, np.where(np.isnan(gap), np.inf, gap)).max())

    def _at(self, keys: Sequence[str]) -> np.ndarray | None:
        changed = frozenset(keys)
        if changed not in self._vectors:
            try:
                self._vectors[changed] = self._run(changed)
            except (BertlensError, MemoryError):
                self._vectors[changed] = None  # a mixture that the model cannot run has no size
        return self._vectors[changed]


def _pairs(gap: _Gaps, keys: Sequence[str], singles: Sequence[tuple[str, ...]], bound: float) -> list[tuple[str, ...]]:
    """Pairs that do something which their members do not do one by one."""
    real = _members(singles)
    found: list[tuple[str, ...]] = []
    for pair in combinations(keys, 2):
        without = tuple(key for key in pair if key in real)
        if len(without) < 2 and ((size := gap(pair, without)) is None or size > bound):
            found.append(pair)
    return found


def _members(sets: Sequence[tuple[str, ...]]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(key for members in sets for key in members))


@dataclass(frozen=True)
class _Causes:
    """Turns a set of factors into a cause with a name."""

    factors: Factors
    rounding: bool

    def name(self, members: Sequence[str]) -> str:
        """The factor to name: the last that can be at fault; for rounding the first that cannot."""
        wanted = [key for key in members if (key in HARMLESS) == self.rounding]
        return (wanted[0] if self.rounding else wanted[-1]) if wanted else members[-1]

    def smallest(self, sets: Sequence[tuple[str, ...]]) -> list[tuple[str, ...]]:
        """Without pairs that say no more than a single factor in them does."""
        named = {self.name(members) for members in sets if len(members) == 1}
        return [members for members in sets if len(members) == 1 or self.name(members) not in named]

    def __call__(self, members: Sequence[str], size: float, undone: float | None) -> Cause:
        values = {key: self.factors[key] for key in members}
        name = self.name(members)
        before, after = values.pop(name)
        return Cause(name, before, after, size, values, undone)
