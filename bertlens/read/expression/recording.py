"""Recording: every part of an expression that was a tensor becomes a step, once per place however often it was evaluated."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from bertlens.read.expression.axes import axis
from bertlens.read.expression.cells import Cells
from bertlens.read.expression.explanation import Step
from bertlens.read.expression.grammar import segment
from bertlens.read.expression.operations.joining import told_apart
from bertlens.read.expression.provenance import Gathered, rows_of
from bertlens.read.expression.tracer import Place, Tracer
from bertlens.read.expression.values import Fields, Kind, Record, Traced
from bertlens.read.expression.wording import words


@dataclass(eq=False)
class _Seen:
    """One place: how its first value looked, and what all of them held."""

    place: Place
    form: str
    axes: tuple[str, ...]
    shape: tuple[int, ...]
    dtype: str
    bytes: int
    gathered: Gathered
    said: str = ""
    times: int = 1


class Recorder:
    """The steps of one evaluation, in the order in which they were first finished."""

    def __init__(self, tracer: Tracer) -> None:
        self._tracer = tracer
        self._seen: dict[Place, _Seen] = {}

    def add(self, place: Place, value: Any) -> None:
        """One part was evaluated; what is no tensor and holds none is no step."""
        parts = parts_of(value)
        if not parts or not any(part.sources for part in parts):
            return
        seen = self._seen.get(place)
        if seen is None:
            self._seen[place] = self._first(place, value, parts)
        else:
            seen.times += 1
            seen.gathered.add(parts)

    def _first(self, place: Place, value: Any, parts: list[Traced]) -> _Seen:
        cells = self._tracer.cells
        first = parts[0]
        many = not isinstance(value, Traced)
        names = tuple(one.name for one in first.axes)
        shape, form = first.shape, first.form
        if many:
            same = len({part.shape for part in parts}) == 1
            names = (axis(told_apart(self._tracer, parts), len(parts)).name, *(names if same else ()))
            shape, form = (len(parts), *(shape if same else ())), "tuple"
        size = sum(part.value.nbytes for part in parts)
        return _Seen(place, form, names, shape, dtype_of(first), size, Gathered(cells).add(parts))

    def other(self, place: Place, value: Any) -> None:
        """A result that is no tensor: a shape, a string, a number."""
        said = f"{said_of(value)}"
        self._seen.pop(place, None)
        kind = type(value).__name__
        self._seen[place] = _Seen(place, "other", (), (), kind, 0, Gathered(self._tracer.cells), said)

    def last(self, place: Place, value: Any) -> None:
        """The result: its step comes last, with the texts in each row."""
        if not any(part.sources for part in parts_of(value)):
            self._result_without_sources(place, value)
        elif place in self._seen:
            self._seen[place] = self._seen.pop(place)
        else:
            self._seen[place] = self._first(place, value, parts_of(value))

    def _result_without_sources(self, place: Place, value: Any) -> None:
        parts = parts_of(value)
        if parts:
            self._seen.pop(place, None)
            self._seen[place] = self._first(place, value, parts)
        else:
            self.other(place, value)

    def steps(self, result: Any = None) -> tuple[Step, ...]:
        """All steps; the last one with its rows where `result` is given."""
        rows = rows_of(self._tracer.cells, result) if isinstance(result, Traced) else ()
        seen = list(self._seen.values())
        return tuple(self._step(one, rows if one is seen[-1] else ()) for one in seen)

    def _step(self, seen: _Seen, rows: tuple[tuple[int, ...], ...]) -> Step:
        found = seen.gathered.told(rows)
        said = seen.said or words(self._tracer.capture, found, seen.gathered.positions()[0])
        at = (seen.axes, seen.shape, seen.dtype, seen.bytes)
        return Step(segment(self._tracer.source, seen.place), seen.place, seen.form, *at, found, said, seen.times)


def parts_of(value: Any) -> list[Traced]:
    """The tensors in a value."""
    if isinstance(value, Traced):
        return [value]
    if isinstance(value, Record):
        return [item for item in value.items if isinstance(item, Traced)]
    if isinstance(value, (list, tuple)):
        return [part for item in value for part in parts_of(item)]
    return []


def dtype_of(x: Traced) -> str:
    """The number format, without the library's name."""
    return str(x.value.dtype).removeprefix("torch.")


def said_of(value: Any) -> str:
    """A value that is no tensor, in words."""
    if isinstance(value, Fields):
        return f"the model's output with {', '.join(value.items)}; name one of its fields"
    if isinstance(value, Kind):
        return f"the number format {value.name}"
    if isinstance(value, str):
        return f"the string {value[:80]!r}"
    if isinstance(value, tuple) and all(isinstance(one, int) for one in value):
        return f"the shape {value}"
    if value is None or isinstance(value, (bool, int, float)):
        return f"the value {value}"
    if isinstance(value, (list, tuple, range)):
        plain = all(isinstance(one, (bool, int, float, str)) for one in value)
        return f"the value {value!r:.80}" if plain else f"a {type(value).__name__} of {len(value)}"
    return f"a {type(value).__name__.lower()}, no tensor"


def as_numpy(value: Any) -> Any:
    """The result as numpy arrays of its own; None for what is no tensor."""
    if isinstance(value, Traced):
        held = value.value
        if isinstance(held, torch.Tensor):
            held = (held.float() if held.dtype is torch.bfloat16 else held).numpy()
        return np.array(held)
    parts = parts_of(value)
    return [as_numpy(part) for part in parts] if parts else None


def cells_of(cells: Cells, value: Any) -> np.ndarray:
    """(layers, batch, tokens): the states in a result."""
    return Gathered(cells).add(parts_of(value)).states()
