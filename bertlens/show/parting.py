"""Parting: two runs of one text, as their difference and as their two rows side by side."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from bertlens.judge.parting import Parting, Side
from bertlens.show.figures import SCALE, colour_ticks, floor_of, gaps, laid_out, literal

NAMES = ("reference", "candidate")
HATCHES = ("/", "\\")
FRAME = {"color": "#D55E00", "width": 3}
LABELS = 40
MOST_COLUMNS = 512

Place = tuple[int, ...]
"""Positions of a row that one column shows: one token, a run of padding, or () where the row has no partner."""

Column = tuple[Place, Place]
"""The place in the reference and in the candidate."""


def parting(result: Parting) -> go.Figure:
    """Difference per layer and token; the first layer beyond the bound is framed, and padding stands at the end as padding."""
    sizes = np.where(np.isfinite(result.max_abs), result.max_abs, np.nan)
    floor = floor_of([sizes])
    shown = np.log10(np.where(sizes > 0, sizes, np.where(np.isnan(sizes), np.nan, floor)))
    count, depth = len(result.tokens), len(result.layers)
    words = [literal(token) for token in result.tokens]
    figure = go.Figure(
        go.Heatmap(
            z=shown,
            customdata=result.max_abs,
            text=[[f"{result.layers[layer]}, token {at} “{word}”" for at, word in enumerate(words)] for layer in range(depth)],
            hovertemplate="%{text}: %{customdata:.2e}<extra></extra>",
            colorscale=SCALE,
            zmin=np.log10(floor),
            zmax=max(np.nanmax(shown, initial=np.log10(floor)), np.log10(floor) + 1),
            colorbar={"title": "max abs", **colour_ticks(floor, sizes)},
            **gaps(count),
        )
    )
    ticks: dict[float, str] = {at: words[at] for at in range(0, count, _step(count))}
    start, width = count - 0.5, max(1.0, count / 25)
    for name, hatch, padding in zip(NAMES, HATCHES, result.padding, strict=True):
        if padding:
            figure.add_trace(_block(start, width, depth, hatch, f"{padding} padding positions of the {name}, not compared"))
            ticks[start + width / 2] = f"[PAD] × {padding}, {name}"
            start += width
    across = {"tickvals": list(ticks), "ticktext": list(ticks.values()), "tickangle": -45, "title": "token", **_bare(start)}
    frames = [] if result.first is None else [_frame(result.first[0], -0.5, count - 0.5)]
    return laid_out(figure, 180 + 24 * depth, across, _states(result.layers), shapes=frames)


def sides(result: Parting) -> go.Figure:
    """The two rows under each other, every token with its norm in every state, on one shared range of colours.

    A token of both rows stands in one column, wherever it stands in its own row; where a row has no partner for a token its
    column is empty. Padding is hatched and never on the scale of colours. The cell of the first difference is framed.
    """
    columns = _columns(result.sides)
    found = _first_cell(columns, result)
    start = 0 if found is None else max(0, min(found[1] - MOST_COLUMNS // 2, len(columns) - MOST_COLUMNS))
    shown = columns[start : start + MOST_COLUMNS]
    edges = _edges(shown)
    titles = [_title(name, side) for name, side in zip(NAMES, result.sides, strict=True)]
    height = 280 + 2 * 18 * len(result.layers)
    figure = make_subplots(rows=2, cols=1, vertical_spacing=160 / height, subplot_titles=titles)
    figure.update_annotations(font_size=12)
    for at, side in enumerate(result.sides):
        row = {"row": at + 1, "col": 1}
        traces, ticks = _row(side, [column[at] for column in shown], edges, HATCHES[at], result.layers)
        figure.add_traces(traces, rows=at + 1, cols=1)
        labels = {"tickvals": list(ticks), "ticktext": list(ticks.values()), "tickangle": -45}
        figure.update_xaxes(**labels, **_bare(float(edges[-1])), **row)
        if found is not None:
            frame = _frame(found[0], *edges[found[1] - start :][:2])
            figure.add_shape(frame, **row)
    part = f", columns {start} to {start + len(shown) - 1} of {len(columns)}" if len(shown) < len(columns) else ""
    figure.update_xaxes(title=f"token{part}", matches="x", row=2, col=1)
    colours = {"colorscale": SCALE, "colorbar": {"title": "L2 norm"}, **_shared_range(result.sides)}
    return laid_out(figure, height, y=_states(result.layers), coloraxis=colours, showlegend=False)


def _frame(layer: int, left: float, right: float) -> dict[str, object]:
    return {"type": "rect", "x0": left, "x1": right, "y0": layer - 0.5, "y1": layer + 0.5, "line": FRAME}


def _columns(rows: tuple[Side, Side]) -> list[Column]:
    """What stands in each column, in the order of both rows: padding, tokens that both have, tokens of one alone, padding."""
    real = [np.flatnonzero(~side.padding).tolist() for side in rows]
    pairs = zip(*(np.flatnonzero(side.aligned >= 0).tolist() for side in rows), strict=True)
    here, ends = [positions[0] for positions in real], [positions[-1] + 1 for positions in real]
    columns: list[Column] = [(tuple(range(here[0])), tuple(range(here[1])))]
    for a, b in pairs:
        columns += [*_unpaired(here, (a, b)), ((a,), (b,))]
        here = [a + 1, b + 1]
    columns += _unpaired(here, ends)
    columns.append((tuple(range(ends[0], len(rows[0].tokens))), tuple(range(ends[1], len(rows[1].tokens)))))
    return [column for column in columns if column != ((), ())]


def _unpaired(here: Sequence[int], ends: Sequence[int]) -> list[Column]:
    reference: list[Column] = [((at,), ()) for at in range(here[0], ends[0])]
    return [*reference, *(((), (at,)) for at in range(here[1], ends[1]))]


def _first_cell(columns: list[Column], result: Parting) -> tuple[int, int] | None:
    """(state, column) at which the two runs first part."""
    if result.first is None:
        return None
    layer, token = result.first
    position = result.sides[0].aligned.tolist().index(token)
    return layer, next(at for at, column in enumerate(columns) if column[0] == (position,))


def _edges(columns: list[Column]) -> np.ndarray:
    """Where the columns begin and end: 1 wide, and for a run of padding at most a twelfth of all, or 3."""
    most = max(3.0, len(columns) / 12)
    widths = [min(most, max(len(column[0]), len(column[1]))) for column in columns]
    return np.array([0.0, *np.cumsum(widths)]) - 0.5


def _row(
    side: Side, places: list[Place], edges: np.ndarray, hatch: str, layers: Sequence[str]
) -> tuple[list[go.Heatmap | go.Bar], dict[float, str]]:
    """One row as a heatmap with its blocks of padding, and what stands below it."""
    norms = np.full((len(layers), len(places)), np.nan)
    words, ticks, blocks = [""] * len(places), {}, []
    step = _step(len(places))
    for at, (place, left, right) in enumerate(zip(places, edges, edges[1:], strict=False)):
        if place and side.padding[place[0]]:
            hover = f"{len(place)} padding positions, {place[0]} to {place[-1]}: not on the scale"
            blocks.append(_block(left, right - left, len(layers), hatch, hover))
        elif place:
            norms[:, at] = side.norms[:, place[0]]
        words[at] = _word(side, place)
        if place and (at % step == 0 or len(place) > 1):
            ticks[(left + right) / 2] = words[at]
    heatmap = go.Heatmap(
        z=norms,
        x=edges,
        text=[
            [f"{layer}, position {place[0]} “{word}”" if place else "" for place, word in zip(places, words, strict=True)]
            for layer in layers
        ],
        hovertemplate="%{text}: %{z:.4g}<extra></extra>",
        hoverongaps=False,
        coloraxis="coloraxis",
        **gaps(len(places)),
    )
    return [heatmap, *blocks], ticks


def _word(side: Side, place: Place) -> str:
    if not place:
        return ""
    word = literal(side.tokens[place[0]])
    return f"{word} × {len(place)}" if len(place) > 1 else word


def _title(name: str, side: Side) -> str:
    condition = f"<br>{literal(side.condition)}" if side.condition else ""
    return f"{name}: {len(side.tokens)} positions, {int(side.padding.sum()) or 'no'} padding{condition}"


def _shared_range(rows: tuple[Side, Side]) -> dict[str, float]:
    """From the smallest to the largest norm of a real token on either side."""
    norms = np.concatenate([side.norms[:, ~side.padding].ravel() for side in rows])
    norms = norms[np.isfinite(norms)]
    return {"cmin": float(norms.min()), "cmax": float(norms.max())} if norms.size else {}


def _block(start: float, width: float, depth: int, hatch: str, hover: str) -> go.Bar:
    """Padding: a hatched grey block over all states."""
    return go.Bar(
        x=[start + width / 2],
        y=[depth],
        base=-0.5,
        width=width,
        marker={
            "color": "rgba(128, 128, 128, 0.15)",
            "pattern": {"shape": hatch, "fgcolor": "rgba(128, 128, 128, 0.9)", "size": 8},
            "line": {"color": "rgba(128, 128, 128, 0.9)", "width": 1},
        },
        hovertemplate=f"[PAD] {hover}<extra></extra>",
        showlegend=False,
    )


def _states(layers: Sequence[str]) -> dict[str, Any]:
    names = {"tickvals": list(range(len(layers))), "ticktext": list(layers)}
    return {**names, "range": [-0.5, len(layers) - 0.5], "showgrid": False, "zeroline": False}


def _bare(end: float) -> dict[str, Any]:
    return {"range": [-0.5, end], "showgrid": False, "zeroline": False}


def _step(columns: int) -> int:
    """Every how many columns are labelled."""
    return -(-columns // LABELS)
