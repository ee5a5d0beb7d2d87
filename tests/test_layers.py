"""The layers of a model: what the states are, what is read of them in one pass, and when their cosines are called narrow."""

from __future__ import annotations

import gc
import json
import weakref
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

import bertlens
from bertlens.diagnose import states as diagnosed
from bertlens.errors import BertlensError
from bertlens.judge import narrow
from bertlens.judge.layers import Layers, states_of
from bertlens.read.geometry import cka
from bertlens.read.sample import SampleReader
from bertlens.read.states import states_of as states_of_text
from bertlens.read.survey import survey
from bertlens.read.vectors import read
from bertlens.run.checkpoint import Checkpoint
from bertlens.run.condition import Condition
from bertlens.run.fresh import TEXTS as MOST_TEXTS
from bertlens.run.fresh import TOKENS, UNRELATED, few, fresh
from bertlens.run.inputs import prepare
from bertlens.run.texts import as_texts
from bertlens.show import course as drawn_course
from bertlens.show import layers as drawn
from bertlens.show import token_layers as drawn_tokens
from tests.conftest import Folder, Loaded
from tests.families import FAMILIES
from tests.test_survey import with_a_last_norm

TEXTS = ["The river bank was muddy.", "Money lies in the bank on Monday.", "A quiet <b>song</b> $x$", "the the the dogs"]
ALIKE = ["The cat sat on the mat.", "A cat is sitting on a mat.", "On the mat there sits a cat."]


@pytest.fixture(scope="module")
def found(minilm: Checkpoint) -> Layers:
    return bertlens.layers(minilm, TEXTS)


@pytest.fixture(scope="module")
def pushed(family_folder: Folder, tmp_path_factory: pytest.TempPathFactory) -> Callable[[float], Checkpoint]:
    """A random BERT with so much added to one unit of its last LayerNorm's bias."""
    return lambda size: bertlens.load(str(push(family_folder("bert"), tmp_path_factory.mktemp("pushed"), size)))


def push(sound: Path, folder: Path, size: float, prefix: str = "") -> Path:
    """A copy of a BERT's folder with so much added to one unit of its last bias, and a prefix to the names of its weights."""
    for file in sound.iterdir():
        (folder / file.name).write_bytes(file.read_bytes())
    weights = load_file(folder / "model.safetensors")
    weights["encoder.layer.2.output.LayerNorm.bias"][7] += size
    weights = {f"{prefix}{name}": tensor for name, tensor in weights.items()}
    save_file(weights, folder / "model.safetensors", {"format": "pt"})
    return folder


def test_every_state_is_named_and_what_holds_it_is_checked_on_the_run(found: Layers) -> None:
    assert [state.expression for state in found.states] == [f"hidden_states[{at}]" for at in range(7)]
    assert found.names == ("embeddings", *(f"layer {at}" for at in range(1, 7)))
    assert found.labels == ("0 embeddings", "1", "2", "3", "4", "5", "6 = last_hidden_state")
    assert found.tied and found.depth == 6
    assert "not layer 1" in found.states[0].note and "same numbers as last_hidden_state" in found.states[6].note
    untied = states_of((*found.names, "last_hidden_state"), 6)
    assert [state.label for state in untied[-2:]] == ["6", "last_hidden_state"]
    assert untied[-1].expression == "last_hidden_state" and "not last_hidden_state" in untied[-2].note


def test_the_numbers_are_those_of_reading_each_by_itself(minilm: Checkpoint, found: Layers) -> None:
    inputs = prepare(minilm, as_texts(TEXTS), Condition())
    reader = SampleReader(inputs)
    survey(inputs, [reader])
    sample = reader.sample()
    units = sample.values / np.linalg.norm(sample.values, axis=-1, keepdims=True)
    for at, state in enumerate(units):
        np.testing.assert_allclose(found.anisotropy.mean[at], (state @ state.T)[sample.unrelated].mean(), atol=1e-5)
    np.testing.assert_allclose(found.outliers.contributions.sum(1), found.anisotropy.mean, atol=1e-12)
    np.testing.assert_allclose(found.cka, cka(sample.values), atol=1e-5)
    vectors = read(inputs, bertlens.Readout.parse("mean@3"))
    course = found.course("mean")
    np.testing.assert_allclose(course.vectors[3], vectors, atol=1e-5)
    np.testing.assert_allclose(course.measures["norm"][3], np.linalg.norm(vectors, axis=1), rtol=1e-5)
    np.testing.assert_allclose(found.of_readout("mean")["norm"][3], np.linalg.norm(vectors, axis=1).mean(), rtol=1e-5)
    np.testing.assert_allclose(found.vectors("mean@3"), vectors, atol=1e-5)
    assert found.tokens == sum(len(row.ids) for row in inputs.tokens) == found.travel.tokens["real"]
    np.testing.assert_allclose(np.linalg.norm(found.course("cls|l2").vectors, axis=-1), 1, rtol=1e-5)
    per_text = course.per_text()
    assert len(per_text) == 7 * len(TEXTS)
    assert per_text.query("state == 'layer 3' and text == 1")["norm"].item() == course.measures["norm"][3, 1]


