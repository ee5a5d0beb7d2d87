"""Axes: the names of a tensor's axes, and what a reshape makes of them."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

UNNAMED = "1"
"""An axis that somebody put in (unsqueeze, None) or that a constant has."""


@dataclass(frozen=True)
class Axis:
    """One axis: a name and a length, or several merged into one, the slowest first.

    >>> Axis((("layers", 4), ("hidden", 384))).name
    'layers·hidden'
    """

    factors: tuple[tuple[str, int], ...]

    @property
    def name(self) -> str:
        """The names of what was merged, those of length 1 left out where there are longer ones."""
        long = [name for name, size in self.factors if size != 1] or [name for name, _ in self.factors[:1]]
        return "·".join(long)

    @property
    def names(self) -> tuple[str, ...]:
        """The same one by one."""
        return tuple(self.name.split("·"))

    @property
    def known(self) -> bool:
        """Whether it is an axis of the model's tensors."""
        return self.name != UNNAMED


def axis(name: str, size: int) -> Axis:
    """An axis of one name."""
    return Axis(((name, size),))


def groups(before: tuple[int, ...], after: tuple[int, ...]) -> list[tuple[list[int], list[int]]] | None:
    """Which axes of one shape become which of the other when the elements keep their order; None where one is empty."""
    if 0 in before or 0 in after:
        return None
    found, i, j = [], 0, 0
    while i < len(before) or j < len(after):
        left, right, p, q = [], [], 1, 1
        if i < len(before):
            p, left, i = before[i], [i], i + 1
        if j < len(after):
            q, right, j = after[j], [j], j + 1
        while p != q:
            if p < q:
                p, left, i = p * before[i], [*left, i], i + 1
            else:
                q, right, j = q * after[j], [*right, j], j + 1
        found.append((left, right))
    return found


def renamed(axes: list[Axis], sizes: list[int]) -> tuple[list[Axis], bool]:
    """The axes of some lengths that these axes become, and whether a cut goes across two of them.

    Merged axes come apart again where they were joined; one axis split in two keeps its name with numbers; where the lengths
    fit neither (a view where a transpose was meant), a new axis mixes the old ones.
    """
    factors = [factor for one in axes for factor in one.factors if factor[1] != 1]
    found: list[Axis] = []
    at = 0
    for size in sizes:
        taken, product = [], 1
        while product < size and at < len(factors):
            taken.append(factors[at])
            product, at = product * factors[at][1], at + 1
        if product != size:
            return _split(factors, sizes)
        found.append(Axis(tuple(taken)) if taken else _single(axes, size, sizes))
    return found, False


def _single(axes: list[Axis], size: int, sizes: list[int]) -> Axis:
    """An axis of length 1: it keeps its name where axes and lengths stand one to one."""
    kept = [one for one in axes if one.known]
    return kept[0] if len(axes) == 1 and len(sizes) == 1 and kept else axis(UNNAMED, size)


def _split(factors: list[tuple[str, int]], sizes: list[int]) -> tuple[list[Axis], bool]:
    """Lengths that do not follow the factors: parts of one axis, or a cut across several."""
    edges_in, edges_out = _edges([size for _, size in factors]), _edges(sizes)
    across = not set(edges_in) <= set(edges_out)
    if across:
        mixed = "×".join(name for name, _ in factors)
        return [axis(mixed if size != 1 else UNNAMED, size) for size in sizes], True
    found, seen = [], dict.fromkeys((name for name, _ in factors), 0)
    for size, (start, _) in zip(sizes, pairwise([1, *edges_out]), strict=True):
        name, whole = next((factor for factor, end in zip(factors, edges_in, strict=True) if start < end), factors[-1])
        if size in (1, whole):
            found.append(axis(UNNAMED if size == 1 else name, size))
        else:
            seen[name] += 1
            found.append(axis(f"{name}{seen[name]}", size))
    return found, False


def _edges(sizes: list[int]) -> list[int]:
    """Products of the first lengths: where one axis ends and the next begins."""
    found, product = [], 1
    for size in sizes:
        product *= size
        found.append(product)
    return found
