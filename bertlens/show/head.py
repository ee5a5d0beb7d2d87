"""Head: pictures of the way from the last hidden state to the answer: values of every step, logits, and what makes them."""

from __future__ import annotations

import numpy as np
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from bertlens.judge.dropout_runs import DropoutRuns
from bertlens.judge.head import Head
from bertlens.judge.head_steps import SATURATED, Step
from bertlens.show.figures import LEGEND, MARGIN, laid_out, literal
from bertlens.show.layers import BLUE, GREEN, GREY, ORANGE

CLASSES = 40
"""Classes up to which their logits are drawn; of more the table is shown."""

UNITS = 16
"""Largest contributions that have a bar of their own; the others share one."""

COLUMNS = 2
"""Panels in a row."""

FEWEST = 8
"""Values from which on a histogram says something."""

READOUTS = {
    "own": ("the model as it is", BLUE, ""),
    "cls": ("[CLS]", BLUE, ""),
    "mean": ("mean of all tokens", ORANGE, "/"),
}
"""Name, colour and pattern of what the head takes; the pattern says the same as the colour."""


def drawn_steps(found: Head) -> list[Step]:
    """The steps that have a histogram: not dropout, which is off, not a few logits, and no vector that was shown before."""
    many = [step for step in found.steps if step.kind != "dropout" and step.values.size >= FEWEST]
    return [step for at, step in enumerate(many) if at + 1 == len(many) or not np.array_equal(step.values, many[at + 1].values)]


