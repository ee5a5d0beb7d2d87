"""Logits and probabilities of a classifier are traced to the way in which they were made, and those of no other head are."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from scipy.special import softmax
from transformers import AutoModelForSequenceClassification, AutoTokenizer

import bertlens
from bertlens.errors import BertlensError
from bertlens.judge.identification import Identification
from bertlens.judge.identify.labels import ONES
from bertlens.read.logits import Logits, read_logits
from bertlens.run.checkpoint import Checkpoint
from bertlens.run.condition import Condition
from bertlens.run.inputs import prepare
from bertlens.show.identification import steps
from tests.conftest import Folder, Loaded
from tests.test_identify import SHUFFLED, TEXTS

HEAD = {"head": "sequence-classification", "num_labels": 3}
FAMILIES = ("bert", "roberta", "distilbert", "electra", "albert", "modernbert")
MORE = (
    *TEXTS,
    "A cat.",
    "Rain fell all night on the old stone bridge.",
    "He sold it for nothing at all.",
    "Why not?",
    "Snow covers the old town today, and the river sleeps.",
)


@cache
def classifier(folder: Path) -> tuple[Any, Any]:
    return AutoTokenizer.from_pretrained(folder), AutoModelForSequenceClassification.from_pretrained(folder).eval()


@torch.no_grad()
def logits(folder: Path, texts: Any = TEXTS, *, without: str = "", ones: bool = False, **options: Any) -> torch.Tensor:
    """As people write it: (texts, labels)."""
    tokenizer, model = classifier(folder)
    batch = tokenizer(list(texts), return_tensors="pt", **{"padding": True, "truncation": True, **options})
    batch.pop(without, None)
    if ones:
        batch["token_type_ids"] = torch.ones_like(batch["input_ids"])
    found: torch.Tensor = model(**batch).logits
    return found


@pytest.fixture(scope="module")
def folder(family_folder: Folder) -> Path:
    return family_folder("bert", **HEAD)


@pytest.fixture(scope="module")
def bert(loaded: Loaded) -> Checkpoint:
    return loaded("bert", **HEAD)


def words(answer: Identification) -> str:
    assert answer.verdict == "found" and answer.best is not None, answer.sentence
    assert isinstance(answer.best.recipe.readout, Logits) and answer.best.max_abs <= answer.best.floor
    return answer.best.recipe.words


def ids(answer: Identification) -> set[str]:
    return {finding.id for finding in answer.findings}


@pytest.mark.parametrize("family", FAMILIES)
def test_logits_of_every_family(family: str, family_folder: Folder, loaded: Loaded) -> None:
    folder, checkpoint = family_folder(family, **HEAD), loaded(family, **HEAD)
    plain, forgotten = logits(folder), logits(folder, without="attention_mask")
    assert (plain - forgotten).abs().max() > 1e-3, "the fault changes the logits"
    answer = bertlens.identify(checkpoint, TEXTS, plain.numpy())
    assert words(answer) == "logits" and not answer.findings and answer.notes == ()
    answer = bertlens.identify(checkpoint, TEXTS, forgotten.softmax(1).numpy())
    assert words(answer) == "logits|softmax, mask=off" and ids(answer) == {"attention-mask-missing"}


def test_what_was_done_to_the_texts_and_to_the_inputs(bert: Checkpoint, folder: Path) -> None:
    for made, expected in (
        (logits(folder, ones=True), "logits, segments=ones"),
        (logits(folder, max_length=9), "logits, max_length=9"),
        (logits(folder, add_special_tokens=False), "logits, specials=off"),
        (logits(folder, padding="max_length", max_length=48, without="attention_mask"), "logits, mask=off, padding=48"),
        (logits(folder, [f"query: {text}" for text in TEXTS]), "logits, prefix 'query: '"),
    ):
        assert (made - logits(folder)).abs().max() > 1e-3, expected
        found = words(bertlens.identify(bert, TEXTS, made.numpy()))
        assert found.replace("padding=48, mask=off", "mask=off, padding=48") == expected


def test_lower_case_before_a_cased_tokenizer(family_folder: Folder, loaded: Loaded) -> None:
    folder, checkpoint = family_folder("roberta", **HEAD), loaded("roberta", **HEAD)
    lowered = logits(folder, [text.lower() for text in TEXTS])
    assert (lowered - logits(folder)).abs().max() > 1e-3
    answer = bertlens.identify(checkpoint, TEXTS, lowered.numpy())
    assert words(answer) == "logits, lower-cased" and ids(answer) == {"lowercased-cased-model"}


def test_what_was_done_to_the_logits(bert: Checkpoint, folder: Path) -> None:
    plain = logits(folder)
    for made, expected in (
        (plain.half(), "logits, stored as float16"),
        (plain.bfloat16().float(), "logits, stored as bfloat16"),
        (plain.softmax(1), "logits|softmax"),
        (plain.sigmoid(), "logits|sigmoid"),
        (torch.round(plain.sigmoid(), decimals=4).double(), "logits|sigmoid, rounded to 4 decimals"),
    ):
        assert words(bertlens.identify(bert, TEXTS, made.numpy())) == expected


def test_rows_elsewhere_and_rows_missing(bert: Checkpoint, folder: Path) -> None:
    probabilities = logits(folder).softmax(1).numpy()
    moved = bertlens.identify(bert, TEXTS, probabilities[list(SHUFFLED)])
    assert words(moved) == "logits|softmax" and moved.order == "permuted" and ids(moved) == {"rows-reordered"}
    assert [SHUFFLED[row or 0] for row in moved.row_of_text] == list(range(8))
    missing = bertlens.identify(bert, MORE, np.delete(logits(folder, MORE).numpy(), [1, 6], 0))
    assert words(missing) == "logits" and [text for text, row in enumerate(missing.row_of_text) if row is None] == [1, 6]


def test_half_precision_and_float64(bert: Checkpoint, folder: Path) -> None:
    tokenizer, _ = classifier(folder)
    batch = tokenizer(list(TEXTS), padding=True, return_tensors="pt")
    for dtype in (torch.bfloat16, torch.float64):
        model = AutoModelForSequenceClassification.from_pretrained(folder, dtype=dtype).eval()
        with torch.no_grad():
            made = model(**batch).logits
        answer = bertlens.identify(bert, TEXTS, made.double().numpy())
        assert words(answer) == f"logits, dtype={str(dtype).removeprefix('torch.')}"


@pytest.mark.parametrize("labels", [1, 2])
def test_few_labels_need_more_texts(labels: int, family_folder: Folder, loaded: Loaded) -> None:
    how = {**HEAD, "num_labels": labels}
    texts = (*MORE, *(f"{text[:-1]}, said {name}." for name in ("Anna", "Bob") for text in MORE))
    folder, checkpoint = family_folder("distilbert", **how), loaded("distilbert", **how)
    plain = logits(folder, texts)
    assert words(bertlens.identify(checkpoint, texts, plain.sigmoid().numpy())) == "logits|sigmoid"
    order = np.random.default_rng(0).permutation(len(texts))
    assert words(bertlens.identify(checkpoint, texts, plain.numpy()[order])) == "logits"
    if labels == 1:  # a list of numbers, one per text
        assert words(bertlens.identify(checkpoint, texts, plain[:, 0].numpy())) == "logits"
        assert ONES in bertlens.identify(checkpoint, texts, plain.softmax(1).numpy()).notes
    few = bertlens.identify(checkpoint, texts[:3], plain[:3].numpy())
    assert few.verdict == "ambiguous" and "too few numbers" in few.sentence


@pytest.mark.parametrize("seed", [0, 77])
def test_dropout_that_was_left_on(bert: Checkpoint, folder: Path, seed: int) -> None:
    tokenizer, _ = classifier(folder)
    model = AutoModelForSequenceClassification.from_pretrained(folder).train()
    with torch.no_grad(), torch.random.fork_rng():
        torch.manual_seed(seed)
        made = model(**tokenizer(list(MORE), padding=True, return_tensors="pt")).logits
    answer = bertlens.identify(bert, MORE, made.softmax(1).numpy(), budget=15)
    assert answer.best is not None and answer.best.recipe.words == "logits|softmax, dropout=on"
    assert answer.verdict == ("found" if seed == 0 else "ambiguous") and ids(answer) == {"dropout-active"}
    assert ("seed 0 gives these very vectors" in answer.sentence) == (seed == 0)


def test_one_text_is_too_little_to_be_sure(bert: Checkpoint, folder: Path) -> None:
    answer = bertlens.identify(bert, TEXTS[3:4], logits(folder, TEXTS[3:4]).numpy())
    assert answer.verdict == "ambiguous" and answer.best is not None and answer.best.recipe.words == "logits"


@pytest.mark.parametrize(("family", "done"), [("bert", "softmax"), ("roberta", "nothing"), ("modernbert", "rounded")])
def test_another_head_is_never_found(family: str, done: str, family_folder: Folder, loaded: Loaded) -> None:
    other = logits(family_folder(family, **HEAD, seed=7)).numpy()
    made = {"softmax": softmax(other, 1), "nothing": other, "rounded": np.round(softmax(other, 1), 2)}[done]
    answer = bertlens.identify(loaded(family, **HEAD), TEXTS, made, budget=15)
    assert answer.verdict == "none", answer.sentence


def test_a_head_that_is_not_in_the_file_is_not_compared(family_folder: Folder, loaded: Loaded) -> None:
    base, checkpoint = family_folder("bert", num_labels=3), loaded("bert", num_labels=3)
    with torch.random.fork_rng():
        torch.manual_seed(0)  # the very seed that bertlens draws such a head with
        made = logits(base)
    answer = bertlens.identify(checkpoint, TEXTS, made.numpy(), budget=8)
    assert answer.verdict == "none"
    assert "not in the file" in answer.notes[0] and "classifier" in answer.notes[0]
    with pytest.raises(BertlensError, match="not in the file"):
        read_logits(prepare(checkpoint, TEXTS, Condition()))


def test_another_number_of_labels_is_said(bert: Checkpoint, folder: Path) -> None:
    answer = bertlens.identify(bert, TEXTS, logits(folder)[:, :2].numpy(), budget=4)
    assert answer.verdict != "found" and "has 3 labels" in answer.notes[0]


def test_the_first_components_of_cls_are_no_logits(bert: Checkpoint, folder: Path) -> None:
    tokenizer, model = classifier(folder)
    with torch.no_grad():
        state = model.bert(**tokenizer(list(TEXTS), padding=True, return_tensors="pt")).last_hidden_state
    answer = bertlens.identify(bert, TEXTS, state[:, 0, :3].numpy())
    assert answer.verdict == "found" and answer.best is not None
    assert answer.best.recipe.readout.pooling in ("cls", "first_position") and answer.best.recipe.post.dims == 3


def test_a_recipe_of_logits_in_words_and_tables(bert: Checkpoint, folder: Path) -> None:
    answer = bertlens.identify(bert, TEXTS, logits(folder).softmax(1).numpy())
    assert answer.to_dict()["recipe"]["readout"] == "logits|softmax"
    assert answer.best is not None and "softmax" in steps(answer.best.recipe).iloc[-1]["meaning"]
    assert any(other.recipe.readout == Logits() for other in answer.alternatives), "the others of the head are shown beside it"


def test_vectors_of_another_size_run_no_head(bert: Checkpoint, folder: Path) -> None:
    tokenizer, model = classifier(folder)
    with torch.no_grad():
        state = model.bert(**tokenizer(list(TEXTS), padding=True, return_tensors="pt")).last_hidden_state
    answer = bertlens.identify(bert, TEXTS, state[:, 0].numpy())
    assert answer.verdict == "found" and not answer.notes
    assert not any(isinstance(other.recipe.readout, Logits) for other in answer.alternatives)


@pytest.mark.parametrize("sigmoid", [False, True])
@pytest.mark.parametrize("seed", range(3))
def test_few_logits_of_a_whole_batch_in_bfloat16(family_folder: Folder, loaded: Loaded, sigmoid: bool, seed: int) -> None:
    """Padding moves them as far as half precision does, and storing hides a part of both."""
    options = {**HEAD, "num_labels": 4, "seed": seed}
    folder, checkpoint = family_folder("distilbert", **options), loaded("distilbert", **options)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModelForSequenceClassification.from_pretrained(folder, dtype=torch.bfloat16).eval()
    with torch.no_grad():
        values = model(**tokenizer(list(TEXTS), return_tensors="pt", padding=True)).logits
    given = (values.sigmoid() if sigmoid else values).float().numpy()
    answer = bertlens.identify(checkpoint, TEXTS, given)
    assert answer.best is not None and answer.best.recipe.condition.dtype == "bfloat16", answer.sentence
    assert answer.best.explained and str(answer.best.recipe.readout) == ("logits|sigmoid" if sigmoid else "logits")
