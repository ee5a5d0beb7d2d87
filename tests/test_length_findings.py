"""Length limits, and what a person's own texts add."""

from __future__ import annotations

from pathlib import Path

import pytest
from transformers import AutoTokenizer

from bertlens.judge.checkpoint.lengths import of_lengths
from bertlens.judge.tokenizer.corpus import of_texts
from bertlens.run.dossier import compile_
from tests.broken import edit, one, opened, severities, state
from tests.conftest import Folder
from tests.families import FAMILIES


@pytest.mark.parametrize("family", FAMILIES)
def test_a_healthy_family_has_one_limit(family: str, family_folder: Folder, copy_of: Folder) -> None:
    assert of_lengths(opened(family_folder(family))) == []
    folder = state(copy_of(family_folder(family)), "tokenizer_config.json", model_max_length=int(1e30))
    assert of_lengths(opened(folder)) == []
    state(folder, "sentence_bert_config.json", max_seq_length=64)
    assert of_lengths(opened(folder)) == []


def test_the_packaged_checkpoint_has_three() -> None:
    (told,) = of_lengths(compile_("minilm"))
    assert told.severity == "caution"
    numbers = set(told.evidence.values())
    assert numbers == {128, 256, 512} and told.evidence["tokenizer.json fixed padding"] == 128
    assert "max_length=256" in told.code


@pytest.mark.parametrize(("family", "severity"), [("bert", "problem"), ("roberta", "problem"), ("modernbert", "caution")])
def test_a_limit_above_the_positions(family: str, severity: str, family_folder: Folder, copy_of: Folder) -> None:
    folder = state(copy_of(family_folder(family)), "tokenizer_config.json", model_max_length=66)
    (told,) = of_lengths(opened(folder))
    assert told.severity == severity and "66" in told.title and "64" in told.title
    assert ("raise" in told.title) == (severity == "problem")


def test_robertas_table_has_two_rows_more_than_positions(family_folder: Folder) -> None:
    dossier = opened(family_folder("roberta"))
    assert dossier.config.max_position_embeddings == 66 and of_lengths(dossier) == []


def test_a_lower_limit_is_a_note(family_folder: Folder, copy_of: Folder) -> None:
    folder = state(copy_of(family_folder("bert")), "tokenizer_config.json", model_max_length=32)
    assert severities(of_lengths(opened(folder))) == {"conflicting-length-limits": "note"}
    state(folder, "sentence_bert_config.json", max_seq_length=48)
    assert severities(of_lengths(opened(folder))) == {"conflicting-length-limits": "caution"}


def test_fixed_padding_alone(family_folder: Folder, copy_of: Folder) -> None:
    padding = {"strategy": {"Fixed": 64}, "direction": "Right", "pad_id": 0, "pad_type_id": 0, "pad_token": "[PAD]"}
    folder = state(copy_of(family_folder("bert")), "tokenizer.json", padding={**padding, "pad_to_multiple_of": None})
    assert severities(of_lengths(opened(folder))) == {"conflicting-length-limits": "caution"}
    edit(folder, "tokenizer.json", lambda document: document["padding"].update(strategy="BatchLongest"))
    assert of_lengths(opened(folder)) == []


class TestTexts:
    def test_ordinary_texts_add_nothing(self, family_folder: Folder) -> None:
        for family in FAMILIES:
            assert of_texts(opened(family_folder(family)), ["Plain words.", ("One side", "and another")]) == []

    def test_truncation_at_each_limit(self) -> None:
        told = one(of_texts(compile_("minilm"), ["word " * 300, "word " * 200, "short"]), "silent-truncation")
        cut = {place.split()[0]: entry["texts"] for place, entry in told.evidence["truncated_at"].items()}
        assert cut == {"tokenizer.json": 2, "sentence_bert_config.json": 1, "tokenizer_config.json": 0, "positions": 0}
        assert told.evidence["its_tokens"] == 302 and told.affects == ("text 0", "text 1")

    def test_nothing_cuts_at_the_positions(self, family_folder: Folder, copy_of: Folder) -> None:
        folder = copy_of(family_folder("bert"))
        assert "sequence-too-long" not in severities(of_texts(opened(folder), ["word " * 100]))
        edit(folder, "tokenizer_config.json", lambda config: config.pop("model_max_length"))
        assert severities(of_texts(opened(folder), ["word " * 100]))["sequence-too-long"] == "problem"

    def test_unknown_only_with_capitals(self, family_folder: Folder, copy_of: Folder) -> None:
        folder = state(copy_of(family_folder("bert")), "tokenizer_config.json", do_lower_case=False)
        told = one(of_texts(opened(folder), ["Apple TV", "apple tv"]), "uncased-vocab-not-lowercased")
        assert told.severity == "problem" and (told.evidence["unknown"], told.evidence["unknown_lower_cased"]) == (2, 0)
        assert told.affects == ("text 0",)

    def test_unknown_either_way(self) -> None:
        dossier = compile_("minilm")
        assert severities(of_texts(dossier, ["😀 😃 😄 🙃 🙂 😉"])) == {"wrong-vocabulary": "caution"}
        assert of_texts(dossier, ["A smile 😀 in a sentence of some length, as people write them."]) == []

    def test_tokens_without_row_or_training(self, family_folder: Folder, copy_of: Folder) -> None:
        folder: Path = copy_of(family_folder("bert"))
        tokenizer = AutoTokenizer.from_pretrained(folder)
        tokenizer.add_tokens(["<e1>"])
        tokenizer.save_pretrained(folder)
        dossier = opened(folder)
        told = one(of_texts(dossier, ["plain", "with <e1> inside"]), "token-ids-out-of-range")
        assert told.evidence["texts_beyond"] == [1]
        assert of_texts(dossier, ["plain"], {"good": 2204}) == []
        assert severities(of_texts(dossier, ["good"], {"good": 2204})) == {"untrained-token-rows": "problem"}
