"""TokenLayers: one text in every hidden state, token by token."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from bertlens.judge.display import Shown
from bertlens.judge.layers import OverStates, State, states_of
from bertlens.judge.measures import plain
from bertlens.read.states import States
from bertlens.read.travel import measures

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, eq=False)
class TokenLayers(OverStates, Shown):
    """Every real token of a text in every hidden state.

    Attributes
    ----------
    text : index of the text.
    tokens : as the tokenizer writes them; a token that stands twice is there twice.
    states : every hidden state with its index.
    measures : measure -> (states, tokens), float64; `change` and `to_previous` are NaN in the embeddings.
    values : (states, tokens, hidden).
    padding : padding tokens of the row, which are left out.
    """

    text: int
    tokens: tuple[str, ...]
    states: tuple[State, ...]
    measures: dict[str, np.ndarray]
    values: np.ndarray
    padding: int

    @property
    def sentence(self) -> str:
        """Which token moves farthest, and where."""
        change = np.nan_to_num(self.measures["change"], nan=-1.0, posinf=-1.0)
        state, token = np.unravel_index(int(change.argmax()), change.shape)
        far = f"{100 * change[state, token]:.0f} % of its length"
        return f"Token {token} “{self.tokens[token]}” moves farthest, by {far}, on its way into {self.names[state]}."

    def to_frame(self) -> pd.DataFrame:
        """One line per token and state, with every measure."""
        import pandas as pd

        states, tokens = len(self.states), len(self.tokens)
        where = {
            "position": np.tile(np.arange(tokens), states),
            "token": list(self.tokens) * states,
            "state": np.repeat(self.names, tokens),
        }
        return pd.DataFrame(where | {name: values.ravel() for name, values in self.measures.items()})

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON, without the hidden units."""
        return {
            "text": self.text,
            "tokens": list(self.tokens),
            "states": list(self.names),
            "measures": {
                name: [[plain(float(value)) for value in state] for state in values] for name, values in self.measures.items()
            },
            "padding": self.padding,
            "sentence": self.sentence,
        }


def token_layers(text: int, found: States, depth: int, tokenizer: Any) -> TokenLayers:
    """Measure the states of one text, which a run of a model with so many layers gave."""
    tokens = tuple(map(str, tokenizer.convert_ids_to_tokens(list(found.ids))))
    measured = {name: values.numpy() for name, values in measures(torch.from_numpy(found.values).double()).items()}
    return TokenLayers(text, tokens, states_of(found.names, depth), measured, found.values, found.padding)
