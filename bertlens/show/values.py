"""Values: what an expression gives, as a picture and as a table, with rows named by text, token or layer."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from bertlens.read.capture import Capture
from bertlens.read.expression.explanation import Step, Trace
from bertlens.show.figures import BARE, MARGIN, laid_out, literal

MOST_LINES, MOST_WIDE, MOST_CELLS = 40, 768, 500_000
"""Rows and columns of the picture, and values of the table."""

SCALE = [
    *([0, "rgba(213,94,0,1)"], [0.25, "rgba(213,94,0,0.62)"]),
    [0.5, "rgba(128,128,128,0.06)"],
    *([0.75, "rgba(0,114,178,0.62)"], [1, "rgba(0,114,178,1)"]),
]
"""Below zero orange, above zero blue, and at zero the page itself, light or dark."""

PLAIN = {"margin": {**MARGIN, "t": 20}, "showlegend": False}
"""A figure without a legend."""

INDEX = {"batch": "text", "tokens": "token", "layers": "layer", "hidden": "hidden unit", "1": "index"}
"""What one row of an axis is called."""


def array_of(trace: Trace) -> np.ndarray | None:
    """The result as one array, a tuple of equal ones stacked; None where it is no number."""
    value = trace.value
    if isinstance(value, list | tuple):
        parts = [np.asarray(part) for part in value]
        if not parts or len({part.shape for part in parts}) > 1:
            return None
        value = np.stack(parts)
    if value is None:
        return None
    array = np.asarray(value)
    return array if array.dtype.kind in "biuf" else None


def names_of(step: Step, capture: Capture, array: np.ndarray) -> list[list[str]]:
    """The name of every index of every axis: "text 0", "token 3 bank", "layer 6".

    Tokens, layers and hidden units are called by their numbers only where the values are found under these numbers in the
    states: an expression may have turned their order round. Elsewhere an index is just that: "tokens 0", the first of them.
    """
    axes = step.axes if len(step.axes) == array.ndim else ("",) * array.ndim
    found = step.provenance
    held = {
        "batch": found.texts,
        "tokens": tuple(range(capture.width)) if found.every_token else found.tokens,
        "layers": found.layers,
        "hidden": tuple(range(capture.hidden)) if found.every_hidden else found.hidden,
    }
    sure = _found(axes, held, capture, array)
    return [
        _names(axis, size, step, capture, held[axis] if sure and axis in held else ())
        for axis, size in zip(axes, array.shape, strict=True)
    ]


def _found(axes: tuple[str, ...], held: dict[str, tuple[int, ...]], capture: Capture, array: np.ndarray) -> bool:
    """Whether the values are those of the states under these numbers, looked up along each axis."""
    for name, numbers in held.items():
        if len(numbers) != (array.shape[axes.index(name)] if name in axes else 1) or not numbers:
            return False
    if set(axes) - set(held) or held["layers"][-1] >= len(capture.hidden_states):
        return False
    for at, axis in enumerate(axes):
        where = {name: numbers if name == axis else numbers[:1] for name, numbers in held.items()}
        rows, columns, units = (list(where[name]) for name in ("batch", "tokens", "hidden"))
        states = [capture.hidden_states[layer][rows][:, columns][..., units].numpy() for layer in where["layers"]]
        line = array[tuple(slice(None) if other == at else 0 for other in range(array.ndim))]
        if not np.array_equal(np.stack(states).reshape(-1), line):
            return False
    return True


def _names(axis: str, size: int, step: Step, capture: Capture, numbers: tuple[int, ...]) -> list[str]:
    found = step.provenance
    if axis == "batch" and len(found.rows) == size and all(found.rows):
        return [_texts(row) for row in found.rows]
    if not numbers:
        return [f"{axis if axis not in ('', '1') else 'index'} {at}" for at in range(size)]
    if axis == "tokens":
        rows = capture.tokens
        words = rows[found.texts[0]] if rows and len(found.texts) == 1 else None
        return [f"token {at}" + (f" {words[at]}" if words else "") for at in numbers]
    if axis == "layers":
        return ["embeddings" if at == 0 and capture.layers else f"layer {at}" for at in numbers]
    return [f"{INDEX[axis]} {at}" for at in numbers]


def _texts(row: tuple[int, ...]) -> str:
    if len(row) == 1:
        return f"text {row[0]}"
    return f"texts {row[0]} to {row[-1]}" if len(row) > 3 else f"texts {', '.join(map(str, row))}"


def values(trace: Trace, capture: Capture) -> go.Figure | None:
    """The values as a line (one axis) or a heatmap (rows: all axes but the last); None for a single number or none at all."""
    array, step = array_of(trace), trace.result
    if array is None or step is None or not array.ndim or not array.size:
        return None
    names = names_of(step, capture, array)
    if array.ndim == 1:
        return _line(array, names[0], step.axes[-1] if step.axes else "")
    rows = _rows(names[:-1], capture)
    flat = array.reshape(-1, array.shape[-1])[: len(rows), :MOST_WIDE].astype(float)
    columns = names[-1][:MOST_WIDE]
    bound = bound_of(array)
    said = [[f"{literal(row)}, {literal(column)}" for column in columns] for row in rows]
    figure = go.Figure(
        go.Heatmap(
            z=flat,
            x=list(range(len(columns))),
            y=list(range(len(rows))),
            customdata=said,
            hovertemplate="%{customdata}: %{z:.4g}<extra></extra>",
            colorscale=SCALE,
            zmin=-bound,
            zmax=bound,
            colorbar={"title": {"text": "value"}, "thickness": 12, "tickvals": [-bound, 0, bound], "tickformat": ".2g"},
        )
    )
    if len(rows) * len(columns) <= 60:
        figure.update_traces(texttemplate="%{z:.3g}", xgap=2, ygap=2)
    few = len(columns) <= 24
    ticks = {"tickvals": list(range(len(columns))), "ticktext": [_short(column) for column in columns]} if few else {}
    across = {"title": step.axes[-1] if len(step.axes) == array.ndim else "", **ticks, **BARE}
    ticks = {"tickvals": list(range(len(rows))), "ticktext": [_short(row) for row in rows]}
    down = {**ticks, "autorange": "reversed", "title": "", **BARE}
    return laid_out(figure, 110 + 26 * min(max(len(rows), 2), MOST_LINES), across, down, **PLAIN)


def left_out(trace: Trace) -> str:
    """What the picture does not show, in one sentence; "" where it shows everything."""
    array = array_of(trace)
    if array is None or array.ndim < 2 or not array.size:
        return ""
    rows, columns = int(np.prod(array.shape[:-1])), array.shape[-1]
    parts = []
    if rows > MOST_LINES:
        parts.append(f"the first {MOST_LINES} of {rows:,} rows are drawn")
    if columns > MOST_WIDE:
        parts.append(f"the first {MOST_WIDE} of {columns:,} columns are drawn")
    bound, sizes = bound_of(array), np.abs(array[np.isfinite(array)].astype(float))
    if beyond := int((sizes > bound).sum()):
        parts.append(f"colours end at ±{bound:.2g}, beyond which {beyond:,} of {array.size:,} values lie, to {sizes.max():.2g}")
    if odd := int(array.size - np.isfinite(array).sum()):
        parts.append(f"{odd:,} values are not finite and stay blank")
    line = "; ".join(parts)
    return f"{line[0].upper()}{line[1:]}." if line else ""


def range_of(array: np.ndarray) -> str:
    """The values in a sentence: how many there are, and between which two they lie."""
    finite, shape = array[np.isfinite(array)], " × ".join(map(str, array.shape))
    if not finite.size:
        return f"{shape} values, none of them finite."
    return f"{shape} values between {finite.min():.4g} and {finite.max():.4g}."


def bound_of(array: np.ndarray) -> float:
    """Where colours end on both sides of zero: at the largest size, or where single outliers would bleach the rest."""
    sizes = np.abs(array[np.isfinite(array)].astype(float))
    if not sizes.size or not sizes.max():
        return 1.0
    usual = float(np.percentile(sizes, 98))
    return usual if usual and sizes.max() > 3 * usual else float(sizes.max())


def value_frame(trace: Trace, capture: Capture) -> pd.DataFrame:
    """The values with a line per row of the result, each axis but the last as a column; cut at `MOST_CELLS` values."""
    array, step = array_of(trace), trace.result
    if array is None or step is None:
        return pd.DataFrame()
    if not array.ndim:
        return pd.DataFrame({"value": [array.item()]})
    names = names_of(step, capture, array)
    axes = step.axes if len(step.axes) == array.ndim else ("",) * array.ndim
    if array.ndim == 1:
        return pd.DataFrame({INDEX.get(axes[0], axes[0]) or "index": names[0], "value": array})
    columns = names[-1][:MOST_CELLS]
    most = max(1, MOST_CELLS // len(columns)) if columns else 0
    flat = array.reshape(-1, array.shape[-1])[:most, : len(columns)]
    plain = axes[-1] not in ("tokens", "batch", "layers")  # those may have names of their own, the others are counted
    frame = pd.DataFrame(flat, columns=[column.rpartition(" ")[2] if plain else column for column in columns])
    heads = np.indices(array.shape[:-1]).reshape(array.ndim - 1, -1)[:, : len(flat)]
    for at in reversed(range(array.ndim - 1)):
        title = INDEX.get(axes[at], axes[at]) or f"index {at}"
        frame.insert(0, _fresh(title, frame), [names[at][index] for index in heads[at]])
    return frame


def _fresh(title: str, frame: Any) -> str:
    while title in frame:
        title += "’"
    return title


def _rows(names: list[list[str]], capture: Capture) -> list[str]:
    """Names of the first rows when all axes but the last are laid out in one: "text 0, token 3 bank"."""
    sizes = tuple(map(len, names))
    lines = []
    for at in range(min(int(np.prod(sizes)), MOST_LINES)):
        where = np.unravel_index(at, sizes)
        parts = [line[index] for line, index in zip(names, where, strict=True)]
        lines.append(", ".join(parts) + _word(parts, capture))
    return lines


def _word(parts: list[str], capture: Capture) -> str:
    """The token that stands where a text and a position are both named."""
    numbers = {head: int(tail) for head, _, tail in (part.partition(" ") for part in parts) if tail.isdigit()}
    if capture.tokens is None or not {"text", "token"} <= set(numbers):
        return ""
    return f" {capture.tokens[numbers['text']][numbers['token']]}"


def _short(name: str) -> str:
    return literal(name if len(name) <= 34 else f"{name[:33]}…")


def _line(array: np.ndarray, names: list[str], axis: str) -> go.Figure:
    shown, few = array[: 20 * MOST_WIDE].astype(float), len(array) <= 24
    figure = go.Figure(
        go.Scatter(
            x=list(range(len(shown))),
            y=shown,
            customdata=[literal(name) for name in names[: len(shown)]],
            mode="lines+markers" if len(shown) <= 64 else "lines",
            line={"color": "#0072B2", "width": 1.5},
            hovertemplate="%{customdata}: %{y:.4g}<extra></extra>",
        )
    )
    figure.add_hline(y=0, line={"color": "rgba(128,128,128,0.8)", "width": 1})
    ticks = {"tickvals": list(range(len(shown))), "ticktext": [_short(name) for name in names[: len(shown)]]} if few else {}
    return laid_out(figure, 300, {"title": axis, **ticks}, {"title": "value"}, **PLAIN)
