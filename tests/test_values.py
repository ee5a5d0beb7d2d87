"""The values of an expression as a picture and as a table: the numbers themselves, named only by names that are theirs."""

from __future__ import annotations

import numpy as np
import pytest

from bertlens.read.expression.evaluate import evaluate
from bertlens.show import values
from bertlens.show.steps import steps_frame
from tests.test_cube import MEAN, capture_of


@pytest.mark.parametrize(
    "expression", ["last_hidden_state[:, 0]", MEAN, "last_hidden_state", "torch.stack(hidden_states)[:, 0, 2]"]
)
def test_the_picture_and_the_table_hold_the_values(expression: str) -> None:
    capture = capture_of()
    trace = evaluate(expression, capture)
    array = values.array_of(trace)
    picture, frame = values.values(trace, capture), values.value_frame(trace, capture)
    assert array is not None and picture is not None
    flat = array.reshape(-1, array.shape[-1])
    assert np.array_equal(np.asarray(picture.data[0].z), flat.astype(float))
    assert np.array_equal(frame.iloc[:, array.ndim - 1 :].to_numpy(), flat)
    assert -picture.data[0].zmin == picture.data[0].zmax > 0


@pytest.mark.parametrize(
    ("expression", "rows"),
    [
        ("last_hidden_state[1:, 0]", ["text 1", "text 2"]),
        ("last_hidden_state[1][:2]", ["token 0 [CLS]", "token 1 w1"]),
        ("torch.stack(hidden_states)[2:, 0, 0]", ["layer 2", "layer 3"]),
        ("last_hidden_state[:1, :2]", ["text 0, token 0 [CLS]", "text 0, token 1 w1"]),
        ("last_hidden_state[1][2:4, 5:]", ["token 2 w2", "token 3 w3"]),
        # what was turned round, or computed, is not called by numbers that it may not have
        ("last_hidden_state[1][[3, 2]]", ["tokens 0", "tokens 1"]),
        ("torch.stack([hidden_states[-1], hidden_states[-2]])[:, 0, 0]", ["layers 0", "layers 1"]),
        ("torch.stack(hidden_states[:2])[:, 0].mean(1)", ["layers 0", "layers 1"]),
        ("last_hidden_state[[2, 0], 0]", ["text 2", "text 0"]),
    ],
)
def test_rows_are_named(expression: str, rows: list[str]) -> None:
    capture = capture_of()
    picture = values.values(evaluate(expression, capture), capture)
    assert picture is not None and list(picture.layout.yaxis.ticktext) == rows


def test_one_axis_is_a_line_and_one_number_is_none() -> None:
    capture = capture_of()
    line = values.values(evaluate("last_hidden_state[0, 0]", capture), capture)
    assert line is not None and np.array_equal(line.data[0].y, capture.last_hidden_state[0, 0].double().numpy())
    alone = evaluate("last_hidden_state[0, 0, 0]", capture)
    assert values.values(alone, capture) is None
    assert values.value_frame(alone, capture)["value"].tolist() == [capture.last_hidden_state[0, 0, 0].item()]
    assert values.values(evaluate("last_hidden_state.shape[0:0]", capture), capture) is None


def test_large_values_are_cut_with_a_sentence_and_outliers_do_not_bleach_the_rest() -> None:
    capture = capture_of(batch=5, width=10, hidden=900)
    capture.last_hidden_state[0, 0, 0] = 1_000.0
    trace = evaluate("last_hidden_state", capture)
    picture, said = values.values(trace, capture), values.left_out(trace)
    assert picture is not None and np.asarray(picture.data[0].z).shape == (values.MOST_LINES, values.MOST_WIDE)
    assert "first 40 of 50 rows" in said and "first 768 of 900 columns" in said and "to 1e+03" in said
    assert picture.data[0].zmax < 10
    assert len(values.value_frame(trace, capture)) == 50
    healthy = evaluate("last_hidden_state[1:3, :2, :9]", capture)
    assert values.left_out(healthy) == ""


def test_a_tuple_of_equal_tensors_is_one_array_and_of_unequal_ones_none() -> None:
    capture = capture_of()
    array = values.array_of(evaluate("hidden_states[-2:]", capture))
    assert array is not None and array.shape == (2, 3, 6, 8)
    assert values.array_of(evaluate("[last_hidden_state, last_hidden_state[0]]", capture)) is None
    assert values.array_of(evaluate("last_hidden_state.dtype", capture)) is None


def test_steps_as_a_table() -> None:
    trace = evaluate("last_hidden_state[:, 0].mean(0)", capture_of())
    frame = steps_frame(trace.steps)
    assert frame["shape"].tolist() == [" × ".join(map(str, step.shape)) for step in trace.steps]
    assert frame["axes"].tolist()[-2:] == ["batch × hidden", "hidden"]