def test_minilm_is_sound_and_the_sentence_says_its_number(found: Layers) -> None:
    assert (found.verdict, found.findings) == ("sound", ())
    state = int(found.anisotropy.mean.argmax())
    assert found.baseline is not None
    expected = f"Sound: unrelated tokens have a mean cosine of {found.anisotropy.mean[state]:.2f} in {found.names[state]}, "
    assert found.sentence.startswith(expected)
    assert f"has {found.baseline.mean[state]:.2f}; no other state has more." in found.sentence
    assert found.anisotropy.mean[-1] < narrow.HIGH


def test_a_model_pushed_into_a_cone_is_called_narrow_and_as_it_was_it_is_not(
    pushed: Callable[[float], Checkpoint], loaded: Loaded
) -> None:
    told = bertlens.layers(pushed(20.0), TEXTS)
    assert told.verdict == "caution"
    (finding,) = told.findings
    assert (finding.id, finding.severity, finding.affects) == ("anisotropy", "caution", ("last_hidden_state",))
    assert told.baseline is not None
    mean, drawn_mean = told.anisotropy.mean[-1], told.baseline.mean[-1]
    assert mean > 0.9 and drawn_mean + narrow.ABOVE < mean and told.anisotropy.centred[-1] < 0.1
    assert finding.evidence["units"] == [7] and finding.evidence["states"] == ["layer 3"]
    share = f"{100 * told.outliers.shares(3)[7]:.0f}"
    assert told.sentence == (
        f"Usable with care: unrelated tokens have a mean cosine of {mean:.2f} in layer 3, where a freshly initialised model of "
        f"the same shape has {drawn_mean:.2f}; 1 of 32 units makes {share} % of it."
    )
    healthy = bertlens.layers(loaded("bert"), TEXTS)
    assert healthy.verdict == "sound"
    assert not [one for one in healthy.findings if one.severity != "note"]
    without = bertlens.layers(pushed(20.0), TEXTS, baseline=False)
    assert without.verdict == "caution" and "freshly" not in without.sentence


def test_the_code_of_the_remedy_takes_the_cone_away(pushed: Callable[[float], Checkpoint]) -> None:
    told = bertlens.layers(pushed(20.0), TEXTS)
    vectors = torch.from_numpy(told.vectors("mean"))
    names: dict[str, Any] = {"torch": torch, "vectors": vectors}
    before = torch.nn.functional.normalize(vectors, dim=-1)
    exec(told.findings[0].code, names)
    apart = ~torch.eye(len(TEXTS), dtype=torch.bool)
    assert (before @ before.T)[apart].mean() > 0.9 and names["cosines"][apart].mean() < 0.1


def test_the_shape_of_a_model_is_no_caution(loaded: Loaded) -> None:
    told = bertlens.layers(loaded("electra"), TEXTS)
    assert told.baseline is not None
    assert told.anisotropy.mean[-1] > narrow.HIGH and told.baseline.mean[-1] + narrow.ABOVE > told.anisotropy.mean[-1]
    assert told.verdict == "sound" and [finding.severity for finding in told.findings] == ["note"]
    assert told.sentence.endswith(": the shape of the model makes that, not its training.")
    assert bertlens.layers(loaded("electra"), TEXTS, baseline=False).verdict == "caution"


def test_the_sentences_of_the_control_have_nothing_in_common(minilm: Checkpoint) -> None:
    vectors = bertlens.layers(minilm, list(UNRELATED), baseline=False).course("mean")
    assert vectors.pairs["largest"][-1] < 0.25  # a model trained to tell sentences apart is the judge
    assert bertlens.layers(minilm, ALIKE, baseline=False).course("mean").pairs["smallest"][-1] > 0.8


def test_texts_on_one_subject_accuse_nobody(minilm: Checkpoint) -> None:
    told = bertlens.layers(minilm, ALIKE)
    assert told.anisotropy.mean[-1] > narrow.HIGH > told.control.mean[-1]
    assert told.verdict == "sound" and told.findings == ()
    assert told.sentence.endswith("so it is these texts that are alike.")


