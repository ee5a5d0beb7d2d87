"""Outputs: what comes out of the model, one forward pass after another."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass

import torch

from bertlens.errors import BertlensError
from bertlens.run.inputs import Batch, Inputs
from bertlens.run.progress import Progress, silent
from bertlens.run.variants import running


@dataclass(frozen=True)
class Outputs:
    """The outputs of one forward pass.

    Attributes
    ----------
    batch : what went in.
    last_hidden_state : (batch, tokens, hidden).
    hidden_states : index -> (batch, tokens, hidden) for the layers asked for; 0 is the embeddings, n the n-th layer.
    pooler_output : (batch, hidden), or None where the model has no pooler.
    """

    batch: Batch
    last_hidden_state: torch.Tensor
    hidden_states: dict[int, torch.Tensor]
    pooler_output: torch.Tensor | None


def forward(
    inputs: Inputs,
    *,
    layers: Sequence[int] = (),
    dtype: str | None = None,
    device: str | None = None,
    seed: int = 0,
    progress: Progress = silent,
) -> Generator[Outputs, None, None]:
    """Run every batch of `inputs` and yield its outputs; only one batch is in memory at a time.

    Parameters
    ----------
    layers : indices into hidden_states to keep besides the last, 0 … n.
    dtype, device : instead of those of the condition and the checkpoint, for the float64 repeat.
    seed : of dropout, where the condition has it on.

    Raises
    ------
    BertlensError
        Where the model refuses the inputs; the model's own words are kept.
    """
    condition, checkpoint = inputs.condition, inputs.checkpoint
    dtype, device = dtype or condition.dtype, device or checkpoint.device
    dropout = condition.dropout == "on"
    model = checkpoint.instance(dtype, condition.attention, dropout, device)
    with running(dtype, seed if dropout else None):
        for done, batch in enumerate(inputs):
            progress(done, len(inputs), f"{dtype} forward passes")
            yield _pass(model, batch, sorted(set(layers)), device)
        progress(len(inputs), len(inputs), f"{dtype} forward passes")


def _pass(model: torch.nn.Module, batch: Batch, layers: list[int], device: str) -> Outputs:
    tensors = {name: tensor.to(device) for name, tensor in batch.tensors.items()}
    try:
        # a list of indices keeps only those layers (transformers >= 5.23), so memory does not grow with the depth
        out = model(**tensors, output_hidden_states=layers or False, return_dict=True)
    except (RuntimeError, ValueError, IndexError) as error:
        reason = str(error).strip().split("\n")[0][:200]
        raise BertlensError(
            "the model cannot run this condition", got=f"{type(error).__name__}: {reason}", do="change the condition"
        ) from error
    states = out.hidden_states if layers else ()
    kept = {layer: states[layer] for layer in layers}
    return Outputs(batch, out.last_hidden_state, kept, getattr(out, "pooler_output", None))
