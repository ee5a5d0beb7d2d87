"""The pictures of an expression show exactly the cells and the values it holds, at every size, and read no text as markup."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from bertlens.read.capture import Capture
from bertlens.read.expression.evaluate import evaluate
from bertlens.show import cells, cube, values
from bertlens.show.held import Held, of_result, of_step

MEAN = "(last_hidden_state * attention_mask.unsqueeze(-1)).sum(1) / attention_mask.sum(1, keepdim=True)"
EXPRESSIONS = [
    "last_hidden_state[:, 0]",
    "last_hidden_state[0]",
    "outputs[0][0][0]",
    "last_hidden_state.mean(1)",
    MEAN,
    "torch.cat(hidden_states[-2:], dim=-1)[:, 0]",
    "hidden_states[0][:, 1:3, :5].sum(1) + last_hidden_state[:, -1, :5]",
    "torch.stack(hidden_states)[1:3, 0, 2]",
    "last_hidden_state[:, :, 3]",
]


def capture_of(batch: int = 3, width: int = 6, layers: int = 3, hidden: int = 8, token: str = "") -> Capture:
    """Random states; text n has n tokens of padding, as far as there are so many."""
    draw = torch.Generator().manual_seed(0)
    states = tuple(torch.randn(batch, width, hidden, generator=draw) for _ in range(layers + 1))
    real = torch.ones(batch, width, dtype=torch.int64)
    for text in range(batch):
        real[text, width - min(text, width - 2) :] = 0
    names = tuple(
        tuple(token or ("[CLS]" if at == 0 else f"w{at}" if real[text, at] else "[PAD]") for at in range(width))
        for text in range(batch)
    )
    special = torch.zeros_like(real)
    special[:, 0] = 1
    inputs = {"input_ids": torch.ones_like(real), "attention_mask": real}
    fields = ("last_hidden_state", "hidden_states")
    return Capture(states, states[-1], None, inputs, names, real, special, "[CLS]", "[SEP]", fields, batch)


def strips(figure: Any) -> dict[int, np.ndarray]:
    return {int(trace.name.split()[1]): np.asarray(trace.z) for trace in figure.data if trace.type == "heatmap"}


@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_the_lit_cells_are_those_of_the_trace(expression: str) -> None:
    capture = capture_of()
    trace = evaluate(expression, capture)
    assert trace.failure is None and 0 < trace.cells.sum() < trace.cells.size
    held = of_result(trace, capture)
    drawn = np.zeros_like(trace.cells)
    for text, kinds in strips(cells.cells(held)).items():
        for (layers, _), row in zip(held.patterns, kinds, strict=True):
            drawn[list(layers), text] = np.isin(row, (cells.HELD, cells.HELD_PADDING))
    assert np.array_equal(drawn, trace.cells)
    assert capture.real is not None
    for text, kinds in strips(cells.cells(held)).items():
        padding = np.isin(kinds, (cells.PADDING, cells.HELD_PADDING))
        assert (padding == (capture.real[text] == 0).numpy()).all()


@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_the_block_covers_the_same_cells(expression: str) -> None:
    capture = capture_of()
    held = of_result(evaluate(expression, capture), capture)
    _, batch, width = held.cells.shape
    for _, lit in held.patterns:
        covered = np.zeros((batch, width), int)
        for kind, left, right, back, front in cube.boxes(held, lit):
            rows, columns = slice(round(back * batch), round(front * batch)), slice(round(left * width), round(right * width))
            covered[rows, columns] += 1
            assert (held.real[rows, columns] == (kind == cells.HELD)).all()
        assert np.array_equal(covered, lit.astype(int))


@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_the_ladder_and_the_bar_show_layers_and_hidden_units(expression: str) -> None:
    capture = capture_of()
    trace = evaluate(expression, capture)
    held = of_result(trace, capture)
    figure = cube.cube(held)
    ladder = next(trace for trace in figure.data if trace.type == "heatmap")
    assert np.array_equal(np.asarray(ladder.z)[:, 0].astype(bool), trace.cells.any((1, 2)))
    units = np.zeros(capture.hidden, bool)
    for bar in figure.data:
        if bar.type == "bar" and bar.name == "held":
            units[bar.base[0] : bar.base[0] + bar.y[0]] = True
    assert trace.result is not None
    assert tuple(np.flatnonzero(units)) == trace.result.provenance.hidden
    names = [text.replace("<b>", "").replace("</b>", "") for text in figure.layout.yaxis.ticktext]
    assert names == ["embeddings", "1", "2", "3"]


def test_nothing_is_lit_where_nothing_of_the_states_is_held() -> None:
    capture = capture_of()
    held = of_result(evaluate("attention_mask.sum(1)", capture), capture)
    assert not held.cells.any() and held.patterns == ()
    lit = (cells.HELD, cells.HELD_PADDING, cells.PART)
    assert not any(np.isin(kinds, lit).any() for kinds in strips(cells.cells(held)).values())
    fills = {trace.fillcolor for trace in cube.cube(held).data if trace.type == "scatter"}
    assert not fills & set(cube.SHADES[cells.HELD])
    healthy = cube.cube(of_result(evaluate("last_hidden_state", capture), capture))
    assert {trace.fillcolor for trace in healthy.data if trace.type == "scatter"} >= set(cube.SHADES[cells.HELD])


def test_padding_that_is_held_has_a_mark_and_a_colour_of_its_own() -> None:
    capture = capture_of()
    faulty, healthy = (of_result(evaluate(one, capture), capture) for one in ("last_hidden_state.mean(1)", MEAN))
    for held, expected in ((faulty, True), (healthy, False)):
        picture = cells.cells(held)
        assert any(trace.name == "held padding" for trace in picture.data) == expected
        assert any(trace.marker.symbol == "x" for trace in picture.data if trace.type == "scatter") == expected
        assert any(trace.fillpattern.shape for trace in cube.cube(held).data if trace.type == "scatter") == expected


@pytest.mark.parametrize(
    "expression",
    [
        *EXPRESSIONS,
        "torch.cat(hidden_states[-2:], dim=-1)[:, 0].mean(0)",
        "last = hidden_states[-1]\nfirst = hidden_states[0][:, 1]\nlast[:, 0] + first",
        "last_hidden_state[:, 0] @ nn.Linear(5, 5)",
    ],
)
def test_every_step_is_drawn_as_what_it_holds(expression: str) -> None:
    capture = capture_of()
    trace = evaluate(expression, capture)
    steps = [step for step in trace.steps if step.form in ("tensor", "tuple")]
    assert steps
    for step in steps:
        lines = expression.split("\n")[: step.place[0] - 1]
        part = "\n".join([*lines, step.expression])
        held = of_step(step, capture, expression)
        assert held.exact and np.array_equal(held.cells, evaluate(part, capture).cells), step.expression


def test_a_part_of_a_loop_is_drawn_whole_and_says_so() -> None:
    capture = capture_of()
    expression = "torch.stack([h[:, at] for at, h in enumerate(hidden_states[:2])]).mean(0)"
    trace = evaluate(expression, capture)
    inner = next(step for step in trace.steps if step.expression == "h[:, at]")
    held = of_step(inner, capture, expression)
    assert not held.exact and held.cells.sum() > trace.cells.sum() and (held.cells >= trace.cells).all()
    assert trace.result is not None
    outer = of_step(trace.result, capture, expression)
    assert outer.exact and np.array_equal(outer.cells, trace.cells)


@pytest.mark.parametrize(
    ("batch", "width", "layers"), [(1, 1, 1), (1, 10, 24), (2, 10, 6), (8, 40, 12), (64, 512, 6), (9, 49, 24)]
)
@pytest.mark.parametrize("expression", ["last_hidden_state[:, 0]", "last_hidden_state.mean(1)", "torch.stack(hidden_states)"])
def test_every_size_is_bounded_and_says_what_it_leaves_out(batch: int, width: int, layers: int, expression: str) -> None:
    capture = capture_of(batch, width, layers, hidden=4)
    held = of_result(evaluate(expression, capture), capture)
    picture, block = cells.cells(held), cube.cube(held)
    assert len(strips(picture)) == min(batch, cells.MOST_TEXTS)
    assert all(kinds.shape[1] <= cells.MOST_TOKENS + 1 for kinds in strips(picture).values())
    assert len(block.data) < 250 and picture.layout.height < 1_200
    assert bool(cells.left_out(held)) == (batch > cells.MOST_TEXTS or width > cells.MOST_TOKENS)
    assert bool(cube.left_out(held)) == (batch > cube.MOST_ROWS or width > cube.MOST_COLUMNS)
    if batch == 64:
        assert "8 of 64 texts" in cells.left_out(held) and "tokens 36 to 499" in cells.left_out(held)
        assert "64 texts are drawn as 8 bands" in cube.left_out(held)


def test_texts_that_are_held_are_drawn_before_others() -> None:
    capture = capture_of(batch=20)
    held = of_result(evaluate("last_hidden_state[17]", capture), capture)
    assert 17 in strips(cells.cells(held))
    assert set(cells.cells_frame(held)["text"]) == {17}


def test_positions_drawn_together_are_held_only_where_all_are() -> None:
    capture = capture_of(batch=1, width=100)
    partly = strips(cells.cells(of_result(evaluate("last_hidden_state[:, 50]", capture), capture)))[0]
    wholly = strips(cells.cells(of_result(evaluate("last_hidden_state[:, 1:]", capture), capture)))[0]
    assert (partly == cells.PART).sum() == 1 and (partly == cells.HELD).sum() == 0
    assert (wholly == cells.PART).sum() == 0 and (wholly == cells.HELD).sum() == wholly.size - 1


def test_more_patterns_than_there_is_room_for_are_said() -> None:
    capture = capture_of(layers=6)
    held = of_result(evaluate("torch.stack([h[:, i] for i, h in enumerate(hidden_states[:6])])", capture), capture)
    assert len(held.patterns) == 6
    assert "2 more layers" in cells.left_out(held) and "2 more layers" in cube.left_out(held)
    assert all(len(kinds) == cells.MOST_PATTERNS for kinds in strips(cells.cells(held)).values())


def test_tokens_are_never_read_as_markup() -> None:
    capture = capture_of(token="<b>$x$")
    trace = evaluate("last_hidden_state[0]", capture)
    held = of_result(trace, capture)
    pictures = [cells.cells(held), cube.cube(held), values.values(trace, capture)]
    for picture in pictures:
        assert picture is not None
        document = picture.to_json()
        assert "\\u003cb\\u003e$x$" not in document and "<b>$x$" not in document
    written = [text for axis in ("xaxis", "xaxis2") for text in pictures[0].layout[axis].ticktext]  # type: ignore[index]
    assert all("&lt;b&gt;&#36;x&#36;" in text for text in written)
    assert cells.cells_frame(held)["token"].tolist() == ["<b>$x$"] * capture.width


def test_without_a_tokenizer_positions_are_named() -> None:
    given = capture_of()
    bare = Capture(given.hidden_states, given.last_hidden_state, None, {}, None, None, None, "", "", given.fields, 3)
    held = of_result(evaluate("last_hidden_state[:, 0]", bare), bare)
    picture = cells.cells(held)
    assert picture.layout.xaxis.ticktext[1:] == ("1", "2", "3", "4", "5")
    assert not any(np.isin(kinds, (cells.PADDING, cells.HELD_PADDING)).any() for kinds in strips(picture).values())


@pytest.mark.parametrize(
    ("layers", "name"),
    [
        ((0,), "embeddings"),
        ((6,), "layer 6"),
        ((3, 4, 5, 6), "layers 3 to 6"),
        ((1, 3), "layers 1 and 3"),
        ((0, 1, 2, 3), "embeddings and layers 1 to 3"),
    ],
)
def test_layers_by_their_names(layers: tuple[int, ...], name: str) -> None:
    held = Held(np.zeros((7, 1, 1), bool), np.ones((1, 1), bool), (), 8, None)
    assert held.named(layers) == name
