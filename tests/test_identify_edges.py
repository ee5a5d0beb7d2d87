"""`bertlens.identify` where little can be known, where vectors are strange, and where no recipe made them."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

import bertlens
from benchmarks.identify_controls import Other
from benchmarks.recipes import ByHand
from bertlens.errors import BertlensError
from bertlens.judge.identification import Identification
from bertlens.read.post import Post
from bertlens.read.recipe import made
from bertlens.run.checkpoint import Checkpoint
from tests.conftest import Folder, Loaded
from tests.test_identify import TEXTS, bert, by_hand, ids, of, recipe, same

__all__ = ["bert", "by_hand"]
SOON = 6.0
"""Seconds for searches that are not to find anything."""


def document(answer: Identification) -> dict[str, Any]:
    """The document, which is JSON without NaN whatever the vectors are."""
    return json.loads(json.dumps(answer.to_dict(), allow_nan=False))  # type: ignore[no-any-return]


def test_one_text_is_told_as_far_as_it_can(bert: Checkpoint, by_hand: ByHand) -> None:
    texts = TEXTS[1:2]
    vector = of(by_hand, recipe("specials=off"), texts)
    answer = bertlens.identify(bert, texts, vector)
    assert answer.verdict in ("found", "ambiguous") and same(bert, answer, recipe("specials=off"), texts)
    assert answer.undetermined or answer.alternatives, "one text says nothing about padding"
    assert bertlens.identify(bert, texts, vector[0]).verdict == answer.verdict, "one vector needs no second axis"


def test_suggested_texts_tell_apart_what_the_texts_cannot(bert: Checkpoint, by_hand: ByHand) -> None:
    texts = ("Good morning!",)
    vectors = of(by_hand, recipe(), texts)
    truth, mask_off = recipe(), recipe("mask=off", "mean_all")
    assert np.abs(made(bert, texts, truth) - made(bert, texts, mask_off)).max() < 1e-5, "one text without padding"
    answer = bertlens.identify(bert, texts, vectors)
    assert answer.verdict == "ambiguous" and answer.best is not None, answer.sentence
    assert answer.suggestions and not set(answer.suggestions) & set(texts)
    rivals = [one.recipe for one in answer.alternatives if one.explained]
    assert rivals, "the recipes that cannot be told apart are listed"
    asked = (*texts, *answer.suggestions)
    best = made(bert, asked, answer.best.recipe, dtype="float64")
    for rival in rivals:
        other = made(bert, asked, rival, dtype="float64")
        assert best.shape != other.shape or np.abs(best - other).max() > 1e-6, f"{rival.words} is not told apart"
    told = bertlens.identify(bert, asked, of(by_hand, truth, asked))
    assert told.verdict == "found", "with the suggested texts it is decided"


def test_texts_that_are_all_the_same_give_no_order(bert: Checkpoint, by_hand: ByHand) -> None:
    texts = (TEXTS[1],) * 5
    answer = bertlens.identify(bert, texts, of(by_hand, recipe(), texts))
    assert answer.verdict in ("found", "ambiguous") and answer.row_of_text == tuple(range(5))
    assert "rows-reordered" not in ids(answer)


def test_other_widths_are_explained_by_their_source(bert: Checkpoint, by_hand: ByHand) -> None:
    vectors = of(by_hand, recipe())
    first = bertlens.identify(bert, TEXTS, vectors[:, :12])
    assert first.verdict == "found" and first.best is not None and first.best.recipe.post.dims == 12
    four = of(by_hand, recipe(readout="cls@last4:concat"))
    assert four.shape == (8, 128)
    answer = bertlens.identify(bert, TEXTS, four)
    assert answer.verdict == "found" and same(bert, answer, recipe(readout="cls@last4:concat"))


def test_a_width_that_nothing_has_is_said(bert: Checkpoint) -> None:
    drawn = np.random.default_rng(1).normal(size=(8, 1000))
    try:
        answer = bertlens.identify(bert, TEXTS, drawn, budget=SOON)
    except BertlensError as refused:
        said = str(refused)
    else:
        assert answer.verdict == "none"
        said = answer.sentence + " ".join([*answer.notes, *(one.title + one.remedy for one in answer.findings)])
    assert "1000" in said.replace(",", "") and "32" in said, said


def test_rows_of_nan_and_zeros_are_named_and_the_rest_is_found(bert: Checkpoint, by_hand: ByHand) -> None:
    vectors = of(by_hand, recipe())
    vectors[2], vectors[5] = np.nan, 0.0
    answer = bertlens.identify(bert, TEXTS, vectors)
    assert answer.best is not None and same(bert, replace(answer, row_of_text=tuple(range(8))), recipe())
    held = {row.row: row for row in answer.rows if row.row is not None}
    assert all(held[row].explained for row in (0, 1, 3, 4, 6, 7))
    strange = [row.note for row in answer.rows if row.text in (2, 5)]
    assert all(strange), "both rows have a note"
    document(answer)


def test_nothing_but_nan_or_zeros_is_no_recipe(bert: Checkpoint) -> None:
    for fill in (np.nan, np.inf, 0.0):
        try:
            answer = bertlens.identify(bert, TEXTS, np.full((8, 32), fill), budget=SOON)
        except BertlensError:
            continue
        assert answer.verdict == "none"
        document(answer)


def test_vectors_that_are_all_the_same_are_no_recipe_but_that_of_lost_axes(bert: Checkpoint, by_hand: ByHand) -> None:
    constant = np.tile(np.random.default_rng(0).normal(size=32), (8, 1))
    assert bertlens.identify(bert, TEXTS, constant, budget=SOON).verdict == "none"
    lost = of(by_hand, recipe("rows=index", "cls"))
    assert np.ptp(lost, axis=0).max() < 1e-6, "the same [CLS] for every text"
    answer = bertlens.identify(bert, TEXTS, lost)
    assert answer.verdict in ("found", "ambiguous") and "batch-axis-missing" in ids(answer), answer.sentence


def test_more_vectors_than_texts(bert: Checkpoint, by_hand: ByHand) -> None:
    vectors = of(by_hand, recipe())
    try:
        answer = bertlens.identify(bert, TEXTS[:5], vectors)
    except BertlensError as refused:
        assert "8" in str(refused) and "5" in str(refused)
        return
    assert answer.best is not None and answer.row_of_text == tuple(range(5)) and same(bert, answer, recipe(), TEXTS[:5])


def test_formats_and_byte_orders(bert: Checkpoint, by_hand: ByHand) -> None:
    full = of(by_hand, recipe(), dtype="float64")
    assert full.dtype == np.float64
    answer = bertlens.identify(bert, TEXTS, full)
    assert answer.verdict == "found" and answer.best is not None and answer.best.max_abs < 1e-9, answer.sentence
    single = of(by_hand, recipe())
    plain = bertlens.identify(bert, TEXTS, single)
    assert plain.best is not None
    for other in (single.astype(">f4"), np.asfortranarray(single), single.tolist(), torch.from_numpy(single)):
        again = bertlens.identify(bert, TEXTS, other)  # type: ignore[arg-type]
        assert again.verdict == "found" and again.best is not None
        assert again.best.recipe == plain.best.recipe and again.best.max_abs == pytest.approx(plain.best.max_abs, rel=1e-3)
    half = bertlens.identify(bert, TEXTS, single.astype(">f2"))
    assert half.verdict == "found" and half.best is not None and half.best.recipe.post.store == "float16"


def another(by_hand: ByHand, loaded: Loaded) -> np.ndarray:
    return of(ByHand(loaded("bert", seed=5).folder), recipe())


def moved(by_hand: ByHand, loaded: Loaded) -> np.ndarray:
    """Every weight moved by 1 % of its spread."""
    model = ByHand(by_hand.folder).model("float32")
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for weight in model.parameters():
            weight += 0.01 * (weight.std() if weight.numel() > 1 else 1) * torch.randn(weight.shape, generator=generator)
    return of(Other(by_hand, model), recipe())


def rotated(by_hand: ByHand, loaded: Loaded) -> np.ndarray:
    turn, _ = np.linalg.qr(np.random.default_rng(0).normal(size=(32, 32)))
    return of(by_hand, recipe()) @ turn


def whitened(by_hand: ByHand, loaded: Loaded) -> np.ndarray:
    vectors = of(by_hand, recipe())
    left, _, _ = np.linalg.svd(vectors - vectors.mean(0), full_matrices=False)
    return left[:, :7] * np.sqrt(7)


def gaussian(by_hand: ByHand, loaded: Loaded) -> np.ndarray:
    return np.random.default_rng(0).normal(size=(8, 32))


def of_other_texts(by_hand: ByHand, loaded: Loaded) -> np.ndarray:
    return of(by_hand, recipe(), tuple(f"{text} And {at} more of the same kind." for at, text in enumerate(TEXTS)))


def mixed(by_hand: ByHand, loaded: Loaded) -> np.ndarray:
    return (another(by_hand, loaded) + of(by_hand, recipe())) / 2


@pytest.mark.parametrize("control", [another, moved, rotated, whitened, gaussian, of_other_texts, mixed])
def test_what_no_recipe_made_is_never_found(bert: Checkpoint, by_hand: ByHand, loaded: Loaded, control: Any) -> None:
    vectors = control(by_hand, loaded).astype(np.float32)
    answer = bertlens.identify(bert, TEXTS, vectors, budget=SOON)
    assert answer.verdict == "none", answer.sentence
    assert answer.sentence and answer.best is not None and not answer.best.explained, "the nearest recipe is named"
    document(answer)


STATES = ("sold", "lost", "red", "weighed", "painted twice", "old", "at home", "nobody's")


def test_a_dense_layer_behind_the_model_is_recognised(bert: Checkpoint, by_hand: ByHand, family_folder: Folder) -> None:
    things, places = ("bridge", "violin", "letter", "door", "engine"), ("Paris", "Lagos", "Rome", "Oslo", "Quito")
    texts = tuple(f"The {thing} in {place} was {state}." for thing in things for place in places for state in STATES)
    assert len(texts) == 200
    layer = np.random.default_rng(2).normal(size=(32, 24)) / 6
    behind = of(by_hand, recipe(), texts) @ layer + 0.1
    answer = bertlens.identify(bert, texts, behind.astype(np.float32), budget=20.0)
    assert answer.verdict == "none", "no recipe, although the model is the same"
    assert answer.linear, answer.sentence
    assert answer.linear["texts"] > 32
    drawn = np.random.default_rng(3).normal(size=behind.shape)
    twin = bertlens.identify(bert, texts, drawn.astype(np.float32), budget=20.0)
    assert twin.verdict == "none"
    assert not twin.linear or twin.linear["words"] != answer.linear["words"], "random vectors are no dense layer"


def test_empty_texts_and_pairs(bert: Checkpoint, by_hand: ByHand) -> None:
    texts = (*TEXTS[:5], "")
    answer = bertlens.identify(bert, texts, of(by_hand, recipe(), texts))
    assert answer.verdict == "found" and same(bert, answer, recipe(), texts), answer.sentence
    pairs = tuple(zip(TEXTS[:4], TEXTS[4:], strict=True))
    for words in ("", "segments=zeros"):
        answer = bertlens.identify(bert, pairs, of(by_hand, recipe(words, "cls"), pairs))
        assert answer.verdict == "found" and same(bert, answer, recipe(words, "cls"), pairs), answer.sentence
    assert "segment-ids-wrong" in ids(answer)


def test_one_component_is_too_little_to_be_sure(bert: Checkpoint, by_hand: ByHand) -> None:
    answer = bertlens.identify(bert, TEXTS, np.random.default_rng(5).normal(size=(8, 1)), budget=SOON)
    assert answer.verdict != "found"
    rounded = np.round(of(by_hand, recipe())[:2, :1], 1)
    assert bertlens.identify(bert, TEXTS[:2], rounded, budget=SOON).verdict != "found", "two numbers of one digit"


def test_the_checkpoint_and_the_vectors_are_left_as_they_were(bert: Checkpoint, by_hand: ByHand) -> None:
    vectors = of(by_hand, recipe("mask=off"))
    vectors.setflags(write=False)
    before = {name: tensor.clone() for name, tensor in bert.model.state_dict().items()}
    first, second = (bertlens.identify(bert, TEXTS, vectors) for _ in range(2))
    assert all(torch.equal(before[name], tensor) for name, tensor in bert.model.state_dict().items())
    assert not bert.model.training
    timeless = [{key: value for key, value in document(one).items() if key != "seconds"} for one in (first, second)]
    assert timeless[0] == timeless[1], "the same answer twice"


def test_few_rows_of_many_texts_find_their_texts(bert: Checkpoint, by_hand: ByHand) -> None:
    for row in (0, 4, 7):
        answer = bertlens.identify(bert, TEXTS, of(by_hand, recipe())[row : row + 1], budget=SOON)
        assert answer.row_of_text == tuple(0 if text == row else None for text in range(8)), answer.sentence
        assert same(bert, answer, recipe()) and "dropout-active" not in ids(answer)


def test_coarse_digits_are_not_taken_for_half_precision(bert: Checkpoint, by_hand: ByHand) -> None:
    """Four significant digits move a component less than a float16 model does: near it, and not what it makes."""
    vectors = np.array([[float(f"{value:.4g}") for value in row] for row in of(by_hand, recipe())])
    answer = bertlens.identify(bert, TEXTS, vectors)
    assert answer.best is not None and same(bert, answer, recipe())
    assert answer.best.recipe.condition.dtype == "float32", answer.sentence
    half = bertlens.identify(bert, TEXTS, of(by_hand, recipe("dtype=float16")))
    assert half.best is not None and half.best.recipe.condition.dtype == "float16", half.sentence


@pytest.mark.parametrize("readout", ["mean", "mean|l2"])
def test_the_mean_over_texts_is_removed_before_and_after_lengths(bert: Checkpoint, by_hand: ByHand, readout: str) -> None:
    truth = recipe(readout=readout, post=Post(centred="texts"))
    answer = bertlens.identify(bert, TEXTS, of(by_hand, truth))
    assert answer.verdict == "found" and same(bert, answer, truth), answer.sentence


def test_positive_vectors_are_not_taken_for_such_without_signs(bert: Checkpoint, by_hand: ByHand) -> None:
    truth = recipe(readout="max@3", post=Post(dims=9))
    vectors = of(by_hand, truth)
    kept = np.flatnonzero((of(by_hand, recipe(readout="max@3")) > 0).all(0))
    assert len(kept) and not (vectors > 0).all(), "some units are always positive, and not all of the first"
    answer = bertlens.identify(bert, TEXTS, np.abs(vectors))
    assert answer.best is not None and answer.best.recipe.post.sign == "removed", answer.sentence
    plain = bertlens.identify(bert, TEXTS, vectors)
    assert plain.best is not None and not plain.best.recipe.post.sign


def test_what_no_time_was_left_for_is_said(bert: Checkpoint, by_hand: ByHand) -> None:
    vectors = of(by_hand, recipe("mask=off,specials=off", "max@2"))
    answer = bertlens.identify(bert, TEXTS, vectors, budget=0.001)
    assert answer.verdict != "found" and any("time" in said or "second" in said for said in (answer.sentence, *answer.notes))
    assert len(answer.rows) == 8, "the residual of every row is told also where nothing is found"
