"""Edits: pictures of what edited lookups do to the states, to the neighbours of the text and to the logits."""

from __future__ import annotations

import numpy as np
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from bertlens.judge.edits import Effect, Logits, Neighbours
from bertlens.read.vocabulary import Nearest
from bertlens.run.texts import Texts
from bertlens.show.course import labels_of, lines
from bertlens.show.figures import BARE, SCALE, laid_out, literal
from bertlens.show.layers import BLUE, ORANGE, over_states, ticks
from bertlens.show.token_layers import TOKENS_NAMED, states_down

TITLES = {
    "change": "change, over the length before",
    "max_abs": "largest absolute change",
    "cosine": "cosine, before and after",
}
"""What stands on an axis for a measure of `bertlens.judge.edits.MEASURES`."""

MOST_TEXTS = 30
"""Neighbours that are drawn, the nearest before the edit first."""


def effect_map(found: Effect, measure: str) -> go.Figure:
    """A measure of every token in every state; the names of edited tokens are marked with a star."""
    values = found.measures[measure]
    tokens = [f"{'★ ' if at in found.changed else ''}{literal(token)}" for at, token in enumerate(found.tokens)]
    finite = values[np.isfinite(values)]
    low, high = (float(finite.min(initial=1.0)), 1.0) if measure == "cosine" else (0.0, float(finite.max(initial=1e-9)))
    figure = go.Figure(
        go.Heatmap(
            z=values,
            x=list(range(len(tokens))),
            y=list(range(len(found.states))),
            text=[tokens] * len(found.states),
            customdata=[[label] * len(tokens) for label in found.labels],
            hovertemplate="%{customdata}, token %{x} “%{text}”: %{z:.4g}<extra></extra>",
            colorscale=SCALE,
            reversescale=measure == "cosine",
            zmin=low,
            zmax=high,
            colorbar={"title": {"text": TITLES[measure], "side": "right"}, "thickness": 12},
        )
    )
    across = {**ticks(tokens, TOKENS_NAMED), "title": "token (★ edited)", **BARE}
    return laid_out(figure, 150 + 26 * len(found.states), across, states_down(found.labels))


def effect_lines(found: Effect, measure: str) -> go.Figure:
    """A measure of [CLS], and its mean over the edited and over the other tokens, through the states."""
    values = found.measures[measure]
    edited = np.isin(np.arange(len(found.tokens)), found.changed)
    columns = [values[:, :1], values[:, edited], values[:, ~edited]]
    names = [f"0 {literal(found.tokens[0])}", f"edited, mean of {edited.sum()}", f"not edited, mean of {(~edited).sum()}"]
    kept = [(part.mean(1), name) for part, name in zip(columns, names, strict=True) if part.shape[1]]
    figure = lines(found.labels, np.stack([part for part, _ in kept], axis=1), [name for _, name in kept])
    return over_states(figure, found.labels, 380, TITLES[measure])


def neighbours(found: Neighbours, texts: Texts) -> go.Figure:
    """The cosine of the text with its nearest others before (open circle) and after (diamond) the edit, with the ranks."""
    frame = found.to_frame().head(MOST_TEXTS)
    names = labels_of(texts)
    rows = list(range(len(frame)))
    figure = go.Figure()
    joined = np.stack([frame["cosine before"], frame["cosine after"], np.full(len(frame), np.nan)], axis=1)
    line = {"color": "rgba(128,128,128,0.6)", "width": 2}
    across = np.repeat(rows, 3)
    figure.add_trace(go.Scatter(x=joined.ravel(), y=across, mode="lines", line=line, hoverinfo="skip", showlegend=False))
    for when, colour, symbol in (("before", BLUE, "circle-open"), ("after", ORANGE, "diamond")):
        figure.add_trace(
            go.Scatter(
                x=frame[f"cosine {when}"],
                y=rows,
                text=[names[text] for text in frame["text"]],
                customdata=frame[f"rank {when}"],
                name=when,
                mode="markers",
                marker={"color": colour, "symbol": symbol, "size": 11, "line": {"width": 2}},
                hovertemplate="%{text}: %{x:.4f}, rank %{customdata}<extra>%{fullData.name}</extra>",
            )
        )
    ranks = zip(frame["text"], frame["rank before"], frame["rank after"], strict=True)
    labels = [f"{names[text]} · {before} → {after}" for text, before, after in ranks]
    down = {"tickvals": rows, "ticktext": labels, "autorange": "reversed", "title": ""}
    return laid_out(figure, 120 + 30 * max(len(frame), 2), {"title": f"cosine, {found.pooling}", "zeroline": False}, down)


def logits(found: Logits) -> go.Figure:
    """The logit of every class before and after."""
    labels, figure = [literal(label) for label in found.labels], go.Figure()
    for when, values, colour, shape in (("before", found.before, BLUE, ""), ("after", found.after, ORANGE, "/")):
        figure.add_trace(go.Bar(x=labels, y=values, name=when, marker={"color": colour, "pattern": {"shape": shape}}))
    return laid_out(figure, 320, y={"title": "logit"}, barmode="group")


def nearest(found: Nearest) -> go.Figure:
    """The nearest entries of the vocabulary to each vector as bars, side by side on one scale."""
    shown = {name: entries for name, entries in found.entries.items() if entries}
    most = max((len(entries) for entries in shown.values()), default=1)
    rows, columns = -(-max(len(shown), 1) // 2), min(max(len(shown), 1), 2)
    space = {"horizontal_spacing": 0.2, "vertical_spacing": 0.2}
    figure = make_subplots(rows, columns, subplot_titles=[literal(name) for name in shown], **space)
    sizes = [getattr(entry, found.measure) for entries in shown.values() for entry in entries]
    for at, entries in enumerate(shown.values()):
        cell = {"row": at // 2 + 1, "col": at % 2 + 1}
        figure.add_trace(
            go.Bar(
                x=[getattr(entry, found.measure) for entry in entries],
                y=list(range(len(entries))),
                customdata=[[literal(entry.token), entry.id, entry.cosine, entry.dot] for entry in entries],
                orientation="h",
                marker={"color": BLUE},
                showlegend=False,
                hovertemplate="“%{customdata[0]}” (id %{customdata[1]}): cosine %{customdata[2]:.4f}, dot %{customdata[3]:.4g}"
                "<extra></extra>",
            ),
            **cell,
        )
        names = {"tickvals": list(range(len(entries))), "ticktext": [literal(entry.token) for entry in entries]}
        figure.update_yaxes(**names, autorange="reversed", **cell)
    across = {"title": found.measure, "range": [min(0.0, *sizes, 0.0), 1.05 * max([*sizes, 1e-9])]}
    return laid_out(figure, rows * (130 + 22 * most), across)
