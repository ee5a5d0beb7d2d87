"""`bertlens.identify` where what comes nearest at first is not on the way to the truth."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest

import bertlens
from benchmarks.identify import MINILM, Settings, drawn_by
from benchmarks.recipes import ByHand
from bertlens.judge.identify import chance
from bertlens.judge.identify.changes import to_longest, undone
from bertlens.judge.identify.given import given
from bertlens.judge.identify.match import assigned, similarity
from bertlens.judge.identify.search import Clue, Search
from bertlens.read.post import Post
from bertlens.read.readout import Readout
from bertlens.run.checkpoint import Checkpoint
from tests.conftest import Folder, Loaded
from tests.test_identify import TEXTS, bert, by_hand, of, recipe, same

__all__ = ["bert", "by_hand"]


def test_a_limit_below_every_text_without_a_mask(bert: Checkpoint, by_hand: ByHand) -> None:
    """No padding comes so near as the shortest one, and that is still too long."""
    texts = tuple(f"{text} and then again {text}" for text in TEXTS)
    truth = recipe("mask=off,max_length=6", "mean@1")
    answer = bertlens.identify(bert, texts, of(by_hand, truth, texts))
    assert answer.verdict != "none" and same(bert, answer, truth, texts), answer.sentence
    assert answer.best is not None and answer.best.recipe.condition.max_length == 6


def test_half_precision_of_vectors_that_were_divided_and_centred(bert: Checkpoint, by_hand: ByHand) -> None:
    for dtype in ("float16", "float32"):
        truth = replace(recipe(f"dtype={dtype}", "pooler|l2"), post=Post(centred="texts"))
        answer = bertlens.identify(bert, TEXTS, of(by_hand, truth))
        assert answer.verdict != "none" and same(bert, answer, truth), answer.sentence
        assert answer.best is not None and answer.best.recipe.condition.dtype == dtype


@pytest.mark.parametrize("sign", ["", "removed"])
def test_what_was_cut_or_lost_its_signs_before_each_component_got_its_range(
    bert: Checkpoint, by_hand: ByHand, sign: str
) -> None:
    truth = replace(recipe(readout="mean|l2"), post=Post(dims=20, sign=sign, store="int8", int8="columns"))
    answer = bertlens.identify(bert, TEXTS, of(by_hand, truth))
    assert answer.verdict == "found" and answer.best is not None, answer.sentence
    assert answer.best.recipe.post == truth.post and answer.best.recipe.readout == truth.readout


@pytest.mark.parametrize("seed", range(5))
def test_decimals_and_digits_are_told_apart_where_luck_gives_neither(seed: int) -> None:
    unit = np.random.default_rng(seed).normal(size=(8, 32))
    unit /= np.linalg.norm(unit, axis=1, keepdims=True)
    single = unit.astype(np.float32)
    assert given(single).store == ""
    for decimals in range(2, 7):
        assert given(np.round(single, decimals)).store == str(decimals)
    for digits in range(3, 7):
        said = np.array([[float(f"{value:.{digits}g}") for value in row] for row in single], np.float32)
        assert given(said).store == f"{digits}g"
    assert given(single[:1, :2]).store == "", "two numbers say nothing"


def test_float64_of_a_family_that_computes_angles_in_float32(family_folder: Folder, loaded: Loaded) -> None:
    checkpoint, by_hand = loaded("modernbert"), ByHand(family_folder("modernbert"))
    for dtype in ("float64", "float32"):
        truth = replace(recipe(f"dtype={dtype}", "mean"), post=Post(centred="texts"))
        answer = bertlens.identify(checkpoint, TEXTS, of(by_hand, truth).astype(np.float64))
        assert answer.verdict == "found" and answer.best is not None, answer.sentence
        assert answer.best.recipe.condition.dtype == dtype


def test_the_plainest_way_to_fill_batches_comes_first_where_rows_are_missing(bert: Checkpoint, by_hand: ByHand) -> None:
    truth = recipe("mask=off,max_length=8", "mean_content@1")
    kept = [row for row in range(len(TEXTS)) if row not in (2, 3)]
    answer = bertlens.identify(bert, TEXTS, of(by_hand, truth)[kept])
    assert answer.best is not None and same(bert, answer, truth), answer.sentence
    assert answer.best.recipe.condition.batch == "whole" and answer.best.recipe.arrival == "given"


class AsTheyAre:
    """A space of one readout, whose rows are vectors already."""

    readouts = (Readout("mean"),)

    def vector(self, row: np.ndarray, at: int) -> np.ndarray:
        return row

    def wanted(self, values: np.ndarray, at: int) -> np.ndarray:
        return values


@pytest.mark.parametrize(("apart", "found"), [(3e-5, True), (1e-7, False)])
def test_rows_that_are_nearly_alike_keep_their_places_only_within_rounding(apart: float, found: bool) -> None:
    draw = np.random.default_rng(4).normal(size=(8, 64))
    vectors, order = draw[0] + apart * (draw - draw[0]), np.roll(np.arange(8), 3)
    similar = similarity(list[Any](vectors), 0, cast(Any, AsTheyAre()), given(vectors[order]), range(8))
    texts = [order[row] for row in assigned(similar) if row is not None]
    assert (texts == list(range(8))) == found
    assert found or assigned(similar) == list(range(8))


@pytest.mark.parametrize(
    ("words", "readout"), [("side=left,positions=from-mask", "mean_all@last2:mean"), ("specials=off", "mean")]
)
def test_dropout_behind_another_way_into_the_model(bert: Checkpoint, by_hand: ByHand, words: str, readout: str) -> None:
    truth = recipe(f"{words},dropout=on", readout)
    answer = bertlens.identify(bert, TEXTS, of(by_hand, truth))
    assert answer.verdict != "none" and answer.best is not None, answer.sentence
    assert answer.best.recipe.condition.dropout == "on" and answer.best.recipe.readout == truth.readout


@pytest.mark.parametrize("seed", range(5))
def test_multiples_of_a_step_are_not_taken_for_decimals(seed: int) -> None:
    vectors = np.random.default_rng(seed).normal(size=(8, 64)).astype(np.float32)
    for largest, kind in ((np.abs(vectors).max(), ""), (np.abs(vectors).max(1, keepdims=True), "rows")):
        codes = np.round(vectors / largest * 127)
        found = given((codes * largest / 127).astype(np.float32))
        assert (found.store, found.int8) == ("int8", kind)


@pytest.mark.parametrize("readout", ["mean", "cls|l2"])
def test_a_mean_over_texts_of_which_some_have_no_row(bert: Checkpoint, by_hand: ByHand, readout: str) -> None:
    """The mean was that of all texts, so what is left of it in the rows is not zero."""
    truth = replace(recipe(readout=readout), post=Post(centred="texts"))
    kept = [row for row in range(len(TEXTS)) if row != 2]
    vectors = of(by_hand, truth)[kept]
    assert given(vectors).centred == "", "it cannot be seen in the numbers"
    answer = bertlens.identify(bert, TEXTS, vectors)
    assert answer.verdict == "found" and same(bert, answer, truth), answer.sentence
    assert answer.row_of_text == (0, 1, None, 2, 3, 4, 5, 6)
    untouched = bertlens.identify(bert, TEXTS, of(by_hand, recipe(readout=readout))[kept])
    assert untouched.best is not None and not untouched.best.recipe.post.centred, untouched.sentence


def test_batches_behind_dropout(bert: Checkpoint, by_hand: ByHand) -> None:
    truth = recipe("batch=5,dropout=on", "mean_all")
    answer = bertlens.identify(bert, TEXTS, of(by_hand, truth))
    assert answer.verdict != "none" and answer.best is not None, answer.sentence
    best = answer.best.recipe
    assert best.condition.dropout == "on" and best.readout.pooling == "mean_all" and best.condition.batch != "alone"
    whole = bertlens.identify(bert, TEXTS, of(by_hand, recipe("dropout=on", "mean_all")))
    assert whole.best is not None and whole.best.recipe.condition.batch == "whole", whole.sentence


@pytest.mark.parametrize("readout", ["mean@last2:sum", "mean@last2:mean", "mean_sqrt_len_tokens"])
def test_dropout_and_readouts_that_differ_in_length_alone(bert: Checkpoint, by_hand: ByHand, readout: str) -> None:
    answer = bertlens.identify(bert, TEXTS, of(by_hand, recipe("dropout=on", readout)))
    assert answer.best is not None and str(answer.best.recipe.readout) == readout, answer.sentence


@pytest.mark.parametrize(
    ("condition", "prefix"),
    [
        ("side=left,segments=ones", "query: "),
        ("side=left,mask=off,specials=doubled,segments=ones", ""),
        ("specials=doubled,segments=ones", "query: "),  # from none of the nearest, but from one of the next
    ],
)
def test_three_deviations_and_the_padding_that_shows_them(
    bert: Checkpoint, by_hand: ByHand, condition: str, prefix: str
) -> None:
    """To pad at all is a change of its own: four are made together, and the last of them shows."""
    truth = recipe(condition, "mean_all", prefix=prefix)
    answer = bertlens.identify(bert, TEXTS, of(by_hand, truth))
    assert answer.verdict == "found" and same(bert, answer, truth), answer.sentence


def test_numbers_that_come_again_in_every_row_are_no_further_luck() -> None:
    """Four numbers of half precision may well end after seven decimals; repeating them makes that no less likely."""
    row = np.array([0.2578125, 0.234375, 0.2421875, 0.265625], np.float32)
    assert given(row[None]).store == given(np.tile(row, (8, 1))).store == "bfloat16"
    decimals = np.array([0.257812, 0.234371, 0.242187, 0.265621, 0.123457, 0.654321], np.float32)
    assert given(np.tile(decimals, (8, 1))).store == given(decimals[None]).store == "6"


def test_of_clues_that_are_equally_near_the_one_tried_first_leads() -> None:
    search, usual = object.__new__(Search), recipe("batch=alone")
    others = [replace(usual, lower=True), replace(usual, prefix="query: ")]
    scores = (-6.529, -6.531, -7.2)
    ways = zip([usual, *others], scores, strict=True)
    search.clues = [Clue(way, Readout("cls"), score, (0,), (0,)) for way, score in ways]
    assert [clue.way for clue in search._leaders(3)] == [others[1], usual, others[0]]


def test_a_mean_removed_from_vectors_that_depend_on_their_batches(bert: Checkpoint, by_hand: ByHand) -> None:
    """No row explains anything by itself, so every text has to stand in its own batch at once."""
    truth = replace(recipe("batch=3", "mean_all|l2"), post=Post(centred="texts", scale=10.0))
    answer = bertlens.identify(bert, TEXTS, of(by_hand, truth))
    assert answer.verdict == "found" and same(bert, answer, truth), answer.sentence
    assert answer.best is not None and answer.best.recipe.condition.batch == 3


def test_a_limit_that_the_shortest_text_does_not_reach_and_that_text_has_no_row(bert: Checkpoint, by_hand: ByHand) -> None:
    texts = ("hi", *(f"{text} and then {text}" for text in TEXTS[:4]), "oh well")
    truth = recipe("max_length=9", "first_position")
    answer = bertlens.identify(bert, texts, of(by_hand, truth, texts)[[1, 2, 3, 4]])
    assert answer.verdict != "none" and same(bert, answer, truth, texts), answer.sentence
    assert answer.best is not None and answer.best.recipe.condition.max_length == 9


@pytest.mark.parametrize("readout", ["mean@last2:concat|l2", "cls@last2:concat_reversed|l2", "mean@-1|l2"])
def test_first_components_of_joined_layers_have_the_length_of_all(bert: Checkpoint, by_hand: ByHand, readout: str) -> None:
    truth = replace(recipe(readout=readout), post=Post(dims=20))
    answer = bertlens.identify(bert, TEXTS, of(by_hand, truth))
    assert answer.verdict == "found" and same(bert, answer, truth), answer.sentence


@pytest.mark.parametrize("pooling", ["mean_sqrt_len_tokens", "mean"])
def test_lengths_count_where_a_mean_is_removed_before_they_are_divided_away(
    bert: Checkpoint, by_hand: ByHand, pooling: str
) -> None:
    truth = replace(recipe(readout=pooling), post=Post(centred="texts", dims=20, again=True, scale=10.0))
    answer = bertlens.identify(bert, TEXTS, of(by_hand, truth))
    assert answer.verdict == "found" and same(bert, answer, truth), answer.sentence
    assert answer.best is not None and answer.best.recipe.readout.pooling == pooling


def test_what_came_near_beside_another_change_is_tried_without_it() -> None:
    """The padded length was found with a prefix; without the prefix it is the longest text."""
    near = recipe("padding=42,side=left,mask=inverted", "max", prefix="passage: ")
    assert {replace(near, prefix=""), to_longest(near)} <= set(undone(near))
    lowered = replace(recipe("side=left,positions=from-mask,rows=index"), lower=True)
    taken_back = [(one.lower, one.condition.positions, one.condition.rows) for one in undone(lowered)]
    assert taken_back == [(False, "from-mask", "index"), (True, "default", "index"), (True, "from-mask", "slice")]
    assert list(undone(recipe())) == []


@pytest.mark.parametrize("limit", [7, 9])
def test_dropout_behind_a_limit(bert: Checkpoint, by_hand: ByHand, limit: int) -> None:
    texts = tuple(f"{text} and then again {text}" for text in TEXTS)
    answer = bertlens.identify(bert, texts, of(by_hand, recipe(f"max_length={limit},dropout=on"), texts, seed=987_654))
    assert answer.best is not None and answer.verdict == "ambiguous", answer.sentence
    best = answer.best.recipe
    assert (best.condition.dropout, best.condition.max_length, best.readout.pooling) == ("on", limit, "mean")


def test_rows_that_lie_nearer_to_some_recipe_than_any_run_does_had_no_dropout(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Mean vectors of moved weights: those of weightedmean scatter so far with dropout that they pass for one of its runs."""
    known, drawn = drawn_by(Settings(str(tmp_path), 47, (), MINILM, 60.0), "control", 1)
    checkpoint = known.loaded(drawn.family, drawn.model_seed)
    assert bertlens.identify(checkpoint, drawn.texts, drawn.vectors).verdict == "none"
    monkeypatch.setattr(chance, "BETWEEN", 1e-9)
    monkeypatch.setattr(chance, "BESIDE", 0.0)
    passed = bertlens.identify(checkpoint, drawn.texts, drawn.vectors)
    assert passed.best is not None and passed.best.recipe.condition.dropout == "on", "nothing else tells"


