"""Reductions: sums, means, maxima, norms along axes, and what mixes along an axis and keeps it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
import torch

from bertlens.read.expression.operations.pointwise import DROWNS
from bertlens.read.expression.operations.registry import LEGAL, operation
from bertlens.read.expression.tracer import Refused, Tracer
from bertlens.read.expression.values import Record, Traced

HOW = {
    "sum": "sum",
    "nansum": "sum",
    "mean": "mean",
    "nanmean": "mean",
    "average": "mean",
    "amax": "max",
    "amin": "min",
    "max": "max",
    "min": "min",
    "prod": "product",
    "std": "standard deviation",
    "var": "variance",
    "median": "median",
    "logsumexp": "logsumexp",
    "norm": "norm",
    "vector_norm": "norm",
    "any": "any",
    "all": "all",
    "argmax": "argmax",
    "argmin": "argmin",
    "count_nonzero": "count",
}
"""Every reduction with the word for what it does."""

TORCH_NAMES = tuple(name for name in HOW if name not in ("average", "vector_norm"))
NUMPY_NAMES = tuple(name for name in HOW if name not in ("logsumexp", "norm", "vector_norm"))
PAIRS = ("max", "min", "median")
"""Along an axis PyTorch returns values and indices of these."""

MIXERS = ("softmax", "log_softmax", "softmin")


def reduce(
    t: Tracer, function: Callable[..., Any], how: str, x: Traced, dim: Any, keep: bool, options: dict[str, Any]
) -> Traced | Record:
    """Carry out a reduction; every element of the result depends on all it was made from."""
    arguments = _arguments(x, dim, keep, options)
    value = t.real(function, x, **arguments)
    dims = _dims(x, dim)
    if isinstance(value, tuple):  # torch's (values, indices)
        items = tuple(_reduced(t, one, how, x, dims, keep) for one in value)
        found: Traced | Record = Record(("values", "indices"), items)
    else:
        found = _reduced(t, value, how, x, dims, keep)
    first = found.items[0] if isinstance(found, Record) else found
    t.note("reduce", how=how, x=x, dims=dims, keep=keep, result=first, single=_single(t, x), ignored=_ignored(t.called, how, x))
    return found


def _single(t: Tracer, x: Traced) -> bool:
    """Whether every element is one cell of the model's tensors, so that the reduction is the first thing that mixes."""
    return bool(x.where.max(initial=0) <= t.cells.size and x.unit.max(initial=0) <= t.cells.unit.size)


def _ignored(called: str, how: str, x: Traced) -> bool:
    """Whether the elements behind which there is no cell have no part: -1e9 on padding in a maximum, NaN in a nanmean."""
    empty = np.broadcast_to((x.where == 0) | ((x.unit == 0) & (x.rank == 2)), x.shape)
    if not (called.startswith("nan") or how in ("max", "min")) or not empty.any():
        return False
    filled = np.asarray(x.value)[empty]
    if called.startswith("nan"):
        return bool(np.isnan(filled).all())
    return bool((filled <= -DROWNS).all() if how == "max" else (filled >= DROWNS).all())


def _arguments(x: Traced, dim: Any, keep: bool, options: dict[str, Any]) -> dict[str, Any]:
    if dim is None:
        kept = {"keepdims": True} if x.form in ("array", "number") else {"dim": None, "keepdim": True}
        return {**options, **(kept if keep else {})}
    if x.form == "array":
        return {**options, "axis": dim, **({"keepdims": True} if keep else {})}
    return {**options, "dim": dim, **({"keepdim": True} if keep else {})}


def _dims(x: Traced, dim: Any) -> tuple[int, ...]:
    if dim is None:
        return tuple(range(len(x.shape)))
    wanted = dim if isinstance(dim, (tuple, list)) else (dim,)
    return tuple(sorted(int(one) % max(len(x.shape), 1) for one in wanted))


