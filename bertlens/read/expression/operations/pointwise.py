"""Pointwise: one element at a time, with broadcasting."""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import torch

from bertlens.read.expression.axes import UNNAMED, Axis, axis
from bertlens.read.expression.operations.registry import LEGAL
from bertlens.read.expression.sets import LABEL, compressed, only_where
from bertlens.read.expression.tracer import Refused, Tracer
from bertlens.read.expression.values import Traced

DROWNS = 1e4
"""A number this large can swallow what is added to it: -1e9 on padding leaves nothing of the state that stood there."""

ARITHMETIC: dict[str, Callable[[Any, Any], Any]] = {
    "add": operator.add,
    "sub": operator.sub,
    "mul": operator.mul,
    "div": operator.truediv,
    "floor_divide": operator.floordiv,
    "remainder": operator.mod,
    "pow": operator.pow,
    "eq": operator.eq,
    "ne": operator.ne,
    "lt": operator.lt,
    "le": operator.le,
    "gt": operator.gt,
    "ge": operator.ge,
    "bitwise_and": operator.and_,
    "bitwise_or": operator.or_,
    "bitwise_xor": operator.xor,
}
"""Operators by the name that PyTorch gives them."""

ALSO = {"sub": ("subtract",), "mul": ("multiply",), "div": ("divide", "true_divide"), "pow": ("power",)}
ALSO |= {"ne": ("not_equal",), "lt": ("less",), "gt": ("greater",)}
ALSO |= {"le": ("less_equal",), "ge": ("greater_equal",)}
TWO = ("maximum", "minimum", "logical_and", "logical_or", "logical_xor", "fmod", "isclose", "atan2", "hypot")
ONE = (
    *("abs", "absolute", "exp", "log", "log2", "log10", "log1p", "expm1", "sqrt", "rsqrt", "square", "reciprocal", "sign"),
    *("tanh", "sin", "cos", "floor", "ceil", "neg", "negative", "isnan", "isinf", "isfinite", "logical_not", "round"),
    *("clamp", "clip", "nan_to_num", "bitwise_not", "erf", "relu", "sigmoid", "trunc"),
)
ACTIVATIONS = ("gelu", "relu", "silu", "elu", "selu", "leaky_relu", "softplus", "logsigmoid", "sigmoid", "tanh", "relu6")


def pointwise(t: Tracer, value: Any, operands: Sequence[Any], *, how: str = "") -> Traced:
    """A result in which every element depends on the operands' elements at its place.

    `how` is "mul" or "div" where a zero hides what it is multiplied with, "add" where a huge number swallows the other.
    """
    traced = [operand for operand in operands if isinstance(operand, Traced)]
    top = max(one.rank for one in traced)
    shape = tuple(np.shape(value)) if not isinstance(value, torch.Tensor) else tuple(value.shape)
    seen = [_seen(operand, operands, value, how, len(shape)) for operand in traced if operand.rank == top]
    labels = {}
    for at, (name, sets) in enumerate(t.both()):
        labels[name] = np.zeros((1,) * len(shape), LABEL)
        for one in seen:
            labels[name] = sets.union(labels[name], one[at])
    made = t.made(value, _broadcast_axes(traced, shape), labels["where"], labels["unit"], operands)
    # x / x.norm(dim=1, keepdim=True) still has the axis over which its divisor was reduced
    left = {name for one in made.axes for name in one.names}
    return replace(made, reduced=tuple(one for one in made.reduced if one[0] not in left or len(traced) == 1))


def _seen(operand: Traced, operands: Sequence[Any], value: Any, how: str, depth: int) -> tuple[np.ndarray, np.ndarray]:
    """The labels of one operand, empty where the other one hides it."""
    labels = (_aligned(operand.where, depth), _aligned(operand.unit, depth))
    others = [other for other in operands if other is not operand]
    if not how or len(others) != 1 or not labels[0].any():
        return labels
    other = others[0].value if isinstance(others[0], Traced) else np.asarray(others[0])
    visible = _visible(operand.value, other, value, how, operand is operands[0])
    if visible is None:
        return labels
    return only_where(_aligned(visible, depth), *labels)


def _visible(own: Any, other: Any, value: Any, how: str, first: bool) -> np.ndarray | None:
    """Where an operand makes a difference to the result; None where it does everywhere."""
    if how == "mul" or (how == "div" and not first):
        seen = _array(other) != 0
    elif how == "add":
        other = _array(other)
        if not other.size or other.dtype == bool or not np.max(np.abs(other), initial=0) >= DROWNS:
            return None
        mine, result = _array(own), _array(value)
        seen = ~((result == other) & (mine != 0) & (np.abs(other) >= DROWNS))
    else:
        return None
    return None if seen.all() else compressed(seen)


def _array(value: Any) -> np.ndarray:
    if isinstance(value, torch.Tensor):
        return value.float().numpy() if value.dtype is torch.bfloat16 else value.numpy()
    return np.asarray(value)


