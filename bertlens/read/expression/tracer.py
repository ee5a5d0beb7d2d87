"""Tracer: computes a value with PyTorch or numpy and follows its cells, for one evaluation of one expression."""

from __future__ import annotations

import inspect
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from bertlens.read.capture import Capture
from bertlens.read.expression.axes import UNNAMED, Axis, axis
from bertlens.read.expression.budget import Budget, OverBudget
from bertlens.read.expression.cells import Cells
from bertlens.read.expression.errors import ExpressionError, Place
from bertlens.read.expression.explanation import Event, Provenance
from bertlens.read.expression.grammar import segment
from bertlens.read.expression.provenance import Gathered
from bertlens.read.expression.sets import LABEL, Sets, compressed
from bertlens.read.expression.values import Traced, form_of, raw

REFUSALS = (
    ArithmeticError,
    AttributeError,
    LookupError,
    NotImplementedError,
    RuntimeError,
    TypeError,
    ValueError,
)
"""What PyTorch and numpy raise at input they refuse."""

THEIRS = {
    "Fields": "ModelOutput",
    "Encoding": "BatchEncoding",
    "Namespace": "module",
    "Function": "function",
    "Defined": "function",
    "Kind": "torch.dtype",
    "Stand": "model",
    "Record": "torch.return_types",
}
"""Our classes by the names of those for which they stand, in what PyTorch and Python say of them."""

_OURS = re.compile(rf"\b(?:{'|'.join(THEIRS)})\b")

MOST_EVENTS = 3
"""Times that the same is noted at one place."""


@dataclass(frozen=True, eq=False)
class Seen:
    """How a value looked when something happened to it."""

    axes: tuple[str, ...]
    shape: tuple[int, ...]
    form: str
    rank: int
    reduced: tuple[tuple[str, str], ...]
    grad: bool | None
    gathered: Gathered

    @property
    def provenance(self) -> Provenance:
        """The cells it held."""
        return self.gathered.told()


class Refused(Exception):
    """PyTorch, numpy or Python would refuse this: their own words, and ours about what was got and expected."""

    def __init__(self, message: str, words: str = "") -> None:
        self.message, self.words = message, words
        super().__init__(message)


