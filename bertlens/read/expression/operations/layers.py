"""Layers: `nn.Linear(768, 2)(x)` and its like, with fresh weights as PyTorch draws them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from bertlens.read.expression.operations.arrangement import flatten
from bertlens.read.expression.operations.contraction import linear
from bertlens.read.expression.operations.pointwise import pointwise
from bertlens.read.expression.operations.reductions import mix, reduce
from bertlens.read.expression.operations.registry import LEGAL, operation
from bertlens.read.expression.tracer import Refused, Tracer
from bertlens.read.expression.values import Traced, raw
from bertlens.run.variants import RANDOM


@dataclass(frozen=True, eq=False)
class Layer:
    """A layer that waits for its input."""

    name: str
    call: Callable[[Tracer, Traced], Traced]


@operation("nn.Linear")
def new_linear(t: Tracer, in_features: Any, out_features: Any, /, bias: bool = True) -> Layer:
    """A linear layer, drawn with seed 0; a real one draws other weights at every start."""
    features, out = int(raw(in_features)), int(raw(out_features))
    if features < 1 or out < 1:
        raise Refused("RuntimeError: a linear layer wants two positive lengths", f"Linear({features}, {out})")
    t.budget.memory((features, out), 4)
    with RANDOM, torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        made = torch.nn.Linear(features, out, bias=bias)
    weight = made.weight.detach()
    return Layer("Linear", lambda t, x: linear(t, x, features, out, weight, None if made.bias is None else made.bias.detach()))


@operation("nn.LayerNorm")
def new_layer_norm(t: Tracer, normalized_shape: Any, /, eps: float = 1e-5) -> Layer:
    """LayerNorm over the last axes, with weights of one and biases of zero."""
    lengths = normalized_shape if isinstance(normalized_shape, (tuple, list)) else (normalized_shape,)

    def norm(t: Tracer, x: Traced) -> Traced:
        value = t.real(torch.nn.functional.layer_norm, x, tuple(lengths), eps=eps)
        return mix(t, value, x, range(len(x.shape) - len(lengths), len(x.shape)))

    return Layer("LayerNorm", norm)


@operation("nn.Softmax", "nn.LogSoftmax")
def new_softmax(t: Tracer, dim: int | None = None) -> Layer:
    """Softmax along an axis."""
    name = {"Softmax": "softmax", "LogSoftmax": "log_softmax"}[t.called]
    return Layer(t.called, lambda t, x: LEGAL[f"torch.{name}"](t, x, dim))


@operation("nn.Tanh", "nn.ReLU", "nn.GELU", "nn.Sigmoid", "nn.SiLU", "nn.ELU", "nn.LeakyReLU", "nn.Softplus")
def new_activation(t: Tracer) -> Layer:
    """An activation, element by element."""
    made = getattr(torch.nn, t.called)()
    return Layer(t.called, lambda t, x: pointwise(t, t.real(made, x), (x,)))


@operation("nn.Dropout")
def new_dropout(t: Tracer, p: float = 0.5) -> Layer:
    """Dropout as a fresh module has it: on."""

    def drop(t: Tracer, x: Traced) -> Traced:
        t.note("dropout", p=p)
        with RANDOM, torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            value = t.real(torch.nn.functional.dropout, x, p, training=True)
        kept = (value != 0).numpy().astype(np.float32)
        return pointwise(t, value, (x, t.constant(kept)), how="mul")

    return Layer("Dropout", drop)


@operation("nn.Identity")
def new_identity(t: Tracer) -> Layer:
    """Nothing."""
    return Layer("Identity", lambda t, x: x)


@operation("nn.Flatten")
def new_flatten(t: Tracer, start_dim: int = 1, end_dim: int = -1) -> Layer:
    """All axes but the first merged."""
    return Layer("Flatten", lambda t, x: flatten(t, x, start_dim, end_dim))


@operation("nn.CosineSimilarity")
def new_cosine(t: Tracer, dim: int = 1, eps: float = 1e-8) -> Layer:
    """Cosine of vectors along an axis; called with two tensors."""
    return Layer("CosineSimilarity", lambda t, x, y: LEGAL["F.cosine_similarity"](t, x, y, dim))  # type: ignore[misc, arg-type]


@operation("nn.Sequential")
def new_sequence(t: Tracer, *layers: Any) -> Layer:
    """Layers one after another."""
    if not all(isinstance(layer, Layer) for layer in layers):
        raise Refused("TypeError: nn.Sequential wants layers")

    def run(t: Tracer, x: Traced) -> Traced:
        for layer in layers:
            x = layer.call(t, x)
        return x

    return Layer("Sequential", run)


@operation("F.adaptive_avg_pool1d", "F.adaptive_max_pool1d", "F.avg_pool1d", "F.max_pool1d")
def pool(t: Tracer, input: Traced, /, size: Any) -> Traced:
    """Mean or maximum over the whole last axis; smaller windows are not traced."""
    adaptive, width = t.called.startswith("adaptive"), input.shape[-1] if input.shape else 0
    length = int(raw(size[0] if isinstance(size, (tuple, list)) else size))
    if (adaptive and length != 1) or (not adaptive and length != width):
        raise Refused(f"ValueError: {t.called} is traced over the whole axis only", "1" if adaptive else str(width))
    value = t.real(getattr(torch.nn.functional, t.called), input, length)
    how = "mean" if "avg" in t.called else "max"
    found = reduce(t, lambda x, dim, keepdim: value, how, input, -1, True, {})
    assert isinstance(found, Traced)
    return found


@operation("F.dropout")
def dropout(t: Tracer, input: Traced, /, p: float = 0.5, training: bool = True) -> Traced:
    """Dropout, on unless it is told otherwise."""
    return new_dropout(t, p).call(t, input) if training else input
