"""Sublayers: the stream between the attention and the MLP of every layer, caught while a model runs."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import torch

ATTENTION = re.compile("attention|attn")
"""What the part of a layer that mixes tokens is called, in every family (attention, attn, self_attn …)."""

Keep = Callable[[torch.Tensor], torch.Tensor]


class _Layer:
    """One layer: the first linear module that runs after its attention reads what the MLP reads."""

    def __init__(self, caught: list[torch.Tensor], keep: Keep) -> None:
        self.caught, self.keep = caught, keep
        self.attended = False

    def begins(self, *_: Any) -> None:
        self.attended = False

    def has_attended(self, *_: Any) -> None:
        self.attended = True

    def reads(self, _: torch.nn.Module, arguments: tuple[Any, ...]) -> None:
        if self.attended and arguments:
            self.caught.append(self.keep(arguments[0]))
            self.attended = False


@contextmanager
def mlp_inputs(model: torch.nn.Module, keep: Keep) -> Iterator[list[torch.Tensor]]:
    """While it is open, `keep` of what the MLP of each layer reads is appended, one entry a layer in the order they run.

    After the attention sublayer comes the MLP: in a post-LN layer (BERT and most others) it reads the normalised sum of the
    layer's input and the attention's output, in a pre-LN layer (ModernBERT) the same sum after the MLP's own norm. A layer
    that runs several times (ALBERT) has as many entries. A model whose layers cannot be told from its modules has none.

    Parameters
    ----------
    model : an instance of the caller's own (`Checkpoint.own_instance`), because hooks hang on it until the end.
    keep : from (batch, tokens, hidden) to what is kept of it.
    """
    caught: list[torch.Tensor] = []
    with ExitStack() as hooks:
        for module, attentions, others in layers_in(model):
            layer = _Layer(caught, keep)
            handles = [module.register_forward_pre_hook(layer.begins)]
            handles += [attention.register_forward_hook(layer.has_attended) for attention in attentions]
            handles += [linear.register_forward_pre_hook(layer.reads) for linear in others]
            for handle in handles:
                hooks.callback(handle.remove)
        yield caught


def layers_in(model: torch.nn.Module) -> Iterator[tuple[torch.nn.Module, list[torch.nn.Module], list[torch.nn.Module]]]:
    """Every module that holds an attention and, beside it, linear modules: itself, its attentions, those modules."""
    for module in model.modules():
        named = [(ATTENTION.search(name) is not None, child) for name, child in module.named_children()]
        attentions = [child for is_attention, child in named if is_attention and _linear(child)]
        others = [linear for is_attention, child in named if not is_attention for linear in _linear(child)]
        if attentions and others:
            yield module, attentions, others


def _linear(module: torch.nn.Module) -> list[torch.nn.Module]:
    return [part for part in module.modules() if isinstance(part, torch.nn.Linear)]
