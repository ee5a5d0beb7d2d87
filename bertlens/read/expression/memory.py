"""Memory: what is written into a tensor is seen in everything that shares its memory, a view or an array as well."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import torch

from bertlens.read.expression.sets import compressed, spread
from bertlens.read.expression.tracer import Tracer
from bertlens.read.expression.values import Encoding, Fields, Names, Record, Traced


def rewritten(t: Tracer, names: Names, running: list[Any], old: Traced, new: Traced) -> Traced:
    """Put `new` in the place of `old` under all names, and of all that shares its memory what it is then.

    The tensors of the capture stay as they are: everything that shared the memory gets new memory, which it shares again.

    Parameters
    ----------
    running : the items of the loops that are under way.
    """
    if old.form not in ("tensor", "array") or old.shape != new.shape or old.value.dtype != new.value.dtype:
        return new
    sharing: dict[int, Traced] = {}
    left = [one for one in (*_within(names), *_inside(running)) if one is not old and one.form in ("tensor", "array")]
    while more := {id(one): one for one in left if any(_shares(one, other) for other in (old, *sharing.values()))}:
        sharing |= more  # what shares memory with a view of the whole shares it with all other views
        left = [one for one in left if id(one) not in more]
    if not sharing:
        _replace(names, running, {id(old): new})
        return new
    region = _Region([old, *sharing.values()])
    t.budget.memory((region.length,), 16)
    for one in (old, *sharing.values()):
        region.view(one, region.values)[...] = _array(one.value)
    region.view(old, region.values)[...] = _array(new.value)
    numbers = region.view(old, region.numbers)
    numbers[...] = np.arange(math.prod(old.shape), dtype=np.int64).reshape(old.shape)
    made = {id(old): replace(new, value=region.value(old), form=old.form)}
    made |= {key: _after(one, new, region) for key, one in sharing.items()}
    _replace(names, running, made)
    return made[id(old)]


class _Region:
    """The memory that some values share, copied."""

    def __init__(self, values: list[Traced]) -> None:
        bounds = [np.lib.array_utils.byte_bounds(_array(one.value)) for one in values]
        first = _array(values[0].value)
        self.start, end = min(low for low, _ in bounds), max(high for _, high in bounds)
        self.length = (end - self.start) // first.itemsize
        self.values = np.zeros(self.length, first.dtype)
        self.numbers = np.full(self.length, -1, np.int64)

    def view(self, one: Traced, memory: np.ndarray) -> np.ndarray:
        """The elements of a value in one of the copies."""
        array = _array(one.value)
        wider = memory.itemsize // array.itemsize
        offset = (array.__array_interface__["data"][0] - self.start) * wider
        return np.ndarray(array.shape, memory.dtype, memory, offset, [stride * wider for stride in array.strides])

    def value(self, one: Traced) -> Any:
        """A value as it is now, a tensor or an array as it was."""
        array = self.view(one, self.values)
        if not isinstance(one.value, torch.Tensor):
            return array
        found = torch.from_numpy(array)
        return found.view(torch.bfloat16) if one.value.dtype is torch.bfloat16 else found


def _after(one: Traced, new: Traced, region: _Region) -> Traced:
    """A value whose memory was written into: the new cells where it was, its own elsewhere."""
    numbers = region.view(one, region.numbers)
    hit = numbers >= 0
    if not hit.any():
        return replace(one, value=region.value(one))
    labels = []
    for mine, theirs in ((one.where, new.where), (one.unit, new.unit)):
        written = spread(theirs, new.shape).reshape(-1)[np.where(hit, numbers, 0)]
        labels.append(compressed(np.where(hit, written, spread(mine, one.shape))))
    return replace(one, value=region.value(one), sources=one.sources | new.sources, where=labels[0], unit=labels[1])


def _array(value: Any) -> np.ndarray:
    """A tensor as the array that shares its memory."""
    if not isinstance(value, torch.Tensor):
        return np.asarray(value)
    return np.asarray((value.view(torch.int16) if value.dtype is torch.bfloat16 else value).numpy())


def _shares(one: Traced, old: Traced) -> bool:
    left, right = _array(one.value), _array(old.value)
    return left.dtype == right.dtype and bool(np.may_share_memory(left, right))


def _within(names: Names) -> Iterator[Traced]:
    """Every traced value under any name."""
    for value in names.items.values():
        yield from _inside(value)
    if names.outer is not None:
        yield from _within(names.outer)


def _inside(value: Any) -> Iterator[Traced]:
    match value:
        case Traced():
            yield value
        case tuple() | list():
            for one in value:
                yield from _inside(one)
        case Record():
            yield from _inside(value.items)
        case Fields() | Encoding():
            yield from _inside(tuple(value.items.values()))


def _replace(names: Names, running: list[Any], made: dict[int, Traced]) -> None:
    _replaced(running, made)
    for name, value in names.items.items():
        names.items[name] = _replaced(value, made)
    if names.outer is not None:
        _replace(names.outer, [], made)


def _replaced(value: Any, made: dict[int, Traced]) -> Any:
    match value:
        case Traced():
            return made.get(id(value), value)
        case tuple():
            return tuple(_replaced(one, made) for one in value)
        case Record():
            return replace(value, items=_replaced(value.items, made))
        case list():
            value[:] = [_replaced(one, made) for one in value]
        case Fields() | Encoding():
            value.items.update({name: _replaced(one, made) for name, one in value.items.items()})
    return value
