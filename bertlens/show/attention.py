"""Attention: pictures of heads: all of them by a measure, one as a map of tokens, one token's row, and two on one range."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from bertlens.judge.attention import VIEWS, Attention
from bertlens.show.figures import BARE, ROOT, SCALE, laid_out, literal
from bertlens.show.layers import BLUE, GREEN, ORANGE, banded

TITLES = {
    "entropy": "entropy, nats",
    "to_cls": "share to [CLS]",
    "to_sep": "share to [SEP]",
    "to_padding": "share to padding",
    "to_self": "share to itself",
    "to_previous": "share to the previous",
    "to_next": "share to the next",
    "distance": "mean distance, tokens",
}
"""What stands at a scale for a measure of `bertlens.read.attention.MEASURES`."""

RESTS = {"to_cls": (BLUE, "circle", "solid"), "to_sep": (ORANGE, "square", "dash"), "to_padding": (GREEN, "diamond", "dot")}
FRAME = {"color": "#D55E00", "width": 3}
TALLEST, HALF = 900, 560
"""Pixels that a map is high at most, over the whole width of a page and over half of it."""


@dataclass(frozen=True)
class Panel:
    """One map: its title, its weights (rows, columns), and what stands at both axes."""

    title: str
    values: np.ndarray
    rows: tuple[str, ...]
    columns: tuple[str, ...]


def panel(found: Attention, layer: int, head: int | str, title: str = "") -> Panel:
    """The map of a head, or of a key of `VIEWS`."""
    return Panel(title or name_of(layer, head), found.map(layer, head), numbered(found.tokens), numbered(found.columns))


def name_of(layer: int, head: int | str) -> str:
    """What a map shows, in words, as a sentence begins."""
    if isinstance(head, int):
        return f"Layer {layer}, head {head}"
    words = f"{VIEWS[head][0].upper()}{VIEWS[head][1:]}"
    return words if head == "all" else f"{words}, layer {layer}"


def numbered(tokens: Sequence[str]) -> tuple[str, ...]:
    """Tokens with their places, so that two of a kind stay apart; a click gives the place back."""
    return tuple(f"{at} {literal(token)}" for at, token in enumerate(tokens))


def overview(values: np.ndarray, measure: str, chosen: tuple[int, int] | None = None, largest: float = 0.0) -> go.Figure:
    """A measure of every head: layers down, heads across.

    Parameters
    ----------
    values : (layers, heads).
    chosen : the layer and head that are framed, from 1.
    largest : where colours end, so that two pictures have one range; 0 for the largest of these values.
    """
    layers, heads = values.shape
    cells = go.Heatmap(
        z=values,
        x=list(range(1, heads + 1)),
        y=list(range(1, layers + 1)),
        hovertemplate=f"layer %{{y}}, head %{{x}}: %{{z:.3g}}<extra>{TITLES[measure]}</extra>",
        **_colours(SCALE, TITLES[measure], largest or largest_of(values)),
        xgap=1,
        ygap=1,
    )
    frames = [] if chosen is None else [_frame(chosen[1] - 0.5, chosen[1] + 0.5, chosen[0], FRAME)]
    across = {"title": "head", "dtick": 1 if heads <= 16 else 4, "range": [0.5, heads + 0.5], **BARE}
    down = {"title": "layer", "dtick": 1 if layers <= 16 else 4, "range": [layers + 0.5, 0.5], **BARE}
    return laid_out(go.Figure(cells), 130 + 24 * max(layers, 6), across, down, shapes=frames)


def _frame(left: float, right: float, row: int, line: dict[str, object]) -> dict[str, object]:
    return {"type": "rect", "x0": left, "x1": right, "y0": row - 0.5, "y1": row + 0.5, "line": line}


def token_map(one: Panel, chosen: int | None = None, largest: float = 0.0, tallest: int = TALLEST) -> go.Figure:
    """Who looks at whom: rows are from, columns to.

    Parameters
    ----------
    chosen : the token whose row is framed.
    largest : where colours end, so that two pictures have one range; 0 for the largest of these weights.
    tallest : height in pixels at most.
    """
    cells = go.Heatmap(
        z=one.values.astype(np.float32),
        x=one.columns,
        y=one.rows,
        hovertemplate="%{y} → %{x}: %{z:.4f}<extra></extra>",
        **_colours(ROOT, "weight", largest or largest_of(one.values)),
    )
    line = {**FRAME, "width": 1.5}
    frames = [] if chosen is None or len(one.rows) < 2 else [_frame(-0.5, len(one.columns) - 0.5, chosen, line)]
    across = {"type": "category", "title": "to", "tickangle": -60, "range": [-0.5, len(one.columns) - 0.5], **BARE}
    down = {"type": "category", "title": "from", "range": [len(one.rows) - 0.5, -0.5], **BARE}
    return laid_out(go.Figure(cells), min(tallest, 200 + 22 * len(one.rows)), across, down, shapes=frames)


def row(one: Panel, token: int) -> go.Figure:
    """One token: what it looks at, and who looks at it, as bars on one range."""
    name = one.rows[token].partition(" ")[2]
    titles = [f"what {token} “{name}” looks at", f"who looks at {token} “{name}”"]
    figure = make_subplots(rows=2, shared_xaxes=True, vertical_spacing=0.14, subplot_titles=titles)
    sides = ((one.columns, one.values[token], BLUE), (one.rows, one.values[:, token], ORANGE))
    for at, (names, values, colour) in enumerate(sides, start=1):
        bars = go.Bar(
            x=names,
            y=values,
            marker={"color": colour},
            hovertemplate="%{x}: %{y:.4f}<extra></extra>",
            showlegend=False,
        )
        figure.add_trace(bars, row=at, col=1)
    figure.layout.yaxis2.matches = "y"
    down = {"title": "weight", "rangemode": "tozero"}
    return laid_out(figure, 460, {"type": "category", "tickangle": -60}, down, bargap=0.15)


def resting(found: Attention) -> go.Figure:
    """The share of [CLS], [SEP] and padding in every layer: the mean of its heads, from the smallest to the largest head."""
    figure, labels = go.Figure(), [str(layer) for layer in range(1, found.layers + 1)]
    for measure, look in RESTS.items():
        if measure == "to_padding" and not found.read.padding:
            continue
        values = found.read.measures[measure]
        banded(figure, labels, (values.mean(1), values.min(1), values.max(1)), TITLES[measure].removeprefix("share "), look)
    up = {"title": "share of the attention", "rangemode": "tozero"}
    return laid_out(figure, 130 + 24 * max(found.layers, 6), {"type": "category", "title": "layer"}, up)


def resting_frame(found: Attention) -> pd.DataFrame:
    """One line per layer and place: mean, smallest and largest share of its heads."""
    lines = [
        {"layer": layer + 1, "to": measure.removeprefix("to_")}
        | {"mean": float(heads.mean()), "smallest": float(heads.min()), "largest": float(heads.max())}
        for measure in RESTS
        for layer, heads in enumerate(found.read.measures[measure])
    ]
    return pd.DataFrame(lines)


def map_frame(one: Panel) -> pd.DataFrame:
    """A line per token that looks, a column per token that is looked at."""
    frame = pd.DataFrame(one.values, columns=list(one.columns))
    frame.insert(0, "from", list(one.rows))
    return frame


def row_frame(one: Panel, token: int) -> pd.DataFrame:
    """A line per token: how much the chosen one looks at it, and it at the chosen one."""
    count = len(one.columns) - len(one.rows)
    back = [*one.values[:, token].tolist(), *[np.nan] * count]  # padding is looked at, but what it looks at nobody reads
    return pd.DataFrame({"token": one.columns, "looked at": one.values[token], "looks": back})


def largest_of(*values: np.ndarray) -> float:
    """Where the colours of pictures on one range end; 1 where there is nothing but 0."""
    return max(float(np.nanmax(each, initial=0.0)) for each in values) or 1.0


def _colours(scale: object, title: str, largest: float) -> dict[str, object]:
    bar = {"title": {"text": title, "side": "right"}, "thickness": 12}
    return {"colorscale": scale, "zmin": 0.0, "zmax": largest, "colorbar": bar}
