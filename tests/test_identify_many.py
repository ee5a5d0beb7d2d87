"""`bertlens.identify` of many texts: few of them decide, all are verified, and nothing grows with their square."""

from __future__ import annotations

import random
import re

import numpy as np
import pytest

import bertlens
from benchmarks import recipes
from benchmarks.recipes import ByHand
from bertlens.judge.identify import match
from bertlens.judge.identify.match import every_row
from bertlens.read.post import unit
from bertlens.read.readout import Readout
from bertlens.read.recipe import Recipe
from bertlens.run.condition import Condition
from tests.conftest import Folder, Loaded
from tests.families import wordpiece_vocabulary

COUNT = 700


@pytest.fixture(scope="module")
def texts() -> tuple[str, ...]:
    """Pseudo sentences of 3 words and more, of which few are long; one stands twice."""
    words, draw = [word for word in wordpiece_vocabulary() if re.fullmatch("[a-z]{3,}", word)], random.Random(0)
    drawn = [" ".join(draw.choices(words, k=min(40, 3 + int(draw.expovariate(0.2))))) for _ in range(COUNT - 1)]
    return (*drawn, drawn[5])


@pytest.fixture(scope="module")
def by_hand(family_folder: Folder) -> ByHand:
    return ByHand(family_folder("bert"))


def test_batches_without_their_mask(loaded: Loaded, by_hand: ByHand, texts: tuple[str, ...]) -> None:
    truth = Recipe(Condition.parse("mask=off,batch=32"), Readout("mean"))
    vectors = recipes.raw(by_hand, texts, truth)
    longest = [max(len(text.split()) for text in texts[start : start + 32]) for start in range(0, COUNT, 32)]
    assert len(set(longest)) > 3, "batches are padded to unlike lengths"
    answer = bertlens.identify(loaded("bert"), texts, vectors)
    assert answer.verdict == "found" and answer.best is not None, answer.sentence
    assert answer.best.recipe == truth and answer.order == "same"
    assert len(answer.rows) == COUNT and all(row.explained for row in answer.rows)
    assert answer.passes < COUNT / 2, "a few texts decide"
    spoiled = vectors.copy()
    spoiled[[3, 650]] = spoiled[[650, 3]]
    answer = bertlens.identify(loaded("bert"), texts, spoiled)
    assert [row.text for row in answer.rows if not row.explained] == [3, 650], "every row is verified"


def test_rows_in_another_order(
    loaded: Loaded, by_hand: ByHand, texts: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(match, "AT_ONCE", COUNT * 20)
    order = np.random.default_rng(0).permutation(COUNT)
    answer = bertlens.identify(loaded("bert"), texts, recipes.raw(by_hand, texts, Recipe(readout=Readout("mean")))[order])
    assert answer.verdict == "found" and answer.best is not None and answer.best.recipe.words == "mean"
    rows = [row for row in answer.row_of_text if row is not None]
    assert sorted(rows) == list(range(COUNT)), "no row is given twice, those of the text that stands twice neither"
    assert all(texts[order[row]] == text for text, row in zip(texts, rows, strict=True))


@pytest.mark.parametrize("at_once", [10, 10**9])
def test_rows_of_many_and_of_few_are_assigned_alike(monkeypatch: pytest.MonkeyPatch, at_once: int) -> None:
    monkeypatch.setattr(match, "AT_ONCE", at_once)
    draw = np.random.default_rng(0)
    vectors = unit(draw.standard_normal((40, 8)))
    order = draw.permutation(40)
    assert every_row(vectors, vectors[order]) == np.argsort(order).tolist()
    monkeypatch.setattr(match, "AT_ONCE", 1000 if at_once == 10 else at_once)
    twice = vectors.copy()
    twice[7] = twice[3]
    found = every_row(twice, twice[order])
    assert sorted(row for row in found if row is not None) == list(range(40))
