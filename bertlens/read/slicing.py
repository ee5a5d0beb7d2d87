"""Slicing: every tensor with named axes, and what index, slice and batch make of the same array."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch

from bertlens.read.capture import Capture
from bertlens.run.inputs import Inputs
from bertlens.run.outputs import Outputs, forward
from bertlens.run.variants import running

if TYPE_CHECKING:
    import pandas as pd

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


@dataclass(frozen=True)
class Access:
    """One way of taking a text out of the tokenised array, and what the model makes of it.

    Attributes
    ----------
    way : "index", "slice" or "batch"; `code` as a person writes it.
    ids : shape of input_ids as passed.
    output : shape of last_hidden_state, or None where the model refuses.
    first : shape of `outputs[0][0]`.
    words : what `outputs[0][0]` holds.
    refusal : the model's own error where it refuses.
    """

    way: str
    code: str
    ids: tuple[int, ...]
    output: tuple[int, ...] | None
    first: tuple[int, ...] | None
    words: str
    refusal: str = ""


def accesses(inputs: Inputs, text: int) -> tuple[Access, ...]:
    """Index, slice and batch on the same array of ids, run live.

    The index is passed to PyTorch as it is (which refuses a 1-D array of ids) and as Keras reads it: (tokens, 1).
    """
    batch = next(iter(inputs.containing([text])))
    row = batch.texts.index(text)
    model = inputs.checkpoint.instance(inputs.condition.dtype, inputs.condition.attention, False)
    array = batch.tensors
    ways: list[tuple[str, str, Mapping[str, torch.Tensor], str]] = [
        ("index", f"ids[{row}]", {k: v[row] for k, v in array.items()}, ""),
        (
            "index, as Keras reads it",
            f"ids[{row}][:, None]",
            {k: v[row][:, None] for k, v in array.items()},
            "the lone first token: the same vector for every text",
        ),
        (
            "slice",
            f"ids[{row}:{row + 1}]",
            {k: v[row : row + 1] for k, v in array.items()},
            f"every token of text {text}; its [CLS] is [0]",
        ),
        ("batch", "ids", array, f"every token of text {batch.texts[0]}, never one vector per text"),
    ]
    found = []
    with running(inputs.condition.dtype, None):
        for way, code, tensors, words in ways:
            found.append(_access(model, way, code, {k: v.to(model.device) for k, v in tensors.items()}, words))
    return tuple(found)


def _access(model: Any, way: str, code: str, tensors: dict[str, torch.Tensor], words: str) -> Access:
    ids = tuple(tensors["input_ids"].shape)
    try:
        output = model(**tensors).last_hidden_state
    except (ValueError, IndexError, RuntimeError) as error:
        refusal = f"{type(error).__name__}: {str(error).strip().splitlines()[0][:200]}"
        return Access(way, code, ids, None, None, "PyTorch refuses a 1-D array of ids", refusal)
    return Access(way, code, ids, tuple(output.shape), tuple(output[0].shape), words)


def access_frame(found: tuple[Access, ...]) -> pd.DataFrame:
    """One line per way of access."""
    import pandas as pd

    return pd.DataFrame(
        [
            {
                "you write": access.code,
                "input_ids": str(access.ids),
                "last_hidden_state": str(access.output) if access.output else access.refusal,
                "outputs[0][0]": str(access.first) if access.first else "",
                "which is": access.words,
            }
            for access in found
        ]
    )
