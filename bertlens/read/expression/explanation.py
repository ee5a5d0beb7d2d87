"""Explanation: every step of an expression with its shape, its named axes and the cells it holds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Provenance:
    """The cells of the model's outputs that a value holds or mixes, traced through the expression.

    Attributes
    ----------
    sources : the tensors it comes from, e.g. ("hidden_states", "attention_mask"); last_hidden_state counts as the last of
        the hidden states.
    texts, tokens, layers, hidden : rows of the batch, positions, layers and hidden units of the states in it (of the
        pooler output or the inputs where no state is in it).
    every_token, every_hidden : whether these are all positions of these texts, all hidden units.
    reduced : the axes that were summed, averaged, maximised or multiplied over, in that order.
    how : (axis, "mean" | "sum" | "max" | …) for each.
    positions, padding : how many (text, token) positions it holds, and how many of them are padding; None where nobody
        said what is padding.
    rows : for a result with a batch axis, the texts in each of its rows.
    exact : False where there were too many different sets of cells to follow one by one, so that too many are named.
    """

    sources: tuple[str, ...] = ()
    texts: tuple[int, ...] = ()
    tokens: tuple[int, ...] = ()
    layers: tuple[int, ...] = ()
    hidden: tuple[int, ...] = ()
    every_token: bool = False
    every_hidden: bool = False
    reduced: tuple[str, ...] = ()
    how: tuple[tuple[str, str], ...] = ()
    positions: int = 0
    padding: int | None = 0
    rows: tuple[tuple[int, ...], ...] = ()
    exact: bool = True

    def to_dict(self) -> dict[str, Any]:
        """The contract's names; `tokens` and `hidden` are "all" where they are."""
        return {
            "sources": list(self.sources),
            "texts": list(self.texts),
            "tokens": "all" if self.every_token else list(self.tokens),
            "layers": list(self.layers),
            "hidden": "all" if self.every_hidden else list(self.hidden),
            "reduced": list(self.reduced),
            "how": [list(one) for one in self.how],
            "positions": self.positions,
            "padding": self.padding,
            "rows": [list(row) for row in self.rows],
            "exact": self.exact,
        }


@dataclass(frozen=True)
class Step:
    """One part of the expression, as it was evaluated.

    Attributes
    ----------
    expression : the part, as it was written.
    place : (line from 1, column from 0, end line, end column) in the text.
    form : "tensor", "array" (numpy), "tuple", "number", "list" or "other" (a string, a shape …).
    axes, shape : named axes and sizes; of a tuple of tensors with the tuple's own axis first.
    dtype, bytes : of its values.
    provenance : the cells it holds.
    words : what it holds, in a sentence without full stop.
    times : how often it was evaluated (in a loop); axes, shape and words are then those of one of them, and the provenance
        that of all.
    """

    expression: str
    place: tuple[int, int, int, int]
    form: str
    axes: tuple[str, ...]
    shape: tuple[int, ...]
    dtype: str
    bytes: int
    provenance: Provenance
    words: str
    times: int = 1

    def to_dict(self) -> dict[str, Any]:
        """The contract's names."""
        return {
            "expression": self.expression,
            "place": list(self.place),
            "form": self.form,
            "axes": list(self.axes),
            "shape": list(self.shape),
            "dtype": self.dtype,
            "bytes": self.bytes,
            "provenance": self.provenance.to_dict(),
            "words": self.words,
            "times": self.times,
        }


@dataclass(frozen=True)
class Failure:
    """Where the expression stopped, because PyTorch, numpy or Python refuse it.

    Attributes
    ----------
    place : as in `Step`.
    expression : the part that was refused.
    message : the error's own words, with its class: "IndexError: tuple index out of range".
    words : what was got and what was expected.
    """

    place: tuple[int, int, int, int]
    expression: str
    message: str
    words: str


@dataclass(frozen=True, eq=False)
class Trace:
    """An expression evaluated on a capture.

    Attributes
    ----------
    expression : as it was written.
    steps : in the order of evaluation; the last one is the result where nothing failed.
    value : the result as a numpy array (a list of them for a tuple of tensors); None where it is no number.
    cells : (layers + 1, batch, tokens), True where a cell of the states is in the result; all hidden units of
        `provenance.hidden`.
    failure : where it stopped, or None.
    events : what was done on the way that can be judged: see `bertlens.judge.expression`.
    """

    expression: str
    steps: tuple[Step, ...]
    value: Any
    cells: np.ndarray
    failure: Failure | None
    events: tuple[Event, ...] = field(default_factory=tuple)

    @property
    def result(self) -> Step | None:
        """The last step, or None where the expression failed at its first."""
        return self.steps[-1] if self.steps else None


@dataclass(frozen=True)
class Event:
    """Something that an operation did and that can be judged.

    Attributes
    ----------
    kind : e.g. "index", "reduce", "squeeze", "numpy", "linear", "unpack", "cut" (a reshape across axes).
    place : as in `Step`.
    facts : what was done.
    """

    kind: str
    place: tuple[int, int, int, int]
    facts: Mapping[str, Any]
