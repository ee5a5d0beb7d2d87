"""Edits of looked-up vectors: their notation, what each does to the tensor, and what becomes of the states."""

from __future__ import annotations

import io
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import AutoModelForSequenceClassification

import bertlens
from bertlens.errors import BertlensError
from bertlens.run.checkpoint import Checkpoint
from bertlens.run.edits import KINDS, edited, parse, written
from bertlens.run.vectorfile import vector_of
from tests.conftest import Loaded

TEXTS = ("The river bank was flooded.", "The bank raised its rates again.", "Rain fell", "A short text", "Rain fell again")
ROW = torch.arange(12.0).reshape(4, 3) + 1


def changed(edits: str, **vectors: Any) -> torch.Tensor:
    return edited(ROW, parse(edits), lambda token: torch.full((3,), float(len(token))), vectors)


@pytest.mark.parametrize(
    ("edits", "by_hand"),
    [
        ("", ROW),
        ("1:scale=2", torch.stack([ROW[0], 2 * ROW[1], ROW[2], ROW[3]])),
        ("1-2:zero", torch.stack([ROW[0], 0 * ROW[1], 0 * ROW[2], ROW[3]])),
        ("all:scale=-1", -ROW),
        ("0:token=abc", torch.stack([torch.full((3,), 3.0), *ROW[1:]])),
        ("0:token=;", torch.stack([torch.full((3,), 1.0), *ROW[1:]])),
        ("1:average=left", torch.stack([ROW[0], (ROW[0] + ROW[1]) / 2, ROW[2], ROW[3]])),
        ("0-1:average=right", torch.stack([(ROW[0] + ROW[1]) / 2, (ROW[1] + ROW[2]) / 2, ROW[2], ROW[3]])),
        ("3:vector=mine", torch.stack([*ROW[:3], torch.tensor([7.0, 8.0, 9.0])])),
        (" 1 : zero ; 1:scale=5 ;", torch.stack([ROW[0], 0 * ROW[1], ROW[2], ROW[3]])),
    ],
)
def test_an_edit_does_what_it_says(edits: str, by_hand: torch.Tensor) -> None:
    before = ROW.clone()
    assert torch.equal(changed(edits, mine=[7.0, 8.0, 9.0]), by_hand)
    assert torch.equal(before, ROW), "what was given stays as it is"


def test_noise_has_the_length_it_says_and_its_seed() -> None:
    row = torch.randn(8, 4096, generator=torch.Generator().manual_seed(1))
    one = edited(row, parse("2:noise=0.5@3"), lambda token: row[0], {})
    length = row.norm(dim=1).mean()
    assert (one[2] - row[2]).norm().item() == pytest.approx(0.5 * length.item(), rel=0.05)
    drawn = torch.randn(1, 4096, generator=torch.Generator().manual_seed(3))
    assert torch.equal(one[2], (row[2:3] + drawn * (0.5 * length / 64))[0])
    assert not torch.equal(one[2], edited(row, parse("2:noise=0.5@4"), lambda token: row[0], {})[2])
    double = edited(row.double(), parse("2:noise=0.5@3"), lambda token: row[0], {})
    assert torch.allclose(double, one.double(), atol=1e-6), "the same draw in float64"


@pytest.mark.parametrize(
    ("edits", "told"),
    [
        ("scale=2", "3:scale=2 or 5-7:zero"),
        ("1:scal=2", "did you mean 'scale'"),
        ("1:scale", "no value"),
        ("1:zero=3", "expected zero alone"),
        ("1:scale=nan", "a number up to a million"),
        ("1:noise=1@x", "whole number as the seed"),
        ("3-1:zero", "smaller position first"),
        ("1:average=up", "average=left or average=right"),
        ("9:zero", "a text with 4 tokens"),
        ("0:average=left", "no neighbour on the left"),
        ("all:average=right", "no neighbour on the right"),
        ("1:vector=lost", "upload its file again"),
    ],
)
def test_what_is_wrong_is_said_in_one_sentence(edits: str, told: str) -> None:
    with pytest.raises(BertlensError, match=told.replace("(", r"\(")):
        changed(edits)


