"""Fuzzers: whatever is typed, an evaluation is a trace or a refusal with its place, and nothing else."""

from __future__ import annotations

import ast
import os
import time
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bertlens.read.expression.errors import ExpressionError
from bertlens.read.expression.evaluate import evaluate
from bertlens.read.expression.grammar import ALLOWED, parse, place_of
from bertlens.read.expression.syntax import DEEPEST
from tests.sealed import bits, foreign, tiny
from tests.spellings import LEGAL, mutants, programs, spiced, texts, tokens_of
from tests.test_sandbox import assert_a_place, assert_a_sentence

MOST_SECONDS = 4.0

# the same cases at every run of CI, new ones everywhere else
fuzz = settings(max_examples=300, deadline=None, derandomize="CI" in os.environ, suppress_health_check=[HealthCheck.too_slow])
few = settings(fuzz, max_examples=120)
anything = st.one_of(texts, programs(), spiced(), mutants())


HELD = tiny()


def assert_parsed(text: str) -> ast.Module | None:
    """Parse, and hold the tree or the refusal against what it may be."""
    try:
        tree = parse(text)
    except ExpressionError as error:
        assert_a_sentence(error.sentence)
        assert_a_place(error)
        return None
    lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    waiting: list[tuple[ast.AST, int]] = [(tree, 0)]
    while waiting:
        node, depth = waiting.pop()
        assert isinstance(node, ALLOWED) and depth <= DEEPEST
        for name in ("id", "attr", "arg", "name"):
            value = getattr(node, name, None)
            assert not isinstance(value, str) or (value.isascii() and (value == "_" or not value.startswith("_")))
        if hasattr(node, "lineno"):
            line, column, end_line, end_column = place_of(node)
            assert 1 <= line <= end_line <= len(lines) and (line, column) <= (end_line, end_column)
            assert column <= len(lines[line - 1]) and end_column <= len(lines[end_line - 1])
        waiting += [(child, depth + 1) for child in ast.iter_child_nodes(node)]
    return tree


def assert_evaluated(text: str) -> Any:
    before, start = bits(HELD), time.process_time()
    try:
        trace = evaluate(text, HELD)
    except ExpressionError as error:
        assert_a_sentence(error.sentence)
        assert_a_place(error)
        trace = None
    assert time.process_time() - start < MOST_SECONDS
    assert bits(HELD) == before
    if trace is not None:
        assert foreign(trace.value) == ""
        assert trace.failure is None or "\n" not in trace.failure.message
        for step in trace.steps:
            assert len(step.axes) == len(step.shape) or step.form in ("number", "list", "other"), step
            assert "\n" not in step.words and "0x" not in step.words
    return trace


@fuzz
@given(anything)
def test_a_parse_is_a_tree_of_the_language_or_a_refusal(text: str) -> None:
    assert_parsed(text)


@fuzz
@given(texts)
def test_any_text(text: str) -> None:
    assert_evaluated(text)


@few
@given(programs())
def test_programs_of_the_language(text: str) -> None:
    assert parse(text)
    assert_evaluated(text)


@few
@given(spiced())
def test_programs_with_what_is_forbidden(text: str) -> None:
    assert_evaluated(text)


@fuzz
@given(mutants())
def test_legal_expressions_with_changed_tokens(text: str) -> None:
    assert_evaluated(text)


@pytest.mark.parametrize("text", LEGAL)
def test_the_legal_ones_work(text: str) -> None:
    """The premise of the mutants: unchanged, they are evaluated to their end, and their tokens join to themselves."""
    assert "".join(tokens_of(text)) == text
    assert assert_parsed(text) is not None
    trace = assert_evaluated(text)
    assert trace is not None and trace.failure is None, trace