def _aligned(labels: np.ndarray, depth: int) -> np.ndarray:
    """Axes of length 1 in front, as broadcasting puts them."""
    return labels.reshape((1,) * (depth - labels.ndim) + labels.shape)


def _broadcast_axes(traced: Sequence[Traced], shape: tuple[int, ...]) -> list[Axis]:
    """Each axis named by an operand that has its length; states before inputs before constants."""
    ordered = sorted(traced, key=lambda one: -one.rank)
    found = []
    for at in range(-len(shape), 0):
        fits = [one.axes[at] for one in ordered if len(one.axes) >= -at and one.shape[at] == shape[at] and one.axes[at].known]
        found.append(fits[0] if fits else axis(UNNAMED, shape[at]))
    return found


def arithmetic(t: Tracer, name: str, left: Any, right: Any) -> Traced:
    """An operator between two values of which one is traced."""
    afford(t, left, right)
    try:
        value = t.real(ARITHMETIC[name], left, right)
    except Refused:
        t.note("broadcast", left=left, right=right)
        raise
    t.note("pointwise", left=left, right=right, how=name)
    plain = not isinstance(value, (torch.Tensor, np.ndarray, np.generic))
    if plain and any(one.shape for one in (left, right) if isinstance(one, Traced)):
        return t.constant(value, "number")  # `states == None` is one False, whatever the states are
    how = {"sub": "add", "bitwise_and": "mul", "logical_and": "mul"}.get(name, name)
    found = pointwise(t, np.asarray(value) if plain else value, (left, right), how=how)
    if name == "div" and _counts(right, t.capture.batch):
        # a sum over tokens divided by the number of real tokens is a mean
        sums = (("tokens", "sum"), ("tokens", "weighted sum"))
        found = replace(found, reduced=tuple((one[0], "mean") if one in sums else one for one in found.reduced))
    return found.with_form("number") if plain else found


def _counts(value: Any, texts: int) -> bool:
    """Whether a value is how many tokens of each text the attention mask has."""
    if not isinstance(value, Traced) or value.sources != {"attention_mask"} or ("tokens", "sum") not in value.reduced:
        return False
    return texts == 1 or not any(name == "batch" for name, _ in value.reduced)


def afford(t: Tracer, *operands: Any) -> None:
    """A result of the broadcast shape, before it is computed."""
    shapes = [operand.shape for operand in operands if isinstance(operand, Traced)]
    try:
        t.budget.memory(np.broadcast_shapes(*shapes), 8)
    except ValueError:
        return  # PyTorch's and numpy's own words follow


def two(torch_name: str, t: Tracer, input: Any, other: Any, /, **options: Any) -> Any:
    """A function of two tensors, element by element."""
    afford(t, input, other)
    arrays = any(isinstance(one, Traced) and one.form == "array" for one in (input, other))
    value = t.real(getattr(np if arrays else torch, torch_name), input, other, **options)
    return pointwise(t, value, (input, other), how="mul" if torch_name == "logical_and" else "")


def _one(names: tuple[Any, Any], t: Tracer, input: Any, /, *args: Any, **options: Any) -> Any:
    x = t.traced(input)
    function = names[1] if x.form in ("array", "number") else names[0]
    value = t.real(function, x, *args, **options)
    kept = pointwise(t, value, (x, *(one for one in (*args, *options.values()) if isinstance(one, Traced))))
    return kept.with_form("number") if x.form == "number" else kept


def _operator(name: str, t: Tracer, input: Any, other: Any, /, *, alpha: Any = 1) -> Any:
    return arithmetic(t, name, input, arithmetic(t, "mul", t.traced(other), alpha) if alpha != 1 else other)


def _enter() -> None:
    for name in ARITHMETIC:
        for one in (name, *ALSO.get(name, ())):
            for place in ("torch", "tensor", "np"):
                LEGAL[f"{place}.{one}"] = partial(_operator, name)
    LEGAL["np.equal"] = partial(_operator, "eq")
    for name in TWO:
        for place in ("torch", "tensor", "np"):
            LEGAL[f"{place}.{name}"] = partial(two, name)
    for name in ONE:
        numpy_name = {"clamp": "clip", "neg": "negative", "bitwise_not": "invert"}.get(name, name)
        pair = (getattr(torch, name, None), getattr(np, numpy_name, None))
        if pair[0] is not None:
            LEGAL[f"torch.{name}"] = LEGAL[f"tensor.{name}"] = partial(_one, pair)
        if hasattr(np, name):
            LEGAL[f"np.{name}"] = partial(_one, (pair[1], pair[1]))
    LEGAL["array.clip"], LEGAL["array.round"] = (partial(_one, (f, f)) for f in (np.clip, np.round))
    for name in ACTIVATIONS:
        LEGAL[f"F.{name}"] = partial(_one, (getattr(torch.nn.functional, name), getattr(torch.nn.functional, name)))


_enter()