def test_the_notation_reads_itself() -> None:
    for kind, (example, words) in KINDS.items():
        text = f"2:{kind}" + (f"={example}" if example else "")
        assert written(parse(text)) == text and words
    assert written(parse("all:zero;1-3:scale=2")) == "all:zero;1-3:scale=2"


@settings(max_examples=200, deadline=None)
@given(st.text(alphabet="0123:;=@-alzeroscanoitk #.", max_size=30))
def test_no_text_is_more_than_one_sentence(text: str) -> None:
    try:
        assert parse(written(parse(text))) == parse(text)
    except BertlensError as error:
        assert error.sentence


# --- files ----------------------------------------------------------------------------------------------------------


def npy(values: Any) -> bytes:
    file = io.BytesIO()
    np.save(file, values)
    return file.getvalue()


def test_a_vector_from_every_format() -> None:
    wanted = np.array([1.5, -2.0, 3.25], np.float32)
    files = {"a.npy": npy(wanted[None]), "a.csv": b"1.5,-2\n3.25\n", "a.json": json.dumps([1.5, -2, 3.25]).encode()}
    for name, content in files.items():
        assert np.array_equal(vector_of(name, content, 3), wanted), name


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("a.txt", b"1", "'.txt'"),
        ("a.csv", b"1,2", "2 numbers; expected 3"),
        ("a.csv", b"1,2,x", "cannot be read"),
        ("a.csv", b"1,2,nan", "nan at place 2"),
        ("a.json", b"[1, 2, 1e99]", "finite numbers in float32"),
        ("a.json", b'{"a": 1}', "cannot be read"),
        ("a.json", b"[1, [2], 3]", "cannot be read"),
        ("a.csv", b"\xff\xfe", "cannot be read"),
        ("a.npy", b"no array", "cannot be read"),
        ("a.npy", npy(np.array(["x"], object)), "cannot be read"),
        ("a.npy", npy(np.ones((2, 2))), "4 numbers"),
    ],
)
def test_a_file_that_holds_no_such_vector(name: str, content: bytes, told: str) -> None:
    with pytest.raises(BertlensError, match=told):
        vector_of(name, content, 3)


# --- what they do ---------------------------------------------------------------------------------------------------


def test_an_edit_by_hand(checkpoint: Checkpoint) -> None:
    found = bertlens.edit(checkpoint, TEXTS, edits="1:scale=2;2:zero", pooling="cls")
    model, inputs = checkpoint.model.eval(), dict(checkpoint.tokenizer(TEXTS[0], return_tensors="pt"))
    with torch.inference_mode():
        lookup = model.get_input_embeddings()(inputs["input_ids"])
        usual = model(**inputs, output_hidden_states=True)
        lookup[0, 1] *= 2
        lookup[0, 2] = 0
        rest = {name: value for name, value in inputs.items() if name != "input_ids"}
        other = model(inputs_embeds=lookup, **rest, output_hidden_states=True)
    assert np.array_equal(found.after, lookup[0].numpy()) and found.changed == (1, 2)
    for state, (one, two) in enumerate(zip(usual.hidden_states, other.hidden_states, strict=True)):
        change = ((two - one).norm(dim=-1) / one.norm(dim=-1))[0]
        assert np.allclose(found.measures["change"][state], change, atol=1e-6)
        assert np.array_equal(found.measures["max_abs"][state], (two.double() - one.double()).abs().amax(-1)[0])
    assert found.trial.row.max_abs == (other.last_hidden_state.double() - usual.last_hidden_state.double()).abs().max().item()
    assert found.verdict == "different" and found.sentence.startswith("Different: 2 of")
    others = [token for token in range(len(found.tokens)) if token not in (1, 2)]
    assert not found.measures["change"][0][others].any(), "in the embeddings only the edited tokens move"
    assert found.measures["change"][-1].all(), "after the last layer all tokens do"
    assert found.neighbours is not None and len(found.neighbours.texts) == 4


