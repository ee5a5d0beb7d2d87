"""Values: everything an expression can get hold of. Nothing else exists for it, so nothing else can be reached."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch

from bertlens.read.expression.axes import Axis

STATES = frozenset({"hidden_states", "pooler_output"})


@dataclass(frozen=True, eq=False)
class Traced:
    """A tensor, an array or a number together with what it depends on.

    Attributes
    ----------
    value : the real thing; a number or a list is kept as the tensor or array it came from.
    form : "tensor", "array", "number" or "list".
    axes : one per axis of the value.
    where : per element the set of (layer, text, token) cells behind it; length 1 along axes on which it does not change.
    unit : per element the set of hidden units behind it.
    sources : names of the model's tensors it was made from.
    reduced : (axis, how) for every axis that was summed, averaged … over.
    grad : whether PyTorch would call it a tensor that requires grad; None where nobody knows.
    """

    value: Any
    form: str
    axes: tuple[Axis, ...]
    where: np.ndarray
    unit: np.ndarray
    sources: frozenset[str] = frozenset()
    reduced: tuple[tuple[str, str], ...] = ()
    grad: bool | None = False

    @property
    def shape(self) -> tuple[int, ...]:
        """Of the value."""
        return tuple(self.value.shape)

    @property
    def rank(self) -> int:
        """2 where hidden states or the pooler output are in it, 1 where only inputs are, 0 for a constant.

        What is followed through an operation is the highest of these: a state times a mask holds cells of states.
        """
        return 2 if self.sources & STATES else 1 if self.sources else 0

    @property
    def raw(self) -> Any:
        """What PyTorch, numpy and Python are given."""
        if self.form == "number":
            return self.value.item()
        return self.value.tolist() if self.form == "list" else self.value

    def with_form(self, form: str, value: Any = None) -> Traced:
        """The same cells in another form."""
        return replace(self, form=form, value=self.value if value is None else value)


@dataclass(frozen=True, eq=False)
class Record:
    """A named tuple, as `x.max(dim=1)` returns it."""

    names: tuple[str, ...]
    items: tuple[Any, ...]


@dataclass(frozen=True, eq=False)
class Fields:
    """The model's output: fields by name, by index among those that are there, and keys when it is unpacked."""

    items: dict[str, Any]


@dataclass(frozen=True, eq=False)
class Encoding:
    """What the tokenizer returned."""

    items: dict[str, Traced]


@dataclass(frozen=True)
class Namespace:
    """A module's name, `torch` or `np.linalg`: it holds what the table of operations has under it."""

    name: str


@dataclass(frozen=True, eq=False)
class Function:
    """An operation by its full name, `torch.mean` or `tensor.mean`; `bound` is the tensor whose method it is."""

    name: str
    call: Callable[..., Any]
    bound: Any = None


@dataclass(frozen=True, eq=False)
class Defined:
    """A function that the expression defines itself."""

    name: str
    parameters: tuple[str, ...]
    defaults: dict[str, Any]
    body: Any


@dataclass(frozen=True)
class Kind:
    """A number format, `torch.float32`."""

    value: Any
    name: str


@dataclass(frozen=True)
class Stand:
    """Something of a person's program that this page stands in for: the model, the tokenizer, or their classes."""

    name: str


@dataclass(eq=False)
class Names:
    """The variables of a block; those outside of it can be read."""

    outer: Names | None = None
    items: dict[str, Any] = field(default_factory=dict)

    def find(self, name: str) -> Any:
        """The value under a name.

        Raises
        ------
        KeyError
            Where nobody defined it.
        """
        if name in self.items:
            return self.items[name]
        if self.outer is None:
            raise KeyError(name)
        return self.outer.find(name)

    def renew(self, old: Any, new: Any) -> None:
        """Something was written into `old`: every name, tuple and output that holds it has `new` from now on."""
        for name, value in self.items.items():
            self.items[name] = _renewed(value, old, new)
        if self.outer is not None:
            self.outer.renew(old, new)

    def every(self) -> list[str]:
        """All names that can be read here."""
        return [*self.items, *(self.outer.every() if self.outer else [])]


TYPES = {"bool": bool, "int": int, "float": float}
"""Python's types, which are number formats too: `x.astype(bool)`."""


def _renewed(value: Any, old: Any, new: Any) -> Any:
    if value is old:
        return new
    match value:
        case tuple():
            return tuple(_renewed(one, old, new) for one in value)
        case list():
            value[:] = [_renewed(one, old, new) for one in value]
        case Fields() | Encoding():
            value.items.update({name: _renewed(one, old, new) for name, one in value.items.items()})
    return value


def raw(value: Any) -> Any:
    """A value as PyTorch, numpy and Python want it, containers included."""
    if isinstance(value, Traced):
        return value.raw
    if isinstance(value, Kind):
        return value.value
    if isinstance(value, Function):
        return TYPES.get(value.name, value)
    if isinstance(value, Record):
        return tuple(raw(item) for item in value.items)
    if isinstance(value, (list, tuple)):
        return type(value)(raw(item) for item in value)
    if isinstance(value, slice):
        return slice(raw(value.start), raw(value.stop), raw(value.step))
    return value


def form_of(value: Any) -> str:
    """The form of a real result."""
    return "tensor" if isinstance(value, torch.Tensor) else "array"
