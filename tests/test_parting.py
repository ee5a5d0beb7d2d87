"""Where two runs part: the layer and the token, found where a fault was put."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.torch import load_file, save_file
from transformers import AutoModel, AutoTokenizer

import bertlens
from bertlens.errors import BertlensError
from bertlens.judge.parting import part
from bertlens.read.states import States, states_of
from bertlens.run.checkpoint import Checkpoint
from bertlens.run.condition import Condition
from bertlens.run.inputs import prepare
from tests.conftest import Folder, Loaded

TEXTS = ("A cat sat.", "Rain fell all night on the old stone bridge.", "The dog slept; nobody came home.")


def states(ids: tuple[int, ...], values: np.ndarray, padding: int = 0) -> States:
    """States that nobody ran, in a row padded on the right."""
    names = ("embeddings", *(f"layer {layer}" for layer in range(1, len(values))))
    real = np.arange(len(ids) + padding) < len(ids)
    return States(names, values, (*ids, *[0] * padding), real, np.zeros((len(values), len(real))))


def test_states_are_the_models_own(checkpoint: Checkpoint) -> None:
    for side in ("right", "left"):
        tokenizer = AutoTokenizer.from_pretrained(checkpoint.folder, padding_side=side)
        model = AutoModel.from_pretrained(checkpoint.folder).eval()
        batch = tokenizer(list(TEXTS), padding=True, return_tensors="pt")
        real = batch["attention_mask"][0].bool()
        expected = [state[0][real] for state in model(**batch, output_hidden_states=True).hidden_states]
        found = states_of(prepare(checkpoint, TEXTS, Condition(side=side)), 0)
        assert list(found.ids) == tokenizer(TEXTS[0])["input_ids"]
        assert found.padding == int((~real).sum()) > 0
        assert np.array_equal(found.values, np.stack([state.detach().numpy() for state in expected]))


def test_healthy_runs_do_not_part(checkpoint: Checkpoint) -> None:
    for candidate in ("", "padding=40", "attention=eager"):
        parting = bertlens.where_they_part(checkpoint, TEXTS, 0, candidate=candidate)
        assert parting.first is None
        assert parting.sentence == "The two runs agree up to float64 rounding in every layer."
        assert (parting.max_abs <= parting.bound[:, None]).all()
    same = bertlens.where_they_part(checkpoint, TEXTS, 0, reference="", candidate="", float64=False)
    assert same.sentence == "The two runs are bit-equal in every layer."


ACTS = [
    ("mask=off", "layer 1 attention"),
    ("segments=ones", "embeddings"),
    ("side=left", "embeddings"),
    ("positions=from-mask,segments=ones", "embeddings"),
]


@pytest.mark.parametrize("sublayers", [True, False])
@pytest.mark.parametrize(("candidate", "state"), ACTS)
def test_the_state_at_which_a_condition_acts(minilm: Checkpoint, candidate: str, state: str, sublayers: bool) -> None:
    parting = bertlens.where_they_part(minilm, TEXTS, 0, reference="", candidate=candidate, sublayers=sublayers)
    parts = (" attention", "") if sublayers else ("",)
    assert parting.layers == ("embeddings", *(f"layer {n}{part}" for n in range(1, 7) for part in parts))
    expected = state if sublayers else state.removesuffix(" attention")
    assert parting.first is not None
    assert parting.layers[parting.first[0]] == expected
    assert parting.tokens == ("[CLS]", "a", "cat", "sat", ".", "[SEP]")
    assert parting.max_abs.shape == (len(parting.layers), 6)
    where = "the embeddings" if expected == "embeddings" else expected
    assert parting.sentence.startswith(f"The two runs first part in {where}, most at token {parting.first[1]} ")
    assert f"“{parting.tokens[parting.first[1]]}”" in parting.sentence
    assert len(parting.to_frame()) == 6 * len(parting.layers)


@pytest.mark.parametrize("layer", [1, 2])
def test_a_fault_put_into_one_layer_is_found_there(loaded: Loaded, copy_of: Folder, layer: int) -> None:
    bert = loaded("bert")
    folder: Path = copy_of(bert.folder)
    weights = load_file(folder / "model.safetensors")
    weights[f"encoder.layer.{layer}.output.dense.bias"][3] += 1e-6
    save_file(weights, folder / "model.safetensors", {"format": "pt"})
    models = (bert, bertlens.load(str(folder)))
    left, right = (states_of(prepare(one, TEXTS, Condition()), 1, dtype="float64") for one in models)
    parting = part(1, left, right, bert.tokenizer, float64=True)
    assert parting.first is not None
    assert parting.layers[parting.first[0]] == f"layer {layer + 1}"


def test_a_fault_at_one_token_is_found_there(loaded: Loaded) -> None:
    values = np.random.default_rng(0).normal(size=(4, 6, 8))
    other = values.copy()
    other[2, 4, 5] += 1e-9
    other[3] += 1e-9
    ids = tuple(range(1000, 1006))
    parting = part(0, states(ids, values), states(ids, other, 2), loaded("bert").tokenizer, float64=True)
    assert parting.first == (2, 4)
    assert parting.padding == (0, 2)
    other[1, 0, 0] = np.nan
    parting = part(0, states(ids, values), states(ids, other, 2), loaded("bert").tokenizer, float64=True)
    assert parting.first == (1, 0), "a NaN is a difference"
    values[1, 0, 0] = np.nan
    parting = part(0, states(ids, values), states(ids, other, 2), loaded("bert").tokenizer, float64=True)
    assert parting.first == (2, 4), "unless both runs have it"


def test_tokens_are_aligned_by_what_they_are(minilm: Checkpoint) -> None:
    without = bertlens.where_they_part(minilm, TEXTS, 0, reference="", candidate="specials=off")
    assert without.tokens == ("a", "cat", "sat", ".")
    assert without.left_out == 2
    assert without.first is not None
    cut = bertlens.where_they_part(minilm, TEXTS, 1, reference="", candidate="max_length=6")
    assert cut.tokens == ("[CLS]", "rain", "fell", "all", "night", "[SEP]")
    assert cut.left_out == 6
    padded = bertlens.where_they_part(minilm, TEXTS, 0, reference="", candidate="side=left,padding=40,positions=from-mask")
    assert (padded.first, padded.padding) == (None, (6, 34))


def test_nothing_in_common(loaded: Loaded) -> None:
    a, b = (states((at, at + 1), np.ones((4, 2, 8))) for at in (1000, 2000))
    parting = part(0, a, b, loaded("bert").tokenizer, float64=True)
    assert (parting.tokens, parting.first, parting.left_out) == ((), None, 4)
    assert parting.sentence == "The two runs have no token in common."


@pytest.mark.parametrize("text", [-1, 3])
def test_a_text_that_is_not_there(minilm: Checkpoint, text: int) -> None:
    with pytest.raises(BertlensError, match=f"got number {text}; expected 0 … 2"):
        bertlens.where_they_part(minilm, TEXTS, text)


@pytest.mark.parametrize("options", [{}, {"float64": False}])
def test_by_index(minilm: Checkpoint, options: dict[str, Any]) -> None:
    parting = bertlens.where_they_part(minilm, TEXTS, 0, reference="", candidate="rows=index", **options)
    assert parting.tokens == ("[CLS]", "a", "cat", "sat", ".", "[SEP]")
    assert parting.first is not None
    assert parting.first[0] == 0
    assert parting.max_abs[0, 0] <= parting.bound[0], "[CLS] itself is embedded alike: it stands at position 0 in both"


def test_the_whole_rows_are_kept_with_their_padding(minilm: Checkpoint) -> None:
    parting = bertlens.where_they_part(minilm, TEXTS, 0, reference="batch=alone", candidate="side=left,padding=40")
    alone, padded = parting.sides
    assert (alone.condition, padded.condition) == ("batch=alone", "padding=40,side=left")
    assert alone.tokens == parting.tokens
    assert padded.tokens == ("[PAD]",) * 34 + parting.tokens
    assert alone.padding.sum() == 0
    assert padded.padding.tolist() == [True] * 34 + [False] * 6
    assert alone.aligned.tolist() == [0, 1, 2, 3, 4, 5]
    assert padded.aligned.tolist() == [-1] * 34 + [0, 1, 2, 3, 4, 5]
    assert (alone.norms.shape, padded.norms.shape) == ((13, 6), (13, 40))
    assert (padded.norms > 0).all(), "padding has states as well"
    frame = parting.sides_to_frame()
    assert len(frame) == 13 * 46
    assert frame.loc[frame["padding"], "token"].unique().tolist() == ["[PAD]"]
    found = parting.to_dict()["sides"][1]
    assert found["norms"] == padded.norms.tolist()
    assert (found["tokens"], found["aligned"]) == (list(padded.tokens), padded.aligned.tolist())


def test_states_that_only_one_side_has_are_left_out(loaded: Loaded) -> None:
    bert = loaded("bert")
    inputs = prepare(bert, TEXTS, Condition())
    left, right = states_of(inputs, 0, sublayers=True), states_of(inputs, 0)
    for one, other in ((left, right), (right, left)):
        parting = part(0, one, other, bert.tokenizer, float64=False)
        assert parting.layers == ("embeddings", "layer 1", "layer 2", "layer 3")
        assert parting.first is None
        assert [side.norms.shape[0] for side in parting.sides] == [4, 4]


def test_repeated_tokens_keep_their_places(minilm: Checkpoint) -> None:
    texts = ("the bank of the bank of the river",)
    parting = bertlens.where_they_part(minilm, texts, 0, reference="specials=off", candidate="side=left,padding=20")
    assert parting.tokens == ("the", "bank", "of", "the", "bank", "of", "the", "river")
    assert parting.sides[1].aligned.tolist() == [-1] * 11 + [0, 1, 2, 3, 4, 5, 6, 7] + [-1]
