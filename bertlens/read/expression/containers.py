"""Containers: tuples, lists, ranges, the model's output and the inputs, as Python treats them."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import Any

import numpy as np

from bertlens.read.expression.budget import LARGEST_NUMBER, OverBudget
from bertlens.read.expression.operations.joining import rows
from bertlens.read.expression.operations.pointwise import ARITHMETIC
from bertlens.read.expression.tracer import REFUSALS, Refused, Tracer, said_by
from bertlens.read.expression.values import Encoding, Fields, Record, Stand, Traced


def items(t: Tracer, value: Any) -> list[Any]:
    """What a loop goes through."""
    match value:
        case list() | tuple():
            found = list(value)
        case range():
            found = list(value)
        case Traced() if value.form != "number":
            found = list(rows(t, value))
        case Fields() | Encoding():
            found = list(value.items)
            t.note("keys", of=type(value).__name__.lower())
        case Record():
            found = list(value.items)
        case str():
            found = list(value)
        case _:
            raise Refused(f"TypeError: '{called(value)}' object is not iterable")
    t.budget.length(len(found))
    return found


def unpacked(t: Tracer, value: Any, count: int) -> list[Any]:
    """The parts of a value for `a, b = value`. A model's output gives its keys, which are strings."""
    if isinstance(value, Fields):
        keys = list(value.items)
        without = [key for key in keys if key != "hidden_states"]
        found: list[Any] = without if len(without) == count else keys
        t.note("unpack", keys=tuple(found[:count]), count=count)
    else:
        found = items(t, value)
    if len(found) != count:
        many = "too many values to unpack" if len(found) > count else "not enough values to unpack"
        got = f"(expected {count})" if len(found) > count else f"(expected {count}, got {len(found)})"
        raise Refused(f"ValueError: {many} {got}", f"{len(found)} values")
    return found


def entry(t: Tracer, whole: Any, index: Any) -> Any:
    """`whole[index]` of what is no tensor."""
    match whole:
        case Fields():
            if isinstance(index, str):
                if index not in whole.items:
                    t.note("no-field", name=index, fields=tuple(whole.items))
                    raise Refused(f"KeyError: '{index}'", f"one of {', '.join(whole.items)}")
                return whole.items[index]
            return _of_sequence(t, tuple(whole.items.values()), index, "the model's output")
        case Encoding():
            if isinstance(index, str) and index in whole.items:
                return whole.items[index]
            said = repr(index) if isinstance(index, (str, int)) else called(index)
            raise Refused(f"KeyError: {said}", f"one of {', '.join(whole.items)}")
        case Record():
            return _of_sequence(t, whole.items, index, "values and indices")
        case list() | tuple() | range() | str():
            return _of_sequence(t, whole, index, called(whole))
        case Stand():
            return whole
        case None:
            t.note("none")
    raise Refused(f"TypeError: '{called(whole)}' object is not subscriptable")


def _of_sequence(t: Tracer, whole: Any, index: Any, name: str) -> Any:
    place = _as_index(index)
    if place is None:
        kind = called(index)
        t.note("sequence-index", of=name, index=kind, length=len(whole), tensors=_tensors(whole))
        of = "tuple" if isinstance(whole, tuple) else called(whole)
        if isinstance(whole, str):
            t.note("string", value=whole)
            raise Refused(f"TypeError: string indices must be integers, not '{kind}'")
        raise Refused(f"TypeError: {of} indices must be integers or slices, not {kind}")
    if isinstance(whole, str):
        t.note("string", value=whole)
    try:
        found = whole[place]
    except REFUSALS as error:
        legal = f"0 … {len(whole) - 1}, or -{len(whole)} … -1"
        t.note("out-of-range", of=name, length=len(whole), index=place, tensors=_tensors(whole))
        raise Refused(said_by(error), f"{place} of {len(whole)} entries; expected {legal}") from None
    t.note("entry", of=name, index=place, length=len(whole), whole=_shape(whole), tensors=_tensors(whole), result=found)
    return found


def _tensors(whole: Any) -> bool:
    return isinstance(whole, (list, tuple)) and bool(whole) and all(isinstance(one, Traced) for one in whole)


def _shape(whole: Any) -> tuple[Any, ...]:
    return tuple(one.shape for one in whole) if _tensors(whole) else ()


def _as_index(index: Any) -> Any:
    """A whole number or a slice of them; None for what Python does not take as an index."""
    if isinstance(index, Traced) and not index.shape:
        try:
            return operator.index(index.value.item())
        except TypeError:
            return None
    if isinstance(index, (int, slice)) and not isinstance(index, bool):
        return index
    return None


def replaced(whole: list[Any], index: Any, value: Any) -> list[Any]:
    """A list with one entry changed."""
    place = _as_index(index)
    if not isinstance(place, int):
        raise Refused(f"TypeError: list indices must be integers or slices, not {called(index)}")
    if not -len(whole) <= place < len(whole):
        raise Refused("IndexError: list assignment index out of range")
    copy = list(whole)
    copy[place] = value
    return copy


def plain(t: Tracer, name: str, left: Any, right: Any) -> Any:
    """An operator between numbers, strings, lists and tuples."""
    if not name:
        raise Refused("TypeError: this operator is for tensors", f"{called(left)} and {called(right)}")
    if name == "remainder" and isinstance(left, str):
        raise Refused("TypeError: text cannot be formatted here")
    for one, other in ((left, right), (right, left)):
        if name == "mul" and isinstance(one, (list, tuple, str)) and isinstance(other, int):
            t.budget.length(len(one) * max(other, 0))
    if name == "add" and isinstance(left, (list, tuple, str)) and isinstance(right, type(left)):
        t.budget.length(len(left) + len(right))
    if name == "pow" and isinstance(left, int) and isinstance(right, int) and abs(left) > 1 and right > 64:
        raise OverBudget(f"{left}**{right}", "at most 2**63 - 1, the largest int64")
    try:
        return limited(ARITHMETIC[name](left, right), LARGEST_NUMBER)
    except REFUSALS as error:
        raise Refused(said_by(error)) from None


def limited(value: Any, largest: int) -> Any:
    """A number that fits into a tensor; everything else as it is."""
    if isinstance(value, int) and abs(value) > largest:
        raise OverBudget("a number of more than 63 bits", "at most 2**63 - 1, the largest int64")
    return value


def called(value: Any) -> str:
    """What Python calls the type of a value in its messages."""
    if isinstance(value, Traced):
        return {"tensor": "Tensor", "array": "numpy.ndarray", "number": "float", "list": "list"}[value.form]
    return {"Fields": "ModelOutput", "Encoding": "BatchEncoding"}.get(type(value).__name__, type(value).__name__)


def length(value: Any) -> int:
    """Python's len.

    Raises
    ------
    Refused
        For what has none.
    """
    match value:
        case list() | tuple() | range() | str():
            return len(value)
        case Fields() | Encoding() | Record():
            return len(value.items)
        case Traced() if value.shape:
            return value.shape[0]
    raise Refused(f"TypeError: object of type '{called(value)}' has no len()")


def numbers(values: Sequence[Any]) -> bool:
    """Whether all are Python's numbers."""
    return all(isinstance(value, (int, float, np.number)) for value in values)
