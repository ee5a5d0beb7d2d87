"""States: one text on its way through the layers, token by token."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass

import numpy as np
import torch

from bertlens.read.survey import same_numbers, state_names
from bertlens.run.inputs import Batch, Inputs
from bertlens.run.outputs import forward


@dataclass(frozen=True)
class States:
    """Every hidden state of one text.

    Attributes
    ----------
    ids : (tokens,) token ids of the row without its padding.
    values : (states, tokens, hidden); 0 is the embeddings, n the output of layer n.
    padding : how many padding tokens the row had besides.
    tied : whether the last of them is last_hidden_state; where not, last_hidden_state follows it.
    """

    ids: tuple[int, ...]
    values: np.ndarray
    padding: int
    tied: bool = True

    @property
    def names(self) -> tuple[str, ...]:
        """What the states are called."""
        return state_names(len(self.values) - (1 if self.tied else 2), tied=self.tied)


def states_of(inputs: Inputs, text: int, *, dtype: str | None = None, seed: int = 0) -> States:
    """Run the forward pass in which a text stands and keep that text's real tokens in every layer."""
    depth = inputs.checkpoint.architecture.layers
    device = "cpu" if dtype == "float64" else None
    passes = inputs.containing([text])
    with closing(forward(passes, layers=range(depth + 1), dtype=dtype, device=device, seed=seed)) as one:
        outputs = next(one)
    batch = outputs.batch
    kept = _row(batch, text, batch.real).bool()
    states = [outputs.hidden_states[layer] for layer in range(depth + 1)]
    tied = same_numbers(states[-1], outputs.last_hidden_state)
    rows = [_row(batch, text, state)[kept] for state in (states if tied else [*states, outputs.last_hidden_state])]
    wide = torch.stack(rows).to("cpu", torch.float64 if dtype == "float64" else torch.float32)
    ids = _row(batch, text, batch.tensors["input_ids"])[kept]
    return States(tuple(ids.tolist()), wide.numpy(), int((~kept).sum()), tied)


def _row(batch: Batch, text: int, tensor: torch.Tensor) -> torch.Tensor:
    """The row of a text, (tokens, …); where the batch axis was lost, its tokens are the rows."""
    lost = len(batch.real) != len(batch.texts)
    return (tensor[:, 0] if lost else tensor[batch.texts.index(text)]).cpu()
