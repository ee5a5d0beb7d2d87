"""Special tokens, padding, and two readers of one folder: each fault beside its healthy twin."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from bertlens.judge.tokenizer.judges import of_tokenizer
from bertlens.judge.tokenizer.special_tokens import template_ids
from bertlens.run.dossier import compile_
from tests.broken import edit, lines, one, opened, severities, state, without, write_lines
from tests.conftest import Folder

GENERIC = {"tokenizer_class": "PreTrainedTokenizerFast"}


@pytest.fixture
def generic(family_folder: Folder, copy_of: Folder) -> Path:
    """A ModernBERT-like folder, whose tokenizer.json is taken as it stands."""
    return copy_of(family_folder("modernbert"))


@pytest.fixture
def minilm_copy(copy_of: Folder) -> Path:
    return copy_of(compile_("minilm").folder)


def test_a_pipeline_without_post_processor(generic: Path) -> None:
    state(generic, "tokenizer.json", post_processor=None)
    told = one(of_tokenizer(opened(generic)), "special-tokens-missing")
    assert told.severity == "problem" and told.affects == ("every output",)
    assert "TemplateProcessing" in told.code


def test_a_post_processor_without_sep(generic: Path) -> None:
    single = [{"SpecialToken": {"id": "[CLS]", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}]
    edit(generic, "tokenizer.json", lambda document: document["post_processor"].update(single=single))
    told = one(of_tokenizer(opened(generic)), "special-tokens-missing")
    assert "[SEP] behind" in told.title and "[CLS] before" not in told.title


def test_special_tokens_twice(generic: Path) -> None:
    def double(document: dict[str, Any]) -> None:
        single = document["post_processor"]["single"]
        document["post_processor"]["single"] = [single[0], *single, single[-1]]

    edit(generic, "tokenizer.json", double)
    assert severities(of_tokenizer(opened(generic)))["special-tokens-doubled"] == "problem"


def test_ids_in_the_template(generic: Path) -> None:
    edit(generic, "tokenizer.json", lambda document: document["post_processor"]["special_tokens"]["[CLS]"].update(ids=[101]))
    told = of_tokenizer(opened(generic))
    assert one(told, "post-processor-ids-wrong").severity == "problem"
    assert "special-tokens-missing" not in severities(told)


def test_ids_in_a_template_that_the_class_rebuilds(minilm_copy: Path) -> None:
    edit(minilm_copy, "tokenizer.json", lambda document: document["post_processor"]["special_tokens"]["[CLS]"].update(ids=[7]))
    told = one(of_tokenizer(opened(minilm_copy)), "post-processor-ids-wrong")
    assert told.severity == "caution" and "repairs it silently" in told.title


def test_ids_in_robertas_processor(family_folder: Folder, copy_of: Folder) -> None:
    healthy = opened(family_folder("roberta"))
    assert template_ids(healthy.documents) == {"</s>": [2], "<s>": [0]}
    folder = copy_of(family_folder("roberta"))
    edit(folder, "tokenizer.json", lambda document: document["post_processor"].update(cls=["<s>", 9]))
    assert severities(of_tokenizer(opened(folder)))["post-processor-ids-wrong"] == "caution"


@pytest.mark.parametrize(
    ("family", "severity"), [("bert", "caution"), ("modernbert", "caution"), ("roberta", "problem"), ("mpnet", "problem")]
)
def test_another_padding_id(family: str, severity: str, family_folder: Folder, copy_of: Folder) -> None:
    told = one(of_tokenizer(opened(copy_of(family_folder(family), pad_token_id=5))), "pad-id-conflict")
    assert told.severity == severity and told.evidence["pad_ids"]["config"] == 5


def test_no_padding_token(generic: Path) -> None:
    edit(generic, "tokenizer_config.json", lambda config: config.pop("pad_token"))
    assert severities(of_tokenizer(opened(generic))) == {"pad-id-conflict": "caution"}


@pytest.mark.parametrize(
    ("family", "fault", "severity"),
    [
        ("bert", "left-padding-positions", "problem"),
        ("albert", "left-padding-positions", "problem"),
        ("distilbert", "left-padding-positions", "problem"),
        ("roberta", "cls-read-at-padding", "caution"),
        ("mpnet", "cls-read-at-padding", "caution"),
        ("modernbert", "cls-read-at-padding", "caution"),
    ],
)
def test_padding_on_the_left(family: str, fault: str, severity: str, family_folder: Folder, copy_of: Folder) -> None:
    folder = state(copy_of(family_folder(family)), "tokenizer_config.json", padding_side="left")
    assert severities(of_tokenizer(opened(folder))) == {fault: severity}


def test_padding_on_the_left_in_tokenizer_json(minilm_copy: Path) -> None:
    edit(minilm_copy, "tokenizer.json", lambda document: document["padding"].update(direction="Left"))
    told = one(of_tokenizer(opened(minilm_copy)), "left-padding-positions")
    assert told.evidence["source"] == "tokenizer.json padding.direction"


def test_special_tokens_under_two_names(minilm_copy: Path) -> None:
    state(minilm_copy, "special_tokens_map.json", sep_token="[MASK]")
    assert severities(of_tokenizer(opened(minilm_copy)))["wrong-vocabulary"] == "caution"


def test_segments_that_the_model_does_not_have(family_folder: Folder) -> None:
    assert of_tokenizer(opened(family_folder("bert", type_vocab_size=2))) == []
    told = one(of_tokenizer(opened(family_folder("bert", type_vocab_size=1))), "segment-ids-wrong")
    assert told.severity == "problem" and told.affects == ("pairs of texts",)


def test_single_texts_in_the_second_segment(minilm_copy: Path) -> None:
    state(minilm_copy, "tokenizer_config.json", tokenizer_class="PreTrainedTokenizerFast")
    state(minilm_copy, "tokenizer_config.json", model_input_names=["input_ids", "token_type_ids", "attention_mask"])
    assert severities(of_tokenizer(opened(minilm_copy))) == {}

    def move(document: dict[str, Any]) -> None:
        for step in document["post_processor"]["single"]:
            next(iter(step.values()))["type_id"] = 1

    edit(minilm_copy, "tokenizer.json", move)
    assert severities(of_tokenizer(opened(minilm_copy)))["segment-ids-wrong"] == "problem"


class TestDialects:
    def test_a_normaliser_that_keeps_what_the_flag_lower_cases(self, minilm_copy: Path) -> None:
        edit(minilm_copy, "tokenizer.json", lambda document: document["normalizer"].update(lowercase=False))
        told = of_tokenizer(opened(minilm_copy))
        drift = one(told, "tokenizer-version-drift")
        assert drift.severity == "caution" and drift.evidence["do_lower_case"]["as_loaded"] is True
        assert "uncased-vocab-not-lowercased" not in severities(told)  # as loaded, it lower-cases

    def test_a_flag_that_keeps_what_the_normaliser_lower_cases(self, minilm_copy: Path) -> None:
        state(minilm_copy, "tokenizer_config.json", do_lower_case=False)
        told = severities(of_tokenizer(opened(minilm_copy)))
        assert told == {"tokenizer-version-drift": "caution", "uncased-vocab-not-lowercased": "problem"}

    def test_accents(self, minilm_copy: Path) -> None:
        edit(minilm_copy, "tokenizer.json", lambda document: document["normalizer"].update(strip_accents=False))
        told = one(of_tokenizer(opened(minilm_copy)), "tokenizer-version-drift")
        assert told.affects == ("texts with accents",)

    def test_chinese_characters(self, minilm_copy: Path) -> None:
        state(minilm_copy, "tokenizer_config.json", tokenize_chinese_chars=False)
        assert severities(of_tokenizer(opened(minilm_copy))) == {"tokenizer-version-drift": "caution"}

    def test_a_prefix_space(self, family_folder: Folder, copy_of: Folder) -> None:
        folder = state(copy_of(family_folder("roberta")), "tokenizer_config.json", add_prefix_space=True)
        assert severities(of_tokenizer(opened(folder))) == {"tokenizer-version-drift": "caution"}

    def test_an_end_token_that_version_5_does_not_add(self, generic: Path) -> None:
        state(generic, "tokenizer_config.json", add_eos_token=True, eos_token="[SEP]")
        assert of_tokenizer(opened(generic)) == []
        state(generic, "tokenizer_config.json", eos_token="[PAD]")
        assert "tokenizer-version-drift" in severities(of_tokenizer(opened(generic)))

    def test_a_flag_that_nobody_listens_to(self, family_folder: Folder, copy_of: Folder) -> None:
        folder = state(copy_of(family_folder("xlm-roberta")), "tokenizer_config.json", do_lower_case=True)
        assert severities(of_tokenizer(opened(folder))) == {"tokenizer-version-drift": "note"}

    def test_a_template_that_only_the_class_brings(self, minilm_copy: Path) -> None:
        state(minilm_copy, "tokenizer.json", post_processor=None)
        told = one(of_tokenizer(opened(minilm_copy)), "tokenizer-version-drift")
        assert "special tokens around a text (tokenizer.json no, as loaded yes)" in told.title

    def test_another_way_to_split_words(self, minilm_copy: Path) -> None:
        edit(minilm_copy, "tokenizer.json", lambda document: document.update(pre_tokenizer={"type": "WhitespaceSplit"}))
        told = of_tokenizer(opened(minilm_copy))
        assert severities(told) == {"fast-slow-tokenizer-differ": "caution"}
        assert told[0].evidence["example"]["tokenizer.json"] != told[0].evidence["example"]["vocabulary_file"]
        without(minilm_copy, "vocab.txt")
        assert severities(of_tokenizer(opened(minilm_copy))) == {"tokenizer-version-drift": "caution"}

    def test_another_vocabulary_is_no_dialect(self, minilm_copy: Path) -> None:
        write_lines(minilm_copy, [*lines(minilm_copy)[:-1], "zzzz"])
        assert "fast-slow-tokenizer-differ" not in severities(of_tokenizer(opened(minilm_copy)))
