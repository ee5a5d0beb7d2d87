"""Poolings: numbers as sentence-transformers and plain torch give them, and which readout may be used."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
import torch
from scipy.stats import spearmanr
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.modules.pooling import Pooling

import bertlens
from bertlens.diagnose.vectors import BATCH, COMPARED, default_readouts
from bertlens.errors import BertlensError
from bertlens.judge.findings import catalogue
from bertlens.judge.pooling import Poolings
from bertlens.read import neighbours
from bertlens.run.checkpoint import Checkpoint
from bertlens.show import pooling as figures
from tests.conftest import Folder, Loaded

TEXTS = (
    "A cat sat.",
    "Rain fell all night on the old stone bridge.",
    "A cat sat.",
    "The dog slept; nobody came home.",
    "<b>No</b>",
)
MODES = ("cls", "max", "mean", "mean_sqrt_len_tokens", "weightedmean", "lasttoken")


@pytest.fixture(scope="module")
def found(minilm: Checkpoint) -> Poolings:
    return bertlens.pooling(minilm, TEXTS)


def close(got: np.ndarray, expected: Any) -> None:
    np.testing.assert_allclose(got, np.asarray(expected), rtol=1e-5, atol=2e-6 * np.abs(np.asarray(expected)).max())


@pytest.fixture(scope="module")
def encoder(minilm: Checkpoint) -> SentenceTransformer:
    return SentenceTransformer(str(minilm.folder), device="cpu")


def test_as_sentence_transformers_encodes(found: Poolings, encoder: SentenceTransformer) -> None:
    assert found.declared == "mean|l2"
    close(found.vectors(found.declared), encoder.encode(list(TEXTS), batch_size=2))
    assert np.abs(np.linalg.norm(found.vectors("mean"), axis=1) - 1).min() > 1, "else l2 would show nothing"


@pytest.mark.parametrize("side", ["right", "left"])
def test_as_the_module_of_sentence_transformers_pools_in_every_family(checkpoint: Checkpoint, side: str) -> None:
    texts = list(TEXTS)
    result = bertlens.pooling(checkpoint, texts, condition=f"side={side}", readouts=MODES)
    with checkpoint.tokenizer_lock:
        batch = checkpoint.tokenizer(texts, padding=True, padding_side=side, return_tensors="pt")
    assert (batch["attention_mask"] == 0).any()
    with torch.inference_mode():
        states = checkpoint.model(**batch).last_hidden_state
    for mode in MODES:
        features = {"token_embeddings": states, "attention_mask": batch["attention_mask"]}
        close(result.vectors(mode), Pooling(states.shape[-1], pooling_mode=mode)(features)["sentence_embedding"])
    modes = Pooling(states.shape[-1], pooling_mode=MODES)(features)["sentence_embedding"]
    close(np.concatenate([result.vectors(mode) for mode in MODES], axis=1), modes)


def test_three_lines_of_torch(minilm: Checkpoint, found: Poolings) -> None:
    batch = minilm.tokenizer(list(TEXTS), padding=True, return_tensors="pt")
    with torch.inference_mode():
        out = minilm.model(**batch, output_hidden_states=True)
    last, mask = out.last_hidden_state, batch["attention_mask"]
    close(found.vectors("mean_all"), last.mean(1))
    content = [row[: int(real.sum())][1:-1].mean(0) for row, real in zip(last, mask, strict=True)]
    close(found.vectors("mean_content"), torch.stack(content))
    firsts = [out.hidden_states[layer][:, 0] for layer in (-1, -2, -3, -4)]
    close(found.vectors("cls@last4:concat"), torch.cat(firsts, 1))
    close(found.vectors("cls@last4:concat_reversed"), torch.cat(firsts[::-1], 1))
    close(found.vectors("cls@last4:mean"), torch.stack(firsts).mean(0))
    weights = mask.unsqueeze(-1)
    means = [(out.hidden_states[layer] * weights).sum(1) / weights.sum(1) for layer in range(7)]
    close(found.vectors("mean@all:mean"), torch.stack(means).mean(0))
    close(found.vectors("mean@last4:sum"), torch.stack(means[-4:]).sum(0))
    close(found.vectors("pooler"), out.pooler_output)


def test_which_may_be_used(found: Poolings) -> None:
    options = {option.readout: option for option in found.options}
    moved = np.abs(found.vectors("mean_all") - found.vectors("mean"))
    assert found.verdict == "caution"
    assert found.sentence.startswith(
        "Usable with care: the checkpoint declares mean|l2; 1 of 18 readouts is meaningless here (pooler"
    )
    assert options["mean_all"].by_padding == pytest.approx(moved.max()) and moved.max() > 0.1
    assert [name for name, option in options.items() if option.by_padding] == ["mean_all"]
    assert {name: option.meaningless for name, option in options.items() if option.meaningless} == {
        "pooler": "pooler-untrained"
    }
    assert [name for name, option in options.items() if option.declared] == ["mean|l2"] == [found.readouts[0]]
    ids = [finding.id for finding in found.findings]
    told = {
        "pooler-untrained",
        "mean-includes-padding",
        "pooling-recipe-not-followed",
        "normalised-vs-raw",
        "special-tokens-in-mean",
    }
    assert set(ids) == told <= set(catalogue())
    assert "problem" not in {finding.severity for finding in found.findings}, "there are readouts without a fault"


def test_healthy_twins(minilm: Checkpoint) -> None:
    alone = bertlens.pooling(minilm, TEXTS, condition="batch=alone", readouts=["mean_all", "mean|l2"])
    assert alone.verdict == "sound" and "mean-includes-padding" not in {finding.id for finding in alone.findings}
    assert [option.by_padding for option in alone.options] == [None, None]
    assert alone.options[1].declared and alone.options[1].norm_mean == pytest.approx(1)
    assert "nothing speaks against any of the 2 readouts" in alone.sentence
    right = bertlens.pooling(minilm, TEXTS, readouts=["first_position", "cls"])
    assert right.verdict == "sound"
    left = bertlens.pooling(minilm, TEXTS, condition="side=left", readouts=["first_position", "cls"])
    assert left.options[0].by_padding and not left.options[1].by_padding
    assert bertlens.pooling(minilm, TEXTS, readouts=["pooler"]).verdict == "problem"


def test_a_drawn_pooler_and_none_at_all(loaded: Loaded) -> None:
    drawn = bertlens.pooling(loaded("bert", head="masked-lm"), TEXTS)
    assert {option.readout for option in drawn.options if option.meaningless == "pooler-missing"} == {"pooler"}
    assert drawn.recipe == drawn.declared == "" and "declares no readout" in drawn.sentence
    assert "pooler" not in default_readouts(loaded("distilbert"))
    with pytest.raises(BertlensError, match="a model without a pooler"):
        bertlens.pooling(loaded("distilbert"), TEXTS, readouts=["pooler"])
    with pytest.raises(BertlensError, match="no readout"):
        bertlens.pooling(loaded("distilbert"), TEXTS, readouts=[])


def test_nothing_is_run_again(minilm: Checkpoint, monkeypatch: pytest.MonkeyPatch) -> None:
    result = bertlens.pooling(minilm, TEXTS)

    def refuse(*_: Any, **__: Any) -> None:
        raise AssertionError("a forward pass")

    monkeypatch.setattr(torch.nn.Module, "_call_impl", refuse)
    monkeypatch.setattr(type(minilm.model), "forward", refuse)
    with pytest.raises(AssertionError, match="a forward pass"):
        bertlens.pooling(minilm, TEXTS)
    assert result.vectors("max@-3|l2").shape == (5, 384)
    assert result.similarity("cls@2").shape == (5, 5)
    assert result.neighbours("mean", 2)[0].shape == (5, 2)
    json.dumps(result.to_dict(), allow_nan=False)
    assert figures.agreement(result).data and figures.similarities(result, TEXTS).data


def test_neighbours_and_agreement_are_those_of_numpy_and_scipy(found: Poolings) -> None:
    vectors = found.vectors("mean").astype(np.float64)
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    np.testing.assert_allclose(found.similarity("mean"), unit @ unit.T, atol=1e-12)
    near, cosines = found.neighbours("mean", 2)
    assert near[0, 0] == 2 and near[2, 0] == 0 and cosines[0, 0] == pytest.approx(1), "the equal text is the nearest"
    every = [neighbours.pairs(found.similarity(readout)).round(6) for readout in ("mean", "max")]
    assert len(every[0]) == 10
    one, other = found.readouts.index("mean"), found.readouts.index("max")
    assert found.rank_agreement[one, other] == pytest.approx(spearmanr(*every).statistic)
    assert found.rank_agreement[one, found.readouts.index("mean_sqrt_len_tokens")] == pytest.approx(1)
    order = [found.readouts.index(name) for name in ("cls@last4:concat", "cls@last4:concat_reversed")]
    assert found.rank_agreement[order[0], order[1]] == pytest.approx(1), "the order of layers moves no similarity"
    low, high = found.shared_range()
    assert -1 <= low < high <= 1


def test_ranks_with_ties_and_overlap_by_hand() -> None:
    likeness = np.array([[1, 0.5, 0.5, 0.1], [0.5, 1, 0.5, 0.2], [0.5, 0.5, 1, 0.3], [0.1, 0.2, 0.3, 1]])
    other = likeness[::-1, ::-1]
    got = neighbours.rank_agreement([likeness, other])
    assert got[0, 1] == pytest.approx(spearmanr(neighbours.pairs(likeness), neighbours.pairs(other)).statistic)
    assert neighbours.nearest(likeness, 2).tolist() == [[1, 2], [0, 2], [0, 1], [2, 1]]
    assert neighbours.overlap(np.array([[1, 2], [0, 2]]), np.array([[2, 3], [0, 2]])) == 0.75
    assert neighbours.chance(5, 2) == 0.5
    broken = neighbours.similarity(np.array([[1.0, 0], [0, 0], [1, 1]]))
    assert np.isnan(broken[1]).all() and neighbours.nearest(broken, 2)[0].tolist() == [2, 1]


@pytest.mark.parametrize("texts", [["One."], ["Same text", "Same text"], ["a"], ["a", "b"]])
def test_few_texts_have_no_ranks(minilm: Checkpoint, texts: list[str]) -> None:
    result = bertlens.pooling(minilm, texts)
    assert np.isnan(result.rank_agreement).all() and result.pairs()["rank_agreement"].isna().all()
    assert all(option.texts == len(texts) for option in result.options)
    assert result.to_dict()["pairs"][0]["rank_agreement"] is None
    near, _ = result.neighbours("mean")
    assert near.shape == (len(texts), min(1, len(texts) - 1))
    assert figures.agreement(result).data and figures.similarities(result, tuple(texts)).data
    if len(set(texts)) < len(texts):
        assert result.similarity("cls")[0, 1] == pytest.approx(1, abs=1e-6)


def test_many_texts_run_in_batches_and_come_back_in_order(loaded: Loaded) -> None:
    checkpoint = loaded("bert")
    words = [
        "the",
        "cat",
        "sat",
        "on",
        "a",
        "mat",
        "by",
        "the",
        "old",
        "stone",
        "bridge",
        "while",
        "rain",
        "fell",
        "all",
        "night",
    ]
    texts = [f"{at} " + " ".join(words[: at % 13]) for at in np.random.default_rng(0).permutation(300)]
    result = bertlens.pooling(checkpoint, texts, readouts=["mean", "mean_all"])
    assert result.condition == f"batch={BATCH}" and f"batches of {BATCH}" in result.notes[0]
    alone = bertlens.compare(checkpoint, texts[:40], reference="batch=alone", candidate=f"batch={BATCH}", readout="mean_all")
    assert alone.verdict == "different"
    packed = bertlens.pool(checkpoint, texts, ["mean", "cls", "max"])
    single = bertlens.pool(checkpoint, texts, ["mean", "cls", "max"], condition="batch=alone")
    assert packed.passes < 20 < 300 == single.passes and packed.padded_tokens < 1.2 * single.padded_tokens
    for readout, vectors in single.vectors.items():
        close(packed.vectors[readout], vectors)
    close(result.vectors("mean"), single.vectors["mean"])
    assert not np.allclose(np.roll(single.vectors["mean"], 1, axis=0), single.vectors["mean"], atol=1e-2)


def test_what_is_left_out_is_said(loaded: Loaded, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bertlens.diagnose.vectors.most_texts", lambda *_: 6)
    monkeypatch.setattr("bertlens.diagnose.vectors.COMPARED", 3)
    result = bertlens.pooling(loaded("bert"), [f"text {at}" for at in range(9)])
    assert result.options[0].texts == 6 and result.compared == (0, 2, 4)
    assert result.notes == (
        "3 texts are left out: the vectors of 6 fit into memory at once.",
        "Similarities are compared on 3 of 6 texts from all over.",
    )
    assert COMPARED == 500


def test_figures_show_the_numbers_and_no_markup(found: Poolings) -> None:
    heat = figures.agreement(found)
    np.testing.assert_array_equal(np.array(heat.data[0].z), found.rank_agreement)
    assert list(heat.data[0].x) == list(found.readouts)
    shares = np.array(figures.agreement(found, "overlap", 1).data[0].z)
    assert 0 <= shares.min() < shares.max() == 1
    panels = figures.similarities(found, TEXTS)
    assert len(panels.data) == figures.PANELS < len(found.readouts)
    low, high = found.shared_range(found.readouts[:12])
    assert (panels.layout.coloraxis.cmin, panels.layout.coloraxis.cmax) == (low, high)
    single = figures.similarities(found, TEXTS, ["mean"])
    assert "<b>" not in json.dumps(single.to_dict()["layout"]["yaxis"]) and "&lt;b&gt;" in str(single.layout.yaxis.ticktext)
    table = figures.neighbours(found, TEXTS, "mean", 2)
    assert len(table) == 10 and table["words"].iloc[-1] == "<b>No</b>"
    with pytest.raises(BertlensError, match="cannot draw the agreement"):
        figures.agreement(found, "nonsense")


def test_five_hundred_texts_still_make_a_figure(loaded: Loaded) -> None:
    texts = [f"text number {at}" for at in range(510)]
    result = bertlens.pooling(loaded("bert"), texts)
    assert len(result.compared) == 500
    panels = figures.similarities(result, tuple(texts))
    assert sum(np.asarray(panel.z).size for panel in panels.data) <= figures.CELLS
    assert panels.layout.yaxis.showticklabels is False


def test_costs_are_measured(minilm: Checkpoint) -> None:
    cost = bertlens.pooling_costs(minilm, TEXTS, readouts=["cls", "mean@all:mean"], repeats=3)
    assert cost.texts == 5 and cost.tokens > 5
    assert 0 < cost.seconds["cls"] < cost.seconds["mean@all:mean"] < cost.forward
    assert cost.to_dict()["readouts"][0]["ratio"] == cost.seconds["cls"] / cost.forward
    bars = figures.costs(cost)
    assert list(bars.data[0].y) == ["cls", "mean@all:mean"]
    assert cost.sentence.startswith("The dearest readout is mean@all:mean")
    with pytest.raises(BertlensError, match="0 repeats"):
        bertlens.pooling_costs(minilm, TEXTS, repeats=0)


def test_a_declared_pooling_that_nobody_knows_is_no_readout(family_folder: Folder, copy_of: Folder) -> None:
    folder = copy_of(family_folder("bert"))
    modules = [{"path": "", "type": "x.Transformer"}, {"path": "1_Pooling", "type": "x.Pooling"}]
    (folder / "modules.json").write_text(json.dumps(modules), "utf-8")
    (folder / "1_Pooling").mkdir()
    for mode, declared in (("cls", "cls"), ("median", "")):
        (folder / "1_Pooling" / "config.json").write_text(json.dumps({"pooling_mode": mode}), "utf-8")
        result = bertlens.pooling(bertlens.load(str(folder)), TEXTS, readouts=["cls", "mean"])
        assert (result.declared, result.options[0].declared, result.verdict) == (declared, bool(declared), "sound")
        assert ("which no readout carries out" in result.sentence) == (not declared)
