"""Probing: what a linear layer learns from each readout, as a figure."""

from __future__ import annotations

from typing import TYPE_CHECKING

import plotly.graph_objects as go

from bertlens.show.figures import COLOURS, laid_out, literal

if TYPE_CHECKING:
    from bertlens.judge.probing import Probe

MEASURES = {"accuracy": ("accuracy", "spread", "circle"), "macro-F1": ("macro_f1", "macro_f1_spread", "diamond-open")}
"""What is drawn: the mean, its spread, and its sign."""


def accuracies(found: Probe) -> go.Figure:
    """Mean accuracy and macro-F1 of every readout with their spread over the folds, beside the majority class as a line."""
    shown = [*found.readouts][::-1]  # the first on top
    figure = go.Figure()
    for (name, (mean, spread, sign)), colour in zip(MEASURES.items(), COLOURS.values(), strict=True):
        sizes = [float(getattr(one, spread)) for one in shown]
        figure.add_trace(
            go.Scatter(
                x=[float(getattr(one, mean)) for one in shown],
                y=[literal(one.name + (" (drawn, not trained)" if one.name in found.meaningless else "")) for one in shown],
                error_x={"type": "data", "array": sizes},
                customdata=sizes,
                name=name,
                mode="markers",
                marker={"symbol": sign, "size": 11, "color": colour},
                hovertemplate="%{y}: %{x:.3f} ± %{customdata:.3f}<extra>" + name + "</extra>",
            )
        )
    guess = found.baseline.accuracy
    figure.add_vline(x=guess, line_dash="dash", line_color="#888888")
    marker = {"symbol": "line-ns-open", "size": 12, "color": "#888888"}
    name = f"accuracy of the majority class ({guess:.2f})"
    figure.add_trace(go.Scatter(x=[None], y=[None], mode="markers", marker=marker, name=name, hoverinfo="skip"))
    across = {"title": "mean over the folds, ± standard deviation", "range": [0, 1.05]}
    return laid_out(figure, 150 + 42 * len(shown), across, {"type": "category"})