class Tracer:
    """One evaluation: its cells, its budget, what it noticed, and where in the text it is."""

    def __init__(self, capture: Capture, source: str) -> None:
        self.capture, self.source = capture, source
        self.cells = Cells(capture)
        self.budget = Budget()
        self.events: list[Event] = []
        self.place: Place = (1, 0, 1, 0)
        self.places: tuple[Place, ...] = ()
        self.grad_off = False
        self.full_name = ""
        self._noted: Counter[tuple[str, Place]] = Counter()

    @property
    def called(self) -> str:
        """The last part of the name of the operation that is being carried out."""
        return self.full_name.rpartition(".")[2]

    def called_in(self, module: str) -> bool:
        """Whether that operation is a function of a module."""
        return self.full_name.startswith(module + ".")

    def at(self, place: Place, places: tuple[Place, ...] = ()) -> None:
        """The part that is being evaluated now, and where its operands stand."""
        self.place, self.places = place, places

    def budget_at(self, place: Place, source: str) -> None:
        """One more part is evaluated."""
        try:
            self.budget.step()
        except OverBudget as over:
            what, do = "this would take too long", "take fewer texts, layers or rounds"
            raise ExpressionError(what, got=over.got, expected=over.expected, do=do, place=place, source=source) from None

    def note(self, kind: str, **facts: Any) -> None:
        """Something that can be judged happened at the part that is being evaluated; of a loop the first rounds are enough."""
        self._noted[kind, self.place] += 1
        if self._noted[kind, self.place] <= MOST_EVENTS:
            texts = {"operands": tuple(segment(self.source, one) for one in self.places), "places": self.places}
            seen = {name: self._seen(value) for name, value in facts.items()}
            self.events.append(Event(kind, self.place, {**texts, **seen}))

    def _seen(self, value: Any) -> Any:
        """What is kept of a value: its looks and its provenance, not its elements."""
        if isinstance(value, Traced):
            return Seen(tuple(one.name for one in value.axes), value.shape, value.form, value.rank, value.reduced,
                        value.grad, Gathered(self.cells).add([value]))  # fmt: skip
        return tuple(self._seen(one) for one in value) if isinstance(value, tuple) else value

    def check_forms(self, name: str, arguments: Sequence[Any]) -> None:
        """PyTorch's functions take no numpy arrays, except those that make tensors of them."""
        makes = ("torch.tensor", "torch.as_tensor", "torch.from_numpy", "torch.FloatTensor", "torch.LongTensor")
        if name.split(".")[0] in ("torch", "F") and name not in makes:
            for one in arguments:
                if isinstance(one, Traced) and one.form in ("array", "list") and one.shape:
                    kind = {"array": "numpy.ndarray", "list": "list"}[one.form]
                    self.note("form", form=one.form)
                    raise Refused(f"TypeError: {name}(): argument must be Tensor, not {kind}", "torch.from_numpy(…) first")

    def real(self, function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """Call PyTorch or numpy with real values; what they refuse becomes `Refused` with their own words.

        Tensors of the capture go in as they are. Nothing may write into them: arrays go in as views that numpy refuses to
        write into (np.clip(a, 0, 1, a) would), and PyTorch is given no `out` and no `inplace`, by name or by position.
        """
        _refuse_writing(function, args, kwargs)
        try:
            return function(*map(_guarded, args), **{name: _guarded(value) for name, value in kwargs.items()})
        except REFUSALS as error:
            raise Refused(said_by(error)) from None

    def made(
        self,
        value: Any,
        axes: Sequence[Axis],
        where: np.ndarray,
        unit: np.ndarray,
        operands: Sequence[Any],
        reduced: Sequence[tuple[str, str]] = (),
        form: str = "",
    ) -> Traced:
        """A result with its cells; sources and reductions are those of its operands, and what this operation adds."""
        if not isinstance(value, torch.Tensor):
            value = _of_numbers(value)
        traced = [operand for operand in operands if isinstance(operand, Traced)]
        sources = frozenset().union(*(operand.sources for operand in traced))
        top = max((operand.rank for operand in traced), default=0)
        before = [one for operand in traced if operand.rank == top for one in operand.reduced]
        shape = tuple(value.shape)
        return Traced(
            value,
            form or form_of(value),
            fitted(axes, shape),
            _checked(where, shape),
            _checked(unit, shape),
            sources,
            tuple(dict.fromkeys([*before, *reduced])),
            self.grad(value, traced),
        )

    def grad(self, value: Any, operands: Sequence[Traced]) -> bool | None:
        """Whether a result hangs on autograd: integers never do, nothing does under no_grad, and else its operands decide."""
        if self.grad_off or not isinstance(value, torch.Tensor) or not value.is_floating_point():
            return False
        grads = {operand.grad for operand in operands}
        return True if True in grads else None if None in grads else False

    def constant(self, value: Any, form: str = "") -> Traced:
        """A value that comes from no tensor of the model."""
        value = value if isinstance(value, torch.Tensor) else _of_numbers(value)
        nothing = np.zeros((1,) * value.ndim, LABEL)
        return Traced(value, form or form_of(value), fitted((), tuple(value.shape)), nothing, nothing)

    def traced(self, value: Any) -> Traced:
        """A value as a traced one; Python's numbers come as numbers, lists of numbers as arrays.

        Raises
        ------
        Refused
            For what is neither.
        """
        if isinstance(value, Traced):
            return value
        if isinstance(value, (bool, int, float)):
            return self.constant(np.asarray(value), "number")
        if isinstance(value, (list, tuple)) and value:
            from bertlens.read.expression.operations.joining import holds_traced, nested

            if holds_traced(value):
                if self.full_name.startswith(("torch.", "F.")):
                    self.note("tuple", name=self.called)
                    kind = type(value).__name__
                    words = f"{len(value)} tensors in a {kind}; torch.stack({kind}) makes one tensor of them"
                    raise Refused(
                        f"TypeError: {self.called}() received an invalid combination of arguments - got ({kind})", words
                    )
                return nested(self, value)
            made = self.real(np.asarray, value)
            if made.dtype.kind in "biuf":
                return self.constant(made, "array")
        raise Refused(f"TypeError: expected a tensor or a number, got {type(value).__name__.lower()}")

    def both(self) -> tuple[tuple[str, Sets], tuple[str, Sets]]:
        """The two kinds of sets that are followed, by the name they have in `Traced`."""
        return (("where", self.cells.where), ("unit", self.cells.unit))


def fitted(axes: Sequence[Axis], shape: tuple[int, ...]) -> tuple[Axis, ...]:
    """Axes with the lengths that a result has; where names are missing the axis is unnamed."""
    if len(axes) != len(shape):
        return tuple(axis(UNNAMED, size) for size in shape)
    sized = zip(axes, shape, strict=True)
    return tuple(one if _length(one) == size else Axis(((one.name, size),)) for one, size in sized)


def _length(one: Axis) -> int:
    product = 1
    for _, size in one.factors:
        product *= size
    return product


def _checked(labels: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Labels that fit a result, as short as they can be."""
    assert labels.ndim == len(shape), "labels lost an axis"
    assert all(have in (1, want) for have, want in zip(labels.shape, shape, strict=True)), "labels of another length"
    return compressed(labels)


def _of_numbers(value: Any) -> np.ndarray:
    """An array of numbers; one of text or of Python's objects, which numpy makes of everything, does not exist here."""
    found = np.asarray(value)
    if found.dtype.kind not in "biufc":
        raise Refused("TypeError: an array holds numbers here", "something else")
    return found


def _guarded(value: Any) -> Any:
    """The real value, an array as a view that cannot be written into."""
    found = raw(value)
    if isinstance(found, np.ndarray) and found.flags.writeable:
        found = found.view()
        found.flags.writeable = False
    return found


def _refuse_writing(function: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> None:
    """Arguments with which PyTorch writes into a tensor instead of making one."""
    given = set(kwargs)
    if getattr(function, "__module__", "") == "torch.nn.functional" and inspect.isfunction(function):
        given |= set(list(inspect.signature(function).parameters)[: len(args)])
    for name in sorted(given & {"out", "inplace"}):
        raise Refused(f"TypeError: {name} is not taken here", "nothing is written into a tensor that is there already")


def said_by(error: Exception) -> str:
    """The first line of what was said, with its class, and the names of Python's classes for ours."""
    line = str(error).strip().splitlines()
    said = _OURS.sub(lambda found: THEIRS[found[0]], line[0][:300] if line else "")
    return f"{type(error).__name__}: {said}"
