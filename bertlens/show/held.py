"""Held: the cells of the states that a value holds, ready to be drawn, with their names."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from bertlens.errors import BertlensError
from bertlens.read.capture import Capture
from bertlens.read.expression.errors import lines_of
from bertlens.read.expression.evaluate import evaluate
from bertlens.read.expression.explanation import Step, Trace
from bertlens.read.expression.grammar import parse, segment


@dataclass(frozen=True, eq=False)
class Held:
    """Cells of the states, as a picture needs them.

    Attributes
    ----------
    cells : (layers + 1, batch, tokens), True where a cell is held.
    real : (batch, tokens), False on padding; all True where nobody said what is padding.
    hidden : the hidden units held in each of these cells.
    units : how many hidden units there are.
    tokens : the token strings of each row; None where they are not known.
    exact : False where only the texts, tokens and layers are known, so that more may be lit than is held.
    """

    cells: np.ndarray
    real: np.ndarray
    hidden: tuple[int, ...]
    units: int
    tokens: tuple[tuple[str, ...], ...] | None
    exact: bool = True

    @property
    def layers(self) -> tuple[int, ...]:
        """Layers of which any cell is held."""
        return tuple(int(layer) for layer in np.flatnonzero(self.cells.any((1, 2))))

    @property
    def patterns(self) -> tuple[tuple[tuple[int, ...], np.ndarray], ...]:
        """Layers with the same cells together, and those cells (batch, tokens); in the order of the layers."""
        found: dict[bytes, list[int]] = {}
        for layer in self.layers:
            found.setdefault(self.cells[layer].tobytes(), []).append(layer)
        return tuple((tuple(layers), self.cells[layers[0]]) for layers in found.values())

    def layer(self, index: int) -> str:
        """What a layer is called; the only one that was kept is the last."""
        return "the last layer" if len(self.cells) == 1 else "embeddings" if index == 0 else f"layer {index}"

    def named(self, layers: tuple[int, ...]) -> str:
        """Layers by their names: "layer 6", "embeddings, layer 1", "layers 3 to 6"."""
        if not layers:
            return "no layer"
        if len(layers) == 1:
            return self.layer(layers[0])
        if 0 in layers:
            return f"embeddings and {self.named(tuple(layer for layer in layers if layer))}"
        straight = layers == tuple(range(layers[0], layers[-1] + 1))
        if straight and len(layers) > 2:
            return f"layers {layers[0]} to {layers[-1]}"
        return f"layers {', '.join(map(str, layers[:-1]))} and {layers[-1]}"

    @property
    def units_named(self) -> str:
        """The hidden units in words: "all 384 hidden units", "hidden units 0 to 9 (10 of 384)"."""
        count = len(self.hidden)
        if count == self.units:
            return f"all {self.units:,} hidden units"
        if not count:
            return "no hidden unit"
        if count == 1:
            return f"hidden unit {self.hidden[0]} (1 of {self.units:,})"
        straight = self.hidden[-1] - self.hidden[0] == count - 1
        return (
            f"hidden units {self.hidden[0]} to {self.hidden[-1]} ({count if straight else f'{count} in all'} of {self.units:,})"
        )


def of_result(trace: Trace, capture: Capture) -> Held:
    """The cells of the result, traced one by one."""
    result = trace.result
    return _held(trace.cells, capture, () if result is None else result.provenance.hidden, exact=True)


def of_step(step: Step, capture: Capture, expression: str = "") -> Held:
    """The cells of one step of an expression.

    Its texts, tokens and layers say which they are where it is one layer, with or without padding. Otherwise the part is
    evaluated once more, by itself; a part of a loop or a function cannot be, and then more may be lit than is held.
    """
    found = step.provenance
    cells = np.zeros((len(capture.hidden_states), capture.batch, capture.width), bool)
    if not ({"hidden_states", "last_hidden_state"} & set(found.sources) and found.layers):
        return _held(cells, capture, (), exact=True)
    tokens = range(capture.width) if found.every_token else found.tokens
    cells[np.ix_(found.layers, found.texts, list(tokens))] = True
    bare = cells if capture.real is None else cells & capture.real.bool().cpu().numpy()
    cells = bare if found.padding == 0 else cells
    if found.exact and len(found.layers) == 1 and int(cells.any(0).sum()) == found.positions:
        return _held(cells, capture, found.hidden, exact=True)
    again = _evaluated(step, capture, expression) if expression else None
    if again is not None:
        return _held(again, capture, found.hidden, exact=found.exact)
    return _held(cells, capture, found.hidden, exact=False)


def _evaluated(step: Step, capture: Capture, expression: str) -> np.ndarray | None:
    """The cells of a part evaluated by itself, after the lines before it; None where that gives something else."""
    try:
        tree = parse(expression)
        own = [node.lineno for node in tree.body if node.lineno <= step.place[0]]
        before = lines_of(expression)[: own[-1] - 1] if own else []
        trace = evaluate("\n".join([*before, segment(expression, step.place)]), capture)
    except BertlensError:
        return None
    result = trace.result
    if result is None or trace.failure is not None or result.shape != step.shape:
        return None
    # the rows are named at the end of an expression only
    same = replace(result.provenance, rows=()) == replace(step.provenance, rows=())
    return trace.cells if same else None


def _held(cells: np.ndarray, capture: Capture, hidden: tuple[int, ...], *, exact: bool) -> Held:
    real = np.ones(cells.shape[1:], bool) if capture.real is None else capture.real.bool().cpu().numpy()
    return Held(cells, real, tuple(hidden) if cells.any() else (), capture.hidden, capture.tokens, exact)
