"""Whether the weights own up to the vocabulary: shifted, foreign, their own, or nothing to go by."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

import pytest
from transformers import AutoTokenizer

from bertlens.judge.tokenizer import vocabulary
from bertlens.judge.tokenizer.judges import of_tokenizer
from bertlens.judge.tokenizer.kinship import measure, of_kinship
from bertlens.run.dossier import Dossier, compile_
from tests.broken import edit, lines, one, opened, severities, without, write_lines
from tests.conftest import Folder
from tests.families import FAMILIES

Change = Callable[[list[str]], list[str]]


def verdict(dossier: Dossier) -> str:
    found = vocabulary.of(dossier)
    assert found is not None
    kinship = measure(dossier, found)
    return "cannot tell" if kinship is None else kinship.verdict


def shuffled(entries: list[str]) -> list[str]:
    words = entries[1000:]
    random.Random(0).shuffle(words)
    return [*entries[:1000], *words]


@pytest.mark.parametrize("family", FAMILIES)
def test_rows_that_were_never_trained_accuse_nobody(family: str, family_folder: Folder) -> None:
    assert verdict(opened(family_folder(family))) == "cannot tell"


def test_the_packaged_vocabulary_is_its_own() -> None:
    assert verdict(compile_("minilm")) == "aligned"


@pytest.mark.parametrize(
    ("change", "step"),
    [
        (lambda entries: [*entries[:1000], *entries[1001:], "zzzq"], 1),
        (lambda entries: [*entries[:5000], "zzzq", *entries[5000:-1]], -1),
        (lambda entries: [*entries[:28000], "zzzp", "zzzq", *entries[28000:-2]], -2),
    ],
)
def test_a_line_too_many_or_too_few(change: Change, step: int, copy_of: Folder) -> None:
    folder = without(copy_of(compile_("minilm").folder), "tokenizer.json")
    dossier = opened(write_lines(folder, change(lines(folder))))
    found = vocabulary.of(dossier)
    assert found is not None
    kinship = measure(dossier, found)
    assert kinship is not None and set(kinship.steps.values()) == {step}
    (told,) = of_kinship(kinship)
    assert told.severity == "problem" and "shifted against the weights" in told.title
    assert severities(of_tokenizer(dossier)) == {"wrong-vocabulary": "problem"}


def test_words_in_another_order_are_foreign(copy_of: Folder) -> None:
    folder = without(copy_of(compile_("minilm").folder), "tokenizer.json")
    dossier = opened(write_lines(folder, shuffled(lines(folder))))
    assert verdict(dossier) == "foreign"
    assert "do not belong to these tokens" in one(of_tokenizer(dossier), "wrong-vocabulary").title


def test_another_models_tokenizer_is_foreign(copy_of: Folder, family_folder: Folder) -> None:
    folder = without(copy_of(compile_("minilm").folder), "vocab.txt")
    AutoTokenizer.from_pretrained(family_folder("bert-cased")).save_pretrained(folder)
    assert verdict(opened(folder)) == "foreign"


def test_stale_records_of_ids_endanger_only_their_readers(copy_of: Folder) -> None:
    folder: Path = copy_of(compile_("minilm").folder)
    edit(folder, "tokenizer.json", lambda document: document["added_tokens"][2].update(id=7))
    told = one(of_tokenizer(opened(folder)), "wrong-vocabulary")
    assert told.severity == "caution" and "the weights side with the vocabulary" in told.title


def test_the_weights_say_which_of_two_files_is_right(copy_of: Folder) -> None:
    folder: Path = copy_of(compile_("minilm").folder)
    write_lines(folder, shuffled(lines(folder)))
    told = one(of_tokenizer(opened(folder)), "wrong-vocabulary")
    assert told.severity == "caution" and "side with tokenizer.json" in told.title
