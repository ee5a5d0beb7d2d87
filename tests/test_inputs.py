"""Every key of a condition against plain transformers: the same tensors go in, and the same bits come out."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoModel, AutoTokenizer

from bertlens.errors import BertlensError
from bertlens.run import inputs as inputs_module
from bertlens.run.checkpoint import Checkpoint
from bertlens.run.condition import CHOICES, Condition
from bertlens.run.inputs import Batch, prepare
from bertlens.run.outputs import forward
from bertlens.run.texts import Texts
from tests.conftest import Loaded

SINGLE: Texts = ("A cat sat.", "Rain fell all night on the old stone bridge.", "Well, the dog slept; nobody came home.")
PAIRS: Texts = (("A cat sat.", "It slept."), ("Rain fell all night on the bridge.", "The river rose, and rose again."))

Tensors = dict[str, torch.Tensor]


@cache
def plain_tokenizer(folder: Path, side: str) -> Any:
    return AutoTokenizer.from_pretrained(folder, local_files_only=True, padding_side=side)


@cache
def plain_model(folder: Path, dtype: torch.dtype, attention: str) -> Any:
    return AutoModel.from_pretrained(folder, local_files_only=True, dtype=dtype, attn_implementation=attention).eval()


def unchanged(batch: Tensors, model: Any) -> Tensors:
    return batch


def without(name: str) -> Callable[[Tensors, Any], Tensors]:
    return lambda batch, model: {key: value for key, value in batch.items() if key != name}


def inverted(batch: Tensors, model: Any) -> Tensors:
    return {**batch, "attention_mask": 1 - batch["attention_mask"]}


def swapped(batch: Tensors, model: Any) -> Tensors:
    """`model(ids, segments, mask)`, where the second argument is the mask."""
    mask = batch["attention_mask"]
    return {**batch, "attention_mask": batch.get("token_type_ids", torch.zeros_like(mask)), "token_type_ids": mask}


def segments(value: int) -> Callable[[Tensors, Any], Tensors]:
    return lambda batch, model: {**batch, "token_type_ids": torch.full_like(batch["input_ids"], value)}


def positions(batch: Tensors, model: Any) -> Tensors:
    """BERT counts from 0; RoBERTa and MPNet from padding_idx + 1, with padding at padding_idx."""
    mask = batch["attention_mask"]
    first = 2 if model.config.model_type in ("roberta", "xlm-roberta", "mpnet") else 0
    return {**batch, "position_ids": (mask.cumsum(1) * mask - 1 + first).clamp(min=0)}


def column(batch: Tensors, model: Any) -> Tensors:
    return {key: value[0][:, None] for key, value in batch.items()}


@dataclass
class Case:
    """A condition, and what a person would write for it."""

    condition: str
    tokenizer: dict[str, Any] = field(default_factory=dict)
    side: str = "right"
    edit: Callable[[Tensors, Any], Tensors] = unchanged
    dtype: torch.dtype = torch.float32
    attention: str = "sdpa"
    size: int = 99
    texts: Texts = SINGLE

    def __str__(self) -> str:
        return (self.condition or "default") + ("|pairs" if self.texts is PAIRS else "")


CASES = [
    Case(""),
    Case("", texts=PAIRS),
    Case("batch=alone", size=1),
    Case("batch=2", size=2),
    Case("padding=40", {"padding": "max_length", "max_length": 40}),
    Case("padding=40,batch=alone", {"padding": "max_length", "max_length": 40}, size=1, texts=PAIRS),
    Case("side=left", side="left"),
    Case("side=left", side="left", texts=PAIRS),
    Case("mask=off", edit=without("attention_mask")),
    Case("mask=inverted", edit=inverted),
    Case("mask=swapped", edit=swapped),
    Case("mask=swapped,side=left,segments=ones", side="left", texts=PAIRS,
         edit=lambda batch, model: swapped(segments(1)(batch, model), model)),
    Case("specials=off", {"add_special_tokens": False}),
    Case("specials=off", {"add_special_tokens": False}, texts=PAIRS),
    Case("segments=zeros", edit=segments(0), texts=PAIRS),
    Case("segments=ones", edit=segments(1), texts=PAIRS),
    Case("positions=from-mask", edit=positions),
    Case("side=left,positions=from-mask", side="left", edit=positions, texts=PAIRS),
    Case("max_length=7", {"max_length": 7}),
    Case("max_length=9", {"max_length": 9}, texts=PAIRS),
    Case("rows=index,padding=40", {"padding": "max_length", "max_length": 40}, edit=column, size=1),
    Case("dtype=float64", dtype=torch.float64),
    Case("dtype=bfloat16", dtype=torch.bfloat16),
    Case("dtype=float16", dtype=torch.float16),
    Case("attention=eager", attention="eager"),
    Case("side=left,mask=off,segments=ones,padding=64", {"padding": "max_length"}, "left", texts=PAIRS,
         edit=lambda batch, model: segments(1)(without("attention_mask")(batch, model), model)),
]  # fmt: skip


def refused(checkpoint: Checkpoint, condition: Condition) -> bool:
    """Whether a family has no such segments, by the documentation of its class."""
    kind = checkpoint.architecture.kind
    untyped = kind in ("distilbert", "mpnet", "modernbert")
    one_type = kind in ("roberta", "xlm-roberta")
    second = condition.segments == "ones" or condition.mask == "swapped"
    return (untyped and (second or condition.segments == "zeros")) or (one_type and second)


def by_hand(folder: Path, case: Case) -> list[tuple[Tensors, torch.Tensor]]:
    attention = "eager" if folder.name == "mpnet" else case.attention  # all that transformers has for MPNet
    tokenizer, model = plain_tokenizer(folder, case.side), plain_model(folder, case.dtype, attention)
    found = []
    for at in range(0, len(case.texts), case.size):
        chunk = case.texts[at : at + case.size]
        columns = [list(chunk)] if isinstance(chunk[0], str) else [list(side) for side in zip(*chunk, strict=True)]
        batch = dict(tokenizer(*columns, **{"padding": True, "truncation": True, "return_tensors": "pt", **case.tokenizer}))
        batch = case.edit(batch, model)
        with torch.inference_mode():
            found.append((batch, model(**batch).last_hidden_state))
    return found


@pytest.mark.parametrize("case", CASES, ids=str)
def test_condition_is_what_a_person_would_write(checkpoint: Checkpoint, case: Case) -> None:
    condition = Condition.parse(case.condition)
    if refused(checkpoint, condition):
        with pytest.raises(BertlensError, match=r"cannot run (segments=(zeros|ones)|mask=swapped)"):
            prepare(checkpoint, case.texts, condition)
        return
    # The float64 run is kept in float64 throughout, which plain transformers does not do everywhere.
    exact = case.dtype != torch.float64
    expected = by_hand(checkpoint.folder, case)
    got = list(forward(prepare(checkpoint, case.texts, condition)))
    assert len(got) == len(expected)
    for outputs, (tensors, states) in zip(got, expected, strict=True):
        given = outputs.batch.tensors
        assert given.keys() == tensors.keys()
        assert all(torch.equal(given[name], tensors[name]) for name in given)
        assert outputs.last_hidden_state.dtype == case.dtype
        assert torch.isfinite(states).all() or "inverted" in case.condition
        if exact:
            assert torch.equal(outputs.last_hidden_state.nan_to_num(nan=7.0), states.nan_to_num(nan=7.0))
        else:
            torch.testing.assert_close(outputs.last_hidden_state, states, rtol=0, atol=1e-5)


def test_cases_name_every_key_and_value() -> None:
    conditions = [Condition.parse(case.condition) for case in CASES]
    for key, values in CHOICES.items():
        untried = set(values) - {str(getattr(condition, key)) for condition in conditions}
        assert untried == {"dropout": {"on"}, "specials": {"doubled"}}.get(key, set()), (
            key
        )  # they have tests of their own below


@pytest.mark.parametrize("limit", [64, 9, 5])
def test_special_tokens_written_out_are_added_again(checkpoint: Checkpoint, limit: int) -> None:
    tokenizer = plain_tokenizer(checkpoint.folder, "right")
    got = prepare(checkpoint, SINGLE, Condition(specials="doubled", max_length=limit))
    cls, sep = tokenizer.cls_token_id, tokenizer.sep_token_id
    for text, row in zip(SINGLE, got.tokens, strict=True):
        around = tokenizer(text)["input_ids"]
        assert (around[0], around[-1]) == (cls, sep)
        assert list(row.ids) == [cls, *around[: limit - 2], sep], "the outer ones survive truncation"
        if checkpoint.architecture.kind in ("bert", "electra", "distilbert"):  # where a word in front changes no token
            assert list(row.ids) == tokenizer(f"[CLS] {text} [SEP]", truncation=True, max_length=limit)["input_ids"]
        assert set(row.segments) == {0} and row.special[:2] == (1, 1)
    (batch,) = got
    assert batch.tensors["input_ids"].shape[1] == max(len(row.ids) for row in got.tokens)
    once = prepare(checkpoint, SINGLE, Condition(max_length=limit)).tokens
    assert all(len(row.ids) == min(len(plain.ids) + 2, limit) for row, plain in zip(got.tokens, once, strict=True))


def test_special_tokens_around_a_pair_have_the_first_segment(loaded: Loaded) -> None:
    tokens = prepare(loaded("bert"), PAIRS, Condition(specials="doubled")).tokens
    for row in tokens:
        assert row.special.count(1) == 5 and row.special[-2:] == (1, 1)
        assert {segment for segment, special in zip(row.segments, row.special, strict=True) if special} == {0}
        assert 1 in row.segments


@pytest.mark.parametrize("seed", [0, 5])
def test_dropout_is_model_train_with_the_seed(checkpoint: Checkpoint, seed: int) -> None:
    folder = checkpoint.folder
    (batch, calm), *_ = by_hand(folder, Case(""))
    model = AutoModel.from_pretrained(folder, local_files_only=True).train()
    drops = any(module.p > 0 for module in model.modules() if isinstance(module, torch.nn.Dropout))
    torch.manual_seed(seed)
    with torch.inference_mode():
        expected = model(**batch).last_hidden_state
    assert torch.equal(expected, calm) != drops
    (outputs,) = forward(prepare(checkpoint, SINGLE, Condition(dropout="on")), seed=seed)
    assert torch.equal(outputs.last_hidden_state, expected)


def test_dropout_leaves_the_callers_generator_alone(minilm: Checkpoint) -> None:
    torch.manual_seed(3)
    expected = torch.rand(4)
    torch.manual_seed(3)
    list(forward(prepare(minilm, SINGLE, Condition(dropout="on")), seed=11))
    assert torch.equal(torch.rand(4), expected)


def test_fixed_padding_that_cuts_nothing_is_refused_below_the_longest(minilm: Checkpoint) -> None:
    longest = max(len(row.ids) for row in prepare(minilm, SINGLE, Condition()).tokens)
    assert prepare(minilm, SINGLE, Condition(padding=longest)).groups == (((0, 1, 2), longest),)
    with pytest.raises(BertlensError, match=f"got {longest} tokens in text .*padding={longest}"):
        prepare(minilm, SINGLE, Condition(padding=longest - 1))


@pytest.mark.parametrize("key", ["padding", "max_length"])
def test_beyond_the_positions_is_refused(checkpoint: Checkpoint, key: str) -> None:
    assert checkpoint.architecture.positions == 64
    prepare(checkpoint, SINGLE, Condition.parse({key: 64}))
    with pytest.raises(BertlensError, match=f"{key}=65; got 65 tokens; expected at most 64"):
        prepare(checkpoint, SINGLE, Condition.parse({key: 65}))


def test_positions_are_refused_where_the_model_takes_none(loaded: Loaded) -> None:
    bert = loaded("bert")
    prepare(bert, SINGLE, Condition(positions="from-mask"))
    facts = dataclasses.replace(bert.architecture, takes_positions=False)
    with pytest.raises(BertlensError, match="takes no position_ids"):
        prepare(dataclasses.replace(bert, architecture=facts), SINGLE, Condition(positions="from-mask"))


def test_batches_are_built_one_after_another(minilm: Checkpoint, monkeypatch: pytest.MonkeyPatch) -> None:
    built: list[tuple[int, ...]] = []
    real = inputs_module.Inputs._batch

    def watched(self: inputs_module.Inputs, texts: tuple[int, ...], width: int) -> Batch:
        built.append(texts)
        return real(self, texts, width)

    monkeypatch.setattr(inputs_module.Inputs, "_batch", watched)
    prepared = prepare(minilm, SINGLE, Condition(batch="alone"))
    assert built == []
    batches = iter(prepared)
    assert next(batches).texts == (0,)
    assert built == [(0,)]
    next(batches)
    assert built == [(0,), (1,)]


def test_select_and_containing_keep_the_width_of_the_batch(minilm: Checkpoint) -> None:
    prepared = prepare(minilm, SINGLE, Condition(batch=2))
    (first, wide), (last, narrow) = prepared.groups
    assert (first, last) == ((0, 1), (2,))
    assert prepared.select([0]).groups == (((0,), wide),)
    assert wide > len(prepared.tokens[0].ids), "text 0 alone would be padded to another length"
    assert prepared.select([2, 1]).groups == (((1,), wide), ((2,), narrow))
    assert prepared.containing([0]).groups == (((0, 1), wide),)
    assert prepared.containing([]).groups == prepared.select([]).groups == ()
    (whole,), (part,) = prepared.containing([1]), prepared.select([1])
    assert all(torch.equal(whole.of([1]).tensors[name], part.tensors[name]) for name in part.tensors)


def test_large_batch_is_cut_without_changing_the_vectors(minilm: Checkpoint, monkeypatch: pytest.MonkeyPatch) -> None:
    (whole,) = forward(prepare(minilm, SINGLE, Condition()))
    (exact,) = forward(prepare(minilm, SINGLE, Condition()), dtype="float64")
    width = whole.last_hidden_state.shape[1]
    monkeypatch.setattr(inputs_module, "TOKENS_AT_ONCE", 2 * width + 1)
    prepared = prepare(minilm, SINGLE, Condition())
    assert prepared.sliced
    assert prepared.groups == (((0, 1), width), ((2,), width))
    sliced = torch.cat([outputs.last_hidden_state for outputs in forward(prepared)])
    torch.testing.assert_close(sliced, whole.last_hidden_state, rtol=0, atol=1e-4)
    twice = torch.cat([outputs.last_hidden_state for outputs in forward(prepared, dtype="float64")])
    torch.testing.assert_close(twice, exact.last_hidden_state, rtol=0, atol=1e-12)
    monkeypatch.setattr(inputs_module, "TOKENS_AT_ONCE", 3 * width)
    assert not prepare(minilm, SINGLE, Condition()).sliced
    monkeypatch.setattr(inputs_module, "TOKENS_AT_ONCE", 1)  # even a single row is more: it still has to run
    assert len(prepare(minilm, SINGLE, Condition())) == 3
