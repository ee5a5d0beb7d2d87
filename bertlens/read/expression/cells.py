"""Cells: every place of the model's tensors that an expression can hold, numbered."""

from __future__ import annotations

import numpy as np
import torch

from bertlens.read.capture import Capture
from bertlens.read.expression.axes import axis
from bertlens.read.expression.sets import LABEL, Sets
from bertlens.read.expression.values import Traced

INPUTS = ("input_ids", "attention_mask", "token_type_ids", "position_ids")


class Cells:
    """The numbering: the states first, layer by layer; then the pooler output, one cell per text; then the inputs.

    Where a final norm makes last_hidden_state another tensor than the last of the hidden states, it counts as one layer more.
    """

    def __init__(self, capture: Capture) -> None:
        self.capture = capture
        self.last_is_extra = capture.last_hidden_state is not capture.hidden_states[-1]
        self.layers = len(capture.hidden_states) + self.last_is_extra
        self.shape = (self.layers, capture.batch, capture.width)
        self.states = self.layers * capture.batch * capture.width
        self.size = self.states + capture.batch + len(INPUTS) * capture.batch * capture.width
        self.where = Sets(self.size)
        self.unit = Sets(capture.hidden)
        self._made: dict[str, Traced] = {}

    def state(self, layer: int) -> Traced:
        """(batch, tokens, hidden): one of the hidden states, or with the index beyond them the last hidden state."""
        c = self.capture
        if f"state {layer}" in self._made:
            return self._made[f"state {layer}"]
        value = c.hidden_states[layer] if layer < len(c.hidden_states) else c.last_hidden_state
        block = c.batch * c.width
        where = 1 + layer * block + np.arange(block, dtype=LABEL).reshape(c.batch, c.width, 1)
        # one object per tensor, as in PyTorch: what is written into it is seen under all its names
        return self._made.setdefault(
            f"state {layer}", self._traced(value, ("batch", "tokens", "hidden"), where, "hidden_states")
        )

    def last(self) -> Traced:
        """last_hidden_state."""
        return self.state(self.layers - 1)

    def pooler(self) -> Traced:
        """(batch, hidden): the pooler output; a cell per text."""
        assert self.capture.pooler_output is not None
        where = 1 + self.states + np.arange(self.capture.batch, dtype=LABEL)[:, None]
        return self._traced(self.capture.pooler_output, ("batch", "hidden"), where, "pooler_output")

    def input(self, name: str) -> Traced:
        """(batch, tokens): one of the tensors that went in."""
        c = self.capture
        block = c.batch * c.width
        start = 1 + self.states + c.batch + INPUTS.index(name) * block
        where = start + np.arange(block, dtype=LABEL).reshape(c.batch, c.width)
        value, axes = c.inputs[name], (axis("batch", c.batch), axis("tokens", c.width))
        return Traced(value, "tensor", axes, where, np.zeros((1, 1), LABEL), frozenset({name}))

    def _traced(self, value: torch.Tensor, names: tuple[str, ...], where: np.ndarray, source: str) -> Traced:
        axes = tuple(axis(name, size) for name, size in zip(names, value.shape, strict=True))
        unit = np.arange(1, self.capture.hidden + 1, dtype=LABEL).reshape((1,) * (value.ndim - 1) + (-1,))
        return Traced(value, "tensor", axes, where, unit, frozenset({source}), (), self.capture.wanted_grad)
