"""The figures of a parting: padding is never a value, tokens stand under their partners, one range for both rows."""

from __future__ import annotations

from typing import Any

import numpy as np
import plotly.graph_objects as go
import pytest

import bertlens
from bertlens.judge.parting import Parting, Side
from bertlens.run.checkpoint import Checkpoint
from bertlens.show import parting as show

TEXTS = ("A cat sat on the bank.", "Rain fell all night on the old stone bridge by the bank.")


def parted(minilm: Checkpoint, candidate: str, reference: str = "batch=alone") -> Parting:
    return bertlens.where_they_part(minilm, TEXTS, 0, reference=reference, candidate=candidate)


def traces(figure: go.Figure, kind: type) -> list[Any]:
    return [trace for trace in figure.data if isinstance(trace, kind)]


def labels(axis: Any) -> dict[float, str]:
    return dict(zip(axis.tickvals, axis.ticktext, strict=True))


def side(words: str, paired: str = "", states: int = 3, norm: float = 2.0) -> Side:
    """A row from its words, "_" being padding; `paired` gives the index of each word's partner or "-"."""
    tokens = words.split()
    aligned = [-1 if mark == "-" else int(mark) for mark in paired.split()]
    padding = np.array([token == "_" for token in tokens])
    return Side(tuple(tokens), padding, np.full((states, len(tokens)), norm), np.array(aligned))


def result(reference: Side, candidate: Side) -> Parting:
    count = int((reference.aligned >= 0).sum())
    names = ("embeddings", "layer 1 attention", "layer 1")
    padding = (int(reference.padding.sum()), int(candidate.padding.sum()))
    tokens = tuple(reference.tokens[at] for at in np.flatnonzero(reference.aligned >= 0))
    return Parting(0, tokens, names, np.zeros((3, count)), np.zeros(3), padding, 0, True, (reference, candidate))


def test_padding_stands_at_the_end_of_the_difference_and_has_no_colour(minilm: Checkpoint) -> None:
    figure = show.parting(parted(minilm, "mask=off,padding=256"))
    (heatmap,), (block,) = traces(figure, go.Heatmap), traces(figure, go.Bar)
    assert np.asarray(heatmap.z).shape == (13, 9)
    assert (block.x[0] - block.width / 2, block.base, block.y[0]) == (8.5, -0.5, 13)
    assert block.marker.pattern.shape
    assert labels(figure.layout.xaxis)[block.x[0]] == "[PAD] × 247, candidate"
    assert "247 padding positions of the candidate" in block.hovertemplate
    assert list(figure.layout.yaxis.ticktext[:3]) == ["embeddings", "layer 1 attention", "layer 1"]
    both = show.parting(parted(minilm, "padding=30", "padding=20"))
    assert [bar.hovertemplate.split(" of the ")[1].split(",")[0] for bar in traces(both, go.Bar)] == ["reference", "candidate"]
    assert len({bar.marker.pattern.shape for bar in traces(both, go.Bar)}) == 2
    assert not traces(show.parting(parted(minilm, "batch=1")), go.Bar), "the healthy twin: no padding, no block"


def test_a_column_holds_a_token_and_its_partner(minilm: Checkpoint) -> None:
    parting = parted(minilm, "side=left,padding=40")
    figure = show.sides(parting)
    above, below = traces(figure, go.Heatmap)
    (block,) = traces(figure, go.Bar)
    assert np.array_equal(above.x, below.x)
    assert np.array_equal(np.asarray(above.z)[:, 1:], parting.sides[0].norms)
    assert np.array_equal(np.asarray(below.z)[:, 1:], parting.sides[1].norms[:, 31:])
    assert np.isnan(np.asarray(above.z)[:, 0]).all()
    assert np.isnan(np.asarray(below.z)[:, 0]).all(), "padding has norms, and none of them is drawn"
    assert (block.yaxis, block.x[0] - block.width / 2, block.x[0] + block.width / 2) == ("y2", below.x[0], below.x[1])
    first, second = labels(figure.layout.xaxis), labels(figure.layout.xaxis2)
    assert list(first.values()) == list(parting.tokens)
    assert list(second.values()) == ["[PAD] × 31", *parting.tokens]
    assert all(second[at] == word for at, word in first.items())


