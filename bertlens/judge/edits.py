"""Edits: what a change of looked-up vectors does to every layer, to [CLS], to the logits and to the neighbours of a text."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from bertlens.judge.display import Shown
from bertlens.judge.layers import State
from bertlens.judge.measures import cosine, plain
from bertlens.judge.trial import Trial
from bertlens.judge.wording import number

if TYPE_CHECKING:
    import pandas as pd

MEASURES = {
    "change": "length of the difference, over the length of the vector before the edit",
    "max_abs": "largest absolute difference over hidden units",
    "cosine": "cosine of the vectors before and after the edit",
}
"""How far a token is moved by an edit."""

MOST_NEIGHBOURS = 1_000
"""Texts among which neighbours are looked for."""


@dataclass(frozen=True)
class Logits:
    """The logits of a classification head, before and after an edit.

    Attributes
    ----------
    labels : of the classes.
    before, after : one number per class.
    """

    labels: tuple[str, ...]
    before: tuple[float, ...]
    after: tuple[float, ...]


@dataclass(frozen=True, eq=False)
class Neighbours:
    """How near the text is to the others, before and after an edit.

    Attributes
    ----------
    pooling : how one vector per text is read.
    texts : indices of the other texts.
    before, after : (others,), cosine of the text with each; of equals the earlier text ranks first.
    """

    pooling: str
    texts: tuple[int, ...]
    before: np.ndarray
    after: np.ndarray

    @property
    def ranks(self) -> tuple[np.ndarray, np.ndarray]:
        """Rank of every other text before and after, 1 is the nearest; each (others,)."""
        return _ranks(self.before), _ranks(self.after)

    @property
    def moved(self) -> int:
        """How many of the other texts have another rank."""
        before, after = self.ranks
        return int((before != after).sum())

    def to_frame(self) -> pd.DataFrame:
        """One line per other text, the nearest before the edit first."""
        import pandas as pd

        before, after = self.ranks
        columns = {"text": self.texts, "rank before": before, "rank after": after}
        frame = pd.DataFrame(columns | {"cosine before": self.before, "cosine after": self.after})
        return frame.sort_values("rank before", ignore_index=True)


def _ranks(values: np.ndarray) -> np.ndarray:
    order = np.argsort(-np.nan_to_num(values, nan=-2.0), kind="stable")
    found = np.empty(len(values), int)
    found[order] = np.arange(1, len(values) + 1)
    return found


@dataclass(frozen=True, eq=False)
class Effect(Shown):
    """One text run with edited vectors in the place of its lookups, against the same text unedited.

    Attributes
    ----------
    checkpoint, text : what was run.
    edits : in their notation, in the order in which they were carried out.
    tokens, changed : the tokens, and the positions whose lookup is another one after the edits.
    states : every hidden state.
    measures : measure -> (states, tokens), a key of `MEASURES`, float64.
    before, after : looked-up vectors, each (tokens, width).
    trial : last_hidden_state after against before, with its verdict.
    pooling : by which `sentence` tells of neighbours; `of_pooling` gives the same effect under another one.
    near : pooling -> neighbours; {} where there is no other text.
    logits : None where no head was given.
    """

    checkpoint: dict[str, Any]
    text: int
    edits: str
    tokens: tuple[str, ...]
    changed: tuple[int, ...]
    states: tuple[State, ...]
    measures: dict[str, np.ndarray]
    before: np.ndarray
    after: np.ndarray
    trial: Trial
    pooling: str
    near: dict[str, Neighbours]
    logits: Logits | None

    @property
    def neighbours(self) -> Neighbours | None:
        """Under the pooling of this effect; None where there is no other text."""
        return self.near.get(self.pooling)

    def of_pooling(self, pooling: str) -> Effect:
        """The same effect, told by another pooling; nothing is run."""
        return replace(self, pooling=pooling)

    @property
    def labels(self) -> tuple[str, ...]:
        """The states as they stand on an axis."""
        return tuple(state.label for state in self.states)

    @property
    def verdict(self) -> str:
        """Of last_hidden_state: "identical", "rounding", "different" or "undecided"."""
        return self.trial.verdict

    @property
    def sentence(self) -> str:
        """What the edits do to the last state, to [CLS] and to the neighbours."""
        word = self.verdict.capitalize()
        if not self.changed:
            return f"{word}: no lookup is another one after the edits (max abs {number(self.trial.row.max_abs)})."
        last = self.measures["change"][-1]
        others = [token for token in range(len(self.tokens)) if token not in self.changed]
        told = f"{word}: {len(self.changed)} of {len(self.tokens)} lookups edited; in the last state [CLS] moves by "
        told += f"{100 * last[0]:.2g} % of its length (cosine {self.trial.cls_cosine:.4f})"
        if others:
            told += f", the tokens that were not edited by {100 * last[others].mean():.2g} % on average"
        if (near := self.neighbours) is not None:
            told += f"; {near.moved} of {len(near.texts)} texts change their rank by {near.pooling}"
        if self.logits is not None:
            apart = np.abs(np.subtract(self.logits.before, self.logits.after)).max()
            told += f"; the logits move by at most {number(float(apart))}"
        return f"{told}."

    def of_cls(self) -> pd.DataFrame:
        """One line per state: how far the first token is moved."""
        import pandas as pd

        columns = {name: values[:, 0] for name, values in self.measures.items()}
        return pd.DataFrame({"state": [state.name for state in self.states], **columns})

    def to_frame(self) -> pd.DataFrame:
        """One line per state and token."""
        import pandas as pd

        states, tokens = len(self.states), len(self.tokens)
        where = {
            "state": np.repeat([state.name for state in self.states], tokens),
            "position": np.tile(np.arange(tokens), states),
            "token": list(self.tokens) * states,
        }
        return pd.DataFrame(where | {name: values.ravel() for name, values in self.measures.items()})

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON, without the vectors."""
        near = self.neighbours
        return {
            "schema": "bertlens.edit/1",
            "verdict": self.verdict,
            "sentence": self.sentence,
            "checkpoint": self.checkpoint,
            "text": self.text,
            "edits": self.edits,
            "tokens": list(self.tokens),
            "changed": list(self.changed),
            "states": [state.name for state in self.states],
            "measures": {
                name: [[plain(float(value)) for value in row] for row in values] for name, values in self.measures.items()
            },
            "last_hidden_state": self.trial.to_dict(),
            "neighbours": None if near is None else {"pooling": near.pooling, "texts": near.to_frame().to_dict("records")},
            "logits": None
            if self.logits is None
            else {"labels": list(self.logits.labels), "before": list(self.logits.before), "after": list(self.logits.after)},
        }


def moved(before: np.ndarray, after: np.ndarray) -> dict[str, np.ndarray]:
    """Every measure of `MEASURES`, (states, tokens) each, from states of (states, tokens, hidden)."""
    one, other = (torch.from_numpy(states).double() for states in (before, after))
    # sums are PyTorch's, so that a script which knows only PyTorch prints the same digits
    change = (other - one).norm(dim=-1) / one.norm(dim=-1)
    flat = cosine(before.reshape(-1, before.shape[-1]), after.reshape(-1, after.shape[-1]))
    most = (other - one).abs().amax(-1)
    return {"change": change.numpy(), "max_abs": most.numpy(), "cosine": flat.reshape(change.shape)}
