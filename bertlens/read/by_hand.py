"""By hand: what the functions of a head compute, written out from the weights, for checking the model's own numbers."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor


def linear(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """x W^T + b."""
    product = x @ weight.T
    return product if bias is None else product + bias


def tanh(x: Tensor) -> Tensor:
    """(1 - e^-2|x|) / (1 + e^-2|x|) with the sign of x, which overflows nowhere."""
    small = -2 * x.abs()
    return x.sign() * -torch.expm1(small) / (1 + small.exp())


def relu(x: Tensor, inplace: bool = False) -> Tensor:
    """x where it is above zero, else 0."""
    return x.where(x > 0, torch.zeros_like(x))


def gelu(x: Tensor, approximate: str = "none") -> Tensor:
    """x times the normal distribution function of x, or its usual approximation by tanh."""
    if approximate == "tanh":
        return x / 2 * (1 + tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))
    return x / 2 * (1 + torch.erf(x / math.sqrt(2)))


def layer_norm(x: Tensor, shape: Any, weight: Tensor | None = None, bias: Tensor | None = None, eps: float = 1e-5) -> Tensor:
    """(x - mean) / sqrt(variance + eps), times the weight, plus the bias."""
    away = x - x.mean(-1, keepdim=True)
    found = away / (away.square().mean(-1, keepdim=True) + eps).sqrt()
    found = found if weight is None else found * weight
    return found if bias is None else found + bias


def dropout(x: Tensor, p: float = 0.5, training: bool = False, inplace: bool = False) -> Tensor:
    """x itself: dropout is off."""
    return x


RULES: dict[str, Callable[..., Any]] = {
    "linear": linear,
    "tanh": tanh,
    "relu": relu,
    "gelu": gelu,
    "layer_norm": layer_norm,
    "dropout": dropout,
}
"""Functions that are written out here, by their names in PyTorch; others (a slice, a sum) are called as they are."""

FORMULAS: dict[str, str] = {
    "linear": "x Wᵀ + b",
    "tanh": "(e²ˣ − 1) / (e²ˣ + 1)",
    "relu": "max(x, 0)",
    "gelu": "x Φ(x)",
    "layer_norm": "(x − mean) / √(variance + eps) · w + b",
    "dropout": "x (dropout is off)",
}
"""The same as a person writes it."""