def test_both_rows_have_one_range_that_padding_has_no_part_in() -> None:
    left, right = side("a b", "0 1", norm=2.0), side("a b _", "0 1 -", norm=5.0)
    right.norms[:, 2] = 1000
    figure = show.sides(result(left, right))
    assert (figure.layout.coloraxis.cmin, figure.layout.coloraxis.cmax) == (2.0, 5.0)
    assert [trace.coloraxis for trace in traces(figure, go.Heatmap)] == ["coloraxis", "coloraxis"]
    right.norms[0, 0] = np.nan
    assert show.sides(result(left, right)).layout.coloraxis.cmax == 5.0


@pytest.mark.parametrize(
    ("left", "right", "above", "below"),
    [
        (("a b c", "0 1 2"), ("a b c", "0 1 2"), "a b c", "a b c"),
        (("x a b", "- 0 1"), ("a b", "0 1"), "x a b", ". a b"),
        (("a x y b", "0 - - 1"), ("a z b _ _", "0 - 1 - -"), "a x y . b .", "a . . z b _*2"),
        (("_ _ a", "- - 0"), ("a _", "0 -"), "_*2 a .", ". a _"),
        (("_ a _", "- 0 -"), ("_ _ a _ _ _", "- - 0 - - -"), "_ a _", "_*2 a _*3"),
        (("x", "-"), ("y z", "- -"), "x . .", ". y z"),
    ],
)
def test_columns(left: tuple[str, str], right: tuple[str, str], above: str, below: str) -> None:
    figure = show.sides(result(side(*left), side(*right)))
    for row, expected in enumerate((above, below)):
        heatmap = traces(figure, go.Heatmap)[row]
        shown = labels(figure.layout.xaxis if row == 0 else figure.layout.xaxis2)
        words = [shown.get(sum(heatmap.x[at : at + 2]) / 2, ".").replace(" × ", "*") for at in range(len(heatmap.x) - 1)]
        assert words == expected.split()
        valued = [not np.isnan(cells).any() for cells in np.asarray(heatmap.z).T]
        assert valued == [word not in "." and not word.startswith("_") for word in expected.split()]


def test_the_first_difference_is_framed_in_both_rows(minilm: Checkpoint) -> None:
    parting = parted(minilm, "mask=off,padding=40")
    figure = show.sides(parting)
    assert parting.first is not None
    layer, token = parting.first
    assert [(shape.x0, shape.x1, shape.y0, shape.yref) for shape in figure.layout.shapes] == [
        (token - 0.5, token + 0.5, layer - 0.5, "y"),
        (token - 0.5, token + 0.5, layer - 0.5, "y2"),
    ]
    assert not show.sides(parted(minilm, "padding=40")).layout.shapes


def test_a_long_row_is_cut_around_the_first_difference() -> None:
    words, places = " ".join(["w"] * 1000), " ".join(map(str, range(1000)))
    row = side(words, places)
    parting = result(row, row)
    figure = show.sides(parting)
    assert [len(np.asarray(trace.z)[0]) for trace in traces(figure, go.Heatmap)] == [512, 512]
    assert figure.layout.xaxis2.title.text == "token, columns 0 to 511 of 1000"
    assert len(figure.layout.xaxis.tickvals) <= 40
    parting.max_abs[1, 900] = 1.0
    figure = show.sides(parting)
    assert figure.layout.xaxis2.title.text == "token, columns 488 to 999 of 1000"
    assert figure.layout.shapes[0].x0 == 900 - 488 - 0.5
    assert "position 900" in figure.data[0].text[0][900 - 488]


def test_neither_figure_brings_fonts_or_backgrounds(minilm: Checkpoint) -> None:
    parting = parted(minilm, "mask=off,padding=40")
    for figure in (show.parting(parting), show.sides(parting)):
        layout = figure.to_plotly_json()["layout"]
        assert not {"font", "paper_bgcolor"} & set(layout)
        assert layout["plot_bgcolor"] == "rgba(0,0,0,0)"  # the page itself, light or dark
        assert all("color" not in text.get("font", {}) for text in layout.get("annotations", []))


def test_a_token_is_never_read_as_markup() -> None:
    row = side("<b> $x$", "0 1")
    for figure in (show.parting(result(row, row)), show.sides(result(row, row))):
        assert list(figure.layout.xaxis.ticktext) == ["&lt;b&gt;", "&#36;x&#36;"]
        assert "<b>" not in figure.data[0].text[0][0]
