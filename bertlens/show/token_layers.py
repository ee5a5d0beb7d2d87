"""Token layers: pictures of one text in every hidden state: tokens by states, and the units of one token by states."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import plotly.graph_objects as go

from bertlens.judge.token_layers import TokenLayers
from bertlens.show.course import lines
from bertlens.show.figures import BARE, SCALE, laid_out, literal
from bertlens.show.layers import TITLES, over_states, ticks
from bertlens.show.values import SCALE as SIGNED
from bertlens.show.values import bound_of

TOKENS_NAMED = 24
"""Tokens of which the names fit on the axis; of more every n-th is named, and all by the pointer."""


def token_map(found: TokenLayers, measure: str) -> go.Figure:
    """A measure of every token in every state; a token that stands twice has two columns."""
    sizes = found.measures[measure][np.isfinite(found.measures[measure])]
    lowest, highest = float(sizes.min(initial=0.0)), float(sizes.max(initial=1.0))
    tokens = [literal(token) for token in found.tokens]
    figure = go.Figure(
        go.Heatmap(
            z=found.measures[measure],
            x=list(range(len(tokens))),
            y=list(range(len(found.states))),
            text=np.repeat(np.array(tokens)[None], len(found.states), axis=0),
            customdata=np.repeat(np.array(found.labels)[:, None], len(tokens), axis=1),
            hovertemplate="%{customdata}, token %{x} “%{text}”: %{z:.3f}<extra></extra>",
            colorscale=SCALE,
            zmin=lowest,
            zmax=highest,
            colorbar={"title": {"text": TITLES[measure], "side": "right"}, "thickness": 12},
        )
    )
    across = {**ticks(tokens, TOKENS_NAMED), "title": "token", **BARE}
    return laid_out(figure, 150 + 26 * len(found.states), across, states_down(found.labels))


def unit_map(found: TokenLayers, token: int) -> go.Figure:
    """Every hidden unit of one token in every state; zero is the page itself, above it blue, below it orange."""
    values = found.values[:, token].astype(float)
    bound = bound_of(values)
    figure = go.Figure(
        go.Heatmap(
            z=values,
            y=list(range(len(found.states))),
            customdata=np.repeat(np.array(found.labels)[:, None], values.shape[1], axis=1),
            hovertemplate="%{customdata}, unit %{x}: %{z:.4g}<extra></extra>",
            colorscale=SIGNED,
            zmin=-bound,
            zmax=bound,
            colorbar={"title": {"text": "value"}, "thickness": 12, "tickvals": [-bound, 0, bound], "tickformat": ".2g"},
        )
    )
    across = {"title": f"hidden unit of token {token} “{literal(found.tokens[token])}”", **BARE}
    return laid_out(figure, 150 + 26 * len(found.states), across, states_down(found.labels))


def token_lines(found: TokenLayers, measure: str, tokens: tuple[int, ...]) -> go.Figure:
    """A measure of some tokens through the states, one line each."""
    names = [f"{token} {literal(found.tokens[token])}" for token in tokens]
    figure = lines(found.labels, found.measures[measure][:, list(tokens)], names)
    return over_states(figure, found.labels, 380, TITLES[measure])


def states_down(labels: Sequence[str]) -> dict[str, object]:
    """The axis of a map whose rows are the states, the embeddings at its foot."""
    return {"tickvals": list(range(len(labels))), "ticktext": list(labels), "title": "hidden_states[…]", **BARE}
