"""Attentions: the weights with which tokens look at each other, one layer after another while a model runs.

Only eager attention has them: PyTorch's fused kernels never hold the whole matrix. So they are asked of an instance of their
own with eager attention, and the model that everybody shares stays as it is.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

import torch

from bertlens.errors import BertlensError
from bertlens.run.inputs import Batch, Inputs
from bertlens.run.outputs import one_pass
from bertlens.run.progress import Progress, silent
from bertlens.run.variants import running

if TYPE_CHECKING:
    from transformers import PreTrainedModel

T = TypeVar("T")

MOST_TOKENS = 512
"""Tokens of a row, padding included: a layer of 12 heads then has 12.6 MB of weights in float32."""


def attentions(
    inputs: Inputs, reduce: Callable[[Batch, int, torch.Tensor], T], *, progress: Progress = silent
) -> Generator[tuple[Batch, list[T]], None, None]:
    """Run every batch with eager attention and yield what `reduce` made of each layer; one layer at a time is in memory.

    Parameters
    ----------
    reduce : from a batch, the layer (0 … n - 1) and its weights (batch, heads, from, to) to what is kept of them.

    Raises
    ------
    BertlensError
        For rows that are too long, rows without a batch axis, and models that give no square of weights in every layer.
    """
    condition, checkpoint = inputs.condition, inputs.checkpoint
    _check(inputs)
    dropout = condition.dropout == "on"
    model = checkpoint.own_instance(condition.dtype, "eager", dropout)
    model.config.output_attentions = True  # MPNet makes no weights unless it is told, and then keeps those of all layers
    with running(condition.dtype, 0 if dropout else None):
        progress(0, len(inputs), "forward passes with eager attention")
        for done, batch in enumerate(inputs, start=1):
            yield batch, _reduced(model, batch, reduce, checkpoint.device)
            progress(done, len(inputs), "forward passes with eager attention")


def _check(inputs: Inputs) -> None:
    if inputs.condition.rows == "index":
        got = "rows=index: the batch axis is lost, and every token stands alone"
        raise BertlensError("there is no attention to show", got=got, expected="rows=slice", do="keep the batch axis")
    width = max(width for _, width in inputs.groups)
    if width > MOST_TOKENS:
        got, expected = f"a row of {width:,} tokens", f"at most {MOST_TOKENS}"
        do = f"set max_length={MOST_TOKENS}, or split the text"
        raise BertlensError("the attention of this text is too large", got=got, expected=expected, do=do)


def _reduced(model: PreTrainedModel, batch: Batch, reduce: Callable[[Batch, int, torch.Tensor], T], device: str) -> list[T]:
    found: list[T] = []

    def take(weights: torch.Tensor) -> None:
        found.append(reduce(batch, len(found), weights))

    with each_layer(model, tuple(batch.real.shape), take):
        one_pass(model, batch, [], device)
    depth = int(model.config.num_hidden_layers)
    if len(found) != depth:
        kind = model.config.model_type
        raise BertlensError(
            "there is no attention to show",
            got=f"{len(found)} squares of weights from a model of {depth} layers ({kind})",
            expected="the weights of every token to every other, once a layer",
            do="choose a model in which every layer attends to the whole text",
        )
    return found


@contextmanager
def each_layer(model: torch.nn.Module, shape: tuple[int, ...], take: Callable[[torch.Tensor], None]) -> Iterator[None]:
    """While it is open, `take` gets the attention weights of each layer as they are made, (batch, heads, from, to).

    They are taken out of what the modules return, so that no model collects the weights of all its layers. A layer that runs
    several times (ALBERT) gives its weights each time.

    Parameters
    ----------
    model : an instance of the caller's own (`Checkpoint.own_instance`) with eager attention: hooks hang on it until the end.
    shape : (batch, tokens) of what goes in.
    """
    square = (shape[0], shape[1], shape[1])

    def given(_: torch.nn.Module, __: Any, output: Any) -> Any:
        if not isinstance(output, tuple):
            return None
        for at, value in enumerate(output):
            if at and isinstance(value, torch.Tensor) and value.ndim == 4 and square == (len(value), *value.shape[2:]):
                take(value)
                # an empty tensor in its place: the modules around this one pass it on, and must not be taken for another layer
                return (*output[:at], value.new_empty(0), *output[at + 1 :])
        return None

    handles = [module.register_forward_hook(given) for module in model.modules()]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()
