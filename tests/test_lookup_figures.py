"""The pictures of the lookup hold the numbers of the results, and nothing of a text is read as markup."""

from __future__ import annotations

import numpy as np
import pytest

import bertlens
from bertlens import diagnose
from bertlens.judge.edits import Logits
from bertlens.judge.lookup import LookupCost
from bertlens.show import edits as of_edits
from bertlens.show import lookup as of_lookup
from bertlens.show import shares
from tests.conftest import Loaded

TEXTS = ("Rain <b>fell</b> $5$", "Another text", "A third one")


def test_the_parts(loaded: Loaded) -> None:
    found = bertlens.lookup(loaded("electra"), TEXTS)
    norms, cosines = of_lookup.norms(found), of_lookup.cosines(found)
    assert [trace.name for trace in norms.data] == list(found.norms) and len(found.norms) == 6
    assert all(np.array_equal(trace.y, found.norms[trace.name]) for trace in norms.data)
    assert "&lt;" in norms.data[0].text and "<" not in norms.data[0].text
    assert np.array_equal(cosines.data[0].z, np.stack(list(found.cosines.values()))) and cosines.data[0].zmin == -1
    units = of_lookup.vectors(found, 2).data[0].z
    assert np.array_equal(units[0, :16], found.vectors["word"][2]) and np.isnan(units[0, 16:]).all()
    assert np.array_equal(units[-1], found.embedding.state[2]), "the projection is as wide as the hidden states"


@pytest.mark.parametrize(("family", "arises"), [("roberta", True), ("bert", False)])
def test_the_positions_of_a_padded_row(loaded: Loaded, family: str, arises: bool) -> None:
    found = diagnose.padded_vectors(loaded(family), TEXTS)
    heat = of_lookup.positions(found).data[0]
    right, left = heat.text[0], heat.text[2]
    assert [place.startswith("(") for place in right] == [False] * found.tokens + [True] * found.padding
    assert [place.startswith("(") for place in left] == [True] * found.padding + [False] * found.tokens
    assert (list(heat.z[2]) != list(heat.z[3])) == arises


def test_the_cost() -> None:
    bars = of_lookup.cost(LookupCost(1, 8, 0.001, None, 0.1)).data[0]
    assert list(bars.x) == [1.0, 100.0] and bars.text[1] == "100 ms, 100 %"


def test_the_effect_of_an_edit(loaded: Loaded) -> None:
    found = bertlens.edit(loaded("bert"), TEXTS, edits="1-2:scale=2", pooling="mean")
    for measure in ("change", "cosine"):
        figure = of_edits.effect_map(found, measure)
        assert np.array_equal(figure.data[0].z, found.measures[measure])
        assert [name.startswith("★") for name in figure.layout.xaxis.ticktext] == [
            at in (1, 2) for at in range(len(found.tokens))
        ]
        lines = of_edits.effect_lines(found, measure).data
        assert np.allclose(lines[1].y, found.measures[measure][:, 1:3].mean(1)) and len(lines) == 3
    assert len(of_edits.effect_lines(bertlens.edit(loaded("bert"), TEXTS, edits="all:zero"), "change").data) == 2
    assert found.neighbours is not None
    frame, marks = found.neighbours.to_frame(), of_edits.neighbours(found.neighbours, TEXTS).data
    assert np.array_equal(marks[1].x, frame["cosine before"]) and np.array_equal(marks[2].x, frame["cosine after"])
    bars = of_edits.logits(Logits(("no", "yes"), (0.0, 1.0), (2.0, 3.0))).data
    assert list(bars[1].y) == [2.0, 3.0] and bars[1].marker.pattern.shape == "/", "colour is not the only carrier"


def test_the_nearest_entries(loaded: Loaded) -> None:
    checkpoint = loaded("bert")
    row = checkpoint.model.get_input_embeddings().weight[7592].detach().numpy()
    found = diagnose.nearest_entries(checkpoint, {"one": row, "zero": 0 * row, "other": -row}, k=3, measure="dot")
    bars = of_edits.nearest(found).data
    assert len(bars) == 2, "nothing is near to zero"
    assert bars[0].customdata[0][0] == "hello" and list(bars[0].x) == [entry.dot for entry in found.entries["one"]]


def test_maps_of_a_long_text_stay_readable(loaded: Loaded) -> None:
    """Cells are not covered by the lines between them, names do not lie on each other, and an even share is not black."""
    checkpoint, texts = loaded("bert"), ("word " * 60,)
    for text, gap, most in ((TEXTS[:1], 1, 24), (texts, 0, 16)):
        figure = of_lookup.cosines(bertlens.lookup(checkpoint, text))
        assert figure.data[0].xgap == gap and len(figure.layout.xaxis.tickvals) <= most
    found = bertlens.cls_attention(checkpoint, texts)
    pictures = [(shares.by_layer(found), found.mean)]
    pictures += [(shares.by_head(found, layer + 1), values) for layer, values in enumerate(found.values)]
    for figure, values in pictures:
        cells = figure.data[0]
        assert np.array_equal(cells.z, values) and cells.zmax == values.max()
        assert cells.colorscale[4][0] == pytest.approx((4 / 16) ** 2), "colours follow the root of a weight"
        assert len(figure.layout.xaxis.tickvals) <= 16
