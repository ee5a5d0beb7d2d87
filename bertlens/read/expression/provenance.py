"""Provenance: from sets of cells to texts, tokens, layers and hidden units."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from bertlens.read.expression.cells import INPUTS, Cells
from bertlens.read.expression.explanation import Provenance
from bertlens.read.expression.values import STATES, Traced

SMALL = 10_000
"""Labels of a value that may wait to be marked."""

MOST_WAITING = 1_000
"""Values that may wait."""


class Gathered:
    """What has been held at one place of an expression, over all times it was evaluated."""

    def __init__(self, cells: Cells) -> None:
        self.cells = cells
        self.sources: frozenset[str] = frozenset()
        self.reduced: tuple[tuple[str, str], ...] = ()
        self._where = np.zeros(cells.where.size, dtype=bool)
        self._unit = np.zeros(cells.unit.size, dtype=bool)
        self._waiting: list[tuple[np.ndarray, np.ndarray]] = []

    def add(self, traced: Sequence[Traced]) -> Gathered:
        """More values; of values with states and values without, those with states are told."""
        for one in traced:
            # a loop adds thousands of small ones, which are marked together
            if one.rank < 2 or (one.unit.any() and one.where.any()):
                self._waiting.append((one.where, one.unit))
            if one.where.size + one.unit.size > SMALL or len(self._waiting) > MOST_WAITING:
                self._mark()
            if not one.sources <= self.sources:
                self.sources |= one.sources
            if one.reduced:
                self.reduced = tuple(dict.fromkeys([*self.reduced, *one.reduced]))
        return self

    def _mark(self) -> None:
        for sets, held, labels in (
            (self.cells.where, self._where, [where for where, _ in self._waiting]),
            (self.cells.unit, self._unit, [unit for _, unit in self._waiting]),
        ):
            if labels:
                sets.add(held, labels[0] if len(labels) == 1 else np.concatenate([one.ravel() for one in labels]))
        self._waiting = []

    @property
    def where(self) -> np.ndarray:
        """True for each cell that is held."""
        self._mark()
        return self._where

    @property
    def unit(self) -> np.ndarray:
        """True for each hidden unit that is held."""
        self._mark()
        return self._unit

    def states(self) -> np.ndarray:
        """(layers, batch, tokens): which states are held."""
        return self.where[: self.cells.states].reshape(self.cells.shape)

    def told(self, rows: tuple[tuple[int, ...], ...] = ()) -> Provenance:
        """The provenance in words of the contract."""
        grid, layers = self.positions()
        texts = np.flatnonzero(grid.any(axis=1))
        capture = self.cells.capture
        if not self.sources & {"hidden_states"} and "pooler_output" in self.sources:
            texts = np.flatnonzero(self._pooled())
        tokens = np.flatnonzero(grid.any(axis=0))
        real = capture.real
        padding = None if real is None else int((grid & (np.asarray(real) == 0)).sum())
        hidden = np.flatnonzero(self.unit)
        return Provenance(
            sources=tuple(sorted(self.sources, key=_order)),
            texts=tuple(texts.tolist()),
            tokens=tuple(tokens.tolist()),
            layers=layers,
            hidden=tuple(hidden.tolist()),
            every_token=bool(len(tokens)) and bool(grid[texts].all()),
            every_hidden=bool(len(hidden)) and len(hidden) == capture.hidden,
            reduced=tuple(dict.fromkeys(name for name, _ in self.reduced)),
            how=self.reduced,
            positions=int(grid.sum()),
            padding=padding,
            rows=rows,
            exact=self.cells.where.exact and self.cells.unit.exact,
        )

    def _pooled(self) -> np.ndarray:
        start = self.cells.states
        return self.where[start : start + self.cells.capture.batch]

    def positions(self) -> tuple[np.ndarray, tuple[int, ...]]:
        """(batch, tokens) of the states, or of the inputs where no state and no pooler output is in it; and the layers."""
        states = self.states()
        shape = self.cells.shape[1:]
        if self.sources & STATES:
            last = len(self.cells.capture.hidden_states) - 1
            held = np.flatnonzero(states.any(axis=(1, 2))).tolist() if "hidden_states" in self.cells.capture.fields else []
            return np.asarray(states.any(axis=0)), tuple(dict.fromkeys(min(layer, last) for layer in held))
        start = self.cells.states + self.cells.capture.batch
        inputs = self.where[start:].reshape(len(INPUTS), *shape)
        return np.asarray(inputs.any(axis=0)), ()


def _order(source: str) -> int:
    return ("hidden_states", "pooler_output", *INPUTS).index(source)


def rows_of(cells: Cells, x: Traced) -> tuple[tuple[int, ...], ...]:
    """The texts in each place of the batch axis, where a value has one."""
    at = next((at for at, one in enumerate(x.axes) if one.name == "batch"), None)
    if at is None:
        return ()
    found = []
    for place in range(x.shape[at]):
        labels = x.where if x.where.shape[at] == 1 else np.take(x.where, [place], at)
        piece = Traced(x.value, x.form, x.axes, labels, x.unit, x.sources)
        found.append(Gathered(cells).add([piece]).told().texts)
    return tuple(found)
