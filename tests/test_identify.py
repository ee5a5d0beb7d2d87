"""`bertlens.identify`: vectors made by other people's code are traced to the recipe that made them, and no others are."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from sentence_transformers import SentenceTransformer
from sentence_transformers.quantization import quantize_embeddings
from transformers import AutoModel, AutoTokenizer

import bertlens
from benchmarks import recipes
from benchmarks.recipes import ByHand
from bertlens.errors import BertlensError
from bertlens.judge.identification import Identification
from bertlens.read.post import Post
from bertlens.read.readout import Readout
from bertlens.read.recipe import Recipe, made
from bertlens.run.checkpoint import Checkpoint
from bertlens.run.condition import Condition
from tests.conftest import Folder, Loaded

TEXTS = (
    "Good morning!",
    "The committee sold the old bridge in Paris for $1,250.50.",
    "Dr. Osei measured a grain of salt.",
    "Marie photographed three letters on the 3rd floor, because it rained. Later, a neighbour lost the recipe!",
    "No idea, sorry.",
    "Our landlord forgot the red door without a word; that was all.",
    "Li Wei borrowed a map of Lagos.",
    "NASA repaired two engines at 7:45 p.m. In 1987 the translator described his grandfather's clock as the manual says.",
)
SHUFFLED = (3, 0, 7, 1, 6, 2, 5, 4)
"""The text that stands in each row."""


@pytest.fixture(scope="module")
def bert(loaded: Loaded) -> Checkpoint:
    return loaded("bert")


@pytest.fixture(scope="module")
def by_hand(family_folder: Folder) -> ByHand:
    return ByHand(family_folder("bert"))


def recipe(words: str = "", readout: str = "mean", **more: Any) -> Recipe:
    return Recipe(condition=Condition.parse(words), readout=Readout.parse(readout), **more)


def of(by_hand: ByHand, how: Recipe, texts: Any = TEXTS, **more: Any) -> np.ndarray:
    """The vectors of a recipe by hand."""
    vectors = recipes.before_storing(recipes.raw(by_hand, texts, how, **more), how.post)
    return recipes.stored(vectors, how.post)


def same(checkpoint: Checkpoint, answer: Identification, truth: Recipe, texts: Any = TEXTS) -> bool:
    """Whether the recipe of an answer gives the vectors of the truth, in float64 and before they are stored."""
    assert answer.best is not None
    full = [replace(one, post=replace(one.post, store="")) for one in (answer.best.recipe, truth)]
    ours, theirs = (made(checkpoint, tuple(texts), one, rows=answer.row_of_text, dtype="float64") for one in full)
    return ours.shape == theirs.shape and bool(np.abs(ours - theirs).max() <= 1e-6 * np.abs(theirs).max())


def ids(answer: Identification, *severities: str) -> set[str]:
    return {one.id for one in answer.findings if not severities or one.severity in severities}


def test_what_sentence_transformers_encodes_is_what_the_checkpoint_declares(minilm: Checkpoint) -> None:
    vectors = SentenceTransformer(str(minilm.folder), device="cpu").encode(list(TEXTS), batch_size=3)
    answer = bertlens.identify(minilm, TEXTS, vectors)
    assert answer.best is not None
    assert (answer.verdict, str(answer.best.recipe.readout)) == ("found", "mean|l2")
    assert answer.best.recipe.condition.mask == "on" and answer.best.recipe.post == Post()
    assert answer.order == "same" and answer.row_of_text == tuple(range(8))
    assert not ids(answer, "problem"), "what is declared is no fault"
    assert answer.best.max_abs <= answer.best.floor < 1e-4
    assert answer.seconds < 60


def test_automodel_and_its_cls_in_three_lines(bert: Checkpoint, family_folder: Folder) -> None:
    tokenizer, model = AutoTokenizer.from_pretrained(family_folder("bert")), AutoModel.from_pretrained(family_folder("bert"))
    with torch.no_grad():
        vectors = model(**tokenizer(list(TEXTS), padding=True, return_tensors="pt")).last_hidden_state[:, 0].numpy()
    answer = bertlens.identify(bert, TEXTS, vectors)
    assert answer.verdict == "found" and same(bert, answer, recipe(readout="cls"))
    assert answer.best is not None and answer.best.recipe.readout.pooling in ("cls", "first_position")
    assert not ids(answer, "problem")
    assert all(row.explained and row.row == row.text for row in answer.rows)


FAULTS = {
    "mask forgotten": (recipe("mask=off"), "attention-mask-missing"),
    "mean over padding": (recipe(readout="mean_all"), "mean-includes-padding"),
    "mask inverted": (recipe("mask=inverted", "cls"), "attention-mask-inverted"),
    "arguments swapped": (recipe("mask=swapped", "cls"), "arguments-swapped"),
    "padded on the left": (recipe("side=left", "cls"), "left-padding-positions"),
    "no special tokens": (recipe("specials=off"), "special-tokens-missing"),
    "special tokens twice": (recipe("specials=doubled"), "special-tokens-doubled"),
    "second segment": (recipe("segments=ones"), "segment-ids-wrong"),
    "cut early": (recipe("max_length=9"), "silent-truncation"),
}


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_is_found_and_named(bert: Checkpoint, by_hand: ByHand, name: str) -> None:
    truth, fault = FAULTS[name]
    healthy = of(by_hand, recipe(readout=truth.readout.pooling.replace("_all", "")))
    vectors = of(by_hand, truth)
    assert np.abs(vectors - healthy).max() > 1e-2, "the fault changes the vectors"
    answer = bertlens.identify(bert, TEXTS, vectors)
    assert answer.verdict == "found" and same(bert, answer, truth), answer.sentence
    assert fault in ids(answer)


@pytest.mark.parametrize("readout", ["mean", "cls", "mean|l2"])
def test_the_sound_twin_has_no_fault(bert: Checkpoint, by_hand: ByHand, readout: str) -> None:
    answer = bertlens.identify(bert, TEXTS, of(by_hand, recipe(readout=readout)))
    assert answer.verdict == "found" and same(bert, answer, recipe(readout=readout)), answer.sentence
    assert not ids(answer, "problem") and not ids(answer) & {fault for _, fault in FAULTS.values()}


READOUTS: tuple[str, ...] = (
    "max",
    "pooler",
    "lasttoken|l2",
    "weightedmean",
    "mean_sqrt_len_tokens",
    "mean_content",
    "mean@1",
    "cls@-2",
)
READOUTS += ("cls@last2:concat", "mean@last4:concat_reversed", "mean@last3:sum|l2", "mean@all:mean")


@pytest.mark.parametrize("readout", READOUTS)
def test_every_kind_of_readout_is_found(bert: Checkpoint, by_hand: ByHand, readout: str) -> None:
    answer = bertlens.identify(bert, TEXTS, of(by_hand, recipe(readout=readout)))
    assert answer.verdict == "found" and same(bert, answer, recipe(readout=readout)), answer.sentence


STORED = {
    "float16": Post(store="float16"),
    "bfloat16": Post(store="bfloat16"),
    "three decimals": Post(store="3"),
    "codes": Post(store="int8", scale=127.0),
    "by rows": Post(store="int8", int8="rows"),
    "by columns": Post(store="int8", int8="columns"),
    "by columns, without a sign": Post(store="int8", int8="unsigned"),
}


@pytest.mark.parametrize("name", STORED)
def test_how_vectors_are_stored_is_told(bert: Checkpoint, by_hand: ByHand, name: str) -> None:
    truth = recipe(readout="mean|l2", post=STORED[name])
    answer = bertlens.identify(bert, TEXTS, of(by_hand, truth))
    assert answer.verdict == "found" and answer.best is not None, answer.sentence
    post = answer.best.recipe.post
    assert (post.store, post.int8) == (truth.post.store, truth.post.int8), answer.sentence
    assert answer.best.recipe.readout.pooling == "mean"
    assert answer.best.floor >= answer.best.max_abs and answer.best.floor > 1e-4


@pytest.mark.parametrize("precision", ["int8", "uint8"])
def test_what_quantize_embeddings_makes_is_codes_by_columns(bert: Checkpoint, by_hand: ByHand, precision: Any) -> None:
    codes = quantize_embeddings(of(by_hand, recipe(readout="mean|l2")), precision=precision)
    answer = bertlens.identify(bert, TEXTS, codes)
    assert answer.verdict == "found" and answer.best is not None, answer.sentence
    assert answer.best.recipe.to_dict()["store"] == answer.vectors["stored"] == precision


def test_the_first_components_divided_by_their_length(bert: Checkpoint, by_hand: ByHand) -> None:
    for again in (False, True):
        truth = recipe(post=Post(dims=20, again=again))
        answer = bertlens.identify(bert, TEXTS, of(by_hand, truth))
        assert answer.verdict == "found" and same(bert, answer, truth), answer.sentence
        assert answer.best is not None and answer.best.recipe.to_dict()["dims"] == 20


def test_a_factor_and_turned_signs_are_told(bert: Checkpoint, by_hand: ByHand) -> None:
    for scale in (-1.0, 12.5):
        answer = bertlens.identify(bert, TEXTS, of(by_hand, recipe(post=Post(scale=scale))))
        assert answer.verdict == "found" and answer.best is not None
        assert answer.best.recipe.post.scale == pytest.approx(scale, rel=1e-4)


def test_rows_in_another_order_are_assigned(bert: Checkpoint, by_hand: ByHand) -> None:
    vectors = of(by_hand, recipe())
    answer = bertlens.identify(bert, TEXTS, vectors[list(SHUFFLED)])
    assert (answer.verdict, answer.order) == ("found", "permuted")
    assert answer.row_of_text == tuple(SHUFFLED.index(text) for text in range(8))
    assert "rows-reordered" in ids(answer)
    twin = bertlens.identify(bert, TEXTS, vectors)
    assert twin.order == "same" and "rows-reordered" not in ids(twin)


def test_how_the_order_differs_is_said(bert: Checkpoint, by_hand: ByHand) -> None:
    vectors = of(by_hand, recipe())
    shifted = bertlens.identify(bert, TEXTS, np.roll(vectors, 1, axis=0))
    assert shifted.row_of_text == (1, 2, 3, 4, 5, 6, 7, 0) and "1 place later" in shifted.order_words
    swapped = bertlens.identify(bert, TEXTS, vectors[[0, 1, 2, 7, 4, 5, 6, 3]])
    assert swapped.row_of_text == (0, 1, 2, 7, 4, 5, 6, 3) and "3 and 7" in swapped.order_words
    by_length = sorted(range(8), key=lambda text: -len(TEXTS[text]))
    ordered = bertlens.identify(bert, TEXTS, vectors[by_length])
    assert ordered.row_of_text == tuple(by_length.index(text) for text in range(8))
    assert "the longest first" in ordered.order_words


def test_missing_rows_and_texts_that_stand_twice(bert: Checkpoint, by_hand: ByHand) -> None:
    missing = bertlens.identify(bert, TEXTS, np.delete(of(by_hand, recipe()), [2, 5], axis=0))
    assert missing.verdict == "found" and missing.row_of_text == (0, 1, None, 2, 3, None, 4, 5)
    assert missing.rows[2].row is None and missing.rows[3].explained
    twice = (*TEXTS, TEXTS[2], TEXTS[0])
    answer = bertlens.identify(bert, twice, of(by_hand, recipe(), twice))
    assert answer.verdict == "found" and answer.order == "same" and answer.row_of_text == tuple(range(10))


def test_batches_that_leave_their_padding_in_the_mean(bert: Checkpoint, by_hand: ByHand) -> None:
    truth = recipe("batch=3", "mean_all")
    assert np.abs(of(by_hand, truth) - of(by_hand, recipe(readout="mean_all"))).max() > 1e-2, "the batches matter"
    answer = bertlens.identify(bert, TEXTS, of(by_hand, truth))
    assert answer.verdict == "found" and same(bert, answer, truth)
    assert answer.best is not None and answer.best.recipe.condition.batch == 3
    sorted_first = replace(truth, arrival="most characters first")
    answer = bertlens.identify(bert, TEXTS, of(by_hand, sorted_first))
    assert answer.verdict == "found" and same(bert, answer, sorted_first)


def test_a_prefix_is_found_where_it_is_given(bert: Checkpoint, by_hand: ByHand) -> None:
    truth = recipe(prefix="query: ")
    vectors = of(by_hand, truth)
    told = bertlens.identify(bert, TEXTS, vectors, prefixes=["passage: ", "query: "])
    assert told.verdict == "found" and told.best is not None and told.best.recipe.prefix == "query: "


def test_dropout_is_named_and_never_found(bert: Checkpoint, by_hand: ByHand) -> None:
    vectors = of(by_hand, recipe("dropout=on"), seed=987_654)
    assert np.abs(vectors - of(by_hand, recipe())).max() > 1e-2
    answer = bertlens.identify(bert, TEXTS, vectors, budget=30.0)
    assert answer.verdict != "found" and answer.best is not None
    assert "dropout-active" in ids(answer), answer.sentence
    assert answer.best.recipe.readout.pooling == "mean"


COMPOSED = {
    "roberta": recipe("mask=off,max_length=20", "mean_all", post=Post(store="float16")),
    "distilbert": recipe("specials=off,dtype=bfloat16", "max@-2", post=Post(dims=24)),
}


@pytest.mark.parametrize("family", COMPOSED)
def test_three_deviations_together(loaded: Loaded, family_folder: Folder, family: str) -> None:
    truth, checkpoint = COMPOSED[family], loaded(family)
    vectors = of(ByHand(family_folder(family)), truth)[list(SHUFFLED)]
    answer = bertlens.identify(checkpoint, TEXTS, vectors)
    assert answer.best is not None and same(checkpoint, answer, truth), answer.sentence
    assert answer.row_of_text == tuple(SHUFFLED.index(text) for text in range(8))
    assert answer.verdict == "found"


def test_the_document_has_the_names_of_the_contract(bert: Checkpoint, by_hand: ByHand) -> None:
    names = {"schema", "verdict", "recipe", "max_abs", "order", "row_of_text", "findings", "alternatives"}
    for vectors in (of(by_hand, recipe("mask=off")), np.random.default_rng(0).normal(size=(8, 32))):
        answer = bertlens.identify(bert, TEXTS, vectors, budget=5.0)
        document = json.loads(json.dumps(answer.to_dict(), allow_nan=False))
        assert document["schema"] == "bertlens.identify/1" and names <= set(document)
        assert set(Condition().to_dict()) | {"readout"} <= set(document["recipe"])
        assert all({"recipe", "max_abs", "cosine"} <= set(one) for one in document["alternatives"])
        assert len(answer.to_frame()) == 8 and len(answer.candidates()) >= 1


def test_what_cannot_be_used_is_refused_in_one_sentence(bert: Checkpoint) -> None:
    for vectors in (np.zeros((0, 32)), np.zeros(32), np.zeros((8, 0)), np.zeros((2, 4, 32)), np.array([["a"] * 32] * 8)):
        with pytest.raises(BertlensError):
            bertlens.identify(bert, TEXTS, vectors)
