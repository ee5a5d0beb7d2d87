"""The pictures of attention: what they show, on which range, and that nothing of a text is markup."""

from __future__ import annotations

import numpy as np
import pytest

import bertlens
from bertlens.judge.attention import Attention
from bertlens.show import attention as pictures
from tests.conftest import Loaded

TEXTS = ("the the <b>cat</b> sat", "Rain fell all night on the old stone bridge, and nobody slept.")


@pytest.fixture(scope="module")
def found(loaded: Loaded) -> Attention:
    return bertlens.attention(loaded("bert"), TEXTS)


def test_a_map_has_its_tokens_apart(found: Attention) -> None:
    one = pictures.panel(found, 2, 3)
    (cells,) = pictures.token_map(one, 1).data
    assert one.rows[:3] == ("0 [CLS]", "1 the", "2 the") and len(set(one.rows)) == len(one.rows)
    assert one.columns[-1] == f"{len(one.rows)} padding × {found.read.padding}"
    assert "&lt;" in "".join(one.rows) and "<" not in "".join(one.rows)
    assert (cells.z == found.map(2, 3)).all() and (cells.x, cells.y) == (one.columns, one.rows)
    assert (cells.zmin, cells.zmax) == (0, found.map(2, 3).max())


def test_a_long_map_stays_small(minilm: bertlens.Checkpoint) -> None:
    long = bertlens.attention(minilm, ("word " * 600,))
    figure = pictures.token_map(pictures.panel(long, 6, 1))
    (cells,) = figure.data
    assert cells.z.shape == (512, 512)
    size = len(figure.to_json())
    assert 1_398_000 < size < 1_600_000, "the weights as four bytes each, and no text of its own in every cell"
    assert figure.layout.height == pictures.TALLEST


def test_two_pictures_have_one_range(found: Attention) -> None:
    left, right = (pictures.panel(found, layer, 1) for layer in (1, 3))
    largest = pictures.largest_of(left.values, right.values)
    assert {pictures.token_map(one, largest=largest).data[0].zmax for one in (left, right)} == {largest}
    assert pictures.token_map(left).data[0].zmax != pictures.token_map(right).data[0].zmax
    assert pictures.largest_of(np.zeros((2, 2))) == 1, "nothing but 0 has a range as well"


def test_colours_are_those_of_the_square_root() -> None:
    stops = [stop for stop, _ in pictures.ROOT]
    assert stops[0] == 0 and stops[-1] == 1 and stops == sorted(stops) and stops[8] == 0.25


def test_every_head_is_in_the_overview_and_the_chosen_one_framed(found: Attention) -> None:
    values = found.read.measures["to_sep"]
    figure = pictures.overview(values, "to_sep", (2, 4))
    (cells,) = figure.data
    assert (cells.z == values).all()
    assert (cells.y, cells.x) == ((1, 2, 3), (1, 2, 3, 4)), "a click gives layer and head, counted from 1"
    frame = figure.layout.shapes[0]
    assert (frame.x0, frame.x1, frame.y0, frame.y1) == (3.5, 4.5, 1.5, 2.5)
    assert not pictures.overview(values, "to_sep").layout.shapes
    assert set(pictures.TITLES) == set(found.read.measures)


def test_a_row_shows_both_ways_on_one_range(found: Attention) -> None:
    one = pictures.panel(found, 1, "rollout")
    figure = pictures.row(one, 2)
    looks, looked = figure.data
    assert np.array_equal(looks.y, one.values[2]) and np.array_equal(looked.y, one.values[:, 2])
    assert figure.layout.yaxis2.matches == "y", "one range"
    frame = pictures.row_frame(one, 2)
    assert frame["looked at"].sum() == pytest.approx(1, abs=1e-6) and np.isnan(frame["looks"].iloc[-1])


def test_tables_hold_what_is_drawn(found: Attention) -> None:
    one = pictures.panel(found, 3, "all")
    assert np.array_equal(pictures.map_frame(one).iloc[:, 1:].to_numpy(), one.values)
    frame = pictures.resting_frame(found)
    assert len(frame) == 9 and len(pictures.resting(found).data) == 6, "padding is there, so it has its line"
    np.testing.assert_allclose(frame[frame["to"] == "sep"]["mean"], found.read.measures["to_sep"].mean(1))
    assert [pictures.name_of(2, head) for head in (3, "mean", "all")] == [
        "Layer 2, head 3",
        "Mean of the layer's heads, layer 2",
        "Mean of all heads of all layers",
    ]
