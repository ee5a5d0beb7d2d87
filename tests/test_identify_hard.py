"""`bertlens.identify` where the first answer would be wrong: refuted proofs, odd lengths, half precision that is hidden."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import bertlens
from benchmarks.recipes import ByHand
from bertlens.diagnose import identifying
from bertlens.judge.identify import chance
from bertlens.judge.identify.asked import Asked
from bertlens.judge.identify.changes import LENGTHS
from bertlens.judge.identify.confirm import Confirmed
from bertlens.judge.identify.fit import held
from bertlens.judge.identify.given import given
from bertlens.judge.identify.lengths import between
from bertlens.judge.identify.proof import votes
from bertlens.read.post import Post
from bertlens.read.readout import Readout
from bertlens.run.checkpoint import Checkpoint
from tests.test_identify import TEXTS, bert, by_hand, of, recipe, same

__all__ = ["bert", "by_hand"]


def test_a_clue_whose_proof_fails_does_not_end_the_search(
    bert: Checkpoint, by_hand: ByHand, monkeypatch: pytest.MonkeyPatch
) -> None:
    refuted: list[str] = []
    real: Callable[..., Confirmed] = identifying.confirmed

    def once(asked: Asked, *parts: Any) -> Confirmed:
        found = real(asked, *parts)
        if refuted:
            return found
        refuted.append(found.settled.recipe.words)
        return replace(found, proven=replace(found.proven, explained=np.zeros_like(found.proven.explained)))

    monkeypatch.setattr(identifying, "confirmed", once)
    answer = bertlens.identify(bert, TEXTS, of(by_hand, recipe("mask=off", "mean")))
    assert len(refuted) == 1
    assert answer.verdict == "found" and same(bert, answer, recipe("mask=off", "mean")), answer.sentence


@pytest.mark.parametrize("truth", [9, 61, 230, 333, 511])
def test_any_padded_length_is_found_between_the_usual_ones(truth: int) -> None:
    tried, widths = dict[int, float](), [length for length in LENGTHS if length >= 8]
    while widths:
        tried |= {width: abs(width - truth) for width in widths}
        widths = between(tried)
    assert min(tried, key=lambda width: tried[width]) == truth
    assert len(tried) < len(LENGTHS) + 40, "and not by trying all"


def test_half_precision_is_seen_on_the_texts_that_are_not_cut(bert: Checkpoint, by_hand: ByHand) -> None:
    texts = ("Why not?", *(f"{text} and then again {text} and once more {text}" for text in TEXTS[:5]))
    truth = recipe("max_length=10,dtype=float16", "mean@2")
    answer = bertlens.identify(bert, texts, of(by_hand, truth, texts))
    assert answer.verdict == "found" and same(bert, answer, truth, texts), answer.sentence
    assert answer.best is not None and answer.best.recipe.condition.dtype == "float16"


def test_digits_vote_for_half_precision_only_where_it_made_them() -> None:
    draw = np.random.default_rng(0)
    exact = draw.normal(size=(8, 384)) * 20
    post, readout = Post(store="int8", step=1.0), Readout("mean")
    moved = draw.normal(size=exact.shape) * 0.1
    half, single = (held(readout, post, side, np.round(exact)) for side in (exact + moved, exact))
    for wanted, expected in (
        (np.round(exact + moved + draw.normal(size=exact.shape) * 0.03), "half"),
        (np.round(exact + draw.normal(size=exact.shape) * 0.03), "single"),
        (np.round(exact + draw.normal(size=exact.shape) * 5), "neither"),
    ):
        nearer, farther = votes(half, single, wanted)
        if expected == "neither":
            assert abs(nearer - farther) < 4 * (nearer + farther) ** 0.5
        else:
            assert (nearer > 2 * farther) == (expected == "half") and nearer + farther > 20


def test_lost_signs_do_not_hide_a_mean_that_was_removed(bert: Checkpoint, by_hand: ByHand) -> None:
    truth = replace(recipe(), post=Post(centred="texts", sign="removed"))
    answer = bertlens.identify(bert, TEXTS, of(by_hand, truth))
    assert answer.verdict == "found" and same(bert, answer, truth), answer.sentence


def test_what_may_be_a_mean_that_was_removed() -> None:
    draw = np.random.default_rng(1)
    vectors = draw.normal(size=(8, 64)) + 2 * draw.normal(size=64)
    centred = vectors - vectors.mean(0)
    assert given(centred / np.linalg.norm(centred, axis=1, keepdims=True)).without_middle
    assert not given(vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).without_middle
    scattered = draw.normal(size=(8, 64))
    assert not given(scattered / np.linalg.norm(scattered, axis=1, keepdims=True)).without_middle


def test_dropout_is_not_looked_for_when_time_is_over(
    bert: Checkpoint, by_hand: ByHand, monkeypatch: pytest.MonkeyPatch
) -> None:
    ran: list[int] = []
    real = chance.read_all

    def counted(*parts: Any, **named: Any) -> Any:
        ran.append(1)
        return real(*parts, **named)

    monkeypatch.setattr(chance, "read_all", counted)
    values = of(by_hand, recipe("dropout=on"), TEXTS)
    started = time.monotonic()
    answer = bertlens.identify(bert, TEXTS, values, budget=0.2)
    assert not ran and time.monotonic() - started < 5
    assert answer.verdict == "none" and any("time was over" in note for note in answer.notes)
    bertlens.identify(bert, TEXTS, values, budget=30)
    assert ran, "with time it is"
