"""Outputs: what comes out of the model, one forward pass after another."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, TypeVar

import torch

from bertlens.errors import BertlensError
from bertlens.run.inputs import Batch, Inputs
from bertlens.run.progress import Progress, silent
from bertlens.run.side_by_side import in_order
from bertlens.run.sublayers import mlp_inputs
from bertlens.run.variants import running

if TYPE_CHECKING:
    from transformers import PreTrainedModel

Made = TypeVar("Made")


@dataclass(frozen=True)
class Outputs:
    """The outputs of one forward pass.

    Attributes
    ----------
    batch : what went in.
    last_hidden_state : (batch, tokens, hidden).
    hidden_states : index -> (batch, tokens, hidden) for the layers asked for; 0 is the embeddings, n the n-th layer.
    pooler_output : (batch, hidden), or None where the model has no pooler.
    sublayers : per layer what its MLP reads of one text, (tokens, hidden); () where nobody asked or the model does not show it.
    """

    batch: Batch
    last_hidden_state: torch.Tensor
    hidden_states: dict[int, torch.Tensor]
    pooler_output: torch.Tensor | None
    sublayers: tuple[torch.Tensor, ...] = ()


def forward(
    inputs: Inputs,
    *,
    layers: Sequence[int] = (),
    dtype: str | None = None,
    device: str | None = None,
    seed: int = 0,
    sublayers_of: int | None = None,
    progress: Progress = silent,
) -> Generator[Outputs, None, None]:
    """Run every batch of `inputs` and yield its outputs; only one batch is in memory at a time.

    As `made_of`, of nothing but the outputs themselves.
    """
    how = {"dtype": dtype, "device": device, "seed": seed, "sublayers_of": sublayers_of, "progress": progress}
    return made_of(inputs, lambda outputs: outputs, layers=layers, **how)  # type: ignore[arg-type]


def made_of(
    inputs: Inputs,
    make: Callable[[Outputs], Made],
    *,
    layers: Sequence[int] = (),
    dtype: str | None = None,
    device: str | None = None,
    seed: int = 0,
    sublayers_of: int | None = None,
    workers: int = 1,
    progress: Progress = silent,
) -> Generator[Made, None, None]:
    """Run every batch of `inputs` and yield what is made of its outputs; only one batch per worker is in memory at a time.

    Parameters
    ----------
    make : called in the thread of the pass, while its outputs are still in the cache of that core.
    layers : indices into hidden_states to keep besides the last, 0 … n.
    dtype, device : instead of those of the condition and the checkpoint, for the float64 repeat.
    seed : of dropout, where the condition has it on.
    sublayers_of : a text that stands in every batch, of which the sublayers are kept as well.
    workers : passes that run at once, each on one core of the CPU; the last digits depend on how many cores a pass has.

    Raises
    ------
    BertlensError
        Where the model refuses the inputs; the model's own words are kept.
    """
    condition, checkpoint = inputs.condition, inputs.checkpoint
    dtype, device = dtype or condition.dtype, device or checkpoint.device
    dropout = condition.dropout == "on"
    instance = checkpoint.instance if sublayers_of is None else checkpoint.own_instance
    model = instance(dtype, condition.attention, dropout, device)
    kept = sorted(set(layers))

    def one(batch: Batch) -> Made:
        if sublayers_of is not None:
            return make(_pass_watched(model, batch, kept, device, sublayers_of))
        return make(one_pass(model, batch, kept, device))

    def alone(batch: Batch) -> Made:
        with running(dtype, None):  # holds for one thread
            return one(batch)

    several = workers > 1 and len(inputs) > 1 and device == "cpu" and not dropout
    results = in_order(alone, inputs, workers) if several else (one(batch) for batch in inputs)
    with running(dtype, seed if dropout else None), closing(results) as passes:
        progress(0, len(inputs), f"{dtype} forward passes")
        for done, made in enumerate(passes, start=1):
            yield made
            progress(done, len(inputs), f"{dtype} forward passes")


def one_pass(model: PreTrainedModel, batch: Batch, layers: list[int], device: str) -> Outputs:
    """One forward pass of one batch; `layers` are the indices into hidden_states that are kept besides the last.

    Raises
    ------
    BertlensError
        Where the model refuses the inputs; the model's own words are kept.
    """
    # a list of indices keeps only those layers (transformers >= 5.23), so memory does not grow with the depth
    out = called(model, batch, device, output_hidden_states=layers or False)
    states = out.hidden_states if layers else ()
    kept = {layer: states[layer] for layer in layers}
    return Outputs(batch, out.last_hidden_state, kept, getattr(out, "pooler_output", None))


def called(model: PreTrainedModel, batch: Batch, device: str, **options: Any) -> Any:
    """What a model returns for a batch; where it refuses the inputs, a `BertlensError` with its own words."""
    tensors = {name: tensor.to(device) for name, tensor in batch.tensors.items()}
    try:
        return model(**tensors, return_dict=True, **options)
    except (RuntimeError, ValueError, IndexError) as error:
        reason = str(error).strip().split("\n")[0][:200]
        raise BertlensError(
            "the model cannot run this condition", got=f"{type(error).__name__}: {reason}", do="change the condition"
        ) from error


def _pass_watched(model: PreTrainedModel, batch: Batch, layers: list[int], device: str, text: int) -> Outputs:
    """The same with the sublayers of one text: a copy of its row, so that the rest of the batch does not stay in memory."""
    with mlp_inputs(model, lambda stream: batch.row(text, stream).clone()) as caught:
        outputs = one_pass(model, batch, layers, device)
    shape = batch.row(text, outputs.last_hidden_state).shape
    # anything but one state of the row's own shape per layer is something that nobody can name
    known = len(caught) == model.config.num_hidden_layers and all(state.shape == shape for state in caught)
    return replace(outputs, sublayers=tuple(caught) if known else ())
