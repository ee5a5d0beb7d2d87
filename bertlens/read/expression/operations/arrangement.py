"""Arrangement: the same elements in another shape or order."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from bertlens.read.expression.axes import UNNAMED, Axis, axis, groups, renamed
from bertlens.read.expression.operations.reductions import dims_of
from bertlens.read.expression.operations.registry import everywhere, operation
from bertlens.read.expression.sets import LABEL, MOST_LABELS, Sets, spread
from bertlens.read.expression.tracer import Tracer
from bertlens.read.expression.values import Traced, raw


def reshaped(t: Tracer, x: Traced, value: Any) -> Traced:
    """The cells of `x` in the shape of `value`, whose elements are those of `x` in the same order."""
    before, after = x.shape, tuple(value.shape)
    if before == after:
        return t.made(value, x.axes, x.where, x.unit, (x,))
    found = groups(before, after)
    if found is None:
        nothing = np.zeros((1,) * len(after), LABEL)
        return t.made(value, (), nothing, nothing, (x,))
    axes: list[Axis] = []
    cut = False
    for left, right in found:
        named, across = renamed([x.axes[at] for at in left], [after[at] for at in right])
        axes, cut = [*axes, *named], cut or across
    where, unit = (_regrouped(sets, getattr(x, name), before, after, found) for name, sets in t.both())
    result = t.made(value, axes, where, unit, (x,))
    if cut:
        t.note("cut", x=x, result=result)
    return result


def _regrouped(sets: Sets, labels: np.ndarray, before: tuple[int, ...], after: tuple[int, ...], found: Any) -> np.ndarray:
    """Only axes that are merged or split, and along which something changes, are written out."""
    moving = [(left, right) for left, right in found if any(labels.shape[at] > 1 for at in left)]
    wide = spread(labels, before, {at for left, _ in moving for at in left})
    if wide.size > MOST_LABELS:
        return sets.coarse(labels, len(after))
    keep = {at for _, right in moving for at in right}
    return np.ascontiguousarray(wide).reshape([size if at in keep else 1 for at, size in enumerate(after)])


def _sizes(sizes: Sequence[Any]) -> tuple[Any, ...]:
    whole = sizes[0] if len(sizes) == 1 and isinstance(sizes[0], (tuple, list)) else sizes
    return tuple(raw(size) for size in whole)


@operation("tensor.view", "tensor.reshape", "torch.reshape", "array.reshape", "np.reshape")
def reshape(t: Tracer, input: Traced, /, *shape: Any) -> Traced:
    """Another shape, the elements in the same order."""
    # a view of tensors whose axes were exchanged is refused, where reshape copies
    value = t.real(lambda x: (x.view if t.full_name == "tensor.view" else x.reshape)(_sizes(shape)), input)
    return reshaped(t, input, value)


@operation("tensor.view_as", "tensor.reshape_as")
def reshape_as(t: Tracer, input: Traced, /, other: Traced) -> Traced:
    """The shape of another tensor."""
    return reshaped(t, input, t.real(lambda x: x.reshape(other.shape), input))


@operation("tensor.flatten", "torch.flatten", "array.flatten", "array.ravel", "np.ravel", "tensor.ravel", "torch.ravel")
def flatten(t: Tracer, input: Traced, /, start_dim: int = 0, end_dim: int = -1) -> Traced:
    """Axes merged into one."""
    if input.form == "array":
        return reshaped(t, input, t.real(np.ravel, input))
    return reshaped(t, input, t.real(torch.flatten, input, start_dim, end_dim))


@operation("tensor.unflatten", "torch.unflatten")
def unflatten(t: Tracer, input: Traced, /, dim: int, sizes: Any) -> Traced:
    """One axis taken apart."""
    return reshaped(t, input, t.real(torch.unflatten, input, dim, sizes))


@operation(*everywhere("squeeze"))
def squeeze(t: Tracer, input: Traced, /, dim: Any = None, *, axis: Any = None) -> Traced:
    """Axes of length 1 taken out: all of them, or those that are named."""
    dim = axis if dim is None else dim
    arrays = input.form == "array"
    value = t.real(np.squeeze if arrays else torch.squeeze, input, *(() if dim is None else (dim,)))
    wanted = range(len(input.shape)) if dim is None else dims_of(input, *(dim if isinstance(dim, (tuple, list)) else (dim,)))
    gone = tuple(at for at in wanted if input.shape[at] == 1)
    axes = [one for at, one in enumerate(input.axes) if at not in gone]
    result = t.made(value, axes, np.squeeze(input.where, gone), np.squeeze(input.unit, gone), (input,))
    t.note("squeeze", x=input, dim=dim, gone=gone, result=result)
    return result


@operation("torch.unsqueeze", "tensor.unsqueeze", "np.expand_dims")
def unsqueeze(t: Tracer, input: Traced, /, dim: int = 0, *, axis: int | None = None) -> Traced:
    """An axis of length 1 put in."""
    at = dim if axis is None else axis
    value = t.real(np.expand_dims if input.form == "array" else torch.unsqueeze, input, at)
    place = at % (len(input.shape) + 1)
    axes = [*input.axes[:place], _one(), *input.axes[place:]]
    return t.made(value, axes, np.expand_dims(input.where, place), np.expand_dims(input.unit, place), (input,))


def _one() -> Axis:
    return axis(UNNAMED, 1)


def permuted(t: Tracer, x: Traced, order: Sequence[int]) -> Traced:
    """Axes in another order."""
    value = t.real(np.transpose if x.form == "array" else torch.permute, x, tuple(order))
    order = dims_of(x, *order)
    return t.made(value, [x.axes[at] for at in order], x.where.transpose(order), x.unit.transpose(order), (x,))


@operation("tensor.permute", "torch.permute")
def permute(t: Tracer, input: Traced, /, *dims: Any) -> Traced:
    """Axes in another order."""
    return permuted(t, input, _sizes(dims))


@operation("tensor.transpose", "torch.transpose", "tensor.swapaxes", "torch.swapaxes", "np.swapaxes", "array.swapaxes")
@operation("tensor.swapdims", "torch.swapdims")
def transpose(t: Tracer, input: Traced, /, dim0: int, dim1: int) -> Traced:
    """Two axes exchanged."""
    order = list(range(len(input.shape)))
    a, b = dims_of(input, dim0, dim1)
    order[a], order[b] = b, a
    return permuted(t, input, order)


@operation("np.transpose", "array.transpose")
def numpy_transpose(t: Tracer, input: Traced, /, *axes: Any) -> Traced:
    """Axes in another order, all turned round where none is named."""
    order = _sizes(axes) if axes and axes[0] is not None else tuple(reversed(range(len(input.shape))))
    return permuted(t, input, order)


@operation("tensor.T", "array.T", read=True)
def turned(t: Tracer, input: Traced, /) -> Traced:
    """All axes turned round."""
    return permuted(t, input, tuple(reversed(range(len(input.shape)))))


@operation("tensor.mT", "array.mT", read=True)
@operation("tensor.t", "torch.t", "tensor.adjoint")
def matrix_turned(t: Tracer, input: Traced, /) -> Traced:
    """The last two axes exchanged."""
    return input if len(input.shape) < 2 else transpose(t, input, -2, -1)


@operation("torch.movedim", "tensor.movedim", "torch.moveaxis", "tensor.moveaxis", "np.moveaxis")
def movedim(t: Tracer, input: Traced, /, source: int, destination: int) -> Traced:
    """One axis moved to another place."""
    (start, end), order = dims_of(input, source, destination), list(range(len(input.shape)))
    order.insert(end, order.pop(start))
    return permuted(t, input, order)


def expanded(t: Tracer, x: Traced, shape: Sequence[int]) -> Traced:
    """Repeated along axes of length 1 and along new ones in front."""
    depth = len(shape) - len(x.shape)
    full = [size if size != -1 else x.shape[at - depth] for at, size in enumerate(shape) if size != -1 or at >= depth]
    t.budget.memory([int(raw(size)) for size in full], 8)
    arrays = x.form == "array"
    value = t.real(np.broadcast_to if arrays else torch.Tensor.expand, x, tuple(shape))
    front = (1,) * (value.ndim - len(x.shape))
    axes = [*(_one() for _ in front), *x.axes]
    return t.made(value, axes, x.where.reshape(front + x.where.shape), x.unit.reshape(front + x.unit.shape), (x,))


@operation("tensor.expand", "tensor.broadcast_to", "torch.broadcast_to", "np.broadcast_to")
def expand(t: Tracer, input: Traced, /, *sizes: Any) -> Traced:
    """Repeated along axes of length 1."""
    return expanded(t, input, _sizes(sizes))


@operation("tensor.expand_as")
def expand_as(t: Tracer, input: Traced, /, other: Traced) -> Traced:
    """Repeated to the shape of another tensor."""
    return expanded(t, input, other.shape)


@operation("tensor.repeat", "tensor.tile", "torch.tile", "np.tile")
def repeat(t: Tracer, input: Traced, /, *sizes: Any) -> Traced:
    """Copies side by side."""
    times = _sizes(sizes)
    depth = max(len(times), len(input.shape))
    times = (1,) * (depth - len(times)) + times
    shape = (1,) * (depth - len(input.shape)) + input.shape
    t.budget.memory([a * b for a, b in zip(shape, times, strict=True)], 8)
    value = t.real(np.tile if input.form == "array" else torch.tile, input, times)
    labels = []
    for name, _ in t.both():
        one = getattr(input, name)
        one = one.reshape((1,) * (depth - one.ndim) + one.shape)
        labels.append(np.tile(one, [1 if one.shape[at] == 1 else count for at, count in enumerate(times)]))
    axes = [*(_one() for _ in range(depth - len(input.shape))), *input.axes]
    return t.made(value, axes, labels[0], labels[1], (input,))


@operation("torch.flip", "tensor.flip", "np.flip")
def flip(t: Tracer, input: Traced, /, *dims: Any) -> Traced:
    """Axes run backwards."""
    wanted = _sizes(dims)
    value = t.real(np.flip if input.form == "array" else torch.flip, input, wanted)
    at = dims_of(input, *wanted)
    return t.made(value, input.axes, np.flip(input.where, at), np.flip(input.unit, at), (input,))


@operation("torch.roll", "tensor.roll", "np.roll")
def roll(t: Tracer, input: Traced, /, shifts: int, dims: int | None = None, *, axis: int | None = None) -> Traced:
    """Moved along an axis, the end coming in at the front."""
    at = dims if axis is None else axis
    function, name = (np.roll, "axis") if input.form == "array" else (torch.roll, "dims")
    if at is None:
        at = 0 if len(input.shape) == 1 else None
    value = t.real(function, input, shifts, **{name: at})
    labels = [np.roll(spread(getattr(input, one), input.shape), shifts, axis=at) for one, _ in t.both()]
    return t.made(value, input.axes, labels[0], labels[1], (input,))


@operation("torch.diagonal", "tensor.diagonal", "torch.diag", "tensor.diag", "np.diagonal", "np.diag", "array.diagonal")
def diagonal(t: Tracer, input: Traced, /, offset: int = 0) -> Traced:
    """The diagonal of a matrix."""
    value = t.real(np.diagonal if input.form == "array" else torch.diagonal, input, offset)
    labels = [np.diagonal(spread(getattr(input, name), input.shape), offset, 0, 1) for name, _ in t.both()]
    return t.made(value, [*input.axes[2:], axis(input.axes[0].name, value.shape[-1])], labels[0], labels[1], (input,))


@operation("torch.triu", "tensor.triu", "torch.tril", "tensor.tril", "np.triu", "np.tril")
def triangle(t: Tracer, input: Traced, /, diagonal: int = 0) -> Traced:
    """One side of a matrix, zeros on the other."""
    name = t.called
    value = t.real(getattr(np if input.form == "array" else torch, name), input, diagonal)
    kept = getattr(np, name)(np.ones(input.shape, dtype=bool), diagonal)
    where, unit = (np.where(kept, getattr(input, one), 0) for one, _ in t.both())
    return t.made(value, input.axes, where, unit, (input,))
