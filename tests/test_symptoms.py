"""What a person says of their vectors finds the fault; the sentences here are not those of the phrases."""

from __future__ import annotations

import time

import pytest

from bertlens.cases.symptoms import matching, phrases
from bertlens.judge.findings import catalogue

SAID = {
    "I get another vector on every run of the same sentence": {"dropout-active", "pooler-missing"},
    "embeddings are non-deterministic, new numbers each time I call it": {"dropout-active"},
    "every cosine is above 0.85, even for unrelated sentences": {"anisotropy"},
    "x[0], x[1], x[2]: the same row comes out whatever I index": {"batch-axis-missing", "wrong-axis"},
    "not the same as SentenceTransformer encode": {"pooling-recipe-not-followed", "pooler-as-sentence-vector"},
    "NaN in embeddings": {"fully-masked-row"},
    "result for a sentence alone and in a batch with longer sentences disagree": {"attention-mask-missing", "rounding-only"},
    "numbers agree up to the seventh decimal only": {"rounding-only"},
    "adding pad tokens moves my CLS embedding": {"attention-mask-missing"},
    "ollama vectors vs huggingface": {"runtime-differs"},
    "model on macbook gpu returns nonsense": {"mps-wrong-numbers"},
    "IndexError: index out of range in self": {"token-ids-out-of-range"},
    "long articles with the same introduction have identical embeddings": {"silent-truncation"},
    "my lora finetuning makes no difference": {"fine-tuning-absent"},
    "warning: newly initialized pooler weights": {"pooler-missing"},
    "state dict keys begin with module": {"wrapper-prefix"},
    "onnx runtime and torch outputs do not agree": {"onnx-export-differs"},
    "why are there 25 hidden states in a 24 layer model": {"hidden-states-off-by-one"},
    "average over tokens is affected by pad positions": {"mean-includes-padding"},
    "int8 results vary with the other sentences in the batch": {"batch-dependent-quantisation"},
    "distilbert output object lacks pooler_output": {"architecture-without-pooler"},
    "hub model was updated and old vectors are stale": {"checkpoint-drift"},
    "everything uppercase maps to unk": {"uncased-vocab-not-lowercased"},
    "e5 needs a prefix before queries?": {"prompt-prefix"},
}


@pytest.mark.parametrize(("said", "meant"), SAID.items())
def test_what_is_said_finds_what_is_meant(said: str, meant: set[str]) -> None:
    assert said not in {phrase for fault in phrases().values() for phrase in fault}
    assert meant & set(matching(said)[:3]), matching(said)[:6]


@pytest.mark.parametrize("fault", catalogue())
def test_every_phrase_and_name_leads_to_its_fault(fault: str) -> None:
    for line in (*phrases()[fault], catalogue()[fault]["name"], fault, fault.replace("-", " ")):
        assert fault in matching(line)[:3], line


def test_the_catalogue_has_phrases_for_every_fault() -> None:
    assert list(phrases()) == list(catalogue())
    assert all(2 <= len(set(said)) == len(said) <= 5 for said in phrases().values())


def test_no_words_give_all_faults_and_no_known_words_give_none() -> None:
    assert matching("") == matching("  ") == list(catalogue())
    assert matching("жжж") == []
    assert len(matching("padding", most=3)) == 3


def test_a_question_is_answered_at_once_when_asked_again() -> None:
    matching("warm")
    started = time.perf_counter()
    matching("all cosines are alike")
    assert time.perf_counter() - started < 0.5
