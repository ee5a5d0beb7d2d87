"""Identification as figures and tables: the recipes that were tried, what is left of each row, where each text stands."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from bertlens.read.recipe import ARRIVALS, Recipe
from bertlens.run.condition import DEFAULT, MEANING
from bertlens.run.texts import Texts, sides
from bertlens.show.figures import COLOURS, decade_ticks, floor_of, laid_out, literal

if TYPE_CHECKING:
    from bertlens.judge.identification import Identification

WORDS = 52
"""Characters of a recipe in a picture; the whole recipe is in the hover label and in the table."""

FITS = {True: ("explained", COLOURS["on"], "circle"), False: ("not explained", COLOURS["off"], "x")}
"""Name, colour and shape of what the precision explains, and of what it does not."""

GREY = "#8a8f98"


def candidates(found: Identification) -> go.Figure:
    """What each recipe leaves, the best on top, on a log axis with zero drawn as zero; the line is what precision explains."""
    listed = [*([found.best] if found.best else []), *found.alternatives]
    left, most = np.array([one.max_abs for one in listed]), np.array([one.floor for one in listed])
    zero = floor_of([left, most])
    figure = go.Figure(_line(np.where(most > 0, most, zero), range(len(listed)), most, "%{customdata:.1e} is explained"))
    for fits, (name, colour, symbol) in FITS.items():
        these = [at for at, one in enumerate(listed) if one.explained == fits]
        figure.add_trace(
            go.Scatter(
                x=np.where(left[these] > 0, left[these], zero) if these else [],
                y=these,
                name=name,
                mode="markers",
                marker={"color": colour, "symbol": symbol, "size": 11},
                customdata=left[these] if these else [],
                text=[literal(listed[at].recipe.words) for at in these],
                hovertemplate="%{text}: %{customdata:.2e}<extra>%{fullData.name}</extra>",
            )
        )
    shown = {"xref": "paper", "x": 0, "xanchor": "left", "yshift": 13, "showarrow": False}
    figure.layout.annotations = [{**shown, "y": at, "text": _short(one.recipe.words)} for at, one in enumerate(listed)]
    across = {"type": "log", "title": "largest difference to the vectors", **decade_ticks(zero, [left, most])}
    down = {"showticklabels": False, "range": [len(listed) - 0.5, -0.9], "zeroline": False, "showgrid": False}
    return laid_out(figure, 130 + 40 * len(listed), across, down)


def rows(found: Identification) -> go.Figure:
    """What the best recipe leaves of each text's row, on a log axis with zero drawn as zero; the line is what is explained."""
    held = [row for row in found.rows if row.row is not None and math.isfinite(row.max_abs)]
    left, most = np.array([row.max_abs for row in held]), np.array([row.floor for row in held])
    zero = floor_of([left, most])
    figure = go.Figure(
        _line([row.text for row in held], np.where(most > 0, most, zero), most, "%{customdata:.1e} is explained")
    )
    for fits, (name, colour, symbol) in FITS.items():
        these = [at for at, row in enumerate(held) if row.explained == fits]
        figure.add_trace(
            go.Scatter(
                x=[held[at].text for at in these],
                y=np.where(left[these] > 0, left[these], zero) if these else [],
                name=name,
                mode="markers",
                marker={"color": colour, "symbol": symbol, "size": 10 if len(held) <= 100 else 5},
                customdata=[(held[at].max_abs, held[at].row) for at in these],
                hovertemplate="text %{x}, row %{customdata[1]}: %{customdata[0]:.2e}<extra>%{fullData.name}</extra>",
            )
        )
    across = {"title": "text", "zeroline": False, **({"dtick": 1} if len(held) <= 24 else {})}
    down = {"type": "log", "title": "largest difference to its row", **decade_ticks(zero, [left, most])}
    return laid_out(figure, 380, across, down)


def _line(x: Iterable[float], y: Iterable[float], sizes: np.ndarray, said: str) -> go.Scatter:
    """The line up to which precision explains a difference."""
    return go.Scatter(
        x=list(x),
        y=list(y),
        name="explained by precision up to here",
        mode="lines+markers",
        line={"color": GREY, "dash": "dot", "width": 1.5},
        marker={"symbol": "line-ns-open" if isinstance(y, range) else "line-ew-open", "size": 14, "color": GREY},
        customdata=sizes,
        hovertemplate=said + "<extra></extra>",
    )


def _short(words: str) -> str:
    return literal(words if len(words) <= WORDS else words[: WORDS - 1] + "…")


def steps(recipe: Recipe) -> pd.DataFrame:
    """A recipe step by step: what differs from what a careful person does, the readout, and what is done afterwards."""
    lines = [("text", f"prefix {recipe.prefix!r}", "put before each text")] if recipe.prefix else []
    lines += [("text", "lower-cased", "before it is tokenised")] if recipe.lower else []
    for key in DEFAULT.differing(recipe.condition):
        lines.append((key, str(getattr(recipe.condition, key)), MEANING[key]))
    lines += [("arrival", recipe.arrival, ARRIVALS[recipe.arrival])] if recipe.arrival != "given" else []
    readout = recipe.readout
    layers = "" if readout.layers == "-1" else f", of layers {readout.layers}{':' + readout.combine if readout.combine else ''}"
    normal = ", divided by its length" if readout.l2 else ""
    lines.append(("readout", str(readout), readout.meaning + layers + normal))
    lines += [("afterwards", "", words) for words in recipe.post.words]
    return pd.DataFrame(lines, columns=["step", "value", "meaning"])


def held(found: Identification, texts: Texts) -> pd.DataFrame:
    """One line per text: its words, its row, what the recipe leaves of it, and what is strange about it."""
    frame = found.to_frame()
    if len(frame):
        frame.insert(1, "words", [" ||| ".join(sides(texts[text])) for text in frame["text"]])
        frame["row"] = frame["row"].astype("Int64")
    return frame


def order(found: Identification, texts: Texts) -> pd.DataFrame:
    """Where each text stands: its number, its words, its row, and how that differs."""
    lines = []
    for text, row in enumerate(found.row_of_text):
        how = "missing" if row is None else "" if row == text else "moved"
        lines.append((text, " ||| ".join(sides(texts[text])), row, how))
    frame = pd.DataFrame(lines, columns=["text", "words", "row", "how"])
    return frame.astype({"row": "Int64"})
