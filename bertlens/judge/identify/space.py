"""Space: the readouts that can have made vectors of a given size, as directions that are compared at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from bertlens.read.bank import Row
from bertlens.read.logits import Logits
from bertlens.read.pooled import OF_STATES
from bertlens.read.readout import Readout

COLLINEAR = ("mean_sqrt_len_tokens",)
"""Poolings that point where another one points: told apart by their length, once a direction fits."""

POOLINGS = tuple(pooling for pooling in OF_STATES if pooling not in COLLINEAR)


class Space:
    """Readouts of one checkpoint for vectors of `dims` components.

    Parameters
    ----------
    states : hidden states that are read: depth + 1, and one more where last_hidden_state is not the last of them.
    depth, hidden : layers and units of the model.
    pooler : whether there is a pooler_output.
    apart : whether readouts that differ in length alone are told apart, because a mean over texts was subtracted.
    logits : readouts of a head with `dims` labels.
    size : of the given numbers, their root mean square.
    alone : whether nothing but the logits is read.

    Attributes
    ----------
    readouts : one per direction, in the order of the rows of `directions`; those that people use most come first.
        The logits follow at the end.
    """

    def __init__(
        self,
        states: int,
        depth: int,
        hidden: int,
        dims: int,
        *,
        pooler: bool,
        apart: bool = False,
        logits: Sequence[Logits] = (),
        size: float = 1.0,
        alone: bool = False,
    ) -> None:
        self._poolings = OF_STATES if apart else POOLINGS
        self.depth, self.dims, self.hidden = depth, dims, hidden
        self._states, self._at = states, [OF_STATES.index(pooling) for pooling in self._poolings]
        self._pooler = pooler and dims <= hidden and not alone
        self.logits, self._size = tuple(logits), size
        self._blocks: list[tuple[int, ...]] = []
        names: list[str] = []
        self._means: list[tuple[int, str]] = []
        if dims <= hidden and not alone:
            for state in reversed(range(states)):
                self._blocks.append((state,))
                names.append("-1" if state == states - 1 else str(state))
            self._means = [(count, "all" if count == depth + 1 else f"last{count}") for count in range(2, depth + 2)]
            names += [f"{name}:mean" for _, name in self._means]
        elif not alone:
            least = -(-dims // hidden)
            for count in range(least, depth + 2):
                name = "all" if count == depth + 1 else f"last{count}"
                down = tuple(range(depth, depth - count, -1))
                if count == least:  # more layers begin with the same components
                    self._blocks.append(down)
                    names.append(f"{name}:concat")
                self._blocks.append(down[::-1])
                names.append(f"{name}:concat_reversed")
        self.readouts = [Readout.parse(f"{pooling}@{name}") for name in names for pooling in self._poolings]
        self.readouts += [Readout("pooler")] if self._pooler else []
        self.readouts += self.logits

    def direction(self, readout: Readout) -> int | None:
        """The row of `directions` in which a readout points, None where it is none of them."""
        plain = replace(readout, l2=False)
        if plain in self.readouts:
            return self.readouts.index(plain)
        alike = (at for at, one in enumerate(self.readouts) if plain in (*collinear(one), *begin_alike(one, self.depth)))
        return next(alike, None)

    @property
    def empty(self) -> bool:
        """Whether no readout gives so many components."""
        return not self.readouts

    def lifted(self, values: np.ndarray) -> np.ndarray:
        """Numbers with a constant beside them, (…, dims + 1): logits have a size of their own, and not a direction alone."""
        return np.concatenate([values, np.full((*values.shape[:-1], 1), self._size)], -1)

    def vector(self, row: Row, at: int) -> np.ndarray:
        """What the readout of this number makes of a row, to be held against what `wanted` gives: (dims,), or lifted."""
        readout = self.readouts[at]
        if isinstance(readout, Logits):
            return self.lifted(self.of_head(row)[self.logits.index(readout)])
        return np.asarray(self.directions(row)[at])

    def wanted(self, values: np.ndarray, at: int) -> np.ndarray:
        """Given vectors, (rows, dims), as they are held against the readout of this number."""
        return self.lifted(values) if isinstance(self.readouts[at], Logits) else values

    def of_head(self, row: Row) -> np.ndarray:
        """The logits of a row under each of their readouts: (logits, dims), in float64."""
        assert row.logits is not None
        return np.concatenate([readout.of(row.logits[None].astype(np.float64)) for readout in self.logits])

    def directions(self, row: Row) -> np.ndarray:
        """The first `dims` components under every readout but the logits: (readouts, dims), in float64."""
        values = row.values[:, self._at].astype(np.float64)  # (states, poolings, hidden)
        parts = [np.concatenate([values[state] for state in block], 1) for block in self._blocks]
        if not parts:
            return np.empty((0, self.dims))
        if self._means:
            down = np.cumsum(values[self.depth :: -1], 0)  # sums of the last 1, 2, … layers
            parts += [down[count - 1] / count for count, _ in self._means]
        read = np.concatenate([part[:, : self.dims] for part in parts])
        if self._pooler and row.pooler is not None:
            read = np.concatenate([read, row.pooler[None, : self.dims].astype(np.float64)])
        return np.asarray(read)


def collinear(readout: Readout) -> list[Readout]:
    """Readouts that point in one direction and differ in length: mean and sum of layers, the two means over tokens."""
    poolings = ("mean", "mean_sqrt_len_tokens") if readout.pooling == "mean" else (readout.pooling,)
    combines = ("mean", "sum") if readout.combine == "mean" else (readout.combine,)
    return [Readout(pooling, readout.layers, combine) for combine in combines for pooling in poolings]


def begin_alike(direction: Readout, depth: int) -> list[Readout]:
    """More layers joined begin with the same components; divided by their length and cut, they have another length."""
    if direction.combine == "concat" and direction.layers.startswith("last"):
        return _joined(direction, "concat", range(int(direction.layers.removeprefix("last")) + 1, depth + 2), depth)
    if direction.combine or direction.pooling == "pooler":
        return []
    layer = depth if direction.layers == "-1" else int(direction.layers)
    down = range(2, depth + 2) if layer == depth else range(0)
    up = range(depth + 1 - layer, depth + 2 - layer) if layer < depth else range(0)
    return [*_joined(direction, "concat", down, depth), *_joined(direction, "concat_reversed", up, depth)]


def _joined(direction: Readout, combine: str, counts: range, depth: int) -> list[Readout]:
    """The same pooling of so many of the last layers, joined."""
    names = ("all" if count == depth + 1 else f"last{count}" for count in counts)
    return [replace(direction, layers=name, combine=combine) for name in names]
