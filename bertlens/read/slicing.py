"""Slicing: every tensor that goes in or comes out, with named axes."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass
from typing import Any

import torch

from bertlens.read.capture import Capture
from bertlens.run.inputs import Inputs
from bertlens.run.outputs import Outputs, forward

AXES: dict[str, tuple[str, ...]] = {
    "input_ids": ("batch", "tokens"),
    "attention_mask": ("batch", "tokens"),
    "token_type_ids": ("batch", "tokens"),
    "position_ids": ("batch", "tokens"),
    "last_hidden_state": ("batch", "tokens", "hidden"),
    "pooler_output": ("batch", "hidden"),
    "hidden_states": ("layers", "batch", "tokens", "hidden"),
}
"""The named axes of every tensor; `hidden_states` is a tuple over the layers, embeddings first."""


@dataclass(frozen=True)
class Tensor:
    """One tensor that goes in or comes out.

    Attributes
    ----------
    name, axes, shape : e.g. "last_hidden_state", ("batch", "tokens", "hidden"), (2, 10, 384).
    dtype : e.g. "float32".
    bytes : memory of its values.
    direction : "in" or "out".
    meaning : one sentence.
    """

    name: str
    axes: tuple[str, ...]
    shape: tuple[int, ...]
    dtype: str
    bytes: int
    direction: str
    meaning: str

    def to_dict(self) -> dict[str, Any]:
        """The contract's names."""
        return {
            "name": self.name,
            "axes": list(self.axes),
            "shape": list(self.shape),
            "dtype": self.dtype,
            "bytes": self.bytes,
            "direction": self.direction,
            "meaning": self.meaning,
        }


MEANING = {
    "input_ids": "the token ids, padding included",
    "attention_mask": "1 where the model may look, 0 on padding",
    "token_type_ids": "which sentence of a pair a token belongs to",
    "position_ids": "the position each token is given",
    "last_hidden_state": "one vector per token, after the last layer (not all layers)",
    "pooler_output": "one vector per text: the first token through the pooler's dense layer and tanh",
    "hidden_states": "a tuple: the embeddings, then the output of every layer",
}


def tensors_of(inputs: Inputs) -> tuple[Tensor, ...]:
    """Every tensor of the first forward pass, in and out; hidden states are counted and not kept."""
    one = type(inputs)(inputs.checkpoint, inputs.condition, inputs.tokens, inputs.groups[:1], inputs.sliced)
    with closing(forward(one)) as passes:
        outputs = next(passes)
    found = [_tensor(name, tensor, "in") for name, tensor in outputs.batch.tensors.items()]
    found.append(_tensor("last_hidden_state", outputs.last_hidden_state, "out"))
    if outputs.pooler_output is not None:
        found.append(_tensor("pooler_output", outputs.pooler_output, "out"))
    return (*found, _hidden_states(outputs, inputs.checkpoint.architecture.layers))


def tensors_in(capture: Capture) -> tuple[Tensor, ...]:
    """Every tensor of a capture, in and out."""
    found = [_tensor(name, tensor, "in") for name, tensor in capture.inputs.items() if name in AXES]
    found.append(_tensor("last_hidden_state", capture.last_hidden_state, "out"))
    if capture.pooler_output is not None:
        found.append(_tensor("pooler_output", capture.pooler_output, "out"))
    if "hidden_states" in capture.fields:
        dtype, shape = found[-1].dtype, (len(capture.hidden_states), *capture.last_hidden_state.shape)
        size = sum(state.nbytes for state in capture.hidden_states)
        found.append(Tensor("hidden_states", AXES["hidden_states"], shape, dtype, size, "out", MEANING["hidden_states"]))
    return tuple(found)


def _tensor(name: str, tensor: torch.Tensor, direction: str) -> Tensor:
    dtype = str(tensor.dtype).removeprefix("torch.")
    return Tensor(name, AXES[name], tuple(tensor.shape), dtype, tensor.nbytes, direction, MEANING[name])


def _hidden_states(outputs: Outputs, depth: int) -> Tensor:
    last = outputs.last_hidden_state
    dtype = str(last.dtype).removeprefix("torch.")
    shape = (depth + 1, *last.shape)
    name = "hidden_states"
    return Tensor(name, AXES[name], shape, dtype, (depth + 1) * last.nbytes, "out", MEANING[name])
