"""Figures: results as plotly figures, readable in light and dark and by colour-blind eyes."""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence

import numpy as np
import plotly.graph_objects as go
from plotly.colors import sample_colorscale

from bertlens.judge.sweep import Sweep

COLOURS = {"on": "#0072B2", "off": "#D55E00"}
SYMBOLS = {
    ("on", "float32"): "circle",
    ("on", "float64"): "circle-open",
    ("off", "float32"): "x",
    ("off", "float64"): "square-open",
}
DASHES = {"float32": "solid", "float64": "dot"}
SCALE = "Cividis"
ROOT = [[stop**2, colour] for stop, colour in zip(np.linspace(0, 1, 17), sample_colorscale(SCALE, 17), strict=True)]
"""Colours by the square root of a weight: among 512 tokens an even share is 0.002, and must not look like 0."""

BARE = {"showgrid": False, "zeroline": False}
"""An axis of a map, whose cells need no lines between them."""

MARGIN = {"l": 10, "r": 10, "t": 40, "b": 10}
LEGEND = {"orientation": "h", "yanchor": "bottom", "y": 1.02, "x": 0}
COMMON: Mapping[str, object] = {
    "margin": MARGIN,
    "legend": LEGEND,
    "hovermode": "closest",
    "plot_bgcolor": "rgba(0,0,0,0)",
}
"""What all figures have in common; the page itself, light or dark, is their background."""


def literal(text: str) -> str:
    """Text for an axis or a hover label, never read as markup."""
    return html.escape(text, quote=False).replace("$", "&#36;")


def gaps(columns: int, most: int = 128) -> dict[str, int]:
    """A line between the cells of a map as long as cells are wider than it; `most` columns are."""
    return {"xgap": 1, "ygap": 1} if columns <= most else {"xgap": 0, "ygap": 1}


def padding_sweep(sweep: Sweep) -> go.Figure:
    """Padded length against the largest difference, on log axes with zero drawn as zero."""
    floor = floor_of(list(sweep.max_abs.values()))
    figure = go.Figure()
    for (dtype, mask), values in sweep.max_abs.items():
        figure.add_trace(
            go.Scatter(
                x=sweep.lengths,
                y=np.where(values > 0, values, floor),
                customdata=values,
                name=f"mask {mask}, {dtype}",
                mode="lines+markers",
                line={"color": COLOURS[mask], "dash": DASHES[dtype]},
                marker={"symbol": SYMBOLS[mask, dtype], "size": 7 if dtype == "float32" else 13},
                hovertemplate="%{x} tokens: %{customdata:.2e}<extra>%{fullData.name}</extra>",
            )
        )
    return laid_out(figure, 420, *padded_axes(sweep.lengths, floor, list(sweep.max_abs.values())))


def padded_axes(lengths: Sequence[int], floor: float, series: Sequence[np.ndarray]) -> tuple[dict[str, object], ...]:
    """Padded length on the x axis, the largest difference on the y axis, both logarithmic."""
    across = {"type": "log", "title": "padded length, tokens", "tickvals": list(lengths), "tickangle": 0}
    return across, {"type": "log", "title": "largest difference to the unpadded text", **decade_ticks(floor, series)}


def floor_of(series: Sequence[np.ndarray]) -> float:
    """A place for zero one decade below the smallest size that is not zero."""
    positive = [values[np.isfinite(values) & (values > 0)] for values in series]
    smallest = min((float(values.min()) for values in positive if values.size), default=1e-16)
    return float(10 ** (np.floor(np.log10(smallest)) - 1))


def _decades(floor: float, largest: float, most: int = 6) -> list[float]:
    low, high = int(np.log10(floor)) + 1, int(np.ceil(np.log10(max(largest, floor * 10))))
    step = max(1, (high - low) // most)
    return [float(10.0**power) for power in range(low, high + 1, step)]


def decade_ticks(floor: float, series: object, most: int = 6) -> dict[str, list[float] | list[str]]:
    """Ticks of a log axis at whole decades, about `most` of them, with 0 written where zero is drawn."""
    largest = max(float(np.nanmax(values, initial=0.0)) for values in series)  # type: ignore[attr-defined]
    decades = _decades(floor, largest, most)
    return {"tickvals": [floor, *decades], "ticktext": ["0", *(f"{decade:.0e}" for decade in decades)]}


def colour_ticks(floor: float, sizes: np.ndarray) -> dict[str, list[float] | list[str]]:
    """Decades of a colour scale that shows logarithms, with zero at its end."""
    decades = _decades(floor, float(np.nanmax(sizes, initial=0.0)))
    return {
        "tickvals": [float(np.log10(floor)), *(float(np.log10(decade)) for decade in decades)],
        "ticktext": ["0", *(f"{decade:.0e}" for decade in decades)],
    }


def bar_above(title: str) -> dict[str, object]:
    """A colour bar above the picture, which leaves its whole width to it, on a phone as well."""
    where = {"orientation": "h", "x": 0.5, "y": 1.02, "yanchor": "bottom"}
    return {"title": {"text": title, "side": "top"}, "thickness": 10, "len": 0.6, **where}


def laid_out(
    figure: go.Figure,
    height: int,
    x: Mapping[str, object] | None = None,
    y: Mapping[str, object] | None = None,
    **layout: object,
) -> go.Figure:
    """The figure with its axes, and with the margins and the legend that all have; no font and no background of its own.

    Set key by key: plotly's `update_layout` and `update_xaxes` take several milliseconds each.
    """
    for name, axis in (("xaxis", x), ("yaxis", y)):
        for key in [key for key in figure.layout if key.startswith(name)] or [name]:
            figure.layout[key] = {**figure.layout[key].to_plotly_json(), **(axis or {})}
    for key, value in {**COMMON, "height": height, **layout}.items():
        figure.layout[key] = value
    return figure
