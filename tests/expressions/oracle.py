"""Oracle: an expression run by Python itself on the real objects, and which cells its result hangs on, found by moving them."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from itertools import product
from types import CodeType
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn
from transformers import BatchEncoding
from transformers.modeling_outputs import BaseModelOutput, BaseModelOutputWithPoolingAndCrossAttentions

from bertlens.read.capture import Capture

SHIFTS = (40.0, -40.0, 0.37, -3.1)
"""What is added to a cell: enough either way to become the largest or the smallest, and a little."""

OUTPUT_NAMES = ("outputs", "output", "out", "model_output", "result", "outs")
INPUT_NAMES = ("inputs", "encoded_input", "batch", "encoding", "enc")


@cache
def compiled(code: str) -> CodeType:
    """The code, keeping in `__value__` what its last line is or assigns."""
    tree = ast.parse(code)
    last = tree.body[-1]
    if isinstance(last, ast.Expr):
        target: ast.expr = ast.Name("__value__", ast.Store())
        tree.body[-1] = ast.Assign([target], last.value)
    elif isinstance(last, ast.Assign | ast.AugAssign | ast.With):
        while isinstance(last, ast.With):
            last = last.body[-1]
        assigned = last.targets[0] if isinstance(last, ast.Assign) else last.target  # type: ignore[attr-defined]
        value = ast.parse(ast.unparse(assigned), mode="eval").body
        tree.body.append(ast.Assign([ast.Name("__value__", ast.Store())], value))
    return compile(ast.fix_missing_locations(tree), "<expression>", "exec")


def model_output(
    capture: Capture, states: tuple[torch.Tensor, ...], pooler: torch.Tensor | None, hidden: bool | None = None
) -> Any:
    """The outputs, in the class in which a model returns them, with the hidden states where they are among the fields."""
    hidden = "hidden_states" in capture.fields if hidden is None else hidden
    fields: dict[str, Any] = {"last_hidden_state": states[-1], **({"hidden_states": states} if hidden else {})}
    if pooler is None:
        return BaseModelOutput(**fields)
    return BaseModelOutputWithPoolingAndCrossAttentions(pooler_output=pooler, **fields)


def names(code: str, capture: Capture, states: tuple[torch.Tensor, ...], pooler: torch.Tensor | None) -> dict[str, Any]:
    """What an expression may name, as it is in a person's own session; objects that cost time only where it names them."""
    outputs = model_output(capture, states, pooler) if any(name in code for name in OUTPUT_NAMES) else None
    inputs: Any = {name: tensor.clone() for name, tensor in capture.inputs.items()}
    inputs = BatchEncoding(inputs) if any(name in code for name in INPUT_NAMES) else inputs

    def model(*_: Any, return_dict: bool = True, output_hidden_states: bool = False, **__: Any) -> Any:
        detached = states if torch.is_grad_enabled() else tuple(state.detach() for state in states)
        again = model_output(capture, detached, pooler, output_hidden_states)
        return again if return_dict else again.to_tuple()

    known: dict[str, Any] = {"torch": torch, "np": np, "numpy": np, "F": F, "nn": nn, "model": model}
    known["cosine_similarity"] = cosine_similarity
    known |= dict.fromkeys(OUTPUT_NAMES, outputs) | dict.fromkeys(INPUT_NAMES, inputs) | dict(inputs)
    known |= {"last_hidden_state": states[-1], "hidden_states": states, "pooler_output": pooler}
    return known


def cosine_similarity(x: Any, y: Any = None) -> np.ndarray:
    """As scikit-learn has it: each row of one against each of the other."""
    a, b = (np.asarray(one) for one in (x, x if y is None else y))
    a, b = (one / np.linalg.norm(one, ord=2, axis=1, keepdims=True) for one in (a, b))
    return np.asarray(a @ b.T)


def run(code: str, capture: Capture, states: tuple[torch.Tensor, ...] | None = None, pooler: torch.Tensor | None = None) -> Any:
    """The value that Python itself comes to; everything in the capture is copied first, as code may write into it."""
    states = tuple(state.clone() for state in (capture.hidden_states if states is None else states))
    pooler = capture.pooler_output if pooler is None else pooler
    pooler = None if pooler is None else pooler.clone()
    if capture.wanted_grad:
        for tensor in (*states, *(() if pooler is None else (pooler,))):
            tensor.requires_grad_()
    torch.default_generator.manual_seed(0)  # torch.manual_seed also notes who called it, and takes longer than the run
    space = names(code, capture, states, pooler)
    exec(compiled(code), space)
    return space["__value__"]


