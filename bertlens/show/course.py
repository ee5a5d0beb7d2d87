"""Course: pictures of one vector per text in every hidden state: measures, path, and how alike the texts are."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import plotly.graph_objects as go

from bertlens.read.course import Course
from bertlens.run.texts import Texts, sides
from bertlens.show.figures import laid_out, literal
from bertlens.show.layers import BLUE, GREY, ORANGE, TITLES, banded, matrix, over_states, stroke

COLOURS = (BLUE, ORANGE, "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#F0E442", GREY)
DASHES = ("solid", "dash", "dot", "dashdot", "longdash")
SYMBOLS = ("circle", "square", "diamond", "cross", "triangle-up", "triangle-down", "pentagon", "star", "hexagon")
"""Okabe and Ito's colours with dashes and signs of other numbers, so that no two lines of a figure are alike."""

LABEL = 28
"""Characters of a text that stand in a legend or on an axis."""

MOST_TEXTS = 24
"""Texts with a line of their own; of more the first are drawn."""

NAMED = 8
"""Texts that a legend names; of more the names would take half of the picture, and stand where one points at a line."""


def labels_of(texts: Texts) -> list[str]:
    """Every text as a label, its number before its first words, so that equal texts stay apart."""
    whole = [" ||| ".join(sides(text)).replace("\n", " ") for text in texts]
    cut = [text if len(text) <= LABEL else f"{text[: LABEL - 1]}…" for text in whole]
    return [f"{number} {literal(text)}" for number, text in enumerate(cut)]


def told(texts: Texts) -> str:
    """What a reader of lines must know where there are more texts than a legend names; begins with a blank."""
    if len(texts) <= NAMED:
        return ""
    some = f"the first {MOST_TEXTS} of {len(texts):,}" if len(texts) > MOST_TEXTS else f"all {len(texts)}"
    return f" Drawn are {some} texts; point at a line to see which one it is."


def measure(course: Course, states: Sequence[str], name: str, texts: Texts) -> go.Figure:
    """A measure of the texts' vectors through the states, one line per text."""
    chosen = labels_of(texts[:MOST_TEXTS])
    figure = lines(states, course.measures[name][:, : len(chosen)], chosen).update_layout(showlegend=len(chosen) <= NAMED)
    return over_states(figure, states, 400, f"{TITLES[name]}, {course.readout}")


def lines(states: Sequence[str], values: np.ndarray, names: Sequence[str]) -> go.Figure:
    """One line per column of (states, …), told apart by colour, dash and sign."""
    figure = go.Figure()
    for at, name in enumerate(names):
        look = (COLOURS[at % len(COLOURS)], SYMBOLS[at % len(SYMBOLS)], DASHES[at % len(DASHES)])
        figure.add_trace(stroke(states, values[:, at], name, look, 7))
    return figure


def trail(course: Course, states: Sequence[str], texts: Texts) -> go.Figure:
    """The way of every text from the embeddings (open circle) to the last state (star), in one plane for all."""
    found = course.trail()
    figure = go.Figure()
    for at, name in enumerate(labels_of(texts[:MOST_TEXTS])):
        way = found.coordinates[:, at]
        if not np.isfinite(way).all():
            continue
        between = len(way) - 2
        symbols, sizes = ["circle-open", *["circle"] * between, "star"], [12, *[5] * between, 14]
        figure.add_trace(
            go.Scatter(
                x=way[:, 0],
                y=way[:, 1],
                customdata=list(states),
                name=name,
                mode="lines+markers",
                line={"color": COLOURS[at % len(COLOURS)], "dash": DASHES[at % len(DASHES)], "width": 1.5},
                marker={"symbol": symbols, "size": sizes, "opacity": 1},
                hovertemplate="%{customdata}<extra>%{fullData.name}</extra>",
            )
        )
    across, up = (
        {"title": f"component {number} ({100 * share:.0f} % of the variance)", "zeroline": False}
        for number, share in enumerate(found.explained, 1)
    )
    return laid_out(figure.update_layout(showlegend=len(figure.data) <= NAMED), 520, across, up)


def similarity(course: Course, states: Sequence[str]) -> go.Figure:
    """The cosine between different texts in every state: mean, and from the least to the most alike pair."""
    figure = go.Figure()
    pairs = course.pairs
    if np.isfinite(pairs["mean"]).any():
        texts = course.vectors.shape[1]
        line = (pairs["mean"], pairs["smallest"], pairs["largest"])
        banded(figure, states, line, f"pairs of {texts:,} texts", (BLUE, "circle", "solid"))
    return over_states(figure, states, 380, f"cosine of two texts, {course.readout}")


def similarity_matrix(course: Course, state: int, texts: Texts) -> go.Figure:
    """The cosine between every two texts in one state."""
    names = labels_of(texts[: course.vectors.shape[1]])
    values = course.similarity(state)
    lowest = float(np.nanmin(values, initial=0.0))
    return matrix(values, names, names, "cosine", (min(0.0, lowest), 1.0))