@pytest.mark.parametrize(
    "texts",
    [["One text of many different words, more than a dozen of them, none of which is unrelated."], ["a b c d e f g"] * 2],
)
def test_a_single_text_has_nothing_unrelated(pushed: Callable[[float], Checkpoint], texts: list[str]) -> None:
    told = bertlens.layers(pushed(20.0), texts)
    assert told.anisotropy.texts == 1 and told.findings == ()
    assert "needs two different texts" in told.sentence
    assert len(told.of_readout("cls")) == 4


@pytest.mark.parametrize("texts", [["a"], ["a", ""], ["a", "a"]])
def test_texts_of_one_token_or_of_none(minilm: Checkpoint, texts: list[str]) -> None:
    told = bertlens.layers(minilm, texts)
    assert told.verdict == "sound" and np.isnan(told.cka_debiased).all()
    json.dumps(told.to_dict(), allow_nan=False)
    assert len(told.to_frame()) == 7
    content = told.course("mean_content")
    assert np.isnan(content.vectors).any() == ("" in texts)
    assert np.isfinite(content.to_frame()["norm"]).all()
    assert np.isfinite(content.trail().coordinates).all(axis=(0, 2)).sum() == len(texts) - ("" in texts)


def test_two_identical_texts_have_the_cosine_one(minilm: Checkpoint) -> None:
    told = bertlens.layers(minilm, ["the same words"] * 2)
    np.testing.assert_allclose(told.course("mean").pairs["smallest"], 1, atol=1e-6)


@pytest.mark.parametrize("family", FAMILIES)
def test_every_family_has_its_layers(family: str, loaded: Loaded) -> None:
    checkpoint = loaded(family)
    told = bertlens.layers(checkpoint, TEXTS)
    assert len(told.states) == checkpoint.architecture.layers + 2 - told.tied
    assert told.baseline is not None and np.isfinite(told.baseline.mean).all()
    assert told.verdict == "sound"
    assert told.to_dict()["schema"] == "bertlens.layers/1"
    path = bertlens.token_path(checkpoint, TEXTS, 1)
    assert path.names == told.names
    inputs = prepare(checkpoint, as_texts(TEXTS), Condition())
    np.testing.assert_allclose(path.values, states_of_text(inputs, 1).values, atol=1e-4)
    assert len(path.tokens) == path.values.shape[1] == len(inputs.tokens[1].ids)


@pytest.mark.parametrize(
    "condition", ["side=left", "mask=off", "rows=index", "padding=20", "batch=2", "dropout=on", "dtype=float64", "specials=off"]
)
def test_every_condition_has_its_layers(minilm: Checkpoint, condition: str) -> None:
    told = bertlens.layers(minilm, TEXTS, condition=condition, baseline=False)
    assert told.condition == condition
    json.dumps(told.to_dict(), allow_nan=False)
    inputs = prepare(minilm, as_texts(TEXTS), Condition.parse(condition))
    np.testing.assert_allclose(told.vectors("mean@2"), read(inputs, bertlens.Readout.parse("mean@2")), atol=1e-4)


def test_the_methods_run_nothing(found: Layers, minilm: Checkpoint, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: object, **kwargs: object) -> None:
        raise AssertionError("the model was run")

    monkeypatch.setattr(type(minilm.model), "forward", refuse)
    with pytest.raises(AssertionError, match="was run"):
        bertlens.layers(minilm, TEXTS)
    for pooling in found.pooled.values:
        course = found.course(pooling)
        assert len(course.to_frame()) == 7 and course.trail().coordinates.shape == (7, len(TEXTS), 2)
    assert found.to_dict() and found.sentence and len(found.top_units()) == 35 and "<table" in found._repr_html_()
    assert found.vectors("cls@last4:concat").shape == (len(TEXTS), 4 * 384)


@pytest.mark.parametrize(
    ("readout", "said"), [("mean@3", "write mean"), ("pooler", "read cls or mean"), ("mean_all", "cannot read")]
)
def test_what_has_no_course_is_said(found: Layers, readout: str, said: str) -> None:
    with pytest.raises(BertlensError, match=said):
        found.course(readout)
    assert found.pooled.texts == len(TEXTS) and "mean_all" in found.notes[-1]


