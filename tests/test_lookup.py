"""The lookup: parts that add up to hidden_states[0] in every family, vectors in the place of ids, positions of one's own."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn import functional as F
from transformers import AutoConfig, AutoModel

import bertlens
from bertlens import diagnose
from bertlens.errors import BertlensError
from bertlens.read.vocabulary import entry_of, id_of, nearest_entries, similarities
from bertlens.run import embedded
from bertlens.run.checkpoint import Checkpoint
from bertlens.run.condition import Condition
from bertlens.run.inputs import prepare
from tests.conftest import Folder, Loaded

TEXTS = ("The river bank was flooded.", "The bank raised its rates again.", "Rain")
PAIRS = (("Who is it?", "A friend of yours."), ("Yes", "No"), ("One", ""))
NO_SEGMENTS = {"distilbert", "mpnet", "modernbert"}
COUNTS_IDS = {"roberta", "xlm-roberta", "mpnet"}
FACTORISED = {"electra", "albert"}


def family(checkpoint: Checkpoint) -> str:
    return checkpoint.architecture.kind


def encoded(checkpoint: Checkpoint, text: str) -> dict[str, torch.Tensor]:
    return dict(checkpoint.tokenizer(text, return_tensors="pt"))


# --- the parts ------------------------------------------------------------------------------------------------------


def test_the_parts_give_hidden_states_0_of_the_family_itself(checkpoint: Checkpoint) -> None:
    found = bertlens.lookup(checkpoint, TEXTS, 1)
    model, inputs = checkpoint.model.eval(), encoded(checkpoint, TEXTS[1])
    with torch.inference_mode():
        state = model(**inputs, output_hidden_states=True).hidden_states[0][0].numpy()
    assert np.array_equal(found.embedding.state, state)
    assert np.array_equal(found.embedding.steps[-1].values, state), "by hand, to the last bit"
    assert found.embedding.max_abs == 0.0 and all(step.max_abs == 0.0 for step in found.embedding.steps)
    assert found.alone == 0.0
    assert found.verdict == "sound" and "max abs 0.0" in found.sentence


def test_the_parts_by_hand_in_three_lines(loaded: Loaded, minilm: Checkpoint) -> None:
    for checkpoint in (loaded("bert"), minilm):
        found, e = bertlens.lookup(checkpoint, TEXTS), checkpoint.model.embeddings
        ids = encoded(checkpoint, TEXTS[0])["input_ids"][0]
        with torch.inference_mode():
            word, place = e.word_embeddings.weight[ids], e.position_embeddings.weight[: len(ids)]
            total = word + e.token_type_embeddings.weight[0] + place
            norm = F.layer_norm(total, total.shape[1:], e.LayerNorm.weight, e.LayerNorm.bias, e.LayerNorm.eps)
        vectors = found.vectors
        assert list(vectors) == ["word", "segment", "position", "sum", "after norm"]
        for name, value in (("word", word), ("position", place), ("sum", total), ("after norm", norm)):
            assert np.array_equal(vectors[name], value.detach().numpy()), name
        frame = found.to_frame()
        assert np.allclose(frame["norm of word"], word.detach().norm(dim=1))
        assert np.allclose(frame["cosine word · position"], F.cosine_similarity(word, place).detach())
        assert np.allclose(frame["cosine word · sum"], F.cosine_similarity(word, total).detach())
        assert list(frame["word id"]) == ids.tolist()


def test_what_a_family_lacks_or_adds_is_said(checkpoint: Checkpoint) -> None:
    found, kind = bertlens.lookup(checkpoint, TEXTS), family(checkpoint)
    said = " ".join(found.notes)
    assert ("No segments" in said) == (kind in NO_SEGMENTS) == (found.embedding.part("segment") is None)
    assert ("No absolute positions" in said) == (kind == "modernbert") == (found.embedding.part("position") is None)
    assert ("angle" in said) == (kind == "modernbert")
    assert ("distance of two tokens" in said) == (kind == "mpnet")
    assert ("Positions are counted from 2" in said) == (kind in COUNTS_IDS)
    assert ("Factorised" in said) == (kind in FACTORISED) == ("projection" in found.sentence)
    assert ("single row" in said) == (kind in ("roberta", "xlm-roberta"))
    assert found.to_dict()["max_abs"] == 0.0


@pytest.mark.parametrize("name", ["mpnet", "albert"])
def test_pairs_one_token_and_full_rows(loaded: Loaded, name: str) -> None:
    checkpoint = loaded(name)
    for text in (PAIRS[0], "", "word " * 200):
        found = bertlens.lookup(checkpoint, [text, "x"])
        assert found.holds and found.to_frame().shape[0] == len(found.tokens) <= checkpoint.max_length
    with pytest.raises(BertlensError, match="number 5"):
        bertlens.lookup(checkpoint, TEXTS, 5)


def test_pairs_are_given_both_segments(loaded: Loaded) -> None:
    segment = bertlens.lookup(loaded("bert"), PAIRS).embedding.part("segment")
    assert segment is not None and set(segment.ids) == {0, 1}


def test_families_that_nobody_prepared_for(family_folder: Folder, tmp_path: Path) -> None:
    sizes = {"hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 4, "intermediate_size": 64, "vocab_size": 30522}
    loaded = {}
    for kind, more in (
        ("roformer", {"embedding_size": 32}),
        ("mobilebert", {"embedding_size": 16, "intra_bottleneck_size": 32}),
    ):
        folder = Path(shutil.copytree(family_folder("bert"), tmp_path / kind))
        AutoModel.from_config(AutoConfig.for_model(kind, **sizes, **more)).save_pretrained(folder)
        loaded[kind] = bertlens.load(str(folder))
    found = bertlens.lookup(loaded["roformer"], TEXTS)
    assert found.holds and any("inside the layers" in note for note in found.notes)
    with pytest.raises(BertlensError, match="parts of 16 and 32 numbers"):
        bertlens.lookup(loaded["mobilebert"], TEXTS)
    assert bertlens.edit(loaded["mobilebert"], TEXTS, edits="1:zero").verdict == "different", "edits need no parts"


# --- fed back -------------------------------------------------------------------------------------------------------


def test_the_lookup_fed_back_is_the_original_and_hidden_states_0_is_not(checkpoint: Checkpoint) -> None:
    found = bertlens.lookup(checkpoint, TEXTS)
    lookup, twice = found.fed
    assert lookup.verdict == "identical" and lookup.row.max_abs == 0.0 and lookup.cls_cosine == 1.0
    assert twice.verdict == "different" and twice.row.max_abs > 0.01 and twice.cls_cosine < 0.9999
    assert twice.row.max_abs_float64 == pytest.approx(twice.row.max_abs, rel=1e-3), "no rounding: it stays in float64"
    assert [finding.id for finding in found.findings] == ["inputs-embeds-twice"] and found.findings[0].cause
    assert (twice.name == "hidden_states[0]") == (not found.embedding.factorised)


def test_hidden_states_0_fed_back_by_hand(minilm: Checkpoint) -> None:
    inputs = encoded(minilm, TEXTS[0])
    with torch.inference_mode():
        out = minilm.model(**inputs, output_hidden_states=True)
        rest = {name: value for name, value in inputs.items() if name != "input_ids"}
        again = minilm.model(inputs_embeds=out.hidden_states[0], **rest).last_hidden_state
    trial = bertlens.lookup(minilm, TEXTS).fed[1]
    assert trial.row.max_abs == (again.double() - out.last_hidden_state.double()).abs().max().item()
    assert trial.cls_cosine == pytest.approx(F.cosine_similarity(again[:, 0], out.last_hidden_state[:, 0]).item(), abs=1e-6)
    assert 0.9 < trial.cls_cosine < 0.999, "as people reported it"


def test_the_embedding_module_alone_takes_vectors(checkpoint: Checkpoint) -> None:
    batch = next(iter(prepare(checkpoint, TEXTS[:1], Condition())))
    ids = embedded.embeddings_alone(checkpoint, batch)
    vectors = embedded.with_vectors(batch, embedded.lookup(checkpoint, batch.tensors["input_ids"]))
    assert torch.equal(ids, embedded.embeddings_alone(checkpoint, vectors))
    assert "input_ids" not in vectors.tensors and "input_ids" in batch.tensors


def test_vectors_hide_the_padding_where_positions_are_counted_over_ids(checkpoint: Checkpoint) -> None:
    found = diagnose.padded_vectors(checkpoint, TEXTS)
    caught = family(checkpoint) in COUNTS_IDS
    assert found.arises == caught and found.verdict == ("problem" if caught else "sound")
    assert found.trials["right", "vectors"].verdict == "identical", "padding behind the text moves no real token"
    assert found.trials["left", "vectors"].verdict == ("different" if caught else "identical")
    for side in ("right", "left") if found.positions else ():
        assert found.trials[side, "position_ids"].verdict == "identical", "mended"
    if caught:
        pad, count = 1, found.tokens
        assert found.positions["left", "ids"] == (*[pad] * 4, *range(2, 2 + count))
        assert found.positions["left", "vectors"] == tuple(range(2, 6 + count))
        assert "Faulty" in found.sentence and found.to_frame()["positions"].iloc[-1].startswith("1 1 1 1 2 3")
    assert found.to_dict()["arises"] == caught


def test_no_hook_stays_on_the_shared_model(loaded: Loaded) -> None:
    checkpoint = loaded("roberta")
    bertlens.lookup(checkpoint, TEXTS)
    diagnose.padded_vectors(checkpoint, TEXTS)
    instance = embedded.instance_of(checkpoint)
    tables = [module for module in instance.modules() if isinstance(module, torch.nn.Embedding)]
    assert tables and not any(table._forward_hooks for table in tables)


def test_the_lookup_costs_less_than_a_pass(minilm: Checkpoint) -> None:
    cost = diagnose.lookup_cost(minilm, TEXTS)
    assert cost.rows == 3 and cost.tokens == 9 and cost.module is not None
    assert 0 < cost.lookup < cost.whole and cost.module < cost.whole
    assert list(cost.to_frame()["what"]) == ["lookup alone", "embedding module alone", "full pass"]
    assert f"{100 * cost.lookup / cost.whole:.3g} %" in cost.sentence


# --- positions of one's own -----------------------------------------------------------------------------------------


def test_pairs_counted_from_their_own_start(loaded: Loaded) -> None:
    for name, first in (("bert", 0), ("roberta", 2)):
        checkpoint = loaded(name)
        found = diagnose.own_positions(checkpoint, PAIRS)
        assert found.texts == (0, 1) and found.left_out == (2,) and found.verdict == "different"
        places, text = found.positions[0], checkpoint.tokenizer(*PAIRS[0])
        start = text.sequence_ids(0).index(1)
        assert places == (*range(first, first + start), *range(first, first + len(places) - start))
        inputs = dict(checkpoint.tokenizer(*PAIRS[0], return_tensors="pt"))
        with torch.inference_mode():
            usual = checkpoint.model(**inputs).last_hidden_state.double()
            own = checkpoint.model(**inputs, position_ids=torch.tensor([places])).last_hidden_state.double()
        assert found.trials[0].row.max_abs == (usual - own).abs().max().item()
        assert "counted from its own start" in found.sentence and len(found.to_frame()) == 2


def test_positions_of_ones_own_need_pairs(loaded: Loaded) -> None:
    with pytest.raises(BertlensError, match="no text of two sentences"):
        diagnose.own_positions(loaded("bert"), TEXTS)
    assert diagnose.own_positions(loaded("modernbert"), PAIRS[:1]).verdict == "different", "rotary angles take positions too"


# --- the vocabulary -------------------------------------------------------------------------------------------------


def test_the_nearest_entries_by_hand(minilm: Checkpoint) -> None:
    table = minilm.model.get_input_embeddings().weight.detach()
    vector = table[id_of(minilm, "river")] + 0.01
    cosines = F.cosine_similarity(table.double(), vector.double()[None])
    for measure, sizes in (("cosine", cosines), ("dot", table.double() @ vector.double())):
        found = nearest_entries(minilm, {"x": vector.numpy()}, 5, measure).entries["x"]
        assert [entry.id for entry in found] == sizes.topk(5).indices.tolist()
        assert [entry.cosine for entry in found] == pytest.approx(cosines[[entry.id for entry in found]].tolist())
    assert nearest_entries(minilm, {"x": vector.numpy()}).entries["x"][0].token == "river"
    assert nearest_entries(minilm, {"zero": np.zeros(384, np.float32)}).entries["zero"] == ()
    with pytest.raises(BertlensError, match="384, the width"):
        nearest_entries(minilm, {"x": np.ones(3, np.float32)})


def test_a_table_in_pieces_is_the_table(monkeypatch: pytest.MonkeyPatch) -> None:
    table, vectors = torch.randn(50, 8), torch.randn(3, 8)
    whole = similarities(table, vectors)
    monkeypatch.setattr("bertlens.read.vocabulary.ROWS_AT_ONCE", 7)
    assert all(torch.allclose(one, other) for one, other in zip(whole, similarities(table, vectors), strict=True))


def test_tokens_are_named_as_the_tokenizer_writes_them(loaded: Loaded) -> None:
    bert, roberta = loaded("bert"), loaded("roberta")
    assert id_of(bert, "#101") == id_of(bert, "[CLS]") == 101
    word = next(token for token in roberta.tokenizer.get_vocab() if token.startswith("Ġ") and len(token) > 4)
    assert id_of(roberta, word) == roberta.tokenizer.get_vocab()[word]
    assert torch.equal(entry_of(bert)("#7"), bert.model.get_input_embeddings().weight[7])
    for token, got in (("#99999999", "the id"), ("unpronounceablexyz", "tokens|no entry")):
        with pytest.raises(BertlensError, match=got):
            id_of(bert, token)
