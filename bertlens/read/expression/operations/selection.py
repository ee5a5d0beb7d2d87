"""Selection: what an index or a slice picks, and what an assignment to one writes."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch

from bertlens.read.expression.axes import UNNAMED, Axis, axis
from bertlens.read.expression.operations.registry import operation
from bertlens.read.expression.sets import compressed, only_where, spread
from bertlens.read.expression.tracer import Refused, Tracer
from bertlens.read.expression.values import Traced, raw

FULL = slice(None)


def pick(t: Tracer, x: Traced, index: Any) -> Traced:
    """`x[index]` with its cells."""
    if type(index) is int and x.form in ("tensor", "array") and len(x.shape) > 1:
        return _row(t, x, index)
    if isinstance(index, tuple):
        index = tuple(list(item) if isinstance(item, range) else item for item in index)
    index = list(index) if isinstance(index, range) else index
    items = list(index) if isinstance(index, tuple) else [index]
    _afford(t, x, items)
    value = t.real(operator.getitem, x, index)
    if any(array is not None and array.dtype.kind not in "iub" for array in map(_array, items)):
        raise Refused("IndexError: tensors used as indices must be long, int, byte or bool tensors")
    if x.form == "list":
        value = np.asarray(value)
    items = filled(items, len(x.shape))
    if x.form != "array" and any(_advanced(item) for item in items):
        x, items = _integers_first(t, x, items)
    labels = [getattr(x, name)[_on_labels(items, getattr(x, name))] for name, _ in t.both()]
    others = [item for item in items if isinstance(item, Traced)]
    axes = _axes(x, items)
    where, unit = (_fit(one, np.shape(value)) for one in labels)
    found = t.made(value, axes, where, unit, (x, *others))
    form = x.form if x.form != "list" else "list" if found.shape else "number"
    t.note("index", x=x, items=tuple(items), result=found)
    return found.with_form(form)


def _row(t: Tracer, x: Traced, index: int) -> Traced:
    """One place of the first axis: what loops do, thousands of times, without a look at every other way to index."""
    value = t.real(operator.getitem, x, index)
    where, unit = (one[0 if len(one) == 1 else index] for one in (x.where, x.unit))
    found = replace(x, value=value, axes=x.axes[1:], where=where, unit=unit)
    t.note("index", x=x, items=(index, *[FULL] * len(found.shape)), result=found)
    return found


def _fit(labels: np.ndarray, shape: Sequence[int]) -> np.ndarray:
    """A numpy index of one element gives a scalar."""
    return np.asarray(labels).reshape((1,) * (len(shape) - np.ndim(labels)) + np.shape(labels))


def filled(items: list[Any], depth: int) -> list[Any]:
    """One item per axis: the ellipsis and everything left out as full slices; a boolean array stands for its axes."""
    used = sum(_consumed(item) for item in items)
    rest = [FULL] * max(depth - used, 0)
    if any(item is Ellipsis for item in items):
        at = next(at for at, item in enumerate(items) if item is Ellipsis)
        return [*items[:at], *rest, *items[at + 1 :]]
    return [*items, *rest]


def _consumed(item: Any) -> int:
    if item is None or item is Ellipsis:
        return 0
    array = _array(item)
    return array.ndim if array is not None and array.dtype == bool else 1


def _array(item: Any) -> np.ndarray | None:
    """An index that is an array or a list; None for the others. A tensor of no axis counts as a number."""
    if isinstance(item, Traced):
        value = np.asarray(item.value)
        return value if value.ndim or value.dtype == bool else None
    if not isinstance(item, (list, tuple)):
        return None
    array = np.asarray(raw(item))
    return array if array.size else array.astype(np.int64)  # an empty list picks nothing


def _advanced(item: Any) -> bool:
    return _array(item) is not None


def _afford(t: Tracer, x: Traced, items: list[Any]) -> None:
    """What arrays pick, before they do: they broadcast against each other, and a mask picks where it is true."""
    shapes: list[tuple[int, ...]] = []
    kept, at = 1, 0
    for item in filled(items, len(x.shape)):
        array = _array(item)
        if array is not None:
            shapes.append((int(np.count_nonzero(array)),) if array.dtype == bool else array.shape)
        elif isinstance(item, slice) and at < len(x.shape):
            kept *= x.shape[at]
        at += _consumed(item)
    if shapes:
        depth = max(map(len, shapes))
        wide = [max(((1,) * (depth - len(shape)) + shape)[at] for shape in shapes) for at in range(depth)]
        t.budget.memory((*wide, kept), 8)


def _integers_first(t: Tracer, x: Traced, items: list[Any]) -> tuple[Traced, list[Any]]:
    """PyTorch takes whole numbers before arrays, where numpy treats them as arrays of one element."""
    at, left, numbers = 0, [], []
    for item in items:
        depth = _consumed(item)
        if depth == 1 and _is_number(item):
            numbers.append((at, int(raw(item))))
        else:
            left.append(item)
        at += depth
    where, unit, axes = x.where, x.unit, list(x.axes)
    for at, number in reversed(numbers):
        where, unit = (np.take(one, [0 if one.shape[at] == 1 else number], at).squeeze(at) for one in (where, unit))
        del axes[at]
    value = np.broadcast_to(np.float32(0), [_length(one) for one in axes])
    return Traced(value, x.form, tuple(axes), where, unit, x.sources, x.reduced, x.grad), left


def _length(one: Axis) -> int:
    return int(np.prod([size for _, size in one.factors]))


def _is_number(item: Any) -> bool:
    return not isinstance(item, slice) and item is not None and item is not Ellipsis and not _advanced(item)


def _on_labels(items: Sequence[Any], labels: np.ndarray) -> tuple[Any, ...]:
    """The same index for labels, which have length 1 along axes on which they do not change."""
    found: list[Any] = []
    at = 0
    for item in items:
        array = _array(item)
        if item is None:
            found.append(None)
            continue
        if array is not None and array.dtype == bool:
            for places in array.nonzero():
                found.append(places if labels.shape[at] > 1 else np.zeros_like(places))
                at += 1
            continue
        constant = labels.shape[at] == 1
        if array is not None:
            found.append(np.zeros_like(array) if constant else array)
        elif isinstance(item, slice):
            found.append(FULL if constant else raw(item))
        else:
            found.append(0 if constant else int(raw(item)))
        at += 1
    return tuple(found)


def _axes(x: Traced, items: Sequence[Any]) -> list[Axis]:
    """The axes that are left; arrays that stand side by side become one block, in front where they stand apart."""
    found: list[Axis] = []
    block: list[tuple[Axis, Any]] = []
    places: list[int] = []
    at, start, depth = 0, 0, 0
    for place, item in enumerate(items):
        array = _array(item)
        if item is None:
            found.append(axis(UNNAMED, 1))
        elif array is None:
            if isinstance(item, slice):
                found.append(x.axes[at])
            elif x.form == "array" and any(map(_advanced, items)):
                places.append(place)
        else:
            start = start if block else len(found)
            places.append(place)
            wide = array.ndim if array.dtype == bool else 1
            depth = max(depth, 1 if array.dtype == bool else array.ndim)
            block += [(x.axes[at + one], item) for one in range(wide)]
        at += _consumed(item)
    if not block:
        return found
    apart = places[-1] - places[0] + 1 != len(places)
    start = 0 if apart else start
    return [*found[:start], *_block_axes(block, depth), *found[start:]]


def _block_axes(block: Sequence[tuple[Axis, Any]], depth: int) -> list[Axis]:
    """Names of the axes that arrays of indices make."""
    if depth != 1:
        named = [item.axes for _, item in block if isinstance(item, Traced) and len(item.axes) == depth]
        return list(named[0]) if named else [axis(UNNAMED, 1)] * depth
    moving = [one for one, item in block if len(set(np.ravel(np.asarray(raw(item))).tolist())) > 1] or [block[0][0]]
    array = _array(block[0][1])
    if array is not None and array.dtype == bool:
        moving = [one for one, _ in block]
    elif any(one.name == "batch" for one in moving):
        moving = [one for one in moving if one.name == "batch"]
    return [axis("·".join(dict.fromkeys(one.name for one in moving)), -1)]


def written(t: Tracer, x: Traced, index: Any, value: Any) -> Traced:
    """What `x` is after `x[index] = value`; the tensor itself, which others share, stays as it is."""
    t.budget.memory(x.shape, 8)

    def write(target: Any, new: Any) -> Any:
        copy = target.clone() if isinstance(target, torch.Tensor) else np.array(target)
        copy[raw(index)] = new
        return copy

    result = t.real(write, x, value)
    items = [FULL if item is Ellipsis and not x.shape else item for item in (index if isinstance(index, tuple) else [index])]
    chosen = tuple(_array(item) if _array(item) is not None else raw(item) for item in items)
    new = value if isinstance(value, Traced) else None
    labels: list[np.ndarray] = []
    touched = np.zeros(x.shape, dtype=bool)
    touched[chosen] = True
    if new is None:
        labels += only_where(compressed(~touched), x.where, x.unit)
    else:
        for name, _ in t.both():
            one = np.array(spread(getattr(x, name), x.shape))
            one[chosen] = spread(getattr(new, name), new.shape)
            labels.append(one)
    others = [item for item in (*items, new) if isinstance(item, Traced)]
    return t.made(result, x.axes, labels[0], labels[1], (x, *others))


@operation("torch.select", "tensor.select")
def select(t: Tracer, input: Traced, /, dim: int, index: Any) -> Traced:
    """One place along an axis."""
    return pick(t, input, (*[FULL] * (dim % len(input.shape)), index))


@operation("torch.narrow", "tensor.narrow")
def narrow(t: Tracer, input: Traced, /, dim: int, start: Any, length: Any) -> Traced:
    """A stretch along an axis."""
    return pick(t, input, (*[FULL] * (dim % len(input.shape)), slice(raw(start), raw(start) + raw(length))))


@operation("torch.index_select", "tensor.index_select")
def index_select(t: Tracer, input: Traced, /, dim: int, index: Traced) -> Traced:
    """Some places along an axis."""
    return pick(t, input, (*[FULL] * (dim % len(input.shape)), index))


@operation("np.take", "array.take")
def take(t: Tracer, input: Traced, /, indices: Any, axis: int | None = None) -> Traced:
    """Some places along an axis."""
    return pick(t, input, (*[FULL] * ((axis or 0) % len(input.shape)), indices))


@operation("torch.masked_select", "tensor.masked_select")
def masked_select(t: Tracer, input: Traced, /, mask: Traced) -> Traced:
    """The elements where a mask is true, in one row."""
    from bertlens.read.expression.operations.arrangement import expanded

    shape = t.real(np.broadcast_shapes, input.shape, mask.shape)
    return pick(t, expanded(t, input, shape), expanded(t, mask, shape))


@operation("torch.gather", "tensor.gather", "torch.take_along_dim", "np.take_along_axis")
def gather(t: Tracer, input: Traced, /, dim: int = 0, index: Any = None, **named: Any) -> Traced:
    """The places along an axis that another tensor names; PyTorch's and numpy's functions differ in the order of arguments."""
    if isinstance(dim, Traced):
        dim, index = named.get("axis", named.get("dim", index)), dim
    elif isinstance(named.get("indices"), Traced):
        index = named["indices"]
    arrays = input.form == "array"
    shape = index.shape
    t.budget.memory(shape, 8)
    value = t.real(np.take_along_axis if arrays else torch.gather, *((input, index, dim) if arrays else (input, dim, index)))
    places = torch.from_numpy(np.ascontiguousarray(index.value))
    labels: list[np.ndarray] = []
    for name, _ in t.both():
        full = torch.from_numpy(np.ascontiguousarray(spread(getattr(input, name), input.shape)))
        labels.append(torch.gather(full, dim, places).numpy())
    return t.made(value, input.axes, labels[0], labels[1], (input, index))
