"""Joining: several tensors into one, and one into several."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import torch

from bertlens.read.expression.axes import Axis, axis
from bertlens.read.expression.operations.arrangement import unsqueeze
from bertlens.read.expression.operations.reductions import dims_of, to_array
from bertlens.read.expression.operations.registry import LEGAL, operation
from bertlens.read.expression.operations.selection import FULL, pick
from bertlens.read.expression.tracer import Refused, Tracer
from bertlens.read.expression.values import Record, Traced, raw


def parts_of(t: Tracer, items: Any, *, arrays: bool) -> list[Traced]:
    """The tensors of a list, a tuple, or along the first axis of one tensor."""
    if isinstance(items, Record):
        items = items.items
    if isinstance(items, Traced):
        items = rows(t, items)
    if not isinstance(items, (list, tuple)):
        raise Refused(f"TypeError: expected a list or tuple of tensors, got {type(items).__name__}")
    found = [t.traced(item) for item in items]
    return [to_array(t, one) for one in found] if arrays else found


def joined(t: Tracer, parts: Sequence[Traced], dim: Any, *, arrays: bool, named: Axis | None = None) -> Traced:
    """Parts end to end along an axis; `named` is the axis where it is a new one, of length 1 in each part."""
    if not parts:
        raise Refused("RuntimeError: expected a non-empty list of tensors")
    t.budget.memory((sum(int(np.prod(part.shape)) for part in parts),), 8)
    function, keyword = (np.concatenate, "axis") if arrays else (torch.cat, "dim")
    value = t.real(function, list(parts), **{keyword: dim})
    if dim is None:
        raise Refused("TypeError: an axis is needed")
    (at,) = dims_of(parts[0], dim)
    top = max(part.rank for part in parts)
    axes = list(next(part for part in parts if part.rank == top).axes)
    axes[at] = named or _joined_axis(t, parts, at)
    labels = [_end_to_end([getattr(p, name) if p.rank == top else getattr(p, name) * 0 for p in parts], parts, at)
              for name, _ in t.both()]  # fmt: skip
    return t.made(value, axes, labels[0], labels[1], parts)


def _end_to_end(labels: Sequence[np.ndarray], parts: Sequence[Traced], at: int) -> np.ndarray:
    """Labels along the joined axis in full, along the others as long as any part needs them."""
    full = all(one.shape[at] == part.shape[at] for one, part in zip(labels, parts, strict=True))
    if full and len({one.shape for one in labels}) == 1:
        return np.concatenate(labels, axis=at)
    shape = np.max([one.shape for one in labels], axis=0)
    wide = []
    for one, part in zip(labels, parts, strict=True):
        goal = [part.shape[at] if axis == at else int(size) for axis, size in enumerate(shape)]
        wide.append(np.broadcast_to(one, goal))
    return np.concatenate(wide, axis=at)


def _joined_axis(t: Tracer, parts: Sequence[Traced], at: int) -> Axis:
    """The axis that parts make: their own where it only grows longer, with what tells them apart where it is repeated."""
    own, sizes = parts[0].axes[at], [part.shape[at] for part in parts]
    apart = told_apart(t, parts)
    if apart in own.names or len(set(sizes)) > 1 or len(parts) == 1 or not own.known:
        return axis(own.name if own.known or len(parts) == 1 else apart, sum(sizes))
    return Axis(((apart, len(parts)), *own.factors))


PLACES = ("layers", "batch", "tokens")
"""The axes of the cells of states."""


def told_apart(t: Tracer, parts: Sequence[Traced]) -> str:
    """What is another one in every part: layers, batch or tokens; else they are just parts."""
    single = [int(part.where.flat[0]) - 1 if part.where.size == 1 else -1 for part in parts]
    if all(0 <= cell < t.cells.states for cell in single):
        places = zip(PLACES, np.unravel_index(single, t.cells.shape), strict=True)
        return next((name for name, one in places if len(set(one.tolist())) > 1), "parts")
    held = [t.cells.where.held(part.where) for part in parts]
    states = [one[: t.cells.states].reshape(t.cells.shape) for one in held]
    for at, name in enumerate(PLACES):
        others = tuple(axis for axis in range(3) if axis != at)
        if len({one.any(axis=others).tobytes() for one in states}) > 1:
            return name
    block = t.cells.states + t.capture.batch
    if len({one[t.cells.states : block].tobytes() for one in held}) > 1:
        return "batch"
    return "parts"


@operation("torch.cat", "torch.concat", "torch.concatenate")
def cat(t: Tracer, tensors: Any, /, dim: int = 0, *, axis: int | None = None) -> Traced:
    """Tensors end to end along an axis they have."""
    return joined(t, parts_of(t, tensors, arrays=False), dim if axis is None else axis, arrays=False)


@operation("np.concatenate", "np.concat")
def concatenate(t: Tracer, arrays: Any, /, axis: int = 0) -> Traced:
    """Arrays end to end along an axis they have."""
    return joined(t, parts_of(t, arrays, arrays=True), axis, arrays=True)


def stacked(t: Tracer, parts: Sequence[Traced], dim: int, *, arrays: bool) -> Traced:
    """Parts side by side along a new axis."""
    if len({part.shape for part in parts}) > 1:
        function = np.stack if arrays else torch.stack
        t.real(function, list(parts), dim)
    new = axis(told_apart(t, parts), len(parts))
    thick = [unsqueeze(t, part, dim) for part in parts]
    if not thick:
        raise Refused("RuntimeError: stack expects a non-empty TensorList")
    return joined(t, thick, dim, named=new, arrays=arrays)


@operation("torch.stack")
def stack(t: Tracer, tensors: Any, /, dim: int = 0) -> Traced:
    """Tensors side by side along a new axis."""
    return stacked(t, parts_of(t, tensors, arrays=False), dim, arrays=False)


@operation("np.stack")
def numpy_stack(t: Tracer, arrays: Any, /, axis: int = 0) -> Traced:
    """Arrays side by side along a new axis."""
    return stacked(t, parts_of(t, arrays, arrays=True), axis, arrays=True)


@operation("np.array", "np.asarray")
def array(t: Tracer, items: Any, /, dtype: Any = None) -> Traced:
    """An array of numbers, or of arrays side by side."""
    found = to_array(t, items) if isinstance(items, Traced) else nested(t, items)
    if t.called == "array":
        found = replace(found, value=found.value.copy())
    if dtype is not None:
        value = t.real(lambda x, kind: np.asarray(x).astype(kind), found, dtype)
        return t.made(value, found.axes, found.where, found.unit, (found,))
    return found


def nested(t: Tracer, items: Any) -> Traced:
    """Lists of tensors, arrays and numbers as one array, with the cells of each."""
    if isinstance(items, Record):
        items = items.items
    if isinstance(items, (list, tuple)) and holds_traced(items):
        return stacked(t, [to_array(t, nested(t, item)) for item in items], 0, arrays=True)
    return items if isinstance(items, Traced) else t.constant(t.real(np.asarray, items), "array")


def holds_traced(items: Sequence[Any]) -> bool:
    """Whether there is a traced value in it, however deep."""
    return any(isinstance(item, Traced) or (isinstance(item, (list, tuple)) and holds_traced(item)) for item in items)


@operation("torch.tensor", "torch.as_tensor", "torch.from_numpy", "torch.FloatTensor", "torch.LongTensor")
def tensor(t: Tracer, items: Any, /, dtype: Any = None, device: Any = None) -> Traced:
    """A tensor of numbers; of arrays it keeps the cells."""
    found = items.with_form("array") if isinstance(items, Traced) and items.form != "tensor" else items
    if isinstance(items, (list, tuple)) and any(
        isinstance(one, Traced) and one.form == "tensor" and one.shape for one in items
    ):
        t.note("tuple", name=t.called)
        words = "torch.stack makes one tensor of several"
        raise Refused("ValueError: only one element tensors can be converted to Python scalars", words)
    if not (isinstance(found, Traced) and found.form == "tensor"):
        found = nested(t, found)
        single = not (isinstance(items, Traced) and items.form == "array") and found.value.dtype == np.float64
        make = torch.as_tensor if t.called in ("from_numpy", "as_tensor") else torch.tensor
        value = t.real(make, found.value.astype(np.float32) if single else found.value)
        found = t.made(value, found.axes, found.where, found.unit, (found,))
    kind = {"torch.LongTensor": torch.int64, "torch.FloatTensor": torch.float32}.get(t.full_name, dtype)
    if kind is None:
        shared = t.called in ("from_numpy", "as_tensor")
        return found if shared or not isinstance(items, Traced) else replace(found, value=found.value.clone())
    value = t.real(lambda x, k: x.to(k), found, kind)
    return t.made(value, found.axes, found.where, found.unit, (found,))


@operation("torch.hstack", "torch.vstack", "torch.column_stack", "np.hstack", "np.vstack", "np.column_stack")
def side_by_side(t: Tracer, tensors: Any, /) -> Traced:
    """Along the second axis (hstack) or the first (vstack); rows of one axis become columns or rows."""
    arrays = t.full_name.startswith("np.")
    parts = parts_of(t, tensors, arrays=arrays)
    flat = all(len(part.shape) == 1 for part in parts)
    if t.called == "vstack":
        return stacked(t, parts, 0, arrays=arrays) if flat else joined(t, parts, 0, arrays=arrays)
    if t.called == "column_stack" and flat:
        return stacked(t, parts, 1, arrays=arrays)
    return joined(t, parts, 0 if flat else 1, arrays=arrays)


def rows(t: Tracer, x: Traced) -> list[Traced]:
    """One part for each place of the first axis, as iterating over a tensor gives them."""
    if not x.shape:
        raise Refused("TypeError: iteration over a 0-d tensor")
    t.budget.length(x.shape[0])
    return [pick(t, x, at) for at in range(x.shape[0])]


@operation("torch.unbind", "tensor.unbind")
def unbind(t: Tracer, input: Traced, /, dim: int = 0) -> tuple[Traced, ...]:
    """One part for each place of an axis."""
    (at,) = dims_of(input, dim)
    t.budget.length(input.shape[at])
    return tuple(pick(t, input, (*[FULL] * at, place)) for place in range(input.shape[at]))


def _cut(function: Any, t: Tracer, input: Traced, /, size: Any, dim: int = 0, **named: Any) -> tuple[Traced, ...]:
    dim = named.get("axis", dim)
    (at,) = dims_of(input, dim)
    if isinstance(raw(size), int):
        t.budget.length(raw(size))
    pieces = t.real(function, input, size, dim)
    t.budget.length(len(pieces))
    ends = np.cumsum([0, *(piece.shape[at] for piece in pieces)]).tolist()
    return tuple(pick(t, input, (*[FULL] * at, slice(ends[one], ends[one + 1]))) for one in range(len(pieces)))


_name: str
_function: Any
for _name, _function in (("split", torch.split), ("chunk", torch.chunk), ("tensor_split", torch.tensor_split)):
    LEGAL[f"torch.{_name}"] = LEGAL[f"tensor.{_name}"] = partial(_cut, _function)
for _name, _function in (("split", np.split), ("array_split", np.array_split)):
    LEGAL[f"np.{_name}"] = partial(_cut, _function)
