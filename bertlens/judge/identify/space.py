"""Space: the readouts that can have made vectors of a given size, as directions that are compared at once."""

from __future__ import annotations

import numpy as np

from bertlens.read.bank import Row
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

    Attributes
    ----------
    readouts : one per direction, in the order of the rows of `directions`; those that people use most come first.
    """

    def __init__(self, states: int, depth: int, hidden: int, dims: int, *, pooler: bool) -> None:
        self.depth, self.dims, self.hidden = depth, dims, hidden
        self._states, self._at = states, [OF_STATES.index(pooling) for pooling in POOLINGS]
        self._pooler = pooler and dims <= hidden
        self._blocks: list[tuple[int, ...]] = []
        names: list[str] = []
        if dims <= hidden:
            for state in reversed(range(states)):
                self._blocks.append((state,))
                names.append("-1" if state == states - 1 else str(state))
            self._means = [(count, "all" if count == depth + 1 else f"last{count}") for count in range(2, depth + 2)]
            names += [f"{name}:mean" for _, name in self._means]
        else:
            self._means = []
            least = -(-dims // hidden)
            for count in range(least, depth + 2):
                name = "all" if count == depth + 1 else f"last{count}"
                down = tuple(range(depth, depth - count, -1))
                if count == least:  # more layers begin with the same components
                    self._blocks.append(down)
                    names.append(f"{name}:concat")
                self._blocks.append(down[::-1])
                names.append(f"{name}:concat_reversed")
        self.readouts = [Readout.parse(f"{pooling}@{name}") for name in names for pooling in POOLINGS]
        self.readouts += [Readout("pooler")] if self._pooler else []

    @property
    def empty(self) -> bool:
        """Whether no readout gives so many components."""
        return not self.readouts

    def directions(self, row: Row) -> np.ndarray:
        """The first `dims` components under every readout: (readouts, dims), in float64."""
        values = row.values[:, self._at].astype(np.float64)  # (states, poolings, hidden)
        parts = [np.concatenate([values[state] for state in block], 1) for block in self._blocks]
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