def _reduced(t: Tracer, value: Any, how: str, x: Traced, dims: Sequence[int], keep: bool) -> Traced:
    dims = dims if x.shape else ()
    labels = {}
    for name, sets in t.both():
        one = getattr(x, name)
        for at in dims:
            one = sets.along(one, at)
        labels[name] = one if keep else np.squeeze(one, axis=tuple(dims))
    axes = [one for at, one in enumerate(x.axes) if keep or at not in dims]
    names = [(name, how) for at in dims for name in x.axes[at].names if x.axes[at].known and x.rank]
    return t.made(value, axes, labels["where"], labels["unit"], (x,), names)


def mix(t: Tracer, value: Any, x: Traced, dims: Sequence[int], others: Sequence[Traced] = ()) -> Traced:
    """A result of the same shape in which every element depends on all that stand along some axes."""
    labels = {}
    for name, sets in t.both():
        one = getattr(x, name)
        for at in dims:
            one = sets.along(one, at)
        labels[name] = one
    return t.made(value, x.axes, labels["where"], labels["unit"], (x, *others))


def dims_of(x: Traced, *dims: Any) -> tuple[int, ...]:
    """Axes counted from the front.

    Raises
    ------
    Refused
        For one that is not there, in PyTorch's words.
    """
    depth = len(x.shape)
    for dim in dims:
        if not isinstance(dim, int) or not -depth <= dim < max(depth, 1):
            wanted = f"Dimension out of range (expected to be in range of [{-depth}, {depth - 1}], but got {dim})"
            raise Refused(f"IndexError: {wanted}")
    return tuple(int(dim) % max(depth, 1) for dim in dims)


def _reduction(
    name: str,
    place: str,
    t: Tracer,
    input: Any,
    /,
    dim: Any = None,
    keepdim: bool = False,
    *,
    axis: Any = None,
    keepdims: bool = False,
    **options: Any,
) -> Any:
    x = t.traced(input)
    if name in ("max", "min") and isinstance(dim, Traced):
        from bertlens.read.expression.operations.pointwise import two

        return two({"max": "maximum", "min": "minimum"}[name], t, x, dim)
    if name in PAIRS or "median" in name:
        t.budget.sorting(x.value.size if isinstance(x.value, np.ndarray) else x.value.numel())
    dim = axis if dim is None else dim
    options = {key: value for key, value in options.items() if not (key == "dtype" and value is None)}
    if place == "np" and x.form in ("tensor", "list"):
        x = to_array(t, x)
    function = getattr(np if x.form in ("array", "number") else torch, name)
    return reduce(t, function, HOW[name], x, dim, bool(keepdim or keepdims), options)


def to_array(t: Tracer, x: Traced) -> Traced:
    """A tensor as a numpy array, as np.asarray and every numpy function make it; with autograd PyTorch refuses."""
    if x.form in ("list", "number"):
        return x.with_form("array", np.asarray(x.value))
    if x.form == "array":
        return x
    t.note("numpy", x=x)
    if x.grad:
        raise Refused("RuntimeError: Can't call numpy() on Tensor that requires grad. Use tensor.detach().numpy() instead.")
    return x.with_form("array", t.real(torch.Tensor.numpy, x))


@operation("torch.norm", "tensor.norm", "torch.linalg.norm", "torch.linalg.vector_norm")
def norm(t: Tracer, input: Any, /, p: Any = 2, dim: Any = None, keepdim: bool = False, *, ord: Any = None) -> Any:
    """Length of vectors."""
    x = t.traced(input)
    order = p if ord is None else ord
    if dim is None and keepdim:
        dim = tuple(range(len(x.shape)))

    def length(value: Any, **options: Any) -> Any:
        return torch.norm(value, p=order, **options)

    return reduce(t, length, "norm", x, dim, keepdim, {})


@operation("np.linalg.norm")
def numpy_norm(t: Tracer, x: Any, /, ord: Any = None, axis: Any = None, keepdims: bool = False) -> Any:
    """Length of vectors."""
    return reduce(t, np.linalg.norm, "norm", to_array(t, t.traced(x)), axis, keepdims, {} if ord is None else {"ord": ord})


@operation("F.normalize")
def normalize(t: Tracer, input: Any, /, p: Any = 2.0, dim: int = 1, eps: float = 1e-12) -> Any:
    """Vectors of length 1: every unit depends on all units of its vector."""
    x = t.traced(input)
    if -len(x.shape) <= dim < len(x.shape):
        t.note("normalize", x=x, axis=x.axes[dim].name, at=dim % len(x.shape))
    return mix(t, t.real(torch.nn.functional.normalize, x, p=p, dim=dim, eps=eps), x, dims_of(x, dim))


