"""Cube: batch x tokens x hidden as a block seen from a corner, its layers on one side, its hidden units on the other.

The picture is an isometric drawing: tokens run to the lower right, texts to the lower left, hidden units upwards. Boxes are
painted from the back to the front, so that what is nearer covers what is behind it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise

import numpy as np
import plotly.graph_objects as go

from bertlens.show.cells import FREE, HELD, HELD_PADDING, LOOK
from bertlens.show.held import Held

MOST_BLOCKS, MOST_ROWS, MOST_COLUMNS = 4, 8, 32
"""What is drawn: blocks, one for all layers that hold the same cells; texts and tokens of a block, the rest put together."""

SHADES = {HELD: ("#4C9FCF", "#0072B2", "#00507E"), HELD_PADDING: ("#EE8A4A", "#D55E00", "#9C4500")}
"""Top, left and right side of a box."""

GREY, SIZE = "rgba(128,128,128,0.75)", 330
COS, SIN = float(np.cos(np.pi / 6)), 0.5

Point = tuple[float, float]
Box = tuple[int, float, float, float, float]
"""What is in it; where it begins and ends among the tokens and among the texts, as shares of the whole."""


def cube(held: Held) -> go.Figure:
    """Layers as a ladder, the cells of the held ones as a block (one for all layers with the same), hidden units as a bar."""
    figure = go.Figure()
    _ladder(figure, held)
    _units(figure, held)
    patterns = held.patterns[:MOST_BLOCKS] or (((), np.zeros_like(held.real)),)
    across = 1 if len(patterns) < 3 else 2
    deep = float(np.clip(held.real.shape[0] / held.real.shape[1], 0.3, 1.0))
    places = [(at % across * 2.1, -(at // across) * 2.1) for at in range(len(patterns))]
    for (layers, lit), place in zip(patterns, places, strict=True):
        _block(figure, held, lit, place, deep, held.named(layers) if len(patterns) > 1 else "")
    for axis, name, anchor in (("", "layers", "left"), ("3", "hidden units", "right")):
        corner = {"xref": f"x{axis} domain", "yref": f"y{axis} domain", "x": 0 if anchor == "left" else 1, "y": 1}
        figure.add_annotation(
            **corner, text=name, xanchor=anchor, yanchor="bottom", yshift=8, showarrow=False, font={"size": 12}
        )
    kinds = {box[0] for _, lit in patterns for box in boxes(held, lit)}
    for kind in sorted(kinds):
        name, colour, *_ = LOOK[kind]
        marker = {"symbol": "square", "size": 13, "color": colour}
        figure.add_trace(go.Scatter(x=[None], y=[None], xaxis="x2", yaxis="y2", name=name, mode="markers", marker=marker))
    bare = {"visible": False, "fixedrange": True}
    figure.update_layout(
        xaxis2={**bare, "domain": [0.1, 0.88], "anchor": "y2", "constrain": "domain"},
        yaxis2={**bare, "anchor": "x2", "scaleanchor": "x2", "constrain": "domain"},
        height=SIZE if len(patterns) == 1 else SIZE + 150,
        margin={"l": 10, "r": 10, "t": 40, "b": 8},
        legend={"orientation": "h", "yanchor": "bottom", "y": -0.06, "x": 0.12, "itemclick": False, "itemdoubleclick": False},
        hovermode="closest",
        dragmode=False,
        plot_bgcolor="rgba(0,0,0,0)",
    )
    return figure


def left_out(held: Held) -> str:
    """What the block puts together, in one sentence; "" where every text and token has its own place."""
    rows, columns = held.real.shape
    parts = []
    if rows > MOST_ROWS:
        parts.append(f"{rows:,} texts are drawn as {MOST_ROWS} bands")
    if columns > MOST_COLUMNS:
        parts.append(f"{columns:,} tokens are drawn as {MOST_COLUMNS} columns")
    if len(held.patterns) > MOST_BLOCKS:
        rest = sum(len(layers) for layers, _ in held.patterns[MOST_BLOCKS:])
        parts.append(f"{rest} more layers hold other cells and are not drawn as a block")
    if not parts:
        return ""
    line = "In the block, " + ", ".join(parts)
    return line + (", lit where any cell of theirs is held." if rows > MOST_ROWS or columns > MOST_COLUMNS else ".")


def boxes(held: Held, lit: np.ndarray) -> list[Box]:
    """The lit cells of one layer as boxes, from the back to the front; neighbours with the same content are one box."""
    kinds = np.where(lit, np.where(held.real, HELD, HELD_PADDING), FREE)
    rows = _together(kinds, MOST_ROWS, 0)
    rows = _together(rows, MOST_COLUMNS, 1)
    deep, wide = rows.shape
    found: list[Box] = []
    for start, end in _runs(rows):
        line = rows[start]
        edges = [0, *(at for at in range(1, wide) if line[at] != line[at - 1]), wide]
        found += [
            (int(line[left]), left / wide, right / wide, start / deep, end / deep)
            for left, right in pairwise(edges)
            if line[left] != FREE
        ]
    return found


def _together(kinds: np.ndarray, most: int, axis: int) -> np.ndarray:
    """Fewer rows or columns: what is held most in those that are put together, and free only where none is held."""
    if kinds.shape[axis] <= most:
        return kinds
    parts = np.array_split(kinds, most, axis)
    counts = [[(part == kind).sum(axis) for kind in (HELD, HELD_PADDING)] for part in parts]
    merged = [np.where((a + b) == 0, FREE, np.where(a >= b, HELD, HELD_PADDING)) for a, b in counts]
    return np.stack(merged, axis)


def _runs(rows: np.ndarray) -> Iterator[tuple[int, int]]:
    start = 0
    for at in range(1, len(rows) + 1):
        if at == len(rows) or (rows[at] != rows[start]).any():
            yield start, at
            start = at


def _block(figure: go.Figure, held: Held, lit: np.ndarray, place: Point, deep: float, name: str) -> None:
    high = 0.62

    def flat(token: float, text: float, unit: float) -> Point:
        return place[0] + (token - text * deep) * COS, place[1] - (token + text * deep) * SIN + unit * high

    def path(*corners: tuple[float, float, float]) -> tuple[list[float | None], list[float | None]]:
        points = [flat(*corner) for corner in corners]
        return [*(x for x, _ in points), None], [*(y for _, y in points), None]

    def draw(corners: Sequence[tuple[float, float, float]], **style: object) -> None:
        x, y = path(*corners, corners[0])
        options = {"mode": "lines", "showlegend": False, "hoverinfo": "skip", "xaxis": "x2", "yaxis": "y2"}
        figure.add_trace(go.Scatter(x=x, y=y, **{**options, **style}))

    faint = {"line": {"color": GREY, "width": 1, "dash": "dot"}}
    draw([(0, 0, 0), (1, 0, 0), (1, 1, 0), (0, 1, 0)], fill="toself", fillcolor="rgba(128,128,128,0.14)", **faint)
    draw([(0, 0, 0), (0, 0, 1)], **faint)
    low, top = (held.hidden[0] / held.units, (held.hidden[-1] + 1) / held.units) if held.hidden else (0.0, 0.0)
    top = max(top, low + 0.03)  # a single hidden unit still shows
    for kind, left, right, back, front in boxes(held, lit):
        sides = (
            [(left, back, top), (right, back, top), (right, front, top), (left, front, top)],
            [(left, front, low), (right, front, low), (right, front, top), (left, front, top)],
            [(right, back, low), (right, front, low), (right, front, top), (right, back, top)],
        )
        pattern = {"shape": "/", "fgcolor": "#FFFFFF", "size": 6, "solidity": 0.25} if kind == HELD_PADDING else {}
        for corners, colour in zip(sides, SHADES[kind], strict=True):
            rim = {"color": SHADES[kind][2], "width": 0.8}
            fill = {"fillpattern": {**pattern, "bgcolor": colour}} if pattern else {"fillcolor": colour}
            draw(corners, fill="toself", line=rim, **fill)
    near = {"line": {"color": GREY, "width": 1.3}}
    edges = (((0, 1, 0), (1, 1, 0)), ((1, 1, 0), (1, 0, 0)), *(((*at, 0), (*at, 1)) for at in ((0, 1), (1, 1), (1, 0))))
    for edge in ([(0, 0, 1), (1, 0, 1), (1, 1, 1), (0, 1, 1)], *edges):
        draw(edge, **near)
    if name:
        _write(figure, flat(0, 0, 1.3), name, 0)
    if place != (0, 0):
        return
    rows, columns = held.real.shape
    _write(figure, flat(0.5, 1.16, 0), f"{columns:,} token{'s' * (columns > 1)}", 30)
    _write(figure, flat(1.16 if deep > 0.5 else 1.1, 0.5, 0), f"{rows:,} text{'s' * (rows > 1)}", -30)


def _write(figure: go.Figure, at: Point, text: str, angle: int) -> None:
    place = {"x": at[0], "y": at[1], "xref": "x2", "yref": "y2"}
    figure.add_annotation(**place, text=text, textangle=angle, showarrow=False, font={"size": 12})


def _ladder(figure: go.Figure, held: Held) -> None:
    """All layers, the embeddings at the bottom; those that are held lit and marked."""
    lit = held.cells.any((1, 2)).astype(int)
    names = [held.layer(index).removeprefix("layer ") for index in range(len(lit))]
    said = [[f"{held.layer(index)}: {'held' if value else 'not held'}"] for index, value in enumerate(lit)]
    step = -(-len(lit) // 13)
    ticks = [index for index in range(len(lit)) if index % step == 0 or (lit[index] and lit.sum() < 6)]
    _bar(figure, lit[:, None], said, "layers", "")
    figure.update_layout(
        xaxis={"domain": [0, 0.05], "visible": False, "fixedrange": True},
        yaxis={
            "tickvals": ticks,
            "ticktext": [f"<b>{names[index]}</b>" if lit[index] else names[index] for index in ticks],
            "showgrid": False,
            "zeroline": False,
            "ticks": "",
            "fixedrange": True,
        },
    )


def _units(figure: go.Figure, held: Held) -> None:
    """All hidden units from 0 upwards, those that are held lit."""
    lit = np.zeros(held.units, int)
    lit[list(held.hidden)] = 1
    edges = [0, *(np.flatnonzero(np.diff(lit)) + 1).tolist(), held.units]
    pieces = list(pairwise(edges))
    for start, end in pieces if len(pieces) < 100 else [(0, held.units)]:
        colour, what = (LOOK[HELD][1], "held") if lit[start:end].any() else (LOOK[FREE][1], "not held")
        figure.add_trace(
            go.Bar(
                x=[0],
                y=[end - start],
                base=[start],
                width=[1],
                marker={"color": colour, "line": {"color": GREY, "width": 1}},
                name=what,
                hovertemplate=f"hidden units {start} to {end - 1}: {what}<extra></extra>",
                showlegend=False,
                xaxis="x3",
                yaxis="y3",
            )
        )
    ticks = list(dict.fromkeys([*held.hidden[:1], *held.hidden[-1:]]))
    ticks += [end for end in (0, held.units - 1) if all(abs(end - tick) > held.units // 16 for tick in ticks)]
    if len(ticks) > 1 and abs(ticks[1] - ticks[0]) <= held.units // 16:
        del ticks[1]  # they would be written over one another
    figure.update_layout(
        barmode="overlay",
        xaxis3={"domain": [0.92, 0.97], "visible": False, "fixedrange": True, "anchor": "y3"},
        yaxis3={
            "range": [0, held.units],
            "anchor": "x3",
            "side": "right",
            "tickvals": [tick + 0.5 for tick in ticks],
            "ticktext": list(map(str, ticks)),
            "showgrid": False,
            "zeroline": False,
            "ticks": "",
            "fixedrange": True,
        },
    )


def _bar(figure: go.Figure, lit: np.ndarray, said: list[list[str]], name: str, axis: str) -> None:
    colours = [[0, LOOK[FREE][1]], [0.5, LOOK[FREE][1]], [0.5, LOOK[HELD][1]], [1, LOOK[HELD][1]]]
    frame = {"zmin": 0, "zmax": 1, "showscale": False, "xgap": 2, "ygap": 2, "colorscale": colours}
    hover = {"customdata": said, "hovertemplate": "%{customdata}<extra></extra>"}
    figure.add_trace(go.Heatmap(z=lit, name=name, xaxis=f"x{axis}", yaxis=f"y{axis}", **frame, **hover))
    found = np.argwhere(lit == 1)
    marker = {"symbol": "circle", "size": 7, "color": "#FFFFFF"}
    marks = {"mode": "markers", "marker": marker, "showlegend": False, "hoverinfo": "skip"}
    figure.add_trace(go.Scatter(x=found[:, 1], y=found[:, 0], xaxis=f"x{axis}", yaxis=f"y{axis}", **marks))
