"""Layers: pictures of every hidden state: how far tokens move, how narrow the states are, through which units, how alike."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import plotly.graph_objects as go

from bertlens.judge.layers import Layers
from bertlens.read.geometry import QUANTILES
from bertlens.read.travel import GROUPS
from bertlens.show.figures import BARE, MARGIN, SCALE, bar_above, laid_out

BLUE, ORANGE, GREEN, PINK, GREY = "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#999999"
LOOKS = {"real": (BLUE, "circle", "solid"), "cls": (ORANGE, "square", "dash"), "content": (GREEN, "diamond", "dot")}
"""Colour, sign and dash of a group of tokens: the sign and the dash say the same as the colour."""

TITLES = {
    "norm": "norm (L2)",
    "change": "step, over the length before",
    "to_previous": "cosine to the previous state",
    "to_last": "cosine to last_hidden_state",
}
"""What stands on an axis for a measure of `bertlens.read.travel.MEASURES`."""

RANKS = (ORANGE, "#E69F00", "#F0E442", "#56B4E9")
"""Colours of the bars of the largest units; their numbers stand in them."""


NAMED = 24
"""Rows of a square up to which they are named."""


def travel(found: Layers, measure: str, groups: Sequence[str] = ("real", "cls")) -> go.Figure:
    """A measure in every state: the mean of each group as a line, from the smallest to the largest token as a band."""
    figure = go.Figure()
    for group in groups:
        key, count = (measure, group), found.travel.tokens[group]
        if key in found.travel.mean:
            line = (found.travel.mean[key], found.travel.smallest[key], found.travel.largest[key])
            banded(figure, found.labels, line, f"{GROUPS[group]} ({count:,})", LOOKS[group])
    return over_states(figure, found.labels, 380, TITLES[measure])


def banded(
    figure: go.Figure,
    labels: Sequence[str],
    line: tuple[np.ndarray, np.ndarray, np.ndarray],
    name: str,
    look: tuple[str, str, str],
) -> None:
    """Add the mean as a line and smallest … largest as a band behind it; the first states may be missing."""
    mean, smallest, largest = line
    there = np.isfinite(mean)
    x = [label for label, shown in zip(labels, there, strict=True) if shown]
    low, high = smallest[there], largest[there]
    figure.add_trace(
        go.Scatter(
            x=[*x, *x[::-1]],
            y=[*high, *low[::-1]],
            mode="lines",
            fill="toself",
            fillcolor=faint(look[0]),
            line={"width": 0},
            hoverinfo="skip",
            legendgroup=name,
            showlegend=False,
        )
    )
    said = "%{x}: mean %{y:.3f}, %{customdata[0]:.3f} … %{customdata[1]:.3f}<extra>%{fullData.name}</extra>"
    spread = {"customdata": np.stack([low, high], 1), "legendgroup": name, "hovertemplate": said}
    figure.add_trace(stroke(x, mean[there], name, look).update(spread))


def stroke(x: Sequence[str], y: np.ndarray, name: str, look: tuple[str, str, str], size: int = 8) -> go.Scatter:
    """A line with its markers; its look is a colour, a symbol and a dash, so that colour is never the only carrier."""
    colour, symbol, dash = look
    return go.Scatter(
        x=list(x),
        y=y,
        name=name,
        mode="lines+markers",
        line={"color": colour, "dash": dash},
        marker={"symbol": symbol, "size": size},
        hovertemplate="%{x}: %{y:.3f}<extra>%{fullData.name}</extra>",
    )


def anisotropy(found: Layers) -> go.Figure:
    """The mean cosine of unrelated tokens in every state, beside that of fresh weights and unrelated sentences."""
    figure, labels = go.Figure(), found.labels
    low, high = (found.anisotropy.quantiles[:, QUANTILES.index(level)] for level in (0.05, 0.95))
    spread = (found.anisotropy.mean, low, high)
    banded(figure, labels, spread, "your texts (band: 90 % of the pairs)", (BLUE, "circle", "solid"))
    others = [("your texts, mean vector taken off", found.anisotropy.centred, (GREEN, "diamond-open", "dot"))]
    others.append(("sentences with nothing in common", found.control.mean, (PINK, "triangle-up-open", "dashdot")))
    if found.baseline is not None:
        others.append(("freshly initialised, your texts", found.baseline.mean, (ORANGE, "square-open", "dash")))
    for name, values, look in others:
        figure.add_trace(stroke(labels, values, name, look))
    deviation = found.anisotropy.isotropic
    figure.add_hrect(y0=-deviation, y1=deviation, fillcolor="rgba(128,128,128,0.2)", line_width=0)
    said = f"independent directions: 0 ± {deviation:.2f}"
    note = {"text": said, "x": 1, "xref": "paper", "y": 0, "showarrow": False, "xanchor": "right", "yanchor": "top"}
    return over_states(figure, labels, 420, "mean cosine of unrelated tokens", annotations=[note])


def outliers(found: Layers, most: int = len(RANKS)) -> go.Figure:
    """What single units add to the mean cosine of each state, as stacked bars; the rest of the units is one bar."""
    figure = go.Figure()
    parts = found.outliers.contributions
    tops = [found.outliers.top(state, most) for state in range(len(found.states))]
    for rank, colour in enumerate(RANKS[:most]):
        units = [top[rank] for top in tops if rank < len(top)]
        if len(units) < len(tops):
            continue
        figure.add_trace(
            go.Bar(
                x=list(found.labels),
                y=[parts[state, unit] for state, unit in enumerate(units)],
                customdata=[[unit, _share(found, state, unit)] for state, unit in enumerate(units)],
                text=[str(unit) for unit in units],
                textangle=0,
                name=("largest unit", "second", "third", "fourth")[rank],
                marker={"color": colour},
                hovertemplate="%{x}, unit %{customdata[0]}: %{y:.3f}%{customdata[1]}<extra></extra>",
            )
        )
    rest = [float(parts[state].sum() - parts[state, list(top)].sum()) for state, top in enumerate(tops)]
    hover = "%{x}, all other units: %{y:.3f}<extra></extra>"
    bar = go.Bar(x=list(found.labels), y=rest, name="all other units", marker={"color": BLUE}, hovertemplate=hover)
    figure.add_trace(bar)
    readable = {"minsize": 9, "mode": "hide"}
    return over_states(figure, found.labels, 400, "contribution to the mean cosine", barmode="relative", uniformtext=readable)


def _share(found: Layers, state: int, unit: int) -> str:
    share = found.outliers.shares(state)[unit]
    return f", {100 * share:.0f} % of the mean cosine" if np.isfinite(share) else ""


def cka(found: Layers, *, debiased: bool = True) -> go.Figure:
    """How alike every two states are: the matrix of the linear CKA of the sampled tokens."""
    values = found.cka_debiased if debiased else found.cka
    short = [label.split()[0] for label in found.labels]  # the rows have the whole names
    return matrix(values, found.labels, short, "CKA, debiased" if debiased else "CKA", (0.0, 1.0))


def matrix(
    values: np.ndarray, rows: Sequence[str], columns: Sequence[str], title: str, bounds: tuple[float, float]
) -> go.Figure:
    """A square of numbers with its names; small ones carry their numbers, and large ones have numbers for names."""
    numbers_fit, names_fit = len(columns) <= 16, len(columns) <= NAMED
    pairs = [[f"{row} ↔ {column}" for column in columns] for row in rows] if names_fit else None
    figure = go.Figure(
        go.Heatmap(
            z=values,
            x=list(range(len(columns))),
            y=list(range(len(rows))),
            customdata=pairs,
            hovertemplate=("%{customdata}" if names_fit else "%{y} ↔ %{x}") + ": %{z:.3f}<extra></extra>",
            colorscale=SCALE,
            zmin=bounds[0],
            zmax=bounds[1],
            xgap=int(names_fit),
            ygap=int(names_fit),
            texttemplate="%{z:.2f}" if numbers_fit else None,
            colorbar=bar_above(title),
        )
    )
    across, down = ({**(ticks(names, NAMED) if names_fit else {}), **BARE} for names in (columns, rows))
    height = 180 + max(30 * min(len(rows), 20), 180)
    down |= {"autorange": "reversed", "tickangle": 0}
    return laid_out(figure, height, across, down, margin={**MARGIN, "t": 80})


def ticks(names: Sequence[str], most: int) -> dict[str, object]:
    """Names at their places; where there are too many to read, every n-th of them, with room between."""
    step = 1 if len(names) <= most else -(-3 * len(names) // (2 * most))
    angle = -45 if max(map(len, names), default=0) > 3 else 0
    return {"tickvals": list(range(len(names)))[::step], "ticktext": list(names)[::step], "tickangle": angle}


def faint(colour: str) -> str:
    """A colour through which the page is seen, light or dark."""
    red, green, blue = (int(colour[at : at + 2], 16) for at in (1, 3, 5))
    return f"rgba({red},{green},{blue},0.18)"


def over_states(figure: go.Figure, labels: Sequence[str], height: int, title: str, **layout: object) -> go.Figure:
    """Every state on the x axis in its order, `title` on the y axis, the legend above."""
    short = [label.replace("0 emb", "0<br>emb").replace(" = last_hidden_state", "<br>last") for label in labels]
    step = max(1, len(labels) // 13)  # a label is two lines, so that it needs no turning in a narrow column
    shown = sorted({*range(0, len(labels), step), len(labels) - 1})
    across = {
        "type": "category",
        "categoryorder": "array",
        "categoryarray": list(labels),
        "title": "hidden_states[…]",
        "tickvals": [labels[at] for at in shown],
        "ticktext": [short[at].replace("_", "_<br>") for at in shown],
        "tickangle": 0,
        "range": [-0.5, len(labels) - 0.5],
    }
    return laid_out(figure, height, across, {"title": title}, **layout)
