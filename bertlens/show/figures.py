"""Figures: results as plotly figures, readable in light and dark and by colour-blind eyes."""

from __future__ import annotations

import html
from collections.abc import Sequence

import numpy as np
import plotly.graph_objects as go

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


def literal(text: str) -> str:
    """Text for an axis or a hover label, never read as markup."""
    return html.escape(text, quote=False).replace("$", "&#36;")


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
    figure.update_xaxes(type="log", title="padded length, tokens", tickvals=list(sweep.lengths), tickangle=0)
    figure.update_yaxes(
        type="log", title="largest difference to the unpadded text", **decade_ticks(floor, sweep.max_abs.values())
    )
    return laid_out(figure, 420)


def floor_of(series: Sequence[np.ndarray]) -> float:
    """A place for zero one decade below the smallest size that is not zero."""
    positive = [values[np.isfinite(values) & (values > 0)] for values in series]
    smallest = min((float(values.min()) for values in positive if values.size), default=1e-16)
    return float(10 ** (np.floor(np.log10(smallest)) - 1))


def _decades(floor: float, largest: float) -> list[float]:
    low, high = int(np.log10(floor)) + 1, int(np.ceil(np.log10(max(largest, floor * 10))))
    step = max(1, (high - low) // 6)
    return [float(10.0**power) for power in range(low, high + 1, step)]


def decade_ticks(floor: float, series: object) -> dict[str, list[float] | list[str]]:
    """Ticks of a log axis at whole decades, with 0 written where zero is drawn."""
    largest = max(float(np.nanmax(values, initial=0.0)) for values in series)  # type: ignore[attr-defined]
    decades = _decades(floor, largest)
    return {"tickvals": [floor, *decades], "ticktext": ["0", *(f"{decade:.0e}" for decade in decades)]}


def colour_ticks(floor: float, sizes: np.ndarray) -> dict[str, list[float] | list[str]]:
    """Decades of a colour scale that shows logarithms, with zero at its end."""
    decades = _decades(floor, float(np.nanmax(sizes, initial=0.0)))
    return {
        "tickvals": [float(np.log10(floor)), *(float(np.log10(decade)) for decade in decades)],
        "ticktext": ["0", *(f"{decade:.0e}" for decade in decades)],
    }


def laid_out(figure: go.Figure, height: int) -> go.Figure:
    """The figure with the margins and the legend that all have; no font and no background of its own."""
    legend = {"orientation": "h", "yanchor": "bottom", "y": 1.02, "x": 0}
    figure.update_layout(height=height, margin={"l": 10, "r": 10, "t": 40, "b": 10}, legend=legend, hovermode="closest")
    return figure
