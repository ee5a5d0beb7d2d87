"""Survey: every hidden state of many texts, one forward pass after another, reduced by readers as it appears."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Protocol

import torch

from bertlens.run.inputs import Batch, Inputs
from bertlens.run.outputs import forward
from bertlens.run.progress import Progress, silent


@dataclass(frozen=True)
class Pass:
    """The hidden states of one forward pass, on the device of the model.

    Attributes
    ----------
    batch : what went in.
    states : each (batch, tokens, hidden): the embeddings, every layer, and last_hidden_state where that is something else
        than the last of them (a final norm stands between).
    pooler_output : (batch, hidden), or None.
    real, special : (batch, tokens), 1 on tokens of a text and 1 on special tokens.
    """

    batch: Batch
    states: tuple[torch.Tensor, ...]
    pooler_output: torch.Tensor | None
    real: torch.Tensor
    special: torch.Tensor


class Reader(Protocol):
    """What reduces the passes of a survey; it keeps no tensor of a pass."""

    def take(self, one: Pass) -> None:
        """Take what is wanted from one pass."""
        ...


def survey(
    inputs: Inputs,
    readers: Sequence[Reader],
    *,
    dtype: str | None = None,
    device: str | None = None,
    seed: int = 0,
    progress: Progress = silent,
) -> tuple[str, ...]:
    """Run every forward pass of `inputs` once and hand its states to all readers; the names of the states.

    Only one pass is in memory at a time. The names are "embeddings", "layer 1", …, and "last_hidden_state" in the
    architectures where it is not the last hidden state.
    """
    depth = inputs.checkpoint.architecture.layers
    tied = True
    with closing(forward(inputs, layers=range(depth + 1), dtype=dtype, device=device, seed=seed, progress=progress)) as passes:
        for at, outputs in enumerate(passes):
            states = tuple(outputs.hidden_states[layer] for layer in range(depth + 1))
            if at == 0:  # a fact of the architecture, the same in every pass
                tied = same_numbers(states[-1], outputs.last_hidden_state)
            states += () if tied else (outputs.last_hidden_state,)
            rows, where = len(outputs.batch.texts), states[0].device
            # where the batch axis was lost (rows=index), sequence 0 is what a person takes for their text
            real, special = outputs.batch.real[:rows].to(where), outputs.batch.special[:rows].to(where)
            pooler = None if outputs.pooler_output is None else outputs.pooler_output[:rows]
            one = Pass(outputs.batch, tuple(state[:rows] for state in states), pooler, real, special)
            for reader in readers:
                reader.take(one)
    return state_names(depth, tied=tied)


def state_names(depth: int, *, tied: bool = True) -> tuple[str, ...]:
    """What the hidden states are called, from the first to the last."""
    names = ("embeddings", *(f"layer {layer}" for layer in range(1, depth + 1)))
    return names if tied else (*names, "last_hidden_state")


def same_numbers(a: torch.Tensor, b: torch.Tensor) -> bool:
    """Whether two tensors hold the same numbers; NaN is like NaN."""
    return a is b or bool(((a == b) | (a.isnan() & b.isnan())).all())


def wide(tensor: torch.Tensor) -> torch.Tensor:
    """On the CPU, in float32, or in float64 where it is."""
    return tensor.to("cpu", torch.float64 if tensor.dtype == torch.float64 else torch.float32)
