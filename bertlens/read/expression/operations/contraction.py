"""Contraction: products that sum over an axis - matrix products, einsum, similarities, distances, linear layers."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np
import torch

from bertlens.read.expression.axes import UNNAMED, Axis, axis
from bertlens.read.expression.operations.arrangement import unsqueeze
from bertlens.read.expression.operations.pointwise import pointwise
from bertlens.read.expression.operations.reductions import dims_of, reduce, to_array
from bertlens.read.expression.operations.registry import LEGAL, everywhere, operation
from bertlens.read.expression.sets import LABEL, compressed, only_where
from bertlens.read.expression.tracer import Refused, Tracer
from bertlens.read.expression.values import Traced

WEIGHTED = "weighted sum"
"""A product with a mask or with weights sums over the axis they share."""


def contracted(t: Tracer, value: Any, operands: Sequence[Traced], letters: Sequence[str], out: str) -> Traced:
    """A product of operands whose axes are lettered as in einsum; letters that are not in `out` are summed over.

    An element hangs on another operand's element only where what it is multiplied with is not zero, so that padding which a
    mask takes out is not in the result.
    """
    every = out + "".join(dict.fromkeys(letter for one in letters for letter in one if letter not in out))
    top = max(one.rank for one in operands)
    seen = []
    for at, operand in enumerate(operands):
        if operand.rank == top:
            one = tuple(_lettered(getattr(operand, name), letters[at], every) for name, _ in t.both())
            for other, spelled in zip(operands, letters, strict=True):
                if other is not operand or letters.count(spelled) > 1:
                    one = _where_not_zero(one, other, spelled, every)
            seen.append(one)
    labels = {}
    for at, (name, sets) in enumerate(t.both()):
        joined = np.zeros((1,) * len(every), LABEL)
        for one in seen:
            joined = sets.union(joined, one[at])
        for place in range(len(out), len(every)):
            joined = sets.along(joined, place)
        labels[name] = joined.reshape(joined.shape[: len(out)])
    named = {letter: axes for operand, spelled in sorted(zip(operands, letters, strict=True), key=lambda pair: pair[0].rank)
             for letter, axes in zip(spelled, operand.axes, strict=True) if axes.known}  # fmt: skip
    how = "product" if all(operand.rank == 2 for operand in operands) else WEIGHTED
    gone = [(name, how) for letter in every[len(out) :] if letter in named for name in named[letter].names]
    axes = [named.get(letter, axis(UNNAMED, 1)) for letter in out]
    result = t.made(value, axes, labels["where"], labels["unit"], operands, gone)
    t.note("contract", operands_seen=tuple(operands), gone=tuple(gone), result=result)
    return result


def _lettered(labels: np.ndarray, spelled: str, every: str) -> np.ndarray:
    """Axes in the order of all letters, length 1 where an operand has none."""
    order = sorted(range(len(spelled)), key=lambda at: every.index(spelled[at]))
    shape = [1] * len(every)
    for at in order:
        shape[every.index(spelled[at])] = labels.shape[at]
    return labels.transpose(order).reshape(shape)


def _where_not_zero(labels: tuple[np.ndarray, ...], other: Traced, spelled: str, every: str) -> tuple[np.ndarray, ...]:
    value = other.value
    array = (value.float() if value.dtype is torch.bfloat16 else value).numpy() if isinstance(value, torch.Tensor) else value
    if np.count_nonzero(array) == array.size:
        return labels
    return only_where(_lettered(compressed(array != 0), spelled, every), *labels)


@operation(*everywhere("matmul"), *everywhere("dot"), "torch.mm", "tensor.mm", "torch.bmm", "tensor.bmm")
@operation("torch.mv", "tensor.mv")
def matmul(t: Tracer, input: Any, other: Any, /) -> Traced:
    """Matrix product."""
    arrays = any(isinstance(one, Traced) and one.form == "array" for one in (input, other))
    left, right = (to_array(t, t.traced(one)) if t.full_name.startswith("np.") else t.traced(one) for one in (input, other))
    letters = "abcdefgh"
    a, b = len(left.shape), len(right.shape)
    if not a or not b:
        raise Refused("RuntimeError: both arguments to matmul need to be at least 1D")
    deep = max(a, b, 2) - 2
    if deep > len(letters):
        raise Refused("RuntimeError: too many axes")
    t.budget.products(math.prod(left.shape) * (right.shape[-1] if b > 1 else 1))
    front = np.broadcast_shapes(*(s for s in (left.shape[:-2], right.shape[:-2]) if s)) if _fits(left, right) else ()
    t.budget.memory((*front, left.shape[-2] if a > 1 else 1, right.shape[-1] if b > 1 else 1), 4)
    methods: dict[str, Any] = {"mm": torch.mm, "bmm": torch.bmm, "mv": torch.mv}
    function: Any = methods.get(t.called) or (np.matmul if arrays or t.full_name.startswith("np.") else torch.matmul)
    if t.called == "dot":
        function = np.dot if arrays or t.called_in("np") else torch.dot
    value = t.real(function, left, right)
    batch = letters[:deep]
    one = batch[deep - max(a - 2, 0) :] + ("m" if a > 1 else "") + "k"
    two = batch[deep - max(b - 2, 0) :] + "k" + ("n" if b > 1 else "")
    out = batch + ("m" if a > 1 else "") + ("n" if b > 1 else "")
    return contracted(t, value, (left, right), (one, two), out)


def _fits(left: Traced, right: Traced) -> bool:
    try:
        np.broadcast_shapes(left.shape[:-2], right.shape[:-2])
    except ValueError:
        return False
    return True


@operation("torch.einsum", "np.einsum")
def einsum(t: Tracer, equation: str, /, *operands: Any) -> Traced:
    """Products and sums by letters, `bth,bt->bh`."""
    arrays = t.called_in("np")
    tensors = operands[0] if len(operands) == 1 and isinstance(operands[0], (list, tuple)) else operands
    parts = [to_array(t, t.traced(one)) if arrays else t.traced(one) for one in tensors]
    spelled, out = _equation(equation)
    if len(spelled) != len(parts) or any(len(s) != len(p.shape) for s, p in zip(spelled, parts, strict=False)):
        function = np.einsum if arrays else torch.einsum
        t.real(function, equation, *parts)
        raise Refused("ValueError: the equation does not fit the tensors")
    sizes = {letter: size for s, p in zip(spelled, parts, strict=True) for letter, size in zip(s, p.shape, strict=True)}
    t.budget.products(math.prod(sizes.values()))
    t.budget.memory([sizes[letter] for letter in out if letter in sizes], 4)
    value = t.real(np.einsum if arrays else torch.einsum, equation, *parts)
    return contracted(t, value, parts, spelled, out)


def _equation(equation: Any) -> tuple[list[str], str]:
    if not isinstance(equation, str):
        raise Refused("TypeError: einsum(): the equation must be a string")
    left, arrow, out = equation.replace(" ", "").partition("->")
    spelled = left.split(",")
    letters = "".join(spelled)
    if not all(one.isalpha() for one in (*spelled, out) if one) or any(len(set(one)) != len(one) for one in spelled):
        raise Refused("ValueError: only letters, each once per tensor, can be traced", "an equation like 'bth,bt->bh'")
    return spelled, out if arrow else "".join(sorted(letter for letter in set(letters) if letters.count(letter) == 1))


@operation("torch.outer", "np.outer", "torch.inner", "np.inner")
def outer(t: Tracer, input: Any, other: Any, /) -> Traced:
    """All products of two vectors (outer), or their sum (inner)."""
    left, right = t.traced(input), t.traced(other)
    if len(left.shape) != 1 or len(right.shape) != 1:
        raise Refused("RuntimeError: expected two vectors", f"{left.shape} and {right.shape}")
    is_outer = t.called == "outer"
    t.budget.memory((*left.shape, *right.shape) if is_outer else (1,), 4)
    value = t.real(getattr(np if "np." in t.full_name else torch, t.called), left, right)
    return contracted(t, value, (left, right), ("a", "b") if is_outer else ("a", "a"), "ab" if is_outer else "")


def _paired(function: Any, how: str, t: Tracer, x1: Any, x2: Any, /, dim: int | None = None, **options: Any) -> Traced:
    """One number for each pair of vectors along an axis."""
    a, b = t.traced(x1), t.traced(x2)
    dim = (1 if how == "cosine" else -1) if dim is None else dim
    given = {"dim": dim, **options} if how == "cosine" else options
    value = t.real(function, a, b, **given)
    wide = t.real(np.broadcast_shapes, a.shape, b.shape)
    t.budget.memory(wide, 8)
    both = pointwise(t, np.broadcast_to(np.float32(0), wide), (a, b))
    (at,) = dims_of(both, dim)
    found = reduce(t, lambda x, axis: value, how, both, at, False, {})
    assert isinstance(found, Traced)
    return t.made(value, found.axes, found.where, found.unit, (found,))


for _place in ("torch", "F"):
    LEGAL[f"{_place}.cosine_similarity"] = partial(_paired, torch.nn.functional.cosine_similarity, "cosine")
    LEGAL[f"{_place}.pairwise_distance"] = partial(_paired, torch.nn.functional.pairwise_distance, "distance")


@operation("torch.cdist")
def cdist(t: Tracer, x1: Traced, x2: Traced, /, p: float = 2.0) -> Traced:
    """Distances of all rows of one matrix to all of another."""
    a, b = t.traced(x1), t.traced(x2)
    if len(a.shape) != 2 or len(b.shape) != 2:
        raise Refused("RuntimeError: cdist is traced for two matrices", f"{a.shape} and {b.shape}")
    t.budget.products(a.shape[0] * b.shape[0] * a.shape[1] * 10)
    t.budget.memory((a.shape[0], b.shape[0]), 4)
    value = t.real(torch.cdist, a, b, p)
    apart = torch.zeros(()).expand(*value.shape, a.shape[1])  # no product: a zero of one hides nothing of the other
    both = pointwise(t, apart, (unsqueeze(t, a, 1), unsqueeze(t, b, 0)))
    found = reduce(t, lambda x, **_: value, "distance", both, 2, False, {})
    assert isinstance(found, Traced)
    return found


@operation("torch.dist", "tensor.dist")
def dist(t: Tracer, input: Traced, other: Traced, /, p: float = 2) -> Traced:
    """The length of a difference."""
    value = t.real(torch.dist, input, other, p)
    both = pointwise(t, t.real(torch.sub, input, other), (input, other))
    found = reduce(t, lambda x: value, "distance", both, None, False, {})
    assert isinstance(found, Traced)
    return found


@operation("torch.equal", "tensor.equal", "torch.allclose", "tensor.allclose", "np.allclose", "np.array_equal")
def equal(t: Tracer, input: Any, other: Any, /, rtol: float = 1e-5, atol: float = 1e-8) -> Traced:
    """Whether two are the same, or nearly: one answer that hangs on all of both."""
    a, b = (to_array(t, t.traced(one)) if t.called_in("np") else t.traced(one) for one in (input, other))
    library, near = np if t.called_in("np") else torch, {"rtol": rtol, "atol": atol} if t.called == "allclose" else {}
    value = np.asarray(t.real(getattr(library, t.called), a, b, **near))
    parts = [reduce(t, lambda x: value, "all", one, None, False, {}) for one in (a, b)]
    return pointwise(t, value, parts).with_form("number")


@operation("F.linear")
def with_weights(t: Tracer, input: Traced, /, weight: Traced, bias: Any = None) -> Traced:
    """A linear layer with weights that are given."""
    at = len(input.shape) - 1
    value = t.real(torch.nn.functional.linear, input, weight, *(() if bias is None else (bias,)))
    t.budget.products(math.prod(input.shape) * weight.shape[0])
    letters = "abcdefgh"[:at]
    return contracted(t, value, (input, weight), (letters + "k", "nk"), letters + "n")


@operation("cosine_similarity", "util.cos_sim", "util.pytorch_cos_sim", "cos_sim")
def similarity_matrix(t: Tracer, x: Any, y: Any = None, /) -> Traced:
    """scikit-learn's and sentence-transformers' matrix of cosines, each row of one against each of the other."""
    arrays = t.full_name == "cosine_similarity"
    a, b = (t.traced(one) for one in (x, x if y is None else y))
    a, b = (to_array(t, one) if arrays else one for one in (a, b))
    if len(a.shape) != 2 or len(b.shape) != 2:
        got = f"arrays with {len(a.shape)} and {len(b.shape)} axes"
        raise Refused(f"ValueError: Expected 2D array, got {got} instead", "two matrices (texts, hidden)")

    def cosines(x: Any, y: Any) -> Any:
        x, y = (one / (np if arrays else torch).linalg.norm(one, ord=2, **{"axis" if arrays else "dim": 1, key: True})
                for one in (x, y))  # fmt: skip
        return x @ y.T

    key = "keepdims" if arrays else "keepdim"
    t.budget.products(a.shape[0] * b.shape[0] * a.shape[1])
    t.budget.memory((a.shape[0], b.shape[0]), 4)
    return contracted(t, t.real(cosines, a, b), (a, b), ("mk", "nk"), "mn")


def linear(t: Tracer, x: Traced, features: int, out: int, weight: torch.Tensor, bias: torch.Tensor | None) -> Traced:
    """A linear layer over the last axis; where its length is another, PyTorch's own refusal with both lengths named."""
    last: Axis = x.axes[-1] if x.axes else axis(UNNAMED, 1)
    t.note("linear", x=x, features=features, out=out)
    if x.shape and x.shape[-1] != features:
        lengths = " × ".join(f"{size} {name}" for name, size in last.factors) if len(last.factors) > 1 else last.name
        try:
            t.real(torch.nn.functional.linear, x, weight, bias)
        except Refused as refused:
            words = f"Linear({features}, {out}) wants {features} in the last axis; got {x.shape[-1]} ({lengths})"
            raise Refused(refused.message, words) from None
    t.budget.products(math.prod(x.shape) * out)
    t.budget.memory((*x.shape[:-1], out), 4)
    value = t.real(torch.nn.functional.linear, x, weight, bias)
    at = len(x.shape) - 1
    where, unit = (sets.along(getattr(x, name), at) for name, sets in t.both())
    gone = [(name, "linear layer") for name in last.names if last.known]
    return t.made(value, [*x.axes[:-1], axis("features", out)], where, unit, (x,), gone)