def test_a_recipe_that_sees_no_text_explains_no_row() -> None:
    """Two texts cannot both be made by one row, unless other rows are the same."""
    search = object.__new__(Search)
    values = np.random.default_rng(0).normal(size=(4, 8))
    search.given, search.grain = given(values), 1e-7
    assert search._crowded([2, 2]) and not search._crowded([2, 3]) and not search._crowded([1])
    search.given = given(np.concatenate([values, values[2:3]]))
    assert not search._crowded([2, 2]) and search._crowded([2, 2, 2])


def test_the_nearest_recipe_is_changed_once_more_at_the_end(bert: Checkpoint, by_hand: ByHand) -> None:
    """The length was found beside a change too many, and a few tokens of each text are near whatever is done to them."""
    truth = recipe("padding=56,specials=doubled", "mean_all@last2:mean", prefix="query: ")
    answer = bertlens.identify(bert, TEXTS, of(by_hand, truth))
    assert answer.verdict == "found" and same(bert, answer, truth), answer.sentence


def test_the_attention_of_half_precision_behind_two_decimals(tmp_path: Path) -> None:
    """All layers of the packaged checkpoint in bfloat16 with eager attention, which the search runs in float32 and fused."""
    known, drawn = drawn_by(Settings(str(tmp_path), 53, (), MINILM, 60.0), "recipe", 32)
    checkpoint = known.loaded(drawn.family, drawn.model_seed)
    answer = bertlens.identify(checkpoint, drawn.texts, drawn.vectors, budget=25)
    assert answer.best is not None and answer.verdict == "found", answer.sentence
    condition = answer.best.recipe.condition
    assert (condition.dtype, condition.attention) == ("bfloat16", "eager")


def test_limits_that_leave_little_of_a_text_do_not_fill_the_beam() -> None:
    search, usual = object.__new__(Search), recipe("batch=alone")
    cut = [replace(recipe("batch=alone,max_length=3"), prefix=prefix) for prefix in ("a ", "b ", "c ", "d ")]
    search.clues = [
        Clue(way, Readout("cls"), score, (0,), (0,)) for score, way in zip((-2.5, -2.4, -2.3, -2.2), cut, strict=True)
    ]
    search.clues.append(Clue(usual, Readout("cls"), -2.0, (0,), (0,)))
    assert [clue.way for clue in search._leaders(3)] == [*cut[:2], usual]
