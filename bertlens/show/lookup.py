"""Lookup: pictures of the vectors before the first layer: their lengths and cosines, the positions counted, and their cost."""

from __future__ import annotations

import numpy as np
import plotly.graph_objects as go

from bertlens.judge.lookup import Lookup, LookupCost
from bertlens.judge.positions import WAYS, Padded
from bertlens.show.course import COLOURS, DASHES, SYMBOLS
from bertlens.show.figures import BARE, SCALE, gaps, laid_out, literal
from bertlens.show.layers import GREY, ticks
from bertlens.show.token_layers import TOKENS_NAMED
from bertlens.show.values import SCALE as SIGNED
from bertlens.show.values import bound_of

SIDES = ("right", "left")


def norms(found: Lookup) -> go.Figure:
    """The length of every part, of their sum, and of what follows it, token by token."""
    figure, tokens = go.Figure(), [literal(token) for token in found.tokens]
    for at, (name, values) in enumerate(found.norms.items()):
        figure.add_trace(
            go.Scatter(
                x=list(range(len(tokens))),
                y=values,
                text=tokens,
                name=name,
                mode="lines+markers",
                line={"color": COLOURS[at], "dash": DASHES[at % len(DASHES)], "width": 1.5},
                marker={"symbol": SYMBOLS[at], "size": 8 if len(tokens) <= TOKENS_NAMED else 4},
                hovertemplate="token %{x} “%{text}”: %{y:.4g}<extra>%{fullData.name}</extra>",
            )
        )
    across = {**ticks(tokens, TOKENS_NAMED), "title": "token", "zeroline": False}
    return laid_out(figure, 400, across, {"title": "norm (L2)", "rangemode": "tozero"})


def cosines(found: Lookup) -> go.Figure:
    """The cosine of every two parts and of every part with the sum, token by token; zero is the page itself."""
    tokens, pairs = [literal(token) for token in found.tokens], list(found.cosines)
    values = np.stack(list(found.cosines.values())) if pairs else np.zeros((0, len(tokens)))
    figure = go.Figure(
        go.Heatmap(
            z=values,
            x=list(range(len(tokens))),
            y=list(range(len(pairs))),
            text=[tokens] * len(pairs),
            customdata=[[pair] * len(tokens) for pair in pairs],
            hovertemplate="%{customdata}, token %{x} “%{text}”: %{z:.3f}<extra></extra>",
            colorscale=SIGNED,
            zmin=-1,
            zmax=1,
            **gaps(len(tokens), TOKENS_NAMED),
            colorbar={"title": {"text": "cosine"}, "thickness": 12, "tickvals": [-1, 0, 1]},
        )
    )
    return laid_out(figure, 150 + 34 * len(pairs), {**ticks(tokens, TOKENS_NAMED), "title": "token", **BARE}, _downwards(pairs))


def vectors(found: Lookup, token: int) -> go.Figure:
    """Every unit of one token's vectors, a row each; zero is the page itself, above it blue, below it orange.

    Colours end at the largest unit up to the sum: a norm behind it makes the vector several times as long.
    """
    rows = {name: values[token].astype(float) for name, values in found.vectors.items()}
    width = max(map(len, rows.values()))
    values = np.stack([np.pad(row, (0, width - len(row)), constant_values=np.nan) for row in rows.values()])
    bound = bound_of(values[: len(found.embedding.parts) + 1])
    figure = go.Figure(
        go.Heatmap(
            z=values,
            y=list(range(len(rows))),
            customdata=[[name] * width for name in rows],
            hovertemplate="%{customdata}, unit %{x}: %{z:.4g}<extra></extra>",
            colorscale=SIGNED,
            zmin=-bound,
            zmax=bound,
            ygap=1,
            colorbar={"title": {"text": "value"}, "thickness": 12, "tickvals": [-bound, 0, bound], "tickformat": ".2g"},
        )
    )
    title = f"unit of token {token} “{literal(found.tokens[token])}”"
    return laid_out(figure, 130 + 30 * len(rows), {"title": title, **BARE}, _downwards(list(rows)))


def positions(found: Padded) -> go.Figure:
    """The position that every place of a padded row was given, from its ids and from its vectors; padding is crossed out."""
    rows = [(side, way) for side in SIDES for way in ("ids", "vectors") if (side, way) in found.positions]
    width = found.tokens + found.padding
    numbers = [[str(at) for at in found.positions[row]] for row in rows]
    for (side, _), row in zip(rows, numbers, strict=True):
        for place in range(width):
            padding = place >= found.tokens if side == "right" else place < found.padding
            row[place] = f"({row[place]})" if padding else row[place]
    names = [f"padding {side}, {'input_ids' if way == 'ids' else WAYS[way]}" for side, way in rows]
    figure = go.Figure(
        go.Heatmap(
            z=[list(found.positions[row]) for row in rows],
            text=numbers,
            texttemplate="%{text}" if width <= 40 else None,
            x=list(range(width)),
            y=list(range(len(rows))),
            customdata=[[name] * width for name in names],
            hovertemplate="%{customdata}, place %{x}: position %{text}<extra></extra>",
            colorscale=SCALE,
            **gaps(width),
            colorbar={"title": {"text": "position id"}, "thickness": 12},
        )
    )
    across = {"title": "place in the row (padding in brackets)", **BARE}
    return laid_out(figure, 120 + 34 * len(rows), across, _downwards(names))


def _downwards(names: list[str]) -> dict[str, object]:
    """An axis with a name for every row, the first on top."""
    return {"tickvals": list(range(len(names))), "ticktext": names, "autorange": "reversed", **BARE}


def cost(found: LookupCost) -> go.Figure:
    """Seconds of the lookup, of the embedding module and of a full pass, on a log axis, with their shares."""
    frame = found.to_frame()
    milliseconds = 1e3 * frame["seconds"]
    figure = go.Figure(
        go.Bar(
            x=milliseconds,
            y=list(frame["what"]),
            orientation="h",
            textposition="auto",
            text=[f"{size:.3g} ms, {100 * share:.3g} %" for size, share in zip(milliseconds, frame["share"], strict=True)],
            marker={"color": [COLOURS[0], COLOURS[2], GREY][: len(frame)] if len(frame) == 3 else [COLOURS[0], GREY]},
            hovertemplate="%{y}: %{text}<extra></extra>",
        )
    )
    low, high = np.log10(milliseconds.min()) - 0.5, np.log10(milliseconds.max()) + 1.2  # room for the numbers
    across = {"type": "log", "title": "milliseconds, median", "range": [low, high], "dtick": 1}
    return laid_out(figure, 90 + 45 * len(frame), across, {"autorange": "reversed"})
