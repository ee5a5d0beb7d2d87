"""The layers of a model: what the states are, what is read of them in one pass, and when their cosines are called narrow."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import bertlens
from bertlens.diagnose import states as diagnosed
from bertlens.errors import BertlensError
from bertlens.judge.layers import Layers, states_of
from bertlens.read.geometry import cka
from bertlens.read.sample import SampleReader
from bertlens.read.states import states_of as states_of_text
from bertlens.read.survey import survey
from bertlens.read.vectors import read
from bertlens.run.checkpoint import Checkpoint
from bertlens.run.condition import Condition
from bertlens.run.inputs import prepare
from bertlens.run.texts import as_texts
from bertlens.show import course as drawn_course
from bertlens.show import layers as drawn
from bertlens.show import token_layers as drawn_tokens
from tests.conftest import Folder, Loaded
from tests.families import FAMILIES
from tests.test_narrow import push
from tests.test_survey import with_a_last_norm

TEXTS = ["The river bank was muddy.", "Money lies in the bank on Monday.", "A quiet <b>song</b> $x$", "the the the dogs"]
ALIKE = ["The cat sat on the mat.", "A cat is sitting on a mat.", "On the mat there sits a cat."]


@pytest.fixture(scope="module")
def found(minilm: Checkpoint) -> Layers:
    return bertlens.layers(minilm, TEXTS)


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


@pytest.mark.parametrize(("texts", "said"), [(2, ""), (8, ""), (9, "all 9 texts"), (30, "the first 24 of 30 texts")])
def test_a_legend_names_few_texts_and_the_lines_of_more_name_themselves(minilm: Checkpoint, texts: int, said: str) -> None:
    given = [f"Text number {number}" for number in range(texts)]
    told = bertlens.layers(minilm, given, baseline=False)
    course = told.course("cls")
    figures = (
        drawn_course.measure(course, told.labels, "norm", told.texts),
        drawn_course.trail(course, told.labels, told.texts),
    )
    for figure in figures:
        assert len(figure.data) == min(texts, 24) and figure.layout.showlegend is not (texts > 8)
        assert all("fullData.name" in line.hovertemplate for line in figure.data)
    assert said in drawn_course.told(told.texts) and bool(drawn_course.told(told.texts)) == bool(said)


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
