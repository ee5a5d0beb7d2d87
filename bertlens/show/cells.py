"""Cells: which tokens of which texts a value holds, one strip per text with its tokens on its axis."""

from __future__ import annotations

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from bertlens.show.figures import laid_out, literal
from bertlens.show.held import Held

MOST_TEXTS, MOST_TOKENS, MOST_PATTERNS, LONGEST, MOST_LINES = 8, 48, 4, 12, 20_000
"""What is drawn: texts, columns of a strip, rows of a strip, and letters of a token; and lines of the table."""

FREE, HELD, PADDING, HELD_PADDING, PART = range(5)
LOOK = {
    HELD: ("held", "#0072B2", "circle", "#FFFFFF"),
    HELD_PADDING: ("held padding", "#D55E00", "x", "#FFFFFF"),
    PART: ("held in part", "#56B4E9", "circle-open", "#10222E"),
    FREE: ("not held", "rgba(128,128,128,0.28)", "", ""),
    PADDING: ("padding", "rgba(128,128,128,0.10)", "line-ne-open", "rgba(128,128,128,0.9)"),
}
"""What stands at a cell: its name, its colour, the mark in it and the colour of the mark."""

ROW, LABELS, LEGEND, LETTER, ROOM = 24, 58, 72, 6, 800
"""Pixels: a row of a strip, the tokens written below it, the legend; a letter, and the line that is there for all tokens."""

BARE = {"showgrid": False, "zeroline": False, "showline": False, "ticks": "", "fixedrange": True}


def cells(held: Held) -> go.Figure:
    """One strip per text: columns are tokens, rows the layers (together where they hold the same), held cells lit."""
    patterns, texts, columns = held.patterns[:MOST_PATTERNS], texts_shown(held), _columns(held)
    patterns = patterns or (((), np.zeros_like(held.real)),)
    names = [held.named(layers) for layers, _ in patterns]
    strip = ROW * max(len(patterns), 1)
    height = LEGEND + len(texts) * (strip + LABELS)
    widest = max(len(word(held, text, column[0])) for text in texts for column in columns)
    angles = {"tickangle": -60} if widest * LETTER * len(columns) > ROOM else {"autotickangles": [0, -60]}
    figure = go.Figure()
    for at, text in enumerate(texts):
        kinds = np.stack([_kinds(pattern[text], held.real[text], columns) for _, pattern in patterns])
        axis, top = str(at + 1) if at else "", (LEGEND + at * (strip + LABELS)) / height
        rows = [f"text {text}"] if len(names) == 1 else [f"text {text}, {name}" for name in names]
        _strip(figure, kinds, rows, _hover(held, text, columns), axis)
        ticks = {"tickvals": list(range(len(columns))), "ticktext": _labels(held, text, columns, kinds.max(0))}
        figure.layout[f"xaxis{axis}"] = {
            **ticks,
            "anchor": f"y{axis}",
            **angles,
            "tickfont": {"size": 11},
            "range": [-0.5, len(columns) - 0.5],
            **BARE,
        }
        figure.layout[f"yaxis{axis}"] = {
            "domain": [max(0.0, 1 - top - strip / height), 1 - top],
            "anchor": f"x{axis}",
            "tickvals": list(range(len(rows))),
            "ticktext": rows,
            "range": [len(rows) - 0.5, -0.5],
            **BARE,
        }
    _legend(figure)
    title = {
        "text": literal(_title(held, names)),
        "font": {"size": 14},
        "x": 0,
        "y": 0.99,
        "yanchor": "top",
        "yref": "container",
    }
    legend = {"orientation": "h", "yanchor": "top", "y": 1 - 26 / height, "x": 0, "itemclick": False, "itemdoubleclick": False}
    margin = {"l": 10, "r": 10, "t": 0, "b": 0}
    return laid_out(figure, height, margin=margin, legend=legend, title=title, dragmode=False)


def cells_frame(held: Held) -> pd.DataFrame:
    """One line per position that is held: text, token, the layers and hidden units, and whether it is padding."""
    named: dict[bytes, str] = {}
    lines = []
    for text, at in np.argwhere(held.cells.any(0))[:MOST_LINES]:
        column = held.cells[:, text, at]
        layers = named.setdefault(column.tobytes(), held.named(tuple(int(layer) for layer in np.flatnonzero(column))))
        token = "" if held.tokens is None else held.tokens[text][at]
        padding = not held.real[text, at]
        lines.append({"text": int(text), "position": int(at), "token": token, "layers": layers, "padding": padding})
    frame = pd.DataFrame(lines, columns=["text", "position", "token", "layers", "padding"])
    frame["hidden units"] = held.units_named
    return frame


def texts_shown(held: Held) -> tuple[int, ...]:
    """The texts of the strips: those that are held first, and as many others as there is room for."""
    lit = np.asarray(held.cells.any((0, 2)))
    order = sorted(range(len(lit)), key=lambda text: (not lit[text], text))
    return tuple(sorted(order[:MOST_TEXTS]))


