"""Differences: how far texts lie apart as they were run and in float64, beside what rounding reaches there, as a figure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import plotly.graph_objects as go

from bertlens.show.figures import LEGEND, MARGIN, decade_ticks, floor_of, laid_out, literal

if TYPE_CHECKING:
    from bertlens.judge.comparison import Comparison
    from bertlens.judge.diagnosis import Change
    from bertlens.judge.measures import Row
    from bertlens.judge.reproduction import Reproduction

MOST = 200
"""Texts that are drawn; of more, those that lie farthest apart."""

VERDICTS = {
    "identical": ("circle", "#009E73"),
    "rounding": ("circle", "#0072B2"),
    "undecided": ("diamond", "#E69F00"),
    "different": ("x", "#D55E00"),
}
"""Sign and colour of every verdict, from harmless to serious."""

GREY = "#888888"


def differences(rows: Sequence[Row]) -> go.Figure:
    """Largest difference of every text: as run, and with both sides in float64, joined by a line, above the reach of rounding.

    Rounding falls with the precision, so its lower point lies below the dash; a fault stays where it is. A text whose
    difference is no number has no point, and the axis counts such texts.
    """
    shown = sorted(sorted(rows, key=_size, reverse=True)[:MOST], key=lambda row: row.text)
    places = [row.text for row in shown]
    as_run, twice, reach = (
        np.array([np.nan if one is None else one for one in column], float)
        for column in zip(*((row.max_abs, row.max_abs_float64, row.bound_float64) for row in shown), strict=True)
    )
    floor = floor_of([as_run, twice, reach])
    figure = go.Figure()
    _joined(figure, places, _above(as_run, floor), _above(twice, floor))
    for verdict, (sign, colour) in VERDICTS.items():
        mine = [at for at, row in enumerate(shown) if row.verdict == verdict]
        if mine:
            marker = {"symbol": sign, "size": 9, "color": colour}
            _points(figure, f"as run: {verdict}", places, _above(as_run, floor), as_run, mine, marker)
    known = [at for at in range(len(shown)) if np.isfinite(twice[at])]
    if known:
        hollow = {"symbol": "circle-open", "size": 9, "color": GREY}
        dash = {"symbol": "line-ew-open", "size": 14, "color": GREY}
        _points(figure, "both in float64", places, _above(twice, floor), twice, known, hollow)
        _points(figure, "what rounding reaches in float64", places, _above(reach, floor), reach, known, dash)
    across = {"title": _counted(rows, len(shown)), "tickformat": "d", **_whole(len(shown))}
    down = {"type": "log", "title": "largest difference", **decade_ticks(floor, [as_run, twice, reach])}
    return laid_out(figure, 380, across, down, margin={**MARGIN, "t": 70}, legend={**LEGEND, "itemsizing": "constant"})


def comparison(found: Comparison) -> go.Figure:
    """The differences of a comparison, text by text."""
    return differences(found.rows)


def reproduction(found: Reproduction) -> go.Figure | None:
    """What a fault does to every text, and the same texts once it is mended; None where neither gave vectors to compare."""
    figure = go.Figure()
    sides = [(name, side) for name, side in (("mistake", found.mistake), ("mended", found.mended)) if side.rows]
    if not sides:
        return None
    sizes = [np.array([row.max_abs for row in side.rows], float) for _, side in sides]
    floor = floor_of(sizes)
    for (name, side), size, colour in zip(sides, sizes, ("#D55E00", "#009E73"), strict=False):
        texts = [row.text for row in side.rows]
        sign: dict[str, object] = {"symbol": "x", "size": 9, "color": colour}
        if name == "mended":  # a ring, in which a mistake of the same size is seen
            sign = {"symbol": "circle-open", "size": 14, "color": colour, "line": {"width": 2}}
        _points(figure, f"{name}: {side.verdict}", texts, _above(size, floor), size, range(len(texts)), sign)
    across = {"title": "text", "tickformat": "d", **_whole(found.texts)}
    top = max(float(np.nanmax(size, initial=floor)) for size in sizes)
    down = {"type": "log", "title": "largest difference", "range": [np.log10(floor) - 0.3, np.ceil(np.log10(top)) + 0.3]}
    return laid_out(figure, 320, across, {**down, **decade_ticks(floor, sizes)})


def changes(found: Sequence[Change]) -> go.Figure | None:
    """What everyday situations would do to the vectors, the largest on top; None where none could be tried.

    As run and with both sides in float64, joined by a line: rounding falls with the precision, a fault stays.
    """
    known = sorted((one for one in found if one.max_abs is not None), key=lambda one: one.max_abs or 0.0)
    if not known:
        return None
    as_run, twice = (
        np.array([np.nan if one is None else one for one in column], float)
        for column in zip(*((one.max_abs, one.max_abs_float64) for one in known), strict=True)
    )
    floor = floor_of([as_run, twice])
    places = [literal(one.name) for one in known]
    figure = go.Figure()
    _joined(figure, places, _above(as_run, floor), _above(twice, floor), lying=True)
    for verdict, (sign, colour) in VERDICTS.items():
        mine = [at for at, one in enumerate(known) if one.verdict == verdict]
        if mine:
            marker = {"symbol": sign, "size": 10, "color": colour}
            _points(figure, f"as run: {verdict}", places, _above(as_run, floor), as_run, mine, marker, lying=True)
    if repeated := [at for at in range(len(known)) if np.isfinite(twice[at])]:
        hollow = {"symbol": "circle-open", "size": 10, "color": GREY}
        _points(figure, "both in float64", places, _above(twice, floor), twice, repeated, hollow, lying=True)
    across = {"type": "log", "title": "largest difference", **decade_ticks(floor, [as_run, twice], most=3)}
    down = {"type": "category", "categoryorder": "array", "categoryarray": places, "automargin": True}
    return laid_out(
        figure, 150 + 26 * len(known), across, down, margin={**MARGIN, "t": 70}, legend={**LEGEND, "itemsizing": "constant"}
    )


def _counted(rows: Sequence[Row], shown: int) -> str:
    """The axis of texts: which are drawn, and how many cannot be."""
    said = [f"the {shown} of {len(rows):,} that lie farthest apart"] if shown < len(rows) else []
    unknown = sum(not np.isfinite(row.max_abs) for row in rows)
    said += [f"{unknown:,} whose difference is no number have no point"] if unknown else []
    return "text" + (f" ({'; '.join(said)})" if said else "")


def _size(row: Row) -> float:
    """For the order: what is no number comes first."""
    return row.max_abs if np.isfinite(row.max_abs) else float("inf")


def _above(sizes: np.ndarray, floor: float) -> np.ndarray:
    """Zero as the place of zero on a log axis."""
    return np.where(sizes > 0, sizes, np.where(np.isnan(sizes), np.nan, floor))


def _whole(count: int) -> dict[str, object]:
    """Ticks at whole numbers only."""
    return {"dtick": 1} if count <= 20 else {}


def _joined(figure: go.Figure, places: Sequence[object], upper: np.ndarray, lower: np.ndarray, *, lying: bool = False) -> None:
    """A thin line between the two points of every place that has both; `lying` where places go down and sizes across."""
    both = [at for at in range(len(places)) if np.isfinite(upper[at]) and np.isfinite(lower[at])]
    where = [place for at in both for place in (places[at], places[at], None)]
    size = [size for at in both for size in (float(upper[at]), float(lower[at]), None)]
    x, y = (size, where) if lying else (where, size)
    line = {"color": GREY, "width": 1}
    figure.add_trace(go.Scatter(x=x, y=y, mode="lines", line=line, hoverinfo="skip", showlegend=False))


def _points(
    figure: go.Figure,
    name: str,
    places: Sequence[object],
    drawn: np.ndarray,
    sizes: np.ndarray,
    mine: Sequence[int],
    marker: Mapping[str, object],
    *,
    lying: bool = False,
) -> None:
    """One trace of points; their size is said as it is, also where zero is drawn at the floor."""
    where, size = [places[at] for at in mine], [float(drawn[at]) for at in mine]
    x, y = (size, where) if lying else (where, size)
    said = "%{y}" if lying else "text %{x}"
    figure.add_trace(
        go.Scatter(
            x=x,
            y=y,
            customdata=[float(sizes[at]) for at in mine],
            name=literal(name),
            mode="markers",
            marker=marker,
            hovertemplate=said + ": %{customdata:.2e}<extra>" + literal(name) + "</extra>",
        )
    )