def arrays(value: Any) -> Iterator[np.ndarray]:
    """Every number in a value, wherever it stands."""
    if isinstance(value, torch.Tensor):
        yield value.detach().numpy()
    elif isinstance(value, np.ndarray | np.generic | bool | int | float):
        yield np.asarray(value)
    elif isinstance(value, list | tuple):
        for one in value:
            yield from arrays(one)


def as_array(value: Any) -> np.ndarray:
    """One array of it; lists and tuples get an axis in front."""
    if isinstance(value, list | tuple):
        return np.stack([as_array(one) for one in value])
    (array,) = arrays(value)
    return array


@dataclass(frozen=True)
class Moved:
    """What a result hangs on.

    Attributes
    ----------
    cells : (layers + 1, batch, tokens, hidden), True where moving the cell moves the result.
    pooler : (batch, hidden), the same of the pooler output.
    rows : the texts each entry along the result's batch axis hangs on; empty where no axis was named.
    """

    cells: np.ndarray
    pooler: np.ndarray
    rows: tuple[tuple[int, ...], ...]


def moved(code: str, capture: Capture, *, axis: int | None = None, flat: bool = False, units: int | None = None) -> Moved:
    """Move the cells one by one and compare.

    A layer and a position in it are first moved as a whole, and passed over where nothing follows; `flat` moves every cell
    without asking that first.

    Parameters
    ----------
    axis : the result's batch axis.
    units : how many hidden units of a position are moved one by one, where not all.
    """
    base = list(arrays(run(code, capture)))
    states, pooler = capture.hidden_states, capture.pooler_output
    layers, (batch, width, hidden) = len(states), states[-1].shape
    cells, of_pooler = np.zeros((layers, batch, width, hidden), bool), np.zeros((batch, hidden), bool)
    rows: list[set[int]] = [set() for _ in range(base[0].shape[axis])] if axis is not None else []
    noise = torch.Generator().manual_seed(1)

    def follows(of: int | None, place: tuple[Any, ...], text: int | None = None, every: bool = False) -> bool:
        found = False
        for shift in SHIFTS:
            tensor = (pooler if of is None else states[of]).clone()  # type: ignore[union-attr]
            many = tensor[place].numel() > 1
            tensor[place] += shift * (torch.rand(tensor[place].shape, generator=noise) * 0.5 + 0.75 if many else 1.0)
            new = states if of is None else (*states[:of], tensor, *states[of + 1 :])
            now = list(arrays(run(code, capture, new, tensor if of is None else pooler)))
            if _differ(base, now):
                found = True
                if text is not None and axis is not None:
                    unequal = _unequal(base[0], now[0])
                    along = unequal.any(axis=tuple(other for other in range(unequal.ndim) if other != axis))
                    for row in np.flatnonzero(along):
                        rows[row].add(text)
                if not every:
                    return True
        return found

    for layer in range(layers):
        if not flat and not follows(layer, ()):
            continue
        for text, token in product(range(batch), range(width)):
            # the rows need every shift: what is the largest in one row may be nothing in another
            if not follows(layer, (text, token), text, axis is not None) and not flat:
                continue
            for unit in range(hidden if units is None else units):
                cells[layer, text, token, unit] = follows(layer, (text, token, unit))
    if pooler is not None and (flat or follows(None, ())):
        for text in range(batch):
            if not follows(None, (text,), text, axis is not None) and not flat:
                continue
            for unit in range(hidden):
                of_pooler[text, unit] = follows(None, (text, unit))
    return Moved(cells, of_pooler, tuple(tuple(sorted(row)) for row in rows))


def _unequal(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    equal = a == b
    if a.dtype.kind == "f":
        equal |= np.isnan(a) & np.isnan(b)
    return np.asarray(~equal)


def _differ(before: list[np.ndarray], after: list[np.ndarray]) -> bool:
    if len(before) != len(after) or any(a.shape != b.shape for a, b in zip(before, after, strict=True)):
        return True
    return any(_unequal(a, b).any() for a, b in zip(before, after, strict=True))
