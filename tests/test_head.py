"""The head of every family: followed without knowing its name, recomputed by hand, put on the mean, and never left changed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

import bertlens
from bertlens.judge.head import Head
from bertlens.read.head import trace
from bertlens.run.checkpoint import Checkpoint
from bertlens.run.condition import Condition
from bertlens.run.headed import KINDS, headed
from bertlens.run.inputs import prepare
from tests.conftest import Folder, Loaded
from tests.families import FAMILIES

TEXTS = ("A cat sat.", ("Who is it?", "A friend of yours from Paris."), "Rain")
SEQUENCE = "sequence-classification"

Step = Callable[[Any, torch.Tensor], torch.Tensor]


def pooled(model: Any, state: torch.Tensor) -> torch.Tensor:
    found: torch.Tensor = model.classifier(torch.tanh(model.bert.pooler.dense(state[:, 0])))
    return found


def albert(model: Any, state: torch.Tensor) -> torch.Tensor:
    found: torch.Tensor = model.classifier(torch.tanh(model.albert.pooler(state[:, 0])))
    return found


def distilbert(model: Any, state: torch.Tensor) -> torch.Tensor:
    found: torch.Tensor = model.classifier(torch.relu(model.pre_classifier(state[:, 0])))
    return found


def inside(model: Any, state: torch.Tensor) -> torch.Tensor:
    found: torch.Tensor = model.classifier.out_proj(torch.tanh(model.classifier.dense(state[:, 0])))
    return found


def electra(model: Any, state: torch.Tensor) -> torch.Tensor:
    dense = model.classifier.dense(state[:, 0])
    found: torch.Tensor = model.classifier.out_proj(torch.nn.functional.gelu(dense))
    return found


def modernbert(model: Any, state: torch.Tensor) -> torch.Tensor:
    found: torch.Tensor = model.classifier(model.head.norm(torch.nn.functional.gelu(model.head.dense(state[:, 0]))))
    return found


BY_HAND: dict[str, Step] = {
    **dict.fromkeys(("bert", "bert-cased"), pooled),
    **dict.fromkeys(("roberta", "xlm-roberta", "mpnet"), inside),
    "albert": albert,
    "distilbert": distilbert,
    "electra": electra,
    "modernbert": modernbert,
}
KINDS_OF = {
    **dict.fromkeys(("bert", "bert-cased", "albert"), ("take", "linear", "tanh", "dropout", "linear")),
    **dict.fromkeys(("roberta", "xlm-roberta", "mpnet"), ("take", "dropout", "linear", "tanh", "dropout", "linear")),
    "distilbert": ("take", "linear", "ReLU", "dropout", "linear"),
    "electra": ("take", "dropout", "linear", "GELU", "dropout", "linear"),
    "modernbert": ("take", "linear", "GELU", "LayerNorm", "dropout", "linear"),
}


def found_of(checkpoint: Checkpoint, text: int = 1, **more: Any) -> Head:
    return bertlens.head(checkpoint, TEXTS, text, **more)


def batch_of(checkpoint: Checkpoint, text: int = 1) -> Any:
    return next(iter(prepare(checkpoint, (TEXTS[text],), Condition())))


@pytest.mark.parametrize("family", FAMILIES)
def test_the_head_of_every_family_is_followed_and_recomputed(family: str, loaded: Loaded) -> None:
    checkpoint = loaded(family, head=SEQUENCE)
    found, batch = found_of(checkpoint), batch_of(checkpoint)
    model = headed(checkpoint).instance()
    with torch.inference_mode():
        logits = model(**batch.tensors).logits
        state = model.base_model(**batch.tensors).last_hidden_state
        assert torch.allclose(BY_HAND[family](model, state), logits, atol=1e-6), "the premise: these are the steps"
    np.testing.assert_array_equal(found.logits, logits[0].numpy())
    assert tuple(step.kind for step in found.steps) == ("encoder", *KINDS_OF[family])
    assert {step.verdict for step in found.steps} <= {"identical", "rounding"}
    assert found.by_hand.gap <= 1e-6 and (found.by_hand.gap_float64 or 0.0) <= 1e-14
    assert found.verdict == "sound" and found.sentence.startswith("Sound: [CLS] goes through")
    assert found.taken == "cls" and found.drawn == () and found.is_row
    np.testing.assert_allclose(found.probabilities, logits[0].double().softmax(-1), rtol=1e-12)
    for label in range(2):
        assert found.contribution_gap(label) < 1e-6
    if checkpoint.architecture.segments > 1:
        assert set(found.segments) == {0, 1}, "the two sentences of a pair"
    assert any("no segments" in note for note in found.notes) == (checkpoint.architecture.segments < 2)


@pytest.mark.parametrize("family", FAMILIES)
def test_the_mean_goes_the_same_way(family: str, loaded: Loaded) -> None:
    checkpoint = loaded(family, head=SEQUENCE)
    found, batch = found_of(checkpoint), batch_of(checkpoint)
    model = headed(checkpoint).instance()
    with torch.inference_mode():
        state = model.base_model(**batch.tensors).last_hidden_state
        mean = state.mean(1, keepdim=True)  # one text without padding: the plain mean is the masked one
        np.testing.assert_allclose(found.replaced["mean"][-1], BY_HAND[family](model, mean)[0], atol=1e-6)
    np.testing.assert_array_equal(found.replaced["cls"][-1], found.logits)
    assert found.predictions is not None
    for name, values in found.replaced.items():  # in the batch of all texts padding does not count
        np.testing.assert_allclose(found.predictions.logits[name][1], values[-1], atol=2e-6)


def test_a_head_that_takes_the_mean_is_known_by_its_numbers(family_folder: Folder) -> None:
    checkpoint = bertlens.load(str(family_folder("modernbert", head=SEQUENCE, classifier_pooling="mean")))
    found = found_of(checkpoint)
    assert found.taken == "mean" and found.by_hand.verdict in ("identical", "rounding")
    np.testing.assert_allclose(found.replaced["mean"][-1], found.logits, atol=1e-6)
    assert np.abs(found.replaced["cls"][-1] - found.logits).max() > 1e-3


def test_a_head_that_is_not_in_the_file_says_so_first_and_is_drawn_alike_each_time(minilm: Checkpoint) -> None:
    before = torch.get_rng_state()
    found = found_of(minilm)
    assert torch.equal(torch.get_rng_state(), before)
    assert found.verdict == "problem" and found.drawn == ("classifier.bias", "classifier.weight")
    assert found.sentence.startswith("Faulty: classifier of BertForSequenceClassification is not in the file")
    assert "random draw" in found.sentence and "seed 0" in found.sentence
    assert [one.id for one in found.findings] == ["classifier-untrained", "pooler-untrained"]
    assert [step.name for step in found.steps if step.drawn] == ["classifier"]
    from transformers import AutoModelForSequenceClassification

    with torch.random.fork_rng():
        torch.manual_seed(found.seed)
        plain = AutoModelForSequenceClassification.from_pretrained(minilm.folder, dtype=torch.float32).eval()
    with torch.inference_mode():
        logits = plain(**batch_of(minilm).tensors).logits[0]
    np.testing.assert_array_equal(found.logits, logits.numpy())


def test_the_encoder_is_held_once_and_nothing_is_left_behind(loaded: Loaded) -> None:
    checkpoint = loaded("bert", head=SEQUENCE)
    one = headed(checkpoint)
    assert one is headed(checkpoint, "sequence"), "loaded once"
    model = one.own_instance()
    shared = dict(model.base_model.named_parameters())
    assert all(shared[name] is parameter for name, parameter in checkpoint.model.named_parameters())
    masked = headed(checkpoint, "masked-lm").instance()
    assert masked.get_output_embeddings().weight is checkpoint.model.get_input_embeddings().weight, "tied, and shared"
    batch = batch_of(checkpoint)
    with torch.inference_mode():
        before = model(**batch.tensors).logits
        trace(model, batch.tensors, batch.real)
        assert torch.equal(model(**batch.tensors).logits, before)
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in model.modules())


def test_rows_of_special_tokens(minilm: Checkpoint) -> None:
    rows = {row.token: row for row in found_of(minilm).rows}
    weight = minilm.model.get_input_embeddings().weight.detach().double()
    assert {name: row.id for name, row in rows.items()} == {
        "[PAD]": 0,
        "[UNK]": 100,
        "[CLS]": 101,
        "[SEP]": 102,
        "[MASK]": 103,
    }
    cls = rows["[CLS]"]
    assert cls.norm == pytest.approx(float(weight[101].norm())) and "cls" in cls.roles
    assert cls.rank == int((weight.norm(dim=1) >= weight[101].norm()).sum()) and cls.of == 30522


def test_dropout_off_repeats_and_on_scatters_as_by_hand(loaded: Loaded) -> None:
    checkpoint = loaded("bert", head=SEQUENCE)
    found = bertlens.head_dropout(checkpoint, TEXTS, 1)
    assert found.repeats and found.active and found.on.shape == (20, 2) and found.rates == {0.1: 11}
    model = headed(checkpoint).own_instance(dropout=True)
    with torch.random.fork_rng(), torch.inference_mode():
        torch.manual_seed(7)
        np.testing.assert_array_equal(found.on[7], model(**batch_of(checkpoint).tensors).logits[0].numpy())
    np.testing.assert_allclose(found.spread, found.on.astype(float).std(0, ddof=1))
    assert found.changed == sum(run.argmax() != found.off.argmax() for run in found.on)
    still = bertlens.head_dropout(loaded("modernbert", head=SEQUENCE), TEXTS, 1)
    assert still.repeats and not still.active and "no dropout above zero" in still.sentence


@pytest.mark.parametrize("family", FAMILIES)
def test_attention_from_cls_is_the_first_row_of_the_model_s_own(family: str, loaded: Loaded) -> None:
    checkpoint = loaded(family, head=SEQUENCE)
    found = bertlens.cls_attention(checkpoint, TEXTS, 1)
    with torch.inference_mode():
        out = headed(checkpoint).own_instance("eager")(**batch_of(checkpoint).tensors, output_attentions=True)
    np.testing.assert_array_equal(found.values, torch.stack(out.attentions)[:, 0, :, 0].numpy())
    np.testing.assert_allclose(found.values.sum(2), 1, atol=1e-6)
    np.testing.assert_allclose(
        found.to_itself + found.to_content, 1 - found.mean[:, np.flatnonzero(found.special)[1:]].sum(1), atol=1e-6
    )


@pytest.mark.parametrize("kind", ["masked-lm", "token", "question"])
@pytest.mark.parametrize("family", FAMILIES)
def test_heads_over_tokens_are_followed_as_well(family: str, kind: str, loaded: Loaded) -> None:
    checkpoint = loaded(family, head=SEQUENCE)
    found, batch = found_of(checkpoint, kind=kind, token=3), batch_of(checkpoint)
    assert found.by_hand.verdict in ("identical", "rounding") and found.taken == "" and found.replaced == {}
    assert found.answers is not None and found.predictions is None
    model, ids = headed(checkpoint, kind).instance(), batch.tensors["input_ids"]
    if kind == "masked-lm":
        ids[0, found.position] = checkpoint.tokenizer.mask_token_id
    with torch.inference_mode():
        out = model(**batch.tensors)
    assert [field.shape for field in found.fields] == [tuple(value.shape) for value in out.values()]
    first = found.answers.rows[0]
    if kind == "masked-lm":
        probable = out.logits[0, found.position].double().softmax(-1)
        assert first["id"] == int(probable.argmax()) and first["probability"] == pytest.approx(float(probable.max()))
        assert "was replaced by one" in " ".join(found.notes)
    elif kind == "token":
        labels = [model.config.id2label[at] for at in out.logits[0].argmax(-1).tolist()]
        assert [row["label"] for row in found.answers.rows] == labels and len(labels) == len(found.tokens)
    else:
        after = range(found.ids.index(checkpoint.tokenizer.sep_token_id) + 1, len(found.ids) - 1)
        context = [place for place in after if not found.special[place]]
        scores = {(a, b): float(out.start_logits[0, a] + out.end_logits[0, b]) for a in context for b in context if a <= b}
        assert (first["start"], first["end"]) == max(scores, key=lambda span: scores[span])


def test_a_masked_word_is_filled_where_it_stands(loaded: Loaded) -> None:
    checkpoint = loaded("bert", head="masked-lm")
    found = bertlens.head(checkpoint, ["The [MASK] sat on the [MASK]."])
    assert found.kind == "masked-lm" and found.drawn == () and found.notes == ()
    assert found.answers is not None and {row["position"] for row in found.answers.rows} == {2, 6}
    assert found.verdict == "sound"


def test_weights_of_another_task_are_told(loaded: Loaded) -> None:
    found = found_of(loaded("bert", head=SEQUENCE), kind="token")
    assert found.drawn == () and found.verdict == "caution", "the file's classifier has the same name and shape"
    assert "saved by BertForSequenceClassification, not trained for token classification" in found.sentence


@pytest.mark.parametrize(
    ("problem", "labels", "activation"), [("regression", 1, ""), ("multi_label_classification", 3, "sigmoid")]
)
def test_a_score_is_no_probability(family_folder: Folder, problem: str, labels: int, activation: str) -> None:
    checkpoint = bertlens.load(str(family_folder("distilbert", head=SEQUENCE, num_labels=labels, problem_type=problem)))
    found = found_of(checkpoint)
    assert found.activation == activation and found.logits.shape == (labels,)
    wanted = found.logits if not activation else torch.from_numpy(found.logits).double().sigmoid()
    np.testing.assert_allclose(found.probabilities, wanted, rtol=1e-6)
    assert ("the score" in found.sentence) == (labels == 1)


def test_what_cannot_be_asked_is_one_sentence(loaded: Loaded) -> None:
    checkpoint = loaded("bert", head=SEQUENCE)
    for wrong in ({"kind": "no-head"}, {"text": 3}):
        with pytest.raises(bertlens.BertlensError):
            bertlens.head(checkpoint, TEXTS, **wrong)
    assert set(KINDS) == {"sequence", "masked-lm", "token", "question"}
    assert bertlens.head(checkpoint, TEXTS, 2).tokens[1:-1] == ("rain",), "one token is enough"


def test_results_say_themselves(loaded: Loaded) -> None:
    import json

    found = found_of(loaded("bert", head=SEQUENCE))
    assert json.loads(json.dumps(found.to_dict()))["logits"] == pytest.approx(found.logits.tolist())
    assert len(found.to_frame()) == len(found.steps) and "Sound" in found._repr_html_()
