"""Embedded: the lookup alone, the embedding module alone, and vectors that take the place of ids."""

from __future__ import annotations

import inspect
from dataclasses import replace
from typing import TYPE_CHECKING

import torch

from bertlens.errors import BertlensError
from bertlens.run.inputs import Batch
from bertlens.run.outputs import Outputs, one_pass
from bertlens.run.variants import running

if TYPE_CHECKING:
    from transformers import PreTrainedModel

    from bertlens.run.checkpoint import Checkpoint

ATTENTION = "sdpa"
"""The attention implementation of every pass here, as in a plain `from_pretrained`."""


def instance_of(checkpoint: Checkpoint, dtype: str = "float32") -> PreTrainedModel:
    """The shared instance that runs here, dropout off; float64 runs on the CPU."""
    return checkpoint.instance(dtype, ATTENTION, False, device_of(checkpoint, dtype))


def device_of(checkpoint: Checkpoint, dtype: str) -> str:
    """Where a pass of this number format runs."""
    return "cpu" if dtype == "float64" else checkpoint.device


def word_table(model: PreTrainedModel) -> torch.nn.Embedding:
    """The table that turns token ids into vectors, (vocabulary, width).

    Raises
    ------
    BertlensError
        Where the model looks nothing up in a plain table.
    """
    table = model.get_input_embeddings()
    if not isinstance(table, torch.nn.Embedding):
        raise BertlensError(
            f"cannot look tokens up in {model.config.model_type}",
            got=type(table).__name__,
            expected="one table of token vectors",
        )
    return table


def lookup(checkpoint: Checkpoint, ids: torch.Tensor, *, dtype: str = "float32") -> torch.Tensor:
    """`get_input_embeddings()(ids)`: (batch, tokens) -> (batch, tokens, width). Nothing else of the model runs."""
    table = word_table(instance_of(checkpoint, dtype))
    with running(dtype, None):
        return table(ids.to(table.weight.device))  # type: ignore[no-any-return]


def with_vectors(batch: Batch, vectors: torch.Tensor, positions: torch.Tensor | None = None) -> Batch:
    """The same batch with vectors, (batch, tokens, width), in the place of its ids: what `inputs_embeds=` is for."""
    tensors = {name: tensor for name, tensor in batch.tensors.items() if name != "input_ids"}
    tensors["inputs_embeds"] = vectors
    return with_positions(replace(batch, tensors=tensors), positions)


def with_positions(batch: Batch, positions: torch.Tensor | None) -> Batch:
    """The same batch with `position_ids`, (batch, tokens), of one's own; None leaves them to the model."""
    return batch if positions is None else replace(batch, tensors={**batch.tensors, "position_ids": positions})


def every_state(checkpoint: Checkpoint, batch: Batch, *, dtype: str = "float32") -> Outputs:
    """One forward pass with all hidden states, dropout off."""
    layers = list(range(checkpoint.architecture.layers + 1))
    with running(dtype, None):
        return one_pass(instance_of(checkpoint, dtype), batch, layers, device_of(checkpoint, dtype))


def embeddings_module(model: PreTrainedModel) -> tuple[str, torch.nn.Module]:
    """The module in which the word table lies, and its name: in BERT `embeddings`, with positions, segments and LayerNorm."""
    table = word_table(model)
    path = next(name for name, module in model.named_modules() if module is table)
    parent = path.rpartition(".")[0]
    return parent, model.get_submodule(parent)


def embeddings_alone(checkpoint: Checkpoint, batch: Batch, *, dtype: str = "float32") -> torch.Tensor:
    """The embedding module of the model run alone on a batch of ids or of vectors, (batch, tokens, width); no layer runs.

    A batch of vectors (`with_vectors`) needs its segments and, where the model counts positions by ids, its positions too.

    Raises
    ------
    BertlensError
        Where the word table lies in no module that can be called with these inputs.
    """
    model = instance_of(checkpoint, dtype)
    name, module = embeddings_module(model)
    taken = inspect.signature(module.forward).parameters
    absent = {"input_ids": None} if "input_ids" in taken else {}  # DistilBERT's has no default for them
    given = {key: tensor.to(model.device) for key, tensor in batch.tensors.items() if key in taken}
    try:
        with running(dtype, None):
            return module(**{**absent, **given})  # type: ignore[no-any-return]
    except (TypeError, NotImplementedError, AttributeError) as error:
        raise BertlensError(
            f"cannot run the embeddings of {checkpoint.name} alone", got=f"the module '{name}' refuses ({type(error).__name__})"
        ) from error
