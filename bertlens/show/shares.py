"""Shares: pictures of what reaches [CLS] and the logit from every token."""

from __future__ import annotations

import numpy as np
import plotly.graph_objects as go

from bertlens.judge.cls_attention import ClsAttention
from bertlens.judge.token_shares import TokenShares
from bertlens.show.figures import BARE, ROOT, SCALE, laid_out, literal
from bertlens.show.layers import BLUE, GREY, ORANGE, ticks

NAMED = 24
"""Tokens of which the names fit on an axis."""


def parts(found: TokenShares) -> go.Figure:
    """What every token adds to the logit, by integrated gradients and by occlusion, in the same unit and on one axis."""
    names = [literal(token) for token in found.tokens]
    places = list(range(len(names)))
    hover = [f"{place} “{name}”, segment {segment}" for place, name, segment in zip(places, names, found.segments, strict=True)]
    figure = go.Figure()
    for title, values, colour, pattern in (
        ("integrated gradients", found.gradients, BLUE, ""),
        ("occlusion", found.occluded, ORANGE, "/"),
    ):
        figure.add_trace(
            go.Bar(
                x=places,
                y=values,
                name=title,
                customdata=hover,
                marker={"color": colour, "pattern": {"shape": pattern}},
                hovertemplate="%{customdata}: %{y:.4f}<extra>" + title + "</extra>",
            )
        )
    _second_sentence(figure, found)
    across = {**ticks(names, NAMED), "title": "token", "showgrid": False}
    up = {"title": f"part of the logit of “{literal(found.name)}”", "zerolinecolor": GREY}
    return laid_out(figure, 400, across, up, barmode="group")


def _second_sentence(figure: go.Figure, found: TokenShares) -> None:
    """Shade the tokens of segment 1."""
    inside = np.flatnonzero(np.asarray(found.segments) == 1)
    if len(inside):
        figure.add_vrect(x0=inside[0] - 0.5, x1=inside[-1] + 0.5, fillcolor=GREY, opacity=0.12, line_width=0)
        figure.add_annotation(x=inside[0] - 0.4, y=1, yref="paper", text="segment 1", showarrow=False, xanchor="left")


def agreement(found: TokenShares) -> go.Figure:
    """Every word piece: integrated gradients against occlusion."""
    content = found.content
    figure = go.Figure(
        go.Scatter(
            x=found.gradients[content],
            y=found.occluded[content],
            mode="markers+text" if len(content) <= 24 else "markers",
            text=[literal(found.tokens[place]) for place in content],
            textposition="top center",
            marker={"color": BLUE, "size": 9},
            hovertemplate="%{text}: %{x:.4f} by gradients, %{y:.4f} by occlusion<extra></extra>",
        )
    )
    across, up = ({"title": title, "zerolinecolor": GREY} for title in ("integrated gradients", "occlusion"))
    return laid_out(figure, 400, across, up)


def by_layer(found: ClsAttention) -> go.Figure:
    """What [CLS] attends to in every layer, averaged over the heads."""
    return _map(found, found.mean, [f"layer {layer + 1}" for layer in range(len(found.mean))])


def by_head(found: ClsAttention, layer: int) -> go.Figure:
    """What [CLS] attends to in every head of one layer; `layer` counts from 1.

    Colours end at the largest weight of the layer: a head elsewhere that reads a single token would hide all others of 512.
    """
    values = found.values[layer - 1]
    return _map(found, values, [f"head {head + 1}" for head in range(len(values))])


def _map(found: ClsAttention, values: np.ndarray, rows: list[str]) -> go.Figure:
    tokens = [literal(token) for token in found.tokens]
    figure = go.Figure(
        go.Heatmap(
            z=values,
            x=list(range(len(tokens))),
            y=rows,
            text=[tokens] * len(rows),
            hovertemplate="%{y}, token %{x} “%{text}”: %{z:.3f}<extra></extra>",
            colorscale=ROOT,
            zmin=0,
            zmax=float(values.max()),
            colorbar={"title": {"text": "attention", "side": "right"}, "thickness": 12},
        )
    )
    across = {**ticks(tokens, NAMED), "title": "token", **BARE}
    return laid_out(figure, 150 + 24 * len(rows), across, {"autorange": "reversed", **BARE})


def heads(found: ClsAttention) -> go.Figure:
    """How much of its attention [CLS] gives to word pieces, for every layer and head."""
    content = np.asarray(found.special) == 0
    values = found.values[:, :, content].sum(2)
    figure = go.Figure(
        go.Heatmap(
            z=values,
            x=list(range(1, values.shape[1] + 1)),
            y=list(range(1, values.shape[0] + 1)),
            hovertemplate="layer %{y}, head %{x}: %{z:.2f} to word pieces<extra></extra>",
            colorscale=SCALE,
            zmin=0,
            zmax=1,
            xgap=1,
            ygap=1,
            colorbar={"title": {"text": "to word pieces", "side": "right"}, "thickness": 12},
        )
    )
    across, down = ({"title": title, "dtick": 1, **BARE} for title in ("head", "layer"))
    return laid_out(figure, 150 + 24 * len(values), across, {**down, "autorange": "reversed"})
