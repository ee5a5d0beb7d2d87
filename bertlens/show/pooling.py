"""Pooling: readouts side by side, the padding trap, costs and fresh layers, as figures and tables."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from bertlens.errors import BertlensError
from bertlens.judge.verdict import VERDICTS
from bertlens.run.texts import Texts, sides
from bertlens.show.figures import MARGIN, SCALE, bar_above, floor_of, laid_out, literal, padded_axes

if TYPE_CHECKING:
    from bertlens.judge.costs import Costs
    from bertlens.judge.fresh import Fresh
    from bertlens.judge.pooling import Poolings
    from bertlens.judge.trap import PaddingTrap

PANELS = 12
"""Readouts whose similarities are shown at once."""

CELLS = 250_000
"""Cells of all panels together; beyond it some texts from all over are shown."""

LABELLED = 24
"""Texts up to which their words stand on the axes of a panel."""

WORDS = 28
"""Characters of a text on an axis; the whole text is in the hover label."""

HUES = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#999999", "#F0E442")
SYMBOLS = {"identical": "circle", "rounding": "circle-open", "undecided": "diamond", "different": "x"}
DASHES = ("solid", "dash", "dot", "dashdot")
MEASURES = {
    "rank agreement": ("Spearman's correlation over all pairs of texts", (-1.0, 1.0)),
    "overlap": ("share of nearest texts in common", (0.0, 1.0)),
    "cosine": ("mean cosine of the two vectors of a text", (-1.0, 1.0)),
}
"""What a heat map of readouts can show, in words, with its range."""


def agreement(result: Poolings, measure: str = "rank agreement", k: int | None = None) -> go.Figure:
    """Every readout against every other: a key of `MEASURES`; empty where there is no number."""
    if measure not in MEASURES:
        raise BertlensError("cannot draw the agreement", got=f"'{measure}'", expected=" / ".join(MEASURES))
    words, (low, high) = MEASURES[measure]
    values = _matrix(result, measure, k)
    names = [literal(readout) for readout in result.readouts]
    written = np.array([["" if math.isnan(value) else f"{value:.2f}" for value in row] for row in values])
    figure = go.Figure(
        go.Heatmap(
            z=values,
            x=names,
            y=names,
            text=written,
            texttemplate="%{text}" if len(names) <= 20 else None,
            zmin=low,
            zmax=high,
            colorscale=SCALE,
            colorbar=bar_above(measure),
            hovertemplate="%{y} and %{x}: %{z:.3f}<extra>" + words + "</extra>",
            xgap=1,
            ygap=1,
        )
    )
    across, down = {"type": "category", "tickangle": -45}, {"type": "category", "autorange": "reversed"}
    return laid_out(figure, 260 + 26 * len(names), across, down, margin={**MARGIN, "t": 80})


def _matrix(result: Poolings, measure: str, k: int | None) -> np.ndarray:
    if measure == "rank agreement":
        return result.rank_agreement
    if measure == "overlap":
        return result.overlap(k)
    values = np.full((len(result.readouts),) * 2, np.nan)
    place = {readout: at for at, readout in enumerate(result.readouts)}
    np.fill_diagonal(values, 1.0)
    for line in result.pairs().itertuples():
        one, other = place[str(line.one)], place[str(line.other)]
        values[one, other] = values[other, one] = line.cosine_mean
    return values


def similarities(result: Poolings, texts: Texts, readouts: Sequence[str] | None = None) -> go.Figure:
    """Cosine similarity of the texts with each other, a panel per readout with one shared range; at most `PANELS`.

    Parameters
    ----------
    texts : the texts in the order in which they were given.
    """
    chosen = list(readouts or result.readouts)[:PANELS]
    columns = min(len(chosen), 4)
    lines = math.ceil(len(chosen) / columns)
    most = int(math.sqrt(CELLS / len(chosen)))
    step = math.ceil(len(result.compared) / most)
    shown = result.compared[::step]
    low, high = result.shared_range(chosen)
    titles = [literal(name) for name in chosen]
    height = 130 + 240 * lines
    shared = {"shared_xaxes": "all", "shared_yaxes": "all", "vertical_spacing": 45 / height}
    figure = make_subplots(lines, columns, subplot_titles=titles, **shared)
    words = [_short(texts[text]) for text in shown]
    for at, readout in enumerate(chosen):
        values = result.similarity(readout)[::step, ::step]
        trace = go.Heatmap(
            z=values,
            x=list(range(len(shown))),
            y=list(range(len(shown))),
            customdata=np.stack(np.meshgrid(shown, shown), axis=-1),
            coloraxis="coloraxis",
            hovertemplate="texts %{customdata[1]} and %{customdata[0]}: %{z:.3f}<extra>" + literal(readout) + "</extra>",
        )
        figure.add_trace(trace, at // columns + 1, at % columns + 1)
    labelled = len(shown) <= LABELLED
    ticks = {"tickvals": list(range(len(shown))), "ticktext": words} if labelled and columns == 1 else {}
    numbers = {"tickvals": list(range(len(shown))), "ticktext": [str(text) for text in shown]} if labelled else {}
    figure.update_annotations(font_size=12)
    across = {**(numbers or {"showticklabels": False}), "tickangle": 0}
    down = {**(ticks or numbers or {"showticklabels": False}), "autorange": "reversed"}
    colours = {"colorscale": SCALE, "cmin": low, "cmax": high, "colorbar": bar_above("cosine")}
    return laid_out(figure, height, across, down, coloraxis=colours, margin={**MARGIN, "t": 110})


def neighbours(result: Poolings, texts: Texts, readout: str, k: int | None = None) -> pd.DataFrame:
    """One line per compared text and rank: the text, its neighbour and their cosine, with the words as they were given."""
    near, cosines = result.neighbours(readout, k)
    lines = [
        {
            "text": text,
            "words": _whole(texts[text]),
            "rank": rank,
            "neighbour": int(other),
            "neighbour's words": _whole(texts[int(other)]),
            "cosine": float(cosine),
        }
        for text, others, row in zip(result.compared, near, cosines, strict=True)
        for rank, (other, cosine) in enumerate(zip(others, row, strict=True), start=1)
    ]
    return pd.DataFrame(lines, columns=["text", "words", "rank", "neighbour", "neighbour's words", "cosine"])


def padding_trap(result: PaddingTrap) -> go.Figure:
    """Padded length against the largest difference to the unpadded text; zero is drawn as zero, the verdict as the symbol."""
    series = [np.array([row.max_abs for row in result.of(name)]) for name in result.poolings]
    floor = floor_of(series)
    figure = go.Figure()
    for at, (name, values) in enumerate(zip(result.poolings, series, strict=True)):
        rows = result.of(name)
        repeats = ["identical" if row.max_abs_float64 is None else f"{row.max_abs_float64:.1e} in float64" for row in rows]
        figure.add_trace(
            go.Scatter(
                x=[row.padding for row in rows],
                y=np.where(values > 0, values, np.where(np.isnan(values), np.nan, floor)),
                customdata=[[row.max_abs, row.verdict, repeat] for row, repeat in zip(rows, repeats, strict=True)],
                name=literal(name),
                mode="lines+markers",
                line={"color": HUES[at % len(HUES)], "dash": DASHES[at // len(HUES) % len(DASHES)]},
                marker={"symbol": [SYMBOLS[row.verdict] for row in rows], "size": 11},
                hovertemplate="%{x} tokens: %{customdata[0]:.2e}, %{customdata[1]} (%{customdata[2]})"
                "<extra>%{fullData.name}</extra>",
            )
        )
    for verdict in (word for word in VERDICTS if any(row.verdict == word for row in result.rows)):
        marker = {"symbol": SYMBOLS[verdict], "size": 11, "color": "#888888"}
        figure.add_trace(go.Scatter(x=[None], y=[None], mode="markers", marker=marker, name=f"= {verdict}", hoverinfo="skip"))
    return laid_out(figure, 440, *padded_axes(result.lengths, floor, series))


def costs(result: Costs) -> go.Figure:
    """Time of each readout as a share of the forward pass, the dearest on top."""
    names = sorted(result.seconds, key=lambda readout: result.seconds[readout])
    figure = go.Figure(
        go.Bar(
            x=[100 * result.ratio(name) for name in names],
            y=[literal(name) for name in names],
            customdata=[1000 * result.seconds[name] for name in names],
            orientation="h",
            marker={"color": HUES[0]},
            hovertemplate="%{y}: %{x:.3g} % of the forward pass, %{customdata:.3g} ms<extra></extra>",
        )
    )
    across = {"title": "% of the forward pass that its states come from", "rangemode": "tozero"}
    return laid_out(figure, 120 + 22 * len(names), across, {"type": "category"})


def fresh(result: Fresh, texts: Texts = (), text: int = 0) -> go.Figure:
    """The logits of one text under every seed, class by class; the largest of each seed is marked; `texts` name it."""
    if not 0 <= text < result.logits.shape[1]:
        raise BertlensError("cannot show a text", got=f"number {text}", expected=f"0 … {result.logits.shape[1] - 1}")
    classes = [f"class {number}" for number in range(result.logits.shape[2])]
    named = f": {_short(texts[text])}" if texts else ""
    figure = go.Figure()
    for at, (seed, values, best) in enumerate(zip(result.seeds, result.logits[:, text], result.classes[:, text], strict=True)):
        figure.add_trace(
            go.Scatter(
                x=classes,
                y=values,
                name=f"seed {seed}",
                mode="lines+markers",
                line={"color": HUES[at % len(HUES)], "dash": DASHES[at // len(HUES) % len(DASHES)]},
                marker={"symbol": ["star" if number == best else "circle-open" for number in range(len(classes))], "size": 12},
                hovertemplate="%{x}: %{y:.4f}<extra>%{fullData.name}</extra>",
            )
        )
    return laid_out(figure, 400, {"type": "category"}, {"title": f"logit of text {text}{named}"})


def _whole(text: str | tuple[str, str]) -> str:
    return " ||| ".join(sides(text))


def _short(text: str | tuple[str, str]) -> str:
    """The beginning of a text for an axis."""
    whole = _whole(text)
    return literal(whole if len(whole) <= WORDS else whole[: WORDS - 1] + "…")
