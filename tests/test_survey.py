"""A survey gives what reading each thing by itself gives, whatever the order and the size of its passes."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

import bertlens
from bertlens.errors import BertlensError
from bertlens.read.pooled import OF_STATES, most_texts, pool_all
from bertlens.read.readout import Readout
from bertlens.read.sample import SampleReader
from bertlens.read.states import states_of
from bertlens.read.survey import survey
from bertlens.read.travel import GROUPS, MEASURES, TravelReader, measures
from bertlens.read.vectors import read
from bertlens.run.checkpoint import locate
from bertlens.run.condition import Condition
from bertlens.run.inputs import prepare
from bertlens.run.packing import TOKENS_AT_ONCE, cut, neighbours_count, packed
from bertlens.run.texts import as_texts

TEXTS = as_texts(["One.", "A longer text, by a few words more.", "Two words", "the the the bank of the river", "One."])
READOUTS = [*(f"{pooling}" for pooling in OF_STATES), "pooler", "mean@2", "mean@0|l2", "cls@last4:concat"]
READOUTS += ["cls@last4:concat_reversed", "max@all:mean", "mean@last4:sum|l2", "lasttoken@-2", "mean_all@last4:mean"]


@pytest.mark.parametrize("condition", ["", "padding=24", "side=left", "batch=2", "batch=alone", "mask=off", "rows=index"])
def test_every_readout_of_one_survey_is_that_readout_read_by_itself(minilm: bertlens.Checkpoint, condition: str) -> None:
    inputs = prepare(minilm, TEXTS, Condition.parse(condition))
    everything = pool_all(inputs)
    assert everything.tied and everything.states[0] == "embeddings" and len(everything.states) == 7
    for readout in READOUTS:
        alone = read(inputs, Readout.parse(readout))
        np.testing.assert_allclose(everything.vectors(readout), alone, rtol=0, atol=2e-6 * np.abs(alone).max())


def test_a_readout_that_cannot_be_had_is_named(minilm: bertlens.Checkpoint) -> None:
    some = pool_all(prepare(minilm, TEXTS, Condition()), ("mean",))
    with pytest.raises(BertlensError, match="cannot read cls"):
        some.vectors("cls")
    with pytest.raises(BertlensError, match="indices 0"):
        some.vectors("mean@7")


def test_packed_passes_hold_every_text_once_longest_first_within_the_budget(minilm: bertlens.Checkpoint) -> None:
    texts = as_texts(["word " * count for count in (3, 100, 7, 240, 1, 60, 60, 250, 9, 2) * 3])
    inputs = prepare(minilm, texts, Condition())
    few = packed(inputs)
    order = [text for group, _ in few.groups for text in group]
    lengths = [len(inputs.tokens[text].ids) for text in order]
    assert sorted(order) == list(range(len(texts)))
    assert lengths == sorted(lengths, reverse=True)
    assert all(width == max(len(inputs.tokens[text].ids) for text in group) for group, width in few.groups)
    assert all(len(group) * width <= TOKENS_AT_ONCE or len(group) == 1 for group, width in few.groups)
    assert few.cells < 0.5 * inputs.cells
    np.testing.assert_allclose(read(few, Readout("mean")), read(inputs, Readout("mean")), rtol=0, atol=2e-6)


@pytest.mark.parametrize("condition", ["mask=off", "side=left", "batch=alone", "padding=30", "rows=index", "dropout=on"])
def test_where_the_neighbours_count_nothing_is_packed(minilm: bertlens.Checkpoint, condition: str) -> None:
    inputs = prepare(minilm, TEXTS, Condition.parse(condition))
    assert neighbours_count(inputs.condition)
    assert packed(inputs) is inputs


def test_a_batch_is_cut_at_the_length_it_is_padded_to(minilm: bertlens.Checkpoint) -> None:
    inputs = prepare(minilm, TEXTS, Condition.parse("batch=4"))
    few = cut(inputs, 24)
    assert [text for group, _ in few.groups for text in group] == list(range(len(TEXTS)))
    assert len(few) > len(inputs) and {width for _, width in few.groups} == {width for _, width in inputs.groups}
    for readout in map(Readout.parse, ("mean_all", "cls", "max@last4:concat")):
        whole = read(inputs, readout)
        np.testing.assert_allclose(read(few, readout), whole, rtol=0, atol=2e-6 * np.abs(whole).max())
    for condition in ("rows=index", "dropout=on"):
        bound = prepare(minilm, TEXTS, Condition.parse(condition))
        assert cut(bound, 24) is bound


def test_poolings_that_count_padding_are_not_packed(minilm: bertlens.Checkpoint) -> None:
    inputs = prepare(minilm, TEXTS, Condition())
    assert packed(inputs, "mean_all") is inputs
    assert packed(inputs, "mean") is not inputs
    assert not neighbours_count(Condition.parse("side=left,positions=from-mask"), "cls")
    assert neighbours_count(Condition.parse("side=left,positions=from-mask"), "first_position")


def test_measures_are_those_of_three_lines_of_numpy() -> None:
    states = torch.randn(4, 5, 8, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    found = measures(states)
    x = states.numpy()
    length = np.sqrt((x**2).sum(-1))
    np.testing.assert_allclose(found["norm"], length)
    np.testing.assert_allclose(found["change"][1:], np.sqrt(((x[1:] - x[:-1]) ** 2).sum(-1)) / length[:-1])
    np.testing.assert_allclose(found["to_previous"][1:], (x[1:] * x[:-1]).sum(-1) / length[1:] / length[:-1])
    np.testing.assert_allclose(found["to_last"], (x * x[-1]).sum(-1) / length / length[-1])
    assert bool(found["change"][0].isnan().all()) and bool(found["to_previous"][0].isnan().all())
    np.testing.assert_allclose(found["to_last"][-1], 1)


@pytest.mark.parametrize("condition", ["", "side=left,positions=from-mask", "batch=2"])
def test_travel_sums_up_what_each_text_by_itself_shows(minilm: bertlens.Checkpoint, condition: str) -> None:
    inputs = prepare(minilm, TEXTS, Condition.parse(condition))
    reader = TravelReader()
    survey(packed(inputs), [reader])
    travel = reader.travel()
    each = [measures(torch.from_numpy(states_of(inputs, text).values)) for text in range(len(TEXTS))]
    special = [torch.tensor(row.special).bool() for row in inputs.tokens]
    for name in MEASURES:
        by_group = {
            "real": torch.cat([one[name] for one in each], 1),
            "cls": torch.stack([one[name][:, 0] for one in each], 1),
            "content": torch.cat([one[name][:, ~marks] for one, marks in zip(each, special, strict=True)], 1),
        }
        for group in GROUPS:
            values = by_group[group].double().numpy()
            assert travel.tokens[group] == values.shape[1]
            np.testing.assert_allclose(travel.mean[name, group], values.mean(1), rtol=1e-5)
            np.testing.assert_allclose(travel.std[name, group], values.std(1), rtol=1e-2, atol=1e-6)
            np.testing.assert_allclose(travel.smallest[name, group], values.min(1), rtol=1e-4)
            np.testing.assert_allclose(travel.largest[name, group], values.max(1), rtol=1e-4)


@pytest.mark.parametrize("condition", ["", "side=left,positions=from-mask"])
def test_a_sample_holds_the_tokens_that_it_names(minilm: bertlens.Checkpoint, condition: str) -> None:
    inputs = prepare(minilm, TEXTS, Condition.parse(condition))
    reader = SampleReader(inputs, tokens=12)
    survey(packed(inputs), [reader])
    sample = reader.sample()
    assert len(sample.texts) == 12 < sample.of == sum(row.special.count(0) for row in inputs.tokens)
    for text, place, token, value in zip(sample.texts, sample.positions, sample.ids, sample.values.swapaxes(0, 1), strict=True):
        assert inputs.tokens[text].ids[place] == token and not inputs.tokens[text].special[place]
        np.testing.assert_allclose(value, states_of(inputs, text).values[:, place], rtol=0, atol=5e-6)
    related = ~sample.unrelated
    assert related.diagonal().all() and (related == related.T).all() and sample.unrelated.any()


def with_a_last_norm(folder: Path) -> bertlens.Checkpoint:
    """A model of which last_hidden_state is none of hidden_states."""
    from transformers import RobertaPreLayerNormConfig, RobertaPreLayerNormModel

    sizes = {"vocab_size": 30522, "hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 32}
    # with the usual range layers this narrow add next to nothing, and the final norm has nothing to do
    config = RobertaPreLayerNormConfig(**sizes, pad_token_id=0, initializer_range=0.3)
    config.tie_last_hidden_states = False  # else transformers puts the normed state in the place of the last layer's
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        RobertaPreLayerNormModel(config).save_pretrained(folder)
    for file in locate("minilm").iterdir():
        if file.suffix in (".json", ".txt") and file.name != "config.json":
            shutil.copy(file, folder)
    return bertlens.load(str(folder))


def test_the_last_hidden_state_is_a_state_of_its_own_where_a_norm_stands_between(tmp_path: Path) -> None:
    checkpoint = with_a_last_norm(tmp_path)
    everything = pool_all(prepare(checkpoint, TEXTS, Condition()))
    assert everything.states == ("embeddings", "layer 1", "layer 2", "last_hidden_state") and not everything.tied
    assert np.abs(everything.vectors("cls") - everything.vectors("cls@2")).max() > 1e-3
    np.testing.assert_allclose(everything.vectors("cls"), read(prepare(checkpoint, TEXTS, Condition()), Readout()), atol=1e-6)


def test_how_many_texts_fit_follows_from_the_sizes() -> None:
    assert most_texts(12, 768) == 256 * 1024**2 // (4 * 768 * (13 * 9 + 1))
    assert most_texts(10**9, 10**9) == 1
