"""Sets: which cells each element of a tensor depends on, as one number per element.

A tensor of 64 texts has millions of elements, and most of them share their set with their neighbours. So a set is a number
(0 the empty set, 1 … size the single cells, larger numbers unions), and an array of such numbers keeps length 1 along every
axis on which nothing changes.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import numpy as np

LABEL = np.int32
"""The number of a set."""

MOST_SETS = 200_000
"""Different sets that one operation may make; beyond that everything it touches becomes one set, and `exact` False."""

MOST_CELLS = 16_000_000
"""Cells of all sets together, 128 MiB; sums up to each place make as many different sets as there are places."""

MOST_PLACES = 1_024
"""Places of an axis along which sets are joined one after the other."""

MOST_LABELS = 8_000_000
"""Elements of a tensor whose sets are written out one by one."""


class Sets:
    """The sets of cells of one evaluation; `size` cells exist, numbered from 0."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.exact = True
        self._unions: list[np.ndarray] = []
        self._known: dict[bytes, int] = {}
        self._cells = 0

    def add(self, held: np.ndarray, labels: np.ndarray) -> None:
        """Mark in `held` (size,) each cell that is in any of the sets."""
        if labels.size < 1_000 and labels.max(initial=0) <= self.size:
            held[labels[labels > 0] - 1] = True
            return
        for axis in range(labels.ndim):
            starts = _runs(labels, axis)
            labels = labels if starts is None else np.take(labels, starts, axis)
        there = np.zeros(self.size + len(self._unions) + 1, dtype=bool)
        there[labels] = True
        held |= there[1 : self.size + 1]
        unions = np.flatnonzero(there[self.size + 1 :]).tolist()
        if unions:
            held[np.concatenate([self._unions[number] for number in unions])] = True

    def held(self, labels: np.ndarray) -> np.ndarray:
        """(size,) True for each cell that is in any of the sets."""
        held = np.zeros(self.size, dtype=bool)
        self.add(held, labels)
        return held

    def union(self, left: np.ndarray, right: np.ndarray) -> np.ndarray:
        """Element by element; the shapes broadcast."""
        if left is right or not right.any():
            return np.broadcast_to(left, np.broadcast_shapes(left.shape, right.shape))
        if not left.any():
            return np.broadcast_to(right, np.broadcast_shapes(left.shape, right.shape))
        left, right = np.broadcast_arrays(left, right)
        if np.array_equal(left, right):
            return left
        base = self.size + len(self._unions) + 1
        pairs, back = np.unique(left.astype(np.int64) * base + right, return_inverse=True)
        if len(pairs) > MOST_SETS:
            return self._everything(left, right)
        return self._of_two(pairs // base, pairs % base)[back].reshape(left.shape)

    def _of_two(self, left: np.ndarray, right: np.ndarray) -> np.ndarray:
        """The unions of two sets each; pairs of single cells, of which there can be very many, all at once."""
        low, high = np.minimum(left, right), np.maximum(left, right)
        numbers = np.where((low == 0) | (low == high), high, -1).astype(LABEL)
        cells = (numbers < 0) & (high <= self.size)
        if self._cells + 2 * cells.sum() <= MOST_CELLS:
            made, back = np.unique(low[cells] * (self.size + 1) + high[cells], return_inverse=True)
            first = self.size + 1 + len(self._unions)
            self._unions.extend(np.stack([made // (self.size + 1), made % (self.size + 1)], axis=1) - 1)
            self._cells += 2 * len(made)
            numbers[cells] = first + back
        for at in np.flatnonzero(numbers < 0).tolist():
            numbers[at] = self._joined({int(low[at]), int(high[at])})
        return numbers

    def along(self, labels: np.ndarray, axis: int) -> np.ndarray:
        """The union along one axis, which keeps length 1."""
        if labels.shape[axis] == 1:
            return labels
        for other in range(labels.ndim):
            starts = _runs(labels, other) if other != axis else None
            if starts is not None:  # four layers in a row have four different labels along 4 x 768 units
                joined = self.along(np.take(labels, starts, other), axis)
                return np.repeat(joined, np.diff([*starts, labels.shape[other]]), other)
        moved = np.moveaxis(labels, axis, -1)
        rows = np.ascontiguousarray(moved).reshape(math.prod(moved.shape[:-1]), moved.shape[-1])
        if not rows.size:
            return np.zeros_like(labels, shape=(*labels.shape[:axis], 1, *labels.shape[axis + 1 :]))
        if len(rows) > MOST_SETS:
            numbers = self._everything(rows[:, :1], rows)[:, 0]
        else:
            done: dict[bytes, int] = {}
            keys = [row.tobytes() for row in rows]
            for key, row in zip(keys, rows, strict=True):
                if key not in done:
                    done[key] = self._joined(np.unique(row).tolist())
            numbers = np.array([done[key] for key in keys], dtype=LABEL)
        return np.expand_dims(numbers.reshape(moved.shape[:-1]), axis)

    def up_to(self, labels: np.ndarray, axis: int, length: int) -> np.ndarray:
        """At each place the union of everything up to it, as a cumulative sum depends on it; the axis has `length` places."""
        pieces = [np.take(labels, [0], axis)]
        if labels.shape[axis] == 1:
            return labels
        if length > MOST_PLACES:
            return self._everything(labels)
        for at in range(1, length):
            pieces.append(self.union(pieces[-1], np.take(labels, [at], axis)))
        return np.concatenate(pieces, axis)

    def coarse(self, labels: np.ndarray, depth: int) -> np.ndarray:
        """One set for all elements of a tensor of so many axes."""
        return self._everything(labels).reshape(-1)[:1].reshape((1,) * depth)

    def _everything(self, *labels: np.ndarray) -> np.ndarray:
        self.exact = False
        numbers = np.unique(np.concatenate([one.ravel() for one in labels])).tolist()
        return np.full(np.broadcast_shapes(*(one.shape for one in labels)), self._joined(numbers), dtype=LABEL)

    def _joined(self, numbers: Iterable[int]) -> int:
        """The number of the union of some sets."""
        wanted = sorted(number for number in numbers if number)
        if len(wanted) < 2:
            return wanted[0] if wanted else 0
        if self._cells > MOST_CELLS:
            self.exact = False
            return self._known[np.arange(self.size).tobytes()]
        parts = [np.array([n - 1 for n in wanted if n <= self.size], dtype=np.int64)]
        parts += [self._unions[n - self.size - 1] for n in wanted if n > self.size]
        cells = np.unique(np.concatenate(parts)) if len(parts) > 1 else parts[0]
        if self._cells + len(cells) > MOST_CELLS:
            self.exact = False
            cells = np.arange(self.size)  # kept from here on for every union that is asked for
        key = cells.tobytes()
        self._cells += len(cells)
        if key not in self._known:
            self._unions.append(cells)
            self._known[key] = self.size + len(self._unions)
        return self._known[key]


def _runs(labels: np.ndarray, axis: int) -> np.ndarray | None:
    """Where a new label begins along an axis; None where that is so often that nothing is gained."""
    if labels.shape[axis] < 16 or not labels.size:
        return None
    moved = np.moveaxis(labels, axis, 0)
    first: tuple[Any, ...] = (slice(None), *[0] * (labels.ndim - 1))
    line = moved[first]  # one line tells of most labels that it is not worth looking further
    if 4 * np.count_nonzero(line[1:] != line[:-1]) > len(line):
        return None
    changes = (moved[1:] != moved[:-1]).any(axis=tuple(range(1, labels.ndim)))
    starts = np.flatnonzero(np.concatenate([[True], changes]))
    return starts if 4 * len(starts) <= labels.shape[axis] else None


def only_where(visible: np.ndarray, where: np.ndarray, unit: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The labels of elements that are visible; an element of which one of the two is empty depends on nothing.

    A mask over the tokens changes nothing about the units, so it is taken out of `where` alone, and both stay short.
    """
    moving = [axis for axis in range(visible.ndim) if visible.shape[axis] > 1]
    follows = [all(labels.shape[axis] > 1 for axis in moving) for labels in (where, unit)]
    if not any(follows):
        follows = [True, True]
    return (np.where(visible, where, 0) if follows[0] else where, np.where(visible, unit, 0) if follows[1] else unit)


def compressed(labels: np.ndarray) -> np.ndarray:
    """Length 1 along every axis on which nothing changes."""
    for axis in range(labels.ndim):
        if labels.shape[axis] > 1:
            first, last = np.take(labels, [0], axis), np.take(labels, [-1], axis)
            if np.array_equal(first, last) and (labels == first).all():
                labels = first
    return labels


def spread(labels: np.ndarray, shape: tuple[int, ...], axes: Iterable[int] | None = None) -> np.ndarray:
    """Full length again along some axes, or along all of them."""
    wanted = range(len(shape)) if axes is None else set(axes)
    return np.broadcast_to(labels, tuple(shape[at] if at in wanted else labels.shape[at] for at in range(len(shape))))
