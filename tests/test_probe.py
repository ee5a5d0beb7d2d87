"""Probing: its numbers are scikit-learn's on vectors of plain transformers; neither noise nor luck is taken for learning."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from scipy import stats
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import f1_score
from sklearn.model_selection import RepeatedStratifiedKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from transformers import AutoModel, AutoTokenizer

import bertlens
from bertlens.diagnose.probing import usual_readouts
from bertlens.errors import BertlensError
from bertlens.judge.probing import scores
from bertlens.judge.told_apart import corrected_t, holm, mcnemar, of_guessing, of_two
from bertlens.read.folds import held_out, layer_of, splits
from bertlens.run.checkpoint import Checkpoint
from bertlens.run.labels import as_labels, example_labelled, label_candidates, read_labelled
from tests.conftest import Loaded
from tests.test_cli import ran, strict

EXAMPLE = example_labelled()
NAMES = ["a", "b"] * 20
TWO = np.array(NAMES)


def drawn(shift: float, dimensions: int = 10, seed: int = 0) -> np.ndarray:
    """Normal vectors in which class a lies `shift` further along the first axis."""
    found = np.random.default_rng(seed).normal(size=(len(TWO), dimensions))
    found[TWO == "a", 0] += shift
    return found


# --- the core on vectors of which the answer is known ---------------------------------------------------------------


def test_what_can_be_separated_is_and_what_is_noise_is_not() -> None:
    dealt = splits(NAMES, 5, 5, 0)
    apart = scores("apart", TWO, held_out(drawn(50), NAMES, dealt).labels, dealt)
    noise = scores("noise", TWO, held_out(drawn(0), NAMES, dealt).labels, dealt)
    guess = scores("guess", TWO, np.full((5, 40), "a"), dealt)
    assert apart.accuracy == apart.macro_f1 == 1.0 and apart.spread == 0.0
    assert abs(noise.accuracy - 0.5) < 2 * noise.spread and noise.spread > 0
    assert of_guessing(apart.right, guess.right, dealt) < 1e-9 < 0.05 < of_guessing(noise.right, guess.right, dealt)
    assert of_two(apart.right, noise.right, dealt) < 0.01
    assert of_two(apart.right, apart.right, dealt) == 1.0


def test_every_text_is_held_out_once_in_every_repeat_and_never_learnt_from() -> None:
    dealt = splits(NAMES, 4, 3, 0)
    assert len(dealt) == 12
    for learn, test in dealt:
        assert not set(learn) & set(test) and len(learn) + len(test) == len(TWO)
        assert set(TWO[test]) == {"a", "b"}
    for at in range(0, 12, 4):
        assert sorted(np.concatenate([test for _, test in dealt[at : at + 4]])) == list(range(len(TWO)))


def test_the_tests_are_those_of_their_papers() -> None:
    differences = np.array([0.1, 0.0, 0.2, 0.1, 0.05])
    by_hand = differences.mean() / np.sqrt(differences.var(ddof=1) * (1 / 5 + (1 / 5) / (4 / 5)))
    assert corrected_t(differences, 5) == pytest.approx(2 * stats.t.sf(by_hand, 4))
    assert corrected_t(differences, 5) > stats.ttest_1samp(differences, 0).pvalue, "training sets that overlap cost"
    assert corrected_t(np.zeros(5), 5) == 1.0
    right, other = np.arange(20) < 15, np.arange(20) < 5  # ten texts that only one of them has right
    assert mcnemar(right, other) == pytest.approx(2 * 0.5**10)
    assert mcnemar(right, right) == 1.0
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])


def test_a_difference_that_happens_to_be_alike_in_two_folds_is_not_believed() -> None:
    dealt = splits(NAMES, 2, 1, 0)
    right = np.ones((1, 40), bool)
    other = right.copy()
    for _, test in dealt:
        other[0, test[0]] = False  # one text in each: the t-test sees no variance at all
    assert corrected_t(np.array([0.05, 0.05]), 2) == 0.0
    assert of_two(right, other, dealt) == 0.5


@pytest.mark.parametrize("classes", [2, 3])
def test_a_layer_on_all_texts_is_scikit_learn_s_with_the_scaler_inside(classes: int) -> None:
    labels = [f"class {at % classes}" for at in range(42)]
    vectors = np.random.default_rng(1).normal(3, 5, size=(42, 6)).astype(np.float32)
    weight, bias, names = layer_of(vectors, labels)
    assert weight.shape == (classes, 6) and names == tuple(sorted(set(labels)))
    pipeline = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000)).fit(vectors.astype(float), labels)
    logits = torch.from_numpy(vectors.astype(float) @ weight.T + bias)
    np.testing.assert_allclose(logits.softmax(1), pipeline.predict_proba(vectors.astype(float)), atol=1e-12)


# --- the whole on checkpoints -----------------------------------------------------------------------------------------


def by_hand(name: str, texts: Any) -> dict[str, np.ndarray]:
    """[CLS], masked mean and pooler, three lines of plain transformers."""
    tokenizer, model = AutoTokenizer.from_pretrained(name), AutoModel.from_pretrained(name).eval()
    with torch.inference_mode():
        batch = tokenizer(list(texts), padding=True, return_tensors="pt")
        out = model(**batch)
    mask = batch["attention_mask"].unsqueeze(-1)
    found = {"cls": out.last_hidden_state[:, 0], "mean": (out.last_hidden_state * mask).sum(1) / mask.sum(1)}
    found |= {"pooler": out.pooler_output} if out.get("pooler_output") is not None else {}
    return {readout: values.double().numpy() for readout, values in found.items()}


def test_the_numbers_are_those_of_scikit_learn_on_plain_vectors(minilm: Checkpoint) -> None:
    found = bertlens.probe(minilm, EXAMPLE.texts, EXAMPLE.labels, ["cls", "mean", "pooler"], folds=4, repeats=2, seed=7)
    vectors, labels = by_hand(str(minilm.folder), EXAMPLE.texts), np.array(EXAMPLE.labels)
    dealt = list(RepeatedStratifiedKFold(n_splits=4, n_repeats=2, random_state=7).split(labels, labels))
    for one in found.readouts:
        accuracies, f1s = [], []
        for learn, test in dealt:
            pipeline = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))
            said = pipeline.fit(vectors[one.name][learn], labels[learn]).predict(vectors[one.name][test])
            accuracies.append((said == labels[test]).mean())
            f1s.append(f1_score(labels[test], said, average="macro"))
        assert one.accuracies == tuple(accuracies)
        np.testing.assert_allclose(one.macro_f1s, f1s)
    frame = found.to_frame().set_index("readout")
    assert frame.loc["cls", "accuracy"] == np.mean(found.readouts[0].accuracies)
    assert frame.loc["majority class", "accuracy"] == found.baseline.accuracy == 0.5
    assert found.meaningless == {"pooler": "pooler-untrained"}
    assert [one.severity for one in found.findings] == ["caution"], "cls and mean may be used"


def test_it_is_the_same_every_time_and_another_seed_deals_otherwise(minilm: Checkpoint) -> None:
    one, again, other = (
        bertlens.probe(minilm, EXAMPLE.texts, EXAMPLE.labels, ["cls"], repeats=2, seed=seed).to_dict() for seed in (0, 0, 1)
    )
    assert one == again
    assert one["readouts"][0]["accuracies"] != other["readouts"][0]["accuracies"]


def test_shuffled_labels_are_not_learnt_and_the_right_ones_are(minilm: Checkpoint) -> None:
    right = bertlens.probe(minilm, EXAMPLE.texts, EXAMPLE.labels, ["mean", "cls"])
    shuffled = np.random.default_rng(3).permutation(EXAMPLE.labels)
    wrong = bertlens.probe(minilm, EXAMPLE.texts, shuffled, ["mean", "cls"])
    assert right.learns and right.verdict in ("found", "ambiguous")
    assert not wrong.learns and wrong.verdict == "none" and wrong.sentence.startswith("None: no readout does better")
    assert abs(wrong.best.accuracy - 0.5) < 2 * wrong.best.spread


def test_what_cannot_be_told_apart_is_said_to_be_so(minilm: Checkpoint) -> None:
    found = bertlens.probe(minilm, EXAMPLE.texts, EXAMPLE.labels, ["mean", "mean|l2"])
    assert found.verdict == "ambiguous"
    assert "cannot be told apart with 40 texts" in found.sentence and "mean|l2" in found.sentence
    alone = bertlens.probe(minilm, EXAMPLE.texts, EXAMPLE.labels, ["mean"])
    assert alone.verdict == "found" and alone.sentence.startswith(f"Found: mean {alone.best.accuracy:.2f}")


def test_a_better_readout_is_named_where_the_labels_show_it(minilm: Checkpoint) -> None:
    texts = [
        f"The {noun} {verb}." for noun in ("cat", "dog", "bird", "cow") for verb in ("sleeps", "runs", "eats", "waits")
    ] * 2
    labels = ["animal at rest" if "sleeps" in text or "waits" in text else "moving" for text in texts]
    found = bertlens.probe(minilm, texts, labels, ["mean", "first_position@0"])  # [CLS] before any layer: no text in it
    assert found.verdict == "found" and found.best.name == "mean" and found.against_best["first_position@0"] < 0.05
    assert "better than first_position@0" in found.sentence


@pytest.mark.parametrize("family", ["bert", "distilbert", "roberta", "modernbert"])
def test_families_with_and_without_a_pooler(family: str, loaded: Loaded) -> None:
    one = loaded(family)
    found = bertlens.probe(one, EXAMPLE.texts, EXAMPLE.labels, repeats=1)
    assert ("pooler" in [entry.name for entry in found.readouts]) == one.architecture.pooler
    assert tuple(entry.name for entry in found.readouts) == usual_readouts(one)
    vectors = by_hand(str(one.folder), EXAMPLE.texts)
    np.testing.assert_allclose(found.vectors["mean"], vectors["mean"], atol=1e-4)
    if not one.architecture.pooler:
        with pytest.raises(BertlensError, match="without a pooler"):
            bertlens.probe(one, EXAMPLE.texts, EXAMPLE.labels, ["pooler"])


def test_the_layer_takes_the_vectors_as_they_are(minilm: Checkpoint) -> None:
    found = bertlens.probe(minilm, EXAMPLE.texts, EXAMPLE.labels, ["cls"], repeats=1)
    weight, bias, names = found.layer("cls")
    said = [names[at] for at in (found.vectors["cls"] @ weight.T + bias).argmax(1)]
    assert said == list(EXAMPLE.labels), "384 dimensions separate 40 texts that were learnt from"
    with pytest.raises(BertlensError, match="cannot train a layer on mean"):
        found.layer("mean")


# --- what is refused, and what is lowered -----------------------------------------------------------------------------


REFUSED: dict[str, tuple[list[Any], dict[str, Any], str]] = {
    "one class": (["a"] * 6, {}, "only the label 'a'"),
    "another count": (["a", "b"], {}, "2 labels for 6 texts"),
    "a lonely text": (["a"] * 5 + ["b"], {}, "a single text of the class 'b'"),
    "one fold": (["a", "b"] * 3, {"folds": 1}, "1 fold;"),
    "no repeat": (["a", "b"] * 3, {"repeats": 0}, "0 repeats"),
    "a hole": (["a", "b", None] * 2, {}, "no label for text 2"),
    "a blank": (["a", " "] * 3, {}, "no label for text 1"),
    "a list": ([["a"], "b"] * 3, {}, "a label of the type list for text 0"),
}


@pytest.mark.parametrize("what", REFUSED)
def test_what_cannot_be_probed_is_refused_in_one_sentence(what: str, loaded: Loaded) -> None:
    labels, how, said = REFUSED[what]
    with pytest.raises(BertlensError) as refused:
        bertlens.probe(loaded("bert"), EXAMPLE.texts[:6], labels, ["cls"], **how)
    assert said in refused.value.sentence and "\n" not in refused.value.sentence


def test_a_text_without_a_vector_is_named(loaded: Loaded) -> None:
    with pytest.raises(BertlensError, match="NaN or Inf in the vectors of 1 text, the first is text 2"):
        bertlens.probe(loaded("bert"), ["one", "two", "", "four"], [0, 1, 0, 1], ["mean_content"])


def test_folds_are_lowered_to_the_smallest_class_and_this_is_said(loaded: Loaded) -> None:
    labels = [1, 1, 1, 0, 0, 0, 0, 0]
    found = bertlens.probe(loaded("bert"), EXAMPLE.texts[:8], labels, ["cls"], repeats=1)
    assert found.folds == 3 and found.notes[0] == "3 folds instead of 5: the smallest class has 3 texts."
    assert found.classes == {"0": 5, "1": 3}
    assert bertlens.probe(loaded("bert"), EXAMPLE.texts[:8], labels, ["cls"], folds=2, repeats=1).notes == ()


def test_labels_of_all_kinds_are_the_same_words() -> None:
    assert as_labels([1, 0], "ab") == as_labels(np.array([1.0, 0.0]), "ab") == as_labels([" 1 ", "0"], "ab") == ("1", "0")
    assert as_labels([True, False], "ab") == ("True", "False")


# --- files and the command line ---------------------------------------------------------------------------------------


@pytest.fixture
def file(tmp_path: Path) -> Path:
    both = (EXAMPLE.texts, EXAMPLE.labels)
    lines = [{"id": at, "text": text, "mood": mood} for at, (text, mood) in enumerate(zip(*both, strict=True))]
    path = tmp_path / "labelled.jsonl"
    path.write_text("\n".join(map(json.dumps, lines)), "utf-8")
    return path


def test_a_file_is_read_with_its_columns(file: Path) -> None:
    found = read_labelled(file, label_column="mood")
    assert (found.texts, found.labels) == (EXAMPLE.texts, EXAMPLE.labels)
    with pytest.raises(BertlensError, match="expected one called label; name the column with --label-column"):
        read_labelled(file)
    assert label_candidates({"text": ["x", "y"], "id": [1, 2], "n": ["a", "a"], "Label": [1, 0]}, "text") == ("Label", "id")


def test_the_command_says_the_numbers_of_the_core(capsys: pytest.CaptureFixture[str], file: Path, minilm: Checkpoint) -> None:
    asked = ("probe", "minilm", "--texts", str(file), "--label-column", "mood", "--readouts", "cls", "mean", "--repeats", "2")
    status, out, err = ran(capsys, *asked, "--json")
    assert status == 0 and not err
    document = strict(out)
    found = bertlens.probe(minilm, EXAMPLE.texts, EXAMPLE.labels, ["cls", "mean"], repeats=2)
    assert document == json.loads(json.dumps(found.to_dict()))
    assert document["schema"] == "bertlens.probe/1" and document["readouts"][-1]["readout"] == "majority class"
    status, out, err = ran(capsys, *asked)
    assert status == 0 and out.startswith(found.sentence) and "majority class" in out


def test_the_command_finds_a_problem_where_nothing_may_be_used(capsys: pytest.CaptureFixture[str], file: Path) -> None:
    asked = ("probe", "minilm", "--texts", str(file), "--label-column", "mood", "--repeats", "1")
    status, out, _ = ran(capsys, *asked, "--readouts", "pooler")
    assert status == 1 and "problem: " in out and "pooler-untrained" in out
    assert ran(capsys, *asked, "--readouts", "pooler", "cls")[0] == 0


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ((), "expected one called label"),
        (("--label-column", "text"), "a single text of the class"),
        (("--label-column", "nothing"), "'nothing'"),
        (("--label-column", "mood", "--readouts", "median"), "median"),
        (("--label-column", "mood", "--folds", "1"), "1 fold"),
    ],
)
def test_what_the_command_cannot_do_is_one_line(
    capsys: pytest.CaptureFixture[str], file: Path, more: tuple[str, ...], said: str
) -> None:
    status, out, err = ran(capsys, "probe", "minilm", "--texts", str(file), *more)
    assert status == 2 and not out and said in err and err.count("\n") == 1
