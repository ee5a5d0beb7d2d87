"""Tokens of texts: what is cut off, where, and characters that trip tokenizers."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import bertlens
from bertlens.errors import BertlensError
from bertlens.run.checkpoint import Checkpoint
from bertlens.run.condition import Condition
from bertlens.run.inputs import prepare
from bertlens.run.texts import Text
from bertlens.run.tokens import Tokens, tokenise
from tests.conftest import Folder, Loaded

LONG = "The unbelievable computers rained down. Über naïve 🙂 cafés, שלום и третий; nobody knew why. " * 3


def cut(checkpoint: Checkpoint, text: Text, limit: int, specials: bool = True) -> Tokens:
    (row,) = tokenise(checkpoint, (text,), specials=specials, limit=limit)
    return row


def ids(checkpoint: Checkpoint, text: str) -> list[int]:
    return list(checkpoint.tokenizer(text, add_special_tokens=False, truncation=False, padding=False)["input_ids"])


@pytest.mark.parametrize("limit", range(3, 64, 4))
@pytest.mark.parametrize("family", ["bert", "bert-cased", "electra", "mpnet"])
def test_the_text_up_to_the_cut_gives_the_tokens_kept(loaded: Loaded, family: str, limit: int) -> None:
    checkpoint = loaded(family)
    row, whole = cut(checkpoint, LONG, limit), ids(checkpoint, LONG)
    assert len(row.ids) == limit
    assert (row.full, row.cut) == (len(whole) + 2, len(whole) + 2 - limit)
    assert row.cut_at is not None
    assert ids(checkpoint, LONG[: row.cut_at]) == whole[: limit - 2] == list(row.ids[1:-1])


def test_kept_text_stands_before_the_cut_in_every_family(checkpoint: Checkpoint) -> None:
    text = "one two three four five six seven eight nine ten"
    row, whole = cut(checkpoint, text, 6), cut(checkpoint, text, 64)
    assert row.cut_at is not None
    assert 0 < row.cut_at < len(text)
    assert row.cut == len(whole.ids) - 6
    kept = checkpoint.tokenizer.decode(row.ids, skip_special_tokens=True).strip()
    assert text[: row.cut_at].strip() == kept
    assert (whole.cut, whole.cut_at) == (0, None)


def test_pairs_lose_the_longer_sentence_first(loaded: Loaded) -> None:
    bert = loaded("bert")
    short, long = "one two", "one two three four five six seven eight"
    first, second = cut(bert, (long, short), 10), cut(bert, (short, long), 10)
    assert first.cut == second.cut == 3
    assert first.cut_at == len("one two three four five")
    assert second.cut_at is None, "the first sentence is whole"
    both = cut(bert, (long, long), 9)
    assert both.cut_at == len("one two three")


def test_a_cut_on_the_left_names_no_character(loaded: Loaded, family_folder: Folder) -> None:
    left = bertlens.load(str(family_folder("bert", seed=3)))
    left.tokenizer.truncation_side = "left"
    text = "one two three four five six"
    row = cut(left, text, 5)
    assert list(row.ids[1:-1]) == ids(left, "four five six"), "the premise: the beginning is lost"
    assert (row.cut, row.cut_at) == (3, None)
    assert cut(loaded("bert"), text, 5).cut_at == len("one two three")


@pytest.mark.parametrize(
    ("text", "specials", "limit", "message"),
    [
        ("one two", True, 2, "cannot truncate to 2 tokens; got 2 special tokens alone; choose 3 or more"),
        (("one", "two"), True, 3, "got 3 special tokens alone; choose 4 or more"),
        ("one two", False, 0, "choose 1 or more"),
    ],
)
def test_a_limit_without_room(loaded: Loaded, text: Text, specials: bool, limit: int, message: str) -> None:
    with pytest.raises(BertlensError, match=message):
        cut(loaded("bert"), text, limit, specials)
    assert len(cut(loaded("bert"), text, limit + 1, specials).ids) == limit + 1


@pytest.mark.parametrize(
    "text", ["\0", "a\0b", "🙂👨‍👩‍👧", "שלום עالم", "\u202etfel ot thgir", "﷽", "e\u0301", " ", "\ufffe", "\t\n"]
)
def test_odd_characters_run(checkpoint: Checkpoint, text: str) -> None:
    result = bertlens.compare(checkpoint, [text, "and words"])
    assert result.verdict in ("identical", "rounding")
    assert result.rows[0].max_abs < 1e-4
    row, _ = tokenise(checkpoint, (text, "and words"), specials=True, limit=64)
    assert list(row.ids[1:-1]) == ids(checkpoint, text)


def test_a_text_without_a_token(loaded: Loaded) -> None:
    bert = loaded("bert")
    assert prepare(bert, (" ", "words"), Condition()).tokens[0].ids == (101, 102)
    with pytest.raises(BertlensError, match="text 0 has no token; got an empty row; leave the text out, or keep specials=on"):
        prepare(bert, (" ", "words"), Condition(specials="off"))


def test_a_token_without_an_embedding_row(family_folder: Folder) -> None:
    grown = bertlens.load(str(family_folder("bert", seed=4)))
    prepare(grown, ("newword here",), Condition())
    grown.tokenizer.add_tokens(["newword"])
    with pytest.raises(BertlensError, match="text 1 holds a token .*got id 30522 .'newword'.; expected ids below 30522"):
        prepare(grown, ("fine", "a newword here"), Condition())
    prepare(grown, ("fine", "without it"), Condition())


def test_nothing_to_pad_with(family_folder: Folder) -> None:
    bare = bertlens.load(str(family_folder("bert", seed=5)))
    bare.tokenizer.pad_token = None
    prepare(bare, ("one two", "two one"), Condition())
    with pytest.raises(BertlensError, match="cannot pad; got a tokenizer without a padding token"):
        prepare(bare, ("one two", "one"), Condition())


def state(tokenizer: Any) -> tuple[Any, ...]:
    backend = tokenizer.backend_tokenizer
    return backend.truncation, backend.padding, tokenizer.padding_side, tokenizer.truncation_side, tokenizer.model_max_length


@pytest.mark.parametrize("truncation", [None, {"max_length": 7, "stride": 1, "strategy": "only_first", "direction": "left"}])
@pytest.mark.parametrize("padding", [None, {"length": 33, "pad_id": 5, "pad_token": "[X]", "direction": "left"}])
def test_the_tokenizers_own_state_is_left_as_it_was(family_folder: Folder, truncation: Any, padding: Any) -> None:
    bert = bertlens.load(str(family_folder("bert")))
    backend = bert.tokenizer.backend_tokenizer
    backend.no_truncation()
    backend.no_padding()
    if truncation:
        backend.enable_truncation(**truncation)
    if padding:
        backend.enable_padding(**padding)
    before = state(bert.tokenizer)
    assert (before[0] is None, before[1] is None) == (truncation is None, padding is None)
    row = cut(bert, LONG, 9)
    assert len(row.ids) == 9
    cut(bert, (LONG, LONG), 11)
    assert state(bert.tokenizer) == before
    with pytest.raises(BertlensError):
        cut(bert, "one", 1)
    assert state(bert.tokenizer) == before


@settings(max_examples=60, deadline=None)
@given(st.text(st.characters(codec="utf-8"), max_size=40), st.text(st.characters(codec="utf-8"), max_size=40))
def test_ids_are_those_of_a_plain_call(minilm: Checkpoint, first: str, second: str) -> None:
    single, pair = tokenise(minilm, (first, (first, second)), specials=True, limit=512)
    plain: dict[str, Any] = {"truncation": False, "padding": False}
    assert list(single.ids) == minilm.tokenizer(first, **plain)["input_ids"]
    # in lists: called with two strings, the tokenizer drops an empty second one together with its [SEP]
    expected = minilm.tokenizer([first], [second], **plain)
    assert [list(pair.ids)] == expected["input_ids"]
    assert [list(pair.segments)] == expected["token_type_ids"]
    assert [i for i, s in zip(pair.ids, pair.special, strict=True) if s] == [101, 102, 102]
