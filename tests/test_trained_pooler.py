"""A pooler trained with a classifier: repeatable, loadable in the family's class, no more worth than what is held out says."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import AutoModelForSequenceClassification, AutoTokenizer

import bertlens
from bertlens.errors import BertlensError
from bertlens.judge.weights.load_report import is_pooler
from bertlens.read.folds import splits
from bertlens.read.pooler_fit import fit, predicted
from bertlens.remedies.trained_pooler import FLAT, TrainedPooler
from bertlens.run.checkpoint import Checkpoint
from bertlens.run.labels import example_labelled
from tests.conftest import Loaded

EXAMPLE = example_labelled()
CLASSES = ("negative", "positive")


@pytest.fixture(scope="module")
def trained(minilm: Checkpoint, tmp_path_factory: pytest.TempPathFactory) -> TrainedPooler:
    return bertlens.train_pooler(minilm, EXAMPLE.texts, EXAMPLE.labels, tmp_path_factory.mktemp("trained") / "out", folds=2)


def test_two_loads_have_the_same_pooler_and_nothing_is_newly_initialised(trained: TrainedPooler) -> None:
    assert trained.loads.verdict == "identical" and all(row.equal for row in trained.loads.rows)
    assert bertlens.load(trained.out).report.newly_initialised == ()
    assert "the same to the last bit" in trained.sentence


def test_the_encoder_is_as_it_was(trained: TrainedPooler, minilm: Checkpoint) -> None:
    new, old = bertlens.load(trained.out).model.state_dict(), minilm.model.state_dict()
    changed = {name for name in old if not torch.equal(new[name], old[name])}
    assert changed == {name for name in old if is_pooler(name)}


def test_plain_transformers_reads_the_classifier(trained: TrainedPooler) -> None:
    model = AutoModelForSequenceClassification.from_pretrained(trained.out).eval()
    tokenizer = AutoTokenizer.from_pretrained(trained.out)
    assert type(model).__name__ == trained.cls == "BertForSequenceClassification"
    assert model.config.id2label == dict(enumerate(CLASSES)) and trained.classes == CLASSES
    with torch.inference_mode():
        logits = model(**tokenizer(list(EXAMPLE.texts), padding=True, return_tensors="pt")).logits
    said = [model.config.id2label[at] for at in logits.argmax(1).tolist()]
    assert np.mean([one == other for one, other in zip(said, EXAMPLE.labels, strict=True)]) > 0.9, "learnt from all of them"


def test_the_accuracy_is_of_texts_held_out(trained: TrainedPooler, minilm: Checkpoint) -> None:
    vectors = bertlens.pool(minilm, EXAMPLE.texts, ["cls"]).vectors["cls"]
    states, targets = torch.from_numpy(vectors).double(), torch.tensor([CLASSES.index(one) for one in EXAMPLE.labels])
    accuracies = []
    for learn, test in splits(EXAMPLE.labels, 2, 1, 0):
        *parts, slope = fit(states[learn], targets[learn], 2, 0.02, 0, FLAT)
        assert (slope <= FLAT) or not trained.converged
        accuracies.append(float((predicted(states[test], *parts).argmax(1) == targets[test]).double().mean()))
    assert trained.learnt.accuracies == tuple(accuracies)
    assert trained.guess.accuracy == 0.5
    assert f"{trained.learnt.accuracy:.2f}" in trained.sentence and "the majority class in 0.50" in trained.sentence


def test_what_the_check_says_is_reported(trained: TrainedPooler) -> None:
    said = next(one for one in bertlens.check(trained.out).modules if is_pooler(one.name))
    assert (trained.state, trained.reason) == (said.state, said.reason)
    assert f"says of this pooler: {said.state}" in trained.sentence
    before = next(one for one in bertlens.check("minilm").modules if is_pooler(one.name))
    assert before.state == "newly drawn" != said.state, "its healthy twin"
    document = json.loads(json.dumps(trained.to_dict(), allow_nan=False))
    assert document["pooler"]["state"] == said.state and document["repeatable"] is True


def test_separable_states_are_separated_and_the_slope_is_flat() -> None:
    generator = torch.Generator().manual_seed(0)
    targets = torch.arange(60) % 3
    states = torch.randn(60, 8, generator=generator, dtype=torch.float64) + 6 * torch.eye(8, dtype=torch.float64)[targets]
    *parts, slope = fit(states[:30], targets[:30], 3, 0.02, 0, FLAT)
    assert slope <= FLAT
    assert (predicted(states[30:], *parts).argmax(1) == targets[30:]).all()
    again = fit(states[:30], targets[:30], 3, 0.02, 0, FLAT)
    assert all(torch.equal(one, other) for one, other in zip([*parts, slope], again, strict=True))
    assert not torch.equal(parts[0], fit(states[:30], targets[:30], 3, 0.02, 1, FLAT)[0])


@pytest.mark.parametrize(
    ("family", "cls"),
    [
        ("bert", "BertForSequenceClassification"),
        ("roberta", "RobertaForSequenceClassification"),
        ("albert", "AlbertForSequenceClassification"),
        ("mpnet", "MPNetForSequenceClassification"),
    ],
)
def test_every_family_with_a_pooler(family: str, cls: str, loaded: Loaded, tmp_path: Path) -> None:
    labels = ["a", "b", "c"] * 4
    found = bertlens.train_pooler(loaded(family), EXAMPLE.texts[:12], labels, tmp_path / "out", folds=2)
    assert found.cls == cls and found.loads.verdict == "identical" and found.classes == ("a", "b", "c")
    model = AutoModelForSequenceClassification.from_pretrained(found.out)
    assert model.config.num_labels == 3


def test_what_cannot_be_trained_leaves_nothing(loaded: Loaded, tmp_path: Path) -> None:
    texts, out = EXAMPLE.texts[:4], tmp_path / "out"
    with pytest.raises(BertlensError, match="a model without a pooler"):
        bertlens.train_pooler(loaded("distilbert"), texts, [1, 2, 1, 2], out)
    with pytest.raises(BertlensError, match="3 labels for 4 texts"):
        bertlens.train_pooler(loaded("bert"), texts, [1, 2, 3], out)
    with pytest.raises(BertlensError, match="a single text of the class"):
        bertlens.train_pooler(loaded("bert"), texts, [1, 2, 2, 2], out)
    out.mkdir()
    (out / "file").write_text("kept")
    with pytest.raises(BertlensError, match="a folder that is not empty"):
        bertlens.train_pooler(loaded("bert"), texts, [1, 2, 1, 2], out)
    assert [path.name for path in tmp_path.iterdir()] == ["out"] and (out / "file").read_text() == "kept"
