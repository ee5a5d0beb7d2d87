"""Pictures and tables of a checkpoint: the map of its weights, the spectrum of one of them, what loading does."""

from __future__ import annotations

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from bertlens.judge.checkpoint.checkup import Checkup
from bertlens.judge.weights.matrix import Matrix
from bertlens.judge.weights.modules import STATES, Module
from bertlens.show.figures import laid_out, literal

LOOK = {
    "trained": ("#009E73", "square"),
    "cannot tell": ("#999999", "diamond-open"),
    "newly drawn": ("#D55E00", "x"),
    "all zero": ("#000000", "circle-open"),
    "not finite": ("#CC79A7", "star"),
    "mismatched": ("#E69F00", "triangle-up"),
    "missing": ("#E69F00", "cross"),
}
"""Colour and sign of a state; the sign and the legend carry the same as the colour."""

OUTSIDE = "outside"
"""The column of modules that belong to no numbered layer."""

MOST_NAMED = 4
"""Modules of a state that are called by name in a sentence."""


def weight_map(checkup: Checkup) -> go.Figure:
    """Every module as a sign: layers from left to right, places in a layer from top to bottom, in the order of the pass."""
    places = list(dict.fromkeys(module.place for module in checkup.modules))
    layers = sorted({module.layer for module in checkup.modules if module.layer is not None})
    figure = go.Figure()
    for state in STATES:
        found = [module for module in checkup.modules if module.state == state]
        if not found:
            continue
        colour, sign = LOOK[state]
        figure.add_trace(
            go.Scatter(
                x=[_column(module) for module in found],
                y=[literal(module.place) for module in found],
                customdata=[[module.name, literal(module.reason), " × ".join(map(str, module.shape))] for module in found],
                name=f"{state} ({len(found)})",
                mode="markers",
                marker={"color": colour, "symbol": sign, "size": 12, "line": {"width": 1, "color": colour}},
                hovertemplate="<b>%{customdata[0]}</b> (%{customdata[2]})<br>" + state + ": %{customdata[1]}<extra></extra>",
            )
        )
    columns = [OUTSIDE, *map(str, layers)]
    ordered = {"type": "category", "categoryorder": "array"}
    across = {**ordered, "categoryarray": columns, "title": "layer", "side": "top"}
    down = {**ordered, "categoryarray": [literal(place) for place in places[::-1]], "title": ""}
    legend = {"orientation": "h", "yanchor": "top", "y": -0.02, "x": 0}
    return laid_out(figure, 130 + 25 * len(places), across, down, legend=legend)


def states(checkup: Checkup) -> str:
    """The map in a sentence: how many modules are in each state, and which are in another than `trained`."""
    told = []
    for state in STATES:
        names = [module.name for module in checkup.modules if module.state == state]
        if names:
            few = f" ({', '.join(names)})" if state != "trained" and len(names) <= MOST_NAMED else ""
            told.append(f"{len(names)} {state}{few}")
    return f"{len(checkup.modules)} modules by layer and place: {', '.join(told)}."


def _column(module: Module) -> str:
    return OUTSIDE if module.layer is None else str(module.layer)


def modules(checkup: Checkup) -> pd.DataFrame:
    """One line per module: its state, the reason, and the numbers."""
    numbers = ("std", "std_over_initializer_range", "kurtosis", "edge_ratio", "tracy_widom", "probability", "bias")
    lines = [
        {
            "module": module.name,
            "layer": module.layer,
            "kind": module.kind,
            "shape": " × ".join(map(str, module.shape)),
            "dtype": module.dtype,
            "state": module.state,
            **{name: module.evidence.get(name) for name in numbers},
            "reason": module.reason,
        }
        for module in checkup.modules
    ]
    return pd.DataFrame(lines)


def outputs(checkup: Checkup) -> pd.DataFrame:
    """One line per output: whether it may be trusted, and what speaks against it."""
    lines = [
        {"output": output, "trust": "no" if ids else "yes", "because of": ", ".join(ids)}
        for output, ids in checkup.outputs.items()
    ]
    return pd.DataFrame(lines, columns=["output", "trust", "because of"])


def load_report(checkup: Checkup) -> pd.DataFrame:
    """One line per module that is not loaded as it stands, with the outputs it spoils and those it leaves intact."""
    lines = [
        {
            "module": group.module,
            "state": group.state,
            "tensors": len(group.tensors),
            "spoils": ", ".join(group.spoils) or "nothing",
            "leaves intact": ", ".join(group.intact),
            "names": ", ".join(group.tensors),
        }
        for group in checkup.load_report
    ]
    return pd.DataFrame(lines, columns=["module", "state", "tensors", "spoils", "leaves intact", "names"])


def facts(checkup: Checkup) -> pd.DataFrame:
    """One line per fact: where it stands, and what it says."""
    lines = [
        {"about": fact.group, "fact": fact.name, "value": _shown(fact.value), "from": fact.source} for fact in checkup.facts
    ]
    return pd.DataFrame(lines, columns=["about", "fact", "value", "from"])


def _shown(value: object) -> str:
    return "–" if value is None else str(value)


def spectrum(matrix: Matrix) -> go.Figure:
    """Singular values of one matrix as a histogram, with the curve that independent draws of the same size would follow."""
    found = matrix.spectrum
    bins = int(np.clip(len(found.singular_values) // 8, 12, 80))
    heights, edges = np.histogram(found.singular_values, bins=bins, density=True)
    figure = go.Figure()
    figure.add_trace(
        go.Bar(
            x=(edges[:-1] + edges[1:]) / 2,
            y=heights,
            width=np.diff(edges),
            name="singular values",
            marker={"color": "#0072B2", "opacity": 0.6},
            hovertemplate="%{x:.3g}: density %{y:.3g}<extra></extra>",
        )
    )
    figure.add_trace(
        go.Scatter(
            x=found.grid,
            y=found.density,
            name="Marchenko-Pastur: independent draws",
            mode="lines",
            line={"color": "#D55E00", "width": 3},
            hovertemplate="%{x:.3g}: density %{y:.3g}<extra></extra>",
        )
    )
    figure.add_trace(
        go.Scatter(
            x=[found.singular_values[0]],
            y=[0],
            name=f"largest: {matrix.edge_ratio:.3f} of the edge",
            mode="markers",
            marker={"color": "#000000", "symbol": "triangle-up", "size": 14, "line": {"color": "#FFFFFF", "width": 1}},
            hovertemplate="largest singular value %{x:.4g}<extra></extra>",
        )
    )
    across = {"title": "singular value", "rangemode": "tozero"}
    return laid_out(figure, 380, across, {"title": "density"}, bargap=0)