def histograms(found: Head) -> go.Figure:
    """How the values of every step are distributed, a panel each; after a tanh the saturated ends are shaded."""
    steps = drawn_steps(found)
    columns = min(COLUMNS, len(steps))
    rows = -(-len(steps) // columns)
    titles = [_title(step) for step in steps]
    figure = make_subplots(rows=rows, cols=columns, subplot_titles=titles, vertical_spacing=0.32 / rows)
    for at, step in enumerate(steps):
        place = {"row": at // columns + 1, "col": at % columns + 1}
        counts, edges = np.histogram(step.values.astype(float), bins=min(40, max(4, step.values.size // 4)))
        bar = go.Bar(
            x=(edges[1:] + edges[:-1]) / 2,
            y=counts,
            width=np.diff(edges),
            customdata=np.stack([edges[:-1], edges[1:]], 1),
            marker={"color": ORANGE if step.drawn else BLUE, "pattern": {"shape": "/" if step.drawn else ""}},
            hovertemplate="%{customdata[0]:.3g} … %{customdata[1]:.3g}: %{y} units<extra></extra>",
            showlegend=False,
        )
        figure.add_trace(bar, **place)
        if step.saturation is not None:
            for one, other in ((-1.05, -SATURATED), (SATURATED, 1.05)):
                figure.add_vrect(x0=one, x1=other, fillcolor=ORANGE, opacity=0.25, line_width=0, **place)
    return laid_out(figure, 90 + 200 * rows, bargap=0, margin={**MARGIN, "t": 60})


def _title(step: Step) -> str:
    """What the step does and the last part of its name, which fit above a narrow panel, then its norm."""
    saturated = "" if step.saturation is None else f", {100 * step.saturation:.1f} % above {SATURATED}"
    return f"{step.kind} · {literal(step.name.rpartition('.')[2])}<br><sup>norm {step.norm:.3g}{saturated}</sup>"


def answer(found: Head) -> go.Figure:
    """The logit of every class, and what the activation makes of them, with the head's own vector and with the other."""
    names = [literal(label) for label in found.labels]
    panels = ["logit", found.activation] if found.activation else ["score"]
    figure = make_subplots(rows=1, cols=len(panels), subplot_titles=panels)
    for name, values in found.replaced.items():
        title, colour, pattern = READOUTS[name]
        own = " (this head)" if name == found.taken else ""
        for column, numbers in enumerate(_panels(values[-1], found.activation), start=1):
            bar = go.Bar(
                x=names,
                y=numbers,
                name=title + own,
                legendgroup=name,
                showlegend=column == 1,
                marker={"color": colour, "pattern": {"shape": pattern}},
                hovertemplate="%{x}: %{y:.4f}<extra>" + title + "</extra>",
            )
            figure.add_trace(bar, row=1, col=column)
    if found.activation:
        figure.update_yaxes(range=[0, 1], row=1, col=2)
    return laid_out(figure, 360, barmode="group", margin={**MARGIN, "t": 70}, legend={**LEGEND, "y": 1.12})


def _panels(logits: np.ndarray, activation: str) -> list[np.ndarray]:
    from bertlens.judge.head import probabilities

    return [logits, probabilities(logits, activation)] if activation else [logits]


def contributions(found: Head, label: int) -> go.Figure:
    """The largest x_i W[c, i] in the logit of a class, all others together, and the bias: the bars add up to the logit."""
    assert found.bias is not None
    frame = found.contribution(label)
    top, rest = frame.head(UNITS), frame.iloc[UNITS:]
    names = [f"unit {unit}" for unit in top["unit"]]
    values = top["contribution"].tolist()
    if len(rest):
        names.append(f"{len(rest)} others")
        values.append(float(rest["contribution"].sum()))
    names.append("bias")
    values.append(float(found.bias[label]))
    colours = [BLUE if value >= 0 else ORANGE for value in values]
    patterns = ["" if value >= 0 else "/" for value in values]
    figure = go.Figure(
        go.Bar(
            y=names,
            x=values,
            orientation="h",
            marker={"color": colours, "pattern": {"shape": patterns}},
            hovertemplate="%{y}: %{x:.4f}<extra></extra>",
        )
    )
    across = {"title": f"part of the logit of “{literal(found.labels[label])}”", "zeroline": True, "zerolinecolor": GREY}
    return laid_out(figure, 110 + 24 * len(names), across, {"autorange": "reversed", "type": "category"})


def dropout(runs: DropoutRuns) -> go.Figure:
    """The logits of every run with dropout on as points, and the one without as a line."""
    figure = go.Figure()
    names = [literal(label) for label in runs.labels]
    count = len(runs.on)
    for at, name in enumerate(names):
        points = go.Scatter(
            x=at + np.linspace(-0.25, 0.25, count),
            y=runs.on[:, at],
            mode="markers",
            name="dropout on, a point a seed",
            legendgroup="on",
            showlegend=at == 0,
            marker={"color": ORANGE, "symbol": "circle-open", "size": 8},
            customdata=list(range(count)),
            hovertemplate=f"{name}, seed %{{customdata}}: %{{y:.4f}}<extra></extra>",
        )
        off = go.Scatter(
            x=[at - 0.35, at + 0.35],
            y=[runs.off[at]] * 2,
            mode="lines",
            name="dropout off",
            legendgroup="off",
            showlegend=at == 0,
            line={"color": BLUE, "width": 3},
            hovertemplate=f"{name}, off: %{{y:.4f}}<extra></extra>",
        )
        figure.add_trace(points)
        figure.add_trace(off)
    across = {"tickvals": list(range(len(names))), "ticktext": names, "zeroline": False}
    return laid_out(figure, 340, across, {"title": "logit"})


def scatter(found: Head) -> go.Figure:
    """Every text: the margin between its two best classes with [CLS] and with the mean; across zero the class changes."""
    assert found.predictions is not None
    logits = found.predictions.logits
    best = logits["cls"].argmax(1)
    rows = np.arange(len(best))
    figure = go.Figure()
    sides = {name: _margin(logits[name], best, rows) for name in ("cls", "mean")}
    changed = found.predictions.changed
    for kind, members, colour, symbol in (("same class", ~changed, BLUE, "circle"), ("another class", changed, ORANGE, "x")):
        figure.add_trace(
            go.Scatter(
                x=sides["cls"][members],
                y=sides["mean"][members],
                mode="markers",
                name=f"{kind} ({int(members.sum())})",
                marker={"color": colour, "symbol": symbol, "size": 9},
                customdata=rows[members],
                hovertemplate="text %{customdata}: [CLS] %{x:.3f}, mean %{y:.3f}<extra></extra>",
            )
        )
    figure.add_hline(y=0, line={"color": GREEN, "dash": "dot"})
    score = logits["cls"].shape[1] == 1
    across = {"title": "score with [CLS]" if score else "lead of [CLS]’s class with [CLS]"}
    return laid_out(figure, 360, across, {"title": "score with the mean" if score else "its lead with the mean"})


def _margin(logits: np.ndarray, best: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """(texts,), the logit of a class less the largest other one; of a single score the score."""
    if logits.shape[1] == 1:
        return logits[:, 0]
    others = logits.copy()
    others[rows, best] = -np.inf
    return np.asarray(logits[rows, best] - others.max(1))