def left_out(held: Held) -> str:
    """What the strips do not show, in one sentence; "" where they show everything."""
    parts = []
    shown, given = len(texts_shown(held)), held.cells.shape[1]
    if shown < given:
        parts.append(f"{shown} of {given:,} texts are drawn")
    wide = [column for column in _columns(held) if len(column) > 1]
    parts += [f"tokens {column[0]} to {column[-1]} are drawn as one column" for column in wide]
    if len(held.patterns) > MOST_PATTERNS:
        rest = sum(len(layers) for layers, _ in held.patterns[MOST_PATTERNS:])
        parts.append(f"{rest} more layers hold other cells")
    if not parts:
        return ""
    line = "; ".join(parts) + "."
    return line[0].upper() + line[1:]


def _columns(held: Held) -> list[range]:
    """Positions of each column; those that do not fit are one column, before the last few."""
    width = held.cells.shape[2]
    if width <= MOST_TOKENS:
        return [range(at, at + 1) for at in range(width)]
    head, tail = MOST_TOKENS * 3 // 4, MOST_TOKENS // 4
    single = [*range(head), *range(width - tail, width)]
    columns = [range(at, at + 1) for at in single]
    return [*columns[:head], range(head, width - tail), *columns[head:]]


def _kinds(lit: np.ndarray, real: np.ndarray, columns: list[range]) -> np.ndarray:
    """(columns,) of what stands there; a column of several positions is held only where all of them are."""
    kinds = []
    for column in columns:
        held, text = lit[column.start : column.stop], real[column.start : column.stop]
        if held.any() and not held.all():
            kinds.append(PART)
        elif held.any():
            kinds.append(HELD if text.all() else HELD_PADDING)
        else:
            kinds.append(FREE if text.any() else PADDING)
    return np.array(kinds)


def _strip(figure: go.Figure, kinds: np.ndarray, rows: list[str], hover: list[str], axis: str) -> None:
    said = [[f"{where}: {LOOK[int(kind)][0]}" for where, kind in zip(hover, line, strict=True)] for line in kinds]
    colours = [[(kind + side) / 5, LOOK[kind][1]] for kind in range(5) for side in (0, 1)]
    figure.add_trace(
        go.Heatmap(
            z=kinds,
            name=rows[0].split(",")[0],
            customdata=said,
            hovertemplate="%{customdata}<extra></extra>",
            colorscale=colours,
            zmin=-0.5,
            zmax=4.5,
            showscale=False,
            xgap=2,
            ygap=2,
            xaxis=f"x{axis}",
            yaxis=f"y{axis}",
        )
    )
    for kind, (_, _, sign, ink) in LOOK.items():
        found = np.argwhere(kinds == kind)
        if not sign or not len(found):
            continue
        marker = {"symbol": sign, "size": 7, "color": ink, "line": {"width": 1.5, "color": ink}}
        marks = {"mode": "markers", "marker": marker, "showlegend": False, "hoverinfo": "skip"}
        figure.add_trace(go.Scatter(x=found[:, 1], y=found[:, 0], xaxis=f"x{axis}", yaxis=f"y{axis}", **marks))


def _legend(figure: go.Figure) -> None:
    there = {int(kind) for trace in figure.data if trace.type == "heatmap" for kind in np.unique(trace.z)}
    for kind, (name, colour, _, _) in LOOK.items():
        if kind in there:
            marker = {"symbol": "square", "size": 14, "color": colour, "line": {"width": 1, "color": "rgba(128,128,128,0.6)"}}
            figure.add_trace(go.Scatter(x=[None], y=[None], mode="markers", name=name, marker=marker, hoverinfo="skip"))


def _title(held: Held, names: list[str]) -> str:
    units = held.units_named
    if not held.patterns:
        return "No cell of the hidden states is held"
    if len(names) > 1:
        return units[0].upper() + units[1:]
    same = " (the same cells in each)" if len(held.patterns[0][0]) > 1 else ""
    return f"{names[0][0].upper()}{names[0][1:]}{same}, {units}"


def word(held: Held, text: int, at: int) -> str:
    """A token as it is written on an axis: cut where it is long, its position where no tokenizer is known."""
    if held.tokens is None:
        return str(at)
    token = held.tokens[text][at]
    return token if len(token) <= LONGEST else f"{token[: LONGEST - 1]}…"


def _labels(held: Held, text: int, columns: list[range], kinds: np.ndarray) -> list[str]:
    labels = []
    for column, kind in zip(columns, kinds, strict=True):
        label = literal(word(held, text, column[0])) if len(column) == 1 else "…"
        if kind in (HELD, HELD_PADDING, PART):
            label = f"<b>{label}</b>"
        labels.append(f'<span style="color:#8a8a8a">{label}</span>' if kind in (PADDING, HELD_PADDING) else label)
    return labels


def _hover(held: Held, text: int, columns: list[range]) -> list[str]:
    said = []
    for column in columns:
        if len(column) > 1:
            said.append(f"text {text}, tokens {column[0]} to {column[-1]}")
        else:
            token = "" if held.tokens is None else f" “{literal(held.tokens[text][column[0]])}”"
            said.append(f"text {text}, token {column[0]}{token}")
    return said