def test_an_edit_that_changes_nothing_is_identical(loaded: Loaded) -> None:
    for edits in ("", "1:scale=1", "1:token=#1996"):
        found = bertlens.edit(loaded("bert"), TEXTS, edits=edits)
        assert found.verdict == "identical" and found.changed == () and "no lookup" in found.sentence
        assert found.neighbours is not None and found.neighbours.moved == 0
        assert not found.measures["change"].any() and (found.measures["cosine"] == 1).all()


def test_another_tokens_vector_is_that_of_the_other_text(minilm: Checkpoint) -> None:
    found = bertlens.edit(minilm, ["a big river", "a small river"], edits="2:token=small", pooling="cls")
    assert found.neighbours is not None
    assert found.neighbours.after[0] == pytest.approx(1, abs=1e-6), "with that vector it is the other text"
    assert found.neighbours.before[0] < 0.99


def test_ranks_among_the_texts(minilm: Checkpoint) -> None:
    found = bertlens.edit(minilm, TEXTS, 2, edits="1:token=bank;2:token=rates")
    near = found.neighbours
    assert near is not None and near.texts == (0, 1, 3, 4)
    vectors = {}
    for text, words in enumerate(TEXTS):
        with torch.inference_mode():
            state = minilm.model(**minilm.tokenizer(words, return_tensors="pt")).last_hidden_state[0]
        vectors[text] = state.mean(0)
    cosines = [torch.cosine_similarity(vectors[2], vectors[text], dim=0).item() for text in near.texts]
    assert near.before == pytest.approx(cosines, abs=1e-5)
    frame = near.to_frame()
    assert list(frame["rank before"]) == [1, 2, 3, 4] and frame["text"][0] == 4
    other = found.of_pooling("cls").neighbours
    assert other is not None and other.pooling == "cls" and not np.array_equal(other.before, near.before)
    assert near.moved and near.to_frame()["rank after"].tolist() != [1, 2, 3, 4]
    assert bertlens.edit(minilm, TEXTS[0], edits="1:zero").neighbours is None
    with pytest.raises(BertlensError, match="cannot rank neighbours by nonsense"):
        bertlens.edit(minilm, TEXTS, edits="1:zero", pooling="nonsense")


def test_the_checkpoint_s_classifier_gives_its_logits_before_and_after(loaded: Loaded) -> None:
    checkpoint = loaded("bert", head="sequence-classification")
    found = bertlens.edit(checkpoint, TEXTS, edits="1:zero")
    model = AutoModelForSequenceClassification.from_pretrained(checkpoint.folder).eval()
    with torch.inference_mode():
        batch = checkpoint.tokenizer(TEXTS[0], return_tensors="pt")
        vectors = model.get_input_embeddings()(batch.pop("input_ids"))
        before = model(inputs_embeds=vectors, **batch).logits[0]
        vectors[0, 1] = 0
        after = model(inputs_embeds=vectors, **batch).logits[0]
    assert found.logits is not None and found.logits.labels == tuple(model.config.id2label.values())
    assert found.logits.before == tuple(before.tolist()) and found.logits.after == tuple(after.tolist())
    assert before.tolist() != after.tolist() and "the logits move by" in found.sentence
    assert found.to_dict()["logits"]["before"] == list(found.logits.before)


def test_without_a_trained_classifier_there_are_no_logits(loaded: Loaded, tmp_path: Path) -> None:
    assert bertlens.edit(loaded("bert"), TEXTS, edits="1:zero").to_dict()["logits"] is None
    folder = tmp_path / "drawn"
    shutil.copytree(loaded("bert").folder, folder)
    config = json.loads((folder / "config.json").read_text("utf-8"))
    (folder / "config.json").write_text(json.dumps(config | {"architectures": ["BertForSequenceClassification"]}), "utf-8")
    assert bertlens.edit(bertlens.load(str(folder)), TEXTS, edits="1:zero").logits is None, "a head that is drawn anew"
