"""States: one text on its way through the layers, token by token."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass

import numpy as np
import torch

from bertlens.read.survey import same_numbers
from bertlens.run.inputs import Inputs
from bertlens.run.outputs import Outputs, forward


@dataclass(frozen=True)
class States:
    """Every hidden state of one text.

    Attributes
    ----------
    names : of the states: "embeddings", "layer 1", …; with sublayers "embeddings", "layer 1 attention", "layer 1", …, where
        "layer 1 attention" is what the MLP of layer 1 reads.
    values : (states, tokens, hidden), without the row's padding.
    row : token ids of the whole row as it stood in the forward pass, padding included.
    real : (positions,), False on padding.
    norms : (states, positions), L2 norm of the state of every position, padding included.
    """

    names: tuple[str, ...]
    values: np.ndarray
    row: tuple[int, ...]
    real: np.ndarray
    norms: np.ndarray

    @property
    def ids(self) -> tuple[int, ...]:
        """Token ids of the row without its padding."""
        return tuple(token for token, real in zip(self.row, self.real, strict=True) if real)

    @property
    def padding(self) -> int:
        """How many padding tokens the row has."""
        return int((~self.real).sum())


def states_of(inputs: Inputs, text: int, *, dtype: str | None = None, seed: int = 0, sublayers: bool = False) -> States:
    """Run the forward pass in which a text stands and keep that text in every layer.

    Parameters
    ----------
    dtype : instead of the condition's; "float64" for the repeat.
    seed : of dropout, where the condition has it on; the draws are the same with sublayers and without.
    sublayers : resolve attention and MLP. Where the model does not show them, `names` has whole layers only.
    """
    depth = inputs.checkpoint.architecture.layers
    device = "cpu" if dtype == "float64" else None
    passes, watched = inputs.containing([text]), text if sublayers else None
    every = range(depth + 1)
    with closing(forward(passes, layers=every, dtype=dtype, device=device, seed=seed, sublayers_of=watched)) as one:
        outputs = next(one)
    batch = outputs.batch
    states = _in_order(outputs, text)
    real = batch.row(text, batch.real).bool()
    kept = torch.float64 if dtype == "float64" else torch.float32
    values = torch.stack([state[real].to(kept) for state in states.values()])
    norms = torch.stack([state.double().norm(dim=-1) for state in states.values()])
    row = batch.row(text, batch.tensors["input_ids"]).tolist()
    return States(tuple(states), values.numpy(), tuple(row), real.numpy(), norms.numpy())


def _in_order(outputs: Outputs, text: int) -> dict[str, torch.Tensor]:
    """Name -> (positions, hidden), in the order in which they are computed."""
    found: dict[str, torch.Tensor] = {}
    for layer, state in sorted(outputs.hidden_states.items()):
        if layer and outputs.sublayers:
            found[f"layer {layer} attention"] = outputs.sublayers[layer - 1].cpu()
        found[f"layer {layer}" if layer else "embeddings"] = outputs.batch.row(text, state).cpu()
    if not same_numbers(state, outputs.last_hidden_state):  # a last norm stands between
        found["last_hidden_state"] = outputs.batch.row(text, outputs.last_hidden_state).cpu()
    return found