def test_more_texts_than_fit_are_measured_but_not_kept(minilm: Checkpoint, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = bertlens.layers(minilm, TEXTS, baseline=False)
    monkeypatch.setattr(diagnosed, "most_texts", lambda *sizes: 2)
    told = bertlens.layers(minilm, TEXTS, baseline=False)
    assert told.pooled.texts == 2 and "first 2 of 4 texts" in told.notes[0]
    assert not any("first 2" in note for note in whole.notes)
    np.testing.assert_array_equal(told.course("mean").vectors, whole.course("mean").vectors[:, :2])
    assert (told.tokens, told.to_dict()["texts"], told.to_dict()["texts_pooled"]) == (whole.tokens, 4, 2)
    np.testing.assert_array_equal(told.anisotropy.mean, whole.anisotropy.mean)


def test_long_texts_are_sampled_and_truncated_ones_are_said(minilm: Checkpoint) -> None:
    texts = [" ".join(f"word{at} number" for at in range(start, start + 120)) for start in (0, 1000)]
    told = bertlens.layers(minilm, texts, baseline=False, condition="max_length=200")
    assert told.anisotropy.tokens == 256 and "256 tokens drawn evenly from 396" in " ".join(told.notes)
    assert told.verdict == "caution" and told.sentence.startswith("Usable with care: 2 texts are truncated")
    assert "nrelated tokens have a mean cosine of" in told.sentence


def test_weights_that_were_not_in_the_file_are_a_problem(family_folder: Folder, tmp_path: Path) -> None:
    told = bertlens.layers(bertlens.load(str(push(family_folder("bert"), tmp_path, 0, "wrong."))), TEXTS, baseline=False)
    assert told.verdict == "problem" and told.findings[0].id == "weights-not-loaded"
    assert told.sentence.startswith("Faulty: ")


def test_fresh_weights_are_drawn_apart_and_leave_no_trace(minilm: Checkpoint) -> None:
    before, digest = torch.get_rng_state(), minilm.model.embeddings.word_embeddings.weight.clone()
    config, dtype = minilm.model.config.to_dict(), torch.get_default_dtype()
    one, two, other = fresh(minilm), fresh(minilm), fresh(minilm, seed=1)
    assert torch.equal(torch.get_rng_state(), before) and torch.get_default_dtype() == dtype
    assert minilm.model.config.to_dict() == config
    assert torch.equal(minilm.model.embeddings.word_embeddings.weight, digest)
    drawn_weights = [model.model.encoder.layer[0].output.dense.weight for model in (one, two, other)]
    assert torch.equal(drawn_weights[0], drawn_weights[1]) and not torch.equal(drawn_weights[0], drawn_weights[2])
    np.testing.assert_allclose(float(drawn_weights[0].detach().std()), 0.02, rtol=0.01)
    assert one.tokenizer_lock is minilm.tokenizer_lock and one.kept is not minilm.kept
    assert not one.model.training and one.model.dtype == torch.float32
    survey(few(one, as_texts(TEXTS), Condition()), [SampleReader(few(one, as_texts(TEXTS), Condition()))])
    left = weakref.ref(one.model)
    del one, drawn_weights
    gc.collect()
    assert left() is None


def test_two_visitors_draw_the_same_weights_at_once(loaded: Loaded) -> None:
    checkpoint = loaded("bert")
    expected = fresh(checkpoint).model.state_dict()
    with ThreadPoolExecutor(4) as pool:
        for found in pool.map(lambda _: fresh(checkpoint).model.state_dict(), range(8)):
            assert all(torch.equal(found[name], tensor) for name, tensor in expected.items())


def test_a_last_norm_makes_a_state_of_its_own(tmp_path: Path) -> None:
    checkpoint = with_a_last_norm(tmp_path)
    told = bertlens.layers(checkpoint, TEXTS)
    assert not told.tied and told.labels == ("0 embeddings", "1", "2", "last_hidden_state")
    assert len(told.to_frame()) == 4 == len(told.cka) == len(told.anisotropy.mean)
    path = bertlens.token_path(checkpoint, TEXTS, 0)
    assert path.names == told.names and np.abs(path.values[-1] - path.values[-2]).max() > 0.1
    np.testing.assert_allclose(path.measures["norm"][-1][0], told.course("cls").measures["norm"][-1][0], rtol=1e-5)
    parted = bertlens.where_they_part(checkpoint, TEXTS, 0, candidate="mask=off", sublayers=False)
    assert parted.layers == told.names and parted.max_abs.shape == (4, len(path.tokens))
    assert drawn.anisotropy(told).to_json() and drawn_tokens.token_map(path, "to_last").to_json()


def test_few_tokens_are_run_for_the_baseline(minilm: Checkpoint) -> None:
    long = as_texts(["many words " * 300] * 40)
    inputs = few(minilm, long, Condition())
    assert sum(len(row.ids) for row in inputs.tokens) <= TOKENS and len(inputs.tokens) == 16
    short = few(minilm, as_texts(TEXTS), Condition.parse("specials=off,mask=off"))
    assert short.condition.mask == "on" and not any(sum(row.special) for row in short.tokens)


def test_one_text_token_by_token(minilm: Checkpoint) -> None:
    path = bertlens.token_path(minilm, TEXTS, 3)
    assert path.tokens == ("[CLS]", "the", "the", "the", "dogs", "[SEP]")
    assert path.values.shape == (7, 6, 384)
    np.testing.assert_allclose(path.measures["norm"], np.linalg.norm(path.values, axis=-1), rtol=1e-5)
    assert np.isnan(path.measures["change"][0]).all()
    assert len(path.to_frame()) == 42
    farthest = np.unravel_index(np.nanargmax(path.measures["change"]), (7, 6))
    assert path.sentence.startswith(f"Token {farthest[1]} “{path.tokens[farthest[1]]}” moves farthest")
    json.dumps(path.to_dict(), allow_nan=False)
    assert "<table" in path._repr_html_()
    with pytest.raises(BertlensError, match="number 4"):
        bertlens.token_path(minilm, TEXTS, 4)


def test_every_picture_has_its_states_and_reads_no_text_as_markup(minilm: Checkpoint, found: Layers) -> None:
    path, course = bertlens.token_path(minilm, TEXTS, 2), found.course("mean")
    figures = [
        *(drawn.travel(found, measure, ("real", "cls", "content")) for measure in drawn.TITLES),
        *(drawn.anisotropy(found), drawn.outliers(found), drawn.cka(found), drawn.cka(found, debiased=False)),
        *(drawn_tokens.token_map(path, measure) for measure in drawn.TITLES),
        *(drawn_tokens.unit_map(path, 3), drawn_tokens.token_lines(path, "norm", (0, 2))),
        *(drawn_course.trail(course, found.labels, found.texts), drawn_course.similarity(course, found.labels)),
        drawn_course.similarity_matrix(course, 6, found.texts),
        drawn_course.measure(course, found.labels, "change", found.texts),
    ]
    for figure in figures:
        page = figure.to_json()
        assert "<b>song" not in page and "\\u003cb\\u003e" not in page and "$x$" not in page
        assert figure.layout.paper_bgcolor is None and figure.layout.height
    tokens = figures[8].data[0]
    assert list(tokens.x) == list(range(len(path.tokens))) and tokens.z.shape == (7, len(path.tokens))
    assert list(figures[8].layout.yaxis.ticktext) == list(found.labels)
    bars = drawn.outliers(found)
    np.testing.assert_allclose(sum(np.array(bar.y) for bar in bars.data), found.anisotropy.mean)
    names = [trace.name for trace in drawn_course.trail(course, found.labels, found.texts).data]
    assert names[2] == "2 A quiet &lt;b&gt;song&lt;/b&gt; &#36;x&#36;"


def test_512_tokens_and_a_single_text_can_be_drawn(minilm: Checkpoint) -> None:
    text = ["word " * 300]
    path = bertlens.token_path(minilm, text, 0)
    figure = drawn_tokens.token_map(path, "to_last")
    assert len(figure.layout.xaxis.tickvals) <= drawn_tokens.TOKENS_NAMED < len(path.tokens) == figure.data[0].z.shape[1]
    told = bertlens.layers(minilm, text, baseline=False)
    assert drawn_course.similarity(told.course("cls"), told.labels).data == ()
    for draw in (drawn.anisotropy, drawn.outliers, drawn.cka):
        assert draw(told).to_json()


def test_the_states_of_a_document_are_those_of_the_frame(found: Layers) -> None:
    document, frame = found.to_dict(), found.to_frame()
    assert [state["travel"]["real"]["norm"]["mean"] for state in document["states"]] == frame["norm"].tolist()
    assert document["anisotropy"]["mean"] == frame["unrelated"].tolist()
    assert document["states"][0]["travel"]["real"]["change"]["mean"] is None
    assert "texts_sha256" in document["environment"] and TEXTS[0] not in json.dumps(document)


def test_the_constants_are_those_in_the_document() -> None:
    document = (Path(__file__).parent.parent / "docs" / "layers.md").read_text("utf-8")
    for constant in ("HIGH", "ABOVE", "LEAST"):
        assert f"`{constant} = {getattr(narrow, constant):g}`" in document
    assert f"Units are named where {100 * narrow.FEW:g} % of them" in document
    assert f"{TOKENS} tokens together" in document and f"first\n   {MOST_TEXTS} texts" in document
