"""Creation: constants, and tensors in the shape of others."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import torch

from bertlens.read.expression.operations.pointwise import afford, pointwise
from bertlens.read.expression.operations.registry import LEGAL, operation
from bertlens.read.expression.tracer import Tracer
from bertlens.read.expression.values import Traced, raw


def _filled(name: str, place: str, t: Tracer, /, *sizes: Any, dtype: Any = None, device: Any = None) -> Traced:
    """Zeros or ones."""
    shape = sizes[0] if len(sizes) == 1 and isinstance(sizes[0], (tuple, list)) else sizes
    shape = tuple(raw(size) for size in shape)
    if all(isinstance(size, int) for size in shape):
        t.budget.memory([abs(size) for size in shape], 8)
    return t.constant(t.real(getattr(np if place == "np" else torch, name), shape, **({"dtype": dtype} if dtype else {})))


def _like(name: str, place: str, t: Tracer, input: Traced, /, *value: Any, dtype: Any = None) -> Traced:
    """Zeros, ones or a value in the shape of another tensor."""
    t.budget.memory(input.shape, 8)
    made = t.real(getattr(np if place == "np" else torch, name), input, *value, **({"dtype": dtype} if dtype else {}))
    constant = t.constant(made)
    return Traced(constant.value, constant.form, input.axes, constant.where, constant.unit)


for _place in ("torch", "np"):
    for _name in ("zeros", "ones"):
        LEGAL[f"{_place}.{_name}"] = partial(_filled, _name, _place)
    for _name in ("zeros_like", "ones_like", "full_like"):
        LEGAL[f"{_place}.{_name}"] = partial(_like, _name, _place)


@operation("torch.full", "np.full")
def full(t: Tracer, size: Any, value: Any, /, dtype: Any = None) -> Traced:
    """One value everywhere."""
    shape = tuple(raw(one) for one in size) if isinstance(size, (tuple, list)) else (raw(size),)
    if all(isinstance(one, int) for one in shape):
        t.budget.memory([abs(one) for one in shape], 8)
    library = np if t.called_in("np") else torch
    return t.constant(t.real(library.full, shape, value, **({"dtype": dtype} if dtype else {})))


@operation("torch.arange", "np.arange", "torch.linspace", "np.linspace", "torch.eye", "np.eye")
def counted(t: Tracer, first: Any, /, *others: Any, dtype: Any = None, device: Any = None) -> Traced:
    """Numbers in steps, or ones on a diagonal."""
    numbers = [abs(t.real(float, one)) for one in (first, *others)]
    step = numbers[2] if len(numbers) > 2 and t.called == "arange" and numbers[2] else 1
    length = (
        numbers[0] ** 2 if t.called == "eye" and len(numbers) == 1 else numbers[0] * (numbers[1] if t.called == "eye" else 1)
    )
    if t.called == "linspace":
        length = numbers[2] if len(numbers) > 2 else 100
    elif t.called == "arange":
        length = sum(numbers[:2]) / step
    t.budget.memory((int(min(length, 1e18)),), 8)
    library = np if t.called_in("np") else torch
    return t.constant(t.real(getattr(library, t.called), first, *others, **({"dtype": dtype} if dtype else {})))


@operation("torch.where", "np.where", "tensor.where")
def where(t: Tracer, condition: Any, input: Any, other: Any, /) -> Traced:
    """One of two, by a condition; as a method the tensor is the first of the two."""
    if t.full_name == "tensor.where":
        condition, input = input, condition
    afford(t, condition, input, other)
    value = t.real(np.where if t.called_in("np") else torch.where, condition, input, other)
    return _chosen(t, value, t.traced(condition), t.traced(input), t.traced(other))


@operation("tensor.masked_fill", "torch.masked_fill")
def masked_fill(t: Tracer, input: Traced, /, mask: Traced, value: Any) -> Traced:
    """Another value where a mask is true: the cells that stood there are gone."""
    afford(t, input, mask)
    return _chosen(t, t.real(torch.masked_fill, input, mask, value), mask, t.traced(value), input)


def _chosen(t: Tracer, value: Any, condition: Traced, yes: Traced, no: Traced) -> Traced:
    """Every element from one of two places; both are followed only where they are chosen."""
    taken = condition.with_form("array", np.asarray(condition.value).astype(np.int64))
    turned = taken.with_form("array", 1 - taken.value)
    first = pointwise(t, np.zeros(_shape(value)), (yes, taken), how="mul") if yes.sources else None
    second = pointwise(t, np.zeros(_shape(value)), (no, turned), how="mul") if no.sources else None
    parts = [part for part in (first, second) if part is not None] or [condition]
    joined = pointwise(t, value, parts)
    return t.made(value, joined.axes, joined.where, joined.unit, (condition, yes, no))


def _shape(value: Any) -> tuple[int, ...]:
    return tuple(value.shape)