@operation("F.layer_norm")
def layer_norm(t: Tracer, input: Any, /, normalized_shape: Any, eps: float = 1e-5) -> Any:
    """LayerNorm without weights."""
    x = t.traced(input)
    value = t.real(torch.nn.functional.layer_norm, x, tuple(normalized_shape), eps=eps)
    return mix(t, value, x, range(len(x.shape) - len(normalized_shape), len(x.shape)))


def _mixer(name: str, t: Tracer, input: Any, /, dim: Any = None, *, dtype: Any = None) -> Any:
    x = t.traced(input)
    value = t.real(getattr(torch.nn.functional, name), x, dim=dim, dtype=dtype)
    return mix(t, value, x, dims_of(x, -1 if dim is None else dim))


@operation("torch.cumsum", "tensor.cumsum", "np.cumsum", "array.cumsum")
def cumsum(t: Tracer, input: Any, /, dim: Any = None, *, axis: Any = None) -> Any:
    """Sums up to each place."""
    x = t.traced(input)
    dim = axis if dim is None else dim
    if dim is None:
        raise Refused("TypeError: cumsum() missing 1 required argument: 'dim'")
    arrays = x.form == "array"
    value = t.real(np.cumsum if arrays else torch.cumsum, x, **{"axis" if arrays else "dim": dim})
    (at,) = dims_of(x, dim)
    labels = [sets.up_to(getattr(x, name), at, x.shape[at]) for name, sets in t.both()]
    return t.made(value, x.axes, labels[0], labels[1], (x,))


@operation("torch.sort", "tensor.sort", "torch.argsort", "tensor.argsort", "np.sort", "np.argsort", "array.argsort")
def sort(t: Tracer, input: Any, /, dim: int = -1, descending: bool = False, *, axis: int | None = None) -> Any:
    """Values in order with the places they came from; numpy returns the values only."""
    x = t.traced(input)
    t.budget.sorting(int(np.prod(x.shape)))
    dim = dim if axis is None else axis
    dims = dims_of(x, dim)
    if x.form == "array":
        return mix(t, t.real(getattr(np, t.called), x, axis=dim), x, dims)
    value = t.real(torch.sort, x, dim=dim, descending=descending)
    items = tuple(mix(t, one, x, dims) for one in value)
    return items[1] if t.called == "argsort" else Record(("values", "indices"), items)


@operation("torch.topk", "tensor.topk")
def topk(t: Tracer, input: Any, /, k: int, dim: int = -1, largest: bool = True, sorted: bool = True) -> Any:
    """The k largest with their places."""
    x = t.traced(input)
    t.budget.sorting(int(np.prod(x.shape)))
    value = t.real(torch.topk, x, k, dim=dim, largest=largest, sorted=sorted)
    return Record(("values", "indices"), tuple(mix(t, one, x, dims_of(x, dim)) for one in value))


def sequence_extreme(t: Tracer, name: str, items: Sequence[Any]) -> Any:
    """Python's max and min of numbers."""
    numbers = [t.traced(item) for item in items]
    found = t.real(max if name == "max" else min, items)
    from bertlens.read.expression.operations.pointwise import pointwise

    return pointwise(t, np.asarray(found), numbers).with_form("number")


def _enter() -> None:
    for name in TORCH_NAMES:
        if name != "norm":
            LEGAL[f"torch.{name}"] = LEGAL[f"tensor.{name}"] = partial(_reduction, name, "torch")
    for name in NUMPY_NAMES:
        if hasattr(np, name):
            LEGAL[f"np.{name}"] = partial(_reduction, name, "np")
        if hasattr(np.ndarray, name):
            LEGAL[f"array.{name}"] = partial(_reduction, name, "array")
    for name in MIXERS:
        LEGAL[f"F.{name}"] = partial(_mixer, name)
    for name in ("softmax", "log_softmax"):
        LEGAL[f"torch.{name}"] = LEGAL[f"tensor.{name}"] = partial(_mixer, name)


_enter()
