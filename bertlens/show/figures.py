"""Figures: results as plotly figures, readable in light and dark and by colour-blind eyes."""

from __future__ import annotations

import html
from collections.abc import Sequence

import numpy as np
import plotly.graph_objects as go

from bertlens.judge.parting import Parting
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


def parting(result: Parting) -> go.Figure:
    """Difference per layer and token; the first layer beyond the bound is framed."""
    sizes = np.where(np.isfinite(result.max_abs), result.max_abs, np.nan)
    floor = floor_of([sizes])
    shown = np.log10(np.where(sizes > 0, sizes, np.where(np.isnan(sizes), np.nan, floor)))
    columns = [str(at) for at in range(len(result.tokens))]
    words = [[literal(token) for token in result.tokens] for _ in result.layers]
    figure = go.Figure(
        go.Heatmap(
            z=shown,
            x=columns,
            y=list(result.layers),
            customdata=np.stack([result.max_abs, np.tile(np.arange(len(columns)), (len(result.layers), 1))], axis=-1),
            text=words,
            hovertemplate="%{y}, token %{x} “%{text}”: %{customdata[0]:.2e}<extra></extra>",
            colorscale=SCALE,
            zmin=np.log10(floor),
            zmax=max(np.nanmax(shown, initial=np.log10(floor)), np.log10(floor) + 1),
            colorbar={"title": "max abs", **_colour_ticks(floor, sizes)},
            xgap=1,
            ygap=1,
        )
    )
    step = max(1, len(columns) // 40)
    figure.update_xaxes(
        type="category", tickvals=columns[::step], ticktext=words[0][::step] if words else [], tickangle=-45, title="token"
    )
    if result.first is not None:
        layer = result.first[0]
        frame = {"color": "#D55E00", "width": 3}
        figure.add_shape(type="rect", x0=-0.5, x1=len(columns) - 0.5, y0=layer - 0.5, y1=layer + 0.5, line=frame)
    return laid_out(figure, 140 + 34 * len(result.layers))


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


def _colour_ticks(floor: float, sizes: np.ndarray) -> dict[str, list[float] | list[str]]:
    decades = _decades(floor, float(np.nanmax(sizes, initial=0.0)))
    return {
        "tickvals": [float(np.log10(floor)), *(float(np.log10(decade)) for decade in decades)],
        "ticktext": ["0", *(f"{decade:.0e}" for decade in decades)],
    }


def laid_out(figure: go.Figure, height: int) -> go.Figure:
    """The figure with the margins and the legend that all figures have."""
    legend = {"orientation": "h", "yanchor": "bottom", "y": 1.02, "x": 0}
    figure.update_layout(height=height, margin={"l": 10, "r": 10, "t": 40, "b": 10}, legend=legend, hovermode="closest")
    return figure
