"""Whatever a person types: it ends in a sentence or in numbers, soon, in bounded memory, and everything is as it was."""

from __future__ import annotations

import dataclasses
import gc
import itertools
import re
from pathlib import Path
from typing import Any

import pytest
import torch

from bertlens.read.capture import Capture
from bertlens.read.expression.budget import MOST_BYTES_IN_ALL
from bertlens.read.expression.errors import ExpressionError, lines_of
from bertlens.read.expression.evaluate import evaluate
from bertlens.read.expression.explanation import Trace
from tests import escapes, floods, twists
from tests.escapes import Group
from tests.sealed import Watched, bits, foreign, memory, sealed, tiny

MOST_SECONDS = 4.0
"""Of this process' processors, for the budget's two seconds and the operation in which they end."""
MOST_BYTES = MOST_BYTES_IN_ALL + 2**29
"""Memory that an attempt may take on top of what is there: all its values, and what is known of their cells."""

GROUPS = {
    name.lower(): group
    for module in (escapes, floods, twists)
    for name, group in vars(module).items()
    if isinstance(group, Group)
}
ATTEMPTS = [(name, text) for name, group in GROUPS.items() for text in group.attempts]
TWINS = [(name, text) for name, group in GROUPS.items() for text in group.twins]
FREE = [*twists.FREE_WRITES, *twists.HARMLESS]


@pytest.fixture(scope="module", autouse=True)
def warm() -> None:
    """Whatever PyTorch loads when it is first asked for something is loaded now."""
    for _, text in TWINS:
        evaluate(text, tiny())


@pytest.fixture
def held() -> Capture:
    return tiny()


def ids(pair: Any) -> str:
    return re.sub(r"[^\x20-\x7e]+", "?", pair if isinstance(pair, str) else pair[1])[:50]


def assert_a_sentence(sentence: str) -> None:
    assert sentence and len(sentence) < 700
    assert "\n" not in sentence and "Traceback" not in sentence and 'File "' not in sentence
    assert not re.search(
        r"/(?:usr|opt|home|work|tmp|root|lib)/|site-packages| at 0x|<(?:class|function|built-in|module)", sentence
    )


def assert_a_place(error: ExpressionError) -> None:
    line, column, end_line, end_column = error.place
    lines = lines_of(error.source)
    assert 1 <= line <= end_line <= len(lines)
    assert 0 <= column <= len(lines[line - 1]) and 0 <= end_column <= len(lines[end_line - 1])
    assert (line, column) <= (end_line, end_column)
    assert "^" in error.caret and len(error.caret) < 2000


def ended(text: str, capture: Capture) -> Trace | ExpressionError:
    """How an expression ends, and nothing but these two ways."""
    try:
        trace = evaluate(text, capture)
    except ExpressionError as error:
        return error
    return trace


def assert_closed(text: str, capture: Capture) -> Trace | ExpressionError:
    """Evaluate, and hold what comes out against what may come out."""
    with Watched() as watched, sealed(capture, MOST_SECONDS):
        end = ended(text, capture)
    assert watched.grown < MOST_BYTES
    if isinstance(end, ExpressionError):
        assert_a_sentence(end.sentence)
        assert_a_place(end)
        return end
    assert foreign(end.value) == ""
    if end.failure:
        assert_a_sentence(end.failure.message)
        assert "\n" not in end.failure.words
    return end


def test_there_are_enough_attempts() -> None:
    assert len({text for _, text in ATTEMPTS}) == len(ATTEMPTS) >= 80
    assert all(group.twins for group in GROUPS.values())


@pytest.mark.parametrize("attempt", ATTEMPTS, ids=ids)
def test_an_attempt_is_refused(attempt: tuple[str, str], held: Capture, capsys: pytest.CaptureFixture[str]) -> None:
    end = assert_closed(attempt[1], held)
    assert isinstance(end, ExpressionError) or end.failure, "it went through"
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize("twin", TWINS, ids=ids)
def test_its_twin_is_allowed(twin: tuple[str, str], held: Capture) -> None:
    end = assert_closed(twin[1], held)
    assert isinstance(end, Trace), end
    assert end.failure is None and end.result is not None


@pytest.mark.parametrize("text", FREE, ids=ids)
def test_what_may_be_evaluated_lets_nothing_out(text: str, held: Capture, capsys: pytest.CaptureFixture[str]) -> None:
    assert_closed(text, held)
    assert capsys.readouterr() == ("", "")


LEVERS = (
    "last_hidden_state.flatten().cumsum(0)",
    "torch.stack(hidden_states).flatten(0, 2).cumsum(0)",
    "torch.stack(hidden_states)[..., 0].flatten().cumsum(0)",
    "x = last_hidden_state.flatten()\nx[1:] + x[:-1]",
    "last_hidden_state[last_hidden_state > 0]",
)
"""Each element of these holds other cells than its neighbour, and what is followed is far more than what is computed."""


@pytest.mark.parametrize("text", LEVERS, ids=ids)
def test_cells_are_followed_in_bounded_time(text: str) -> None:
    states = tuple(torch.randn(4, 256, 256) for _ in range(5))
    large = dataclasses.replace(
        tiny(),
        hidden_states=states,
        last_hidden_state=states[-1],
        inputs={"input_ids": torch.ones(4, 256).long()},
        tokens=None,
        real=None,
        special=None,
        pooler_output=None,
        fields=("last_hidden_state", "hidden_states"),
    )
    end = assert_closed(text, large)
    assert isinstance(end, Trace) and end.failure is None and end.value.size > 1000


def test_one_evaluation_knows_nothing_of_the_one_before(held: Capture) -> None:
    evaluate("secret = last_hidden_state\nlen = secret\nsecret", held)
    with pytest.raises(ExpressionError, match="secret"):
        evaluate("secret", held)
    assert evaluate("len(hidden_states)", held).failure is None


def test_all_attempts_after_each_other_keep_no_memory(held: Capture) -> None:
    before = memory()
    for _, text in itertools.islice(ATTEMPTS, 0, None, 7):
        ended(text, held)
    gc.collect()
    assert memory() - before < 64 * 2**20


def test_the_seal_notices(held: Capture, tmp_path: Path) -> None:
    """The twin of every assertion above: what they watch does break when it is touched."""
    other = dataclasses.replace(tiny(), tokens=None)
    with pytest.raises(AssertionError, match="capture"), sealed(other, 9):
        other.last_hidden_state.add_(1)
    with pytest.raises(AssertionError, match="outside"), sealed(other, 9):
        (tmp_path / "x").write_text("x", "utf-8")
    with pytest.raises(AssertionError, match="setting"), sealed(other, 9):
        tiny(seed=3)
    with pytest.raises(AssertionError, match="took"), sealed(other, 0):
        pass
    assert foreign([open]) and foreign(object()) and not foreign(None)
    gc.collect()
    filled: list[torch.Tensor] = []
    grown = 0
    while grown <= 200 * 2**20 and len(filled) < 20:  # a process that has given much back takes that first, and does not grow
        with Watched() as watched:
            filled.append(torch.ones(75 * 2**20))
        grown = watched.grown
    assert grown > 200 * 2**20
    assert bits(tiny()) != bits(tiny(seed=1))
