"""The attention of a text: bit-equal to the model's own, rows sum to 1, nobody looks at padding unless the mask is off."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
import transformers

import bertlens
from bertlens.errors import BertlensError
from bertlens.judge.attention import Attention
from bertlens.read import attention as reading
from bertlens.run.attentions import attentions, each_layer
from bertlens.run.checkpoint import Checkpoint
from bertlens.run.condition import Condition
from bertlens.run.inputs import prepare
from tests.conftest import Loaded
from tests.families import FAMILIES

TEXTS = ("A cat sat on the mat.", "Rain fell all night on the old stone bridge, and nobody slept.", ("Who?", "A friend."))
SIDES = ("", "mask=off", "side=left", "mask=inverted", "padding=40,mask=off")


def by_hand(checkpoint: Checkpoint, condition: str, text: int) -> tuple[Any, torch.Tensor]:
    """The batch of one text, and its weights, (layers, heads, from, to), as plain transformers gives them."""
    batch = next(iter(prepare(checkpoint, TEXTS, Condition.parse(condition)).select([text])))
    model = transformers.AutoModel.from_pretrained(checkpoint.folder, attn_implementation="eager").eval()
    with torch.inference_mode():
        out = model(**batch.tensors, output_attentions=True)
    return batch, torch.stack([layer[0] for layer in out.attentions])


@pytest.mark.parametrize("condition", SIDES)
@pytest.mark.parametrize("family", FAMILIES)
def test_every_family_gives_its_own_weights(loaded: Loaded, family: str, condition: str) -> None:
    checkpoint = loaded(family)
    for text in (0, 2):
        found = bertlens.attention(checkpoint, TEXTS, text, condition=condition)
        batch, weights = by_hand(checkpoint, condition, text)
        real = batch.real[0].bool()
        assert (found.layers, found.heads) == weights.shape[:2] == (3, 4)
        assert found.read.padding == int((~real).sum()) > 0, "every row here has padding, so that there is something to look at"
        for layer in range(3):
            rows = weights[layer][:, real]
            map_ = torch.from_numpy(found.read.maps[layer])
            assert torch.equal(map_[..., :-1], rows[..., real])
            assert torch.equal(map_[..., -1], rows[..., ~real].sum(-1))
        sums = weights[:, :, real].double().sum(-1)
        assert float((sums - 1).abs().max()) == found.read.row_error < 1e-6 and found.sums_to_one
        share = weights[:, :, real][..., ~real].sum(-1).mean(-1).numpy()
        np.testing.assert_allclose(found.read.measures["to_padding"], share, atol=1e-6)
        if "mask" in condition:
            assert share.min() > 0 and found.verdict == "problem"
            assert found.findings[0].id == ("attention-mask-inverted" if "inv" in condition else "attention-mask-missing")
        else:
            assert not weights[:, :, real][..., ~real].any(), "exactly 0"
            assert not found.read.measures["to_padding"].any() and found.verdict == "sound"


@pytest.mark.parametrize("family", FAMILIES)
def test_measures_by_hand(loaded: Loaded, family: str) -> None:
    checkpoint = loaded(family)
    found = bertlens.attention(checkpoint, TEXTS, 2, condition="mask=off").read
    batch, weights = by_hand(checkpoint, "mask=off", 2)
    count, w = int(batch.real.sum()), weights.double()[:, :, : int(batch.real.sum())]
    ids = batch.tensors["input_ids"][0]
    at = torch.arange(len(ids))
    expected = {
        "entropy": torch.special.entr(w).sum(-1).mean(-1),
        "to_cls": w[..., 0].mean(-1),
        "to_sep": w[..., ids == checkpoint.tokenizer.sep_token_id].sum(-1).mean(-1),
        "to_self": torch.stack([w[..., i, i] for i in range(count)]).mean(0),
        "to_previous": torch.stack([w[..., i, i - 1] for i in range(1, count)]).mean(0),
        "to_next": torch.stack([w[..., i, i + 1] for i in range(count - 1)]).mean(0),
        "distance": (w * (at[:count, None] - at).abs()).sum(-1).mean(-1),
    }
    assert int((ids == checkpoint.tokenizer.sep_token_id).sum()) >= 2, "a pair has two"
    for name, values in expected.items():
        np.testing.assert_allclose(found.measures[name], values.numpy(), rtol=1e-5, atol=1e-6, err_msg=name)
    assert {*expected, "to_padding"} == set(reading.MEASURES)


def test_rollout_by_hand(loaded: Loaded) -> None:
    checkpoint = loaded("bert")
    for condition in ("", "mask=off"):
        batch, weights = by_hand(checkpoint, condition, 0)
        product = torch.eye(weights.shape[-1])
        for layer, weight in enumerate(weights):
            product = (0.5 * weight.mean(0) + 0.5 * torch.eye(len(product))) @ product
            found = bertlens.attention(checkpoint, TEXTS, condition=condition)
            rows = product[batch.real[0].bool()]
            tokens = len(rows)
            np.testing.assert_allclose(found.map(layer + 1, "rollout")[:, :tokens], rows[:, :tokens], atol=1e-6)
            np.testing.assert_allclose(found.map(layer + 1, "rollout").sum(-1), 1, atol=1e-6)
            np.testing.assert_allclose(found.map(layer + 1, "mean")[:, :tokens], weight.mean(0)[:tokens, :tokens], atol=1e-6)
    alone = reading.rollout(torch.full((3, 2, 2), 0.5), identity=1.0)
    assert (alone == torch.eye(2)).all(), "with nothing but the residual stream every token stays itself"


def test_all_heads_average_to_the_mean_of_the_layers(loaded: Loaded) -> None:
    found = bertlens.attention(loaded("modernbert"), TEXTS)
    every = np.mean([[found.map(layer, head) for head in range(1, 5)] for layer in range(1, 4)], axis=(0, 1))
    np.testing.assert_allclose(found.map(1, "all"), every, atol=1e-6)
    assert found.columns[-1] == f"padding × {found.read.padding}" and found.columns[0] == "[CLS]"


def test_a_local_window_sees_no_further(loaded: Loaded) -> None:
    far = [bertlens.attention(loaded(name), TEXTS, 1) for name in ("modernbert", "bert")]
    reach = [[int(np.abs(np.subtract(*np.nonzero(one.read.maps[layer][0]))).max()) for layer in range(3)] for one in far]
    assert reach[0][1] <= 8 < reach[1][1] and len(far[0].tokens) > 9, "every second layer of it is local"


def test_the_shared_model_stays_as_it_is(loaded: Loaded) -> None:
    checkpoint = loaded("mpnet")
    shared = checkpoint.instance("float32", "eager", False)
    bertlens.attention(checkpoint, TEXTS)
    for model in (checkpoint.model, shared):
        assert not model.config.output_attentions
        assert all("attentions" not in str(hook) for module in model.modules() for hook in module._forward_hooks.values())
    batch = next(iter(prepare(checkpoint, TEXTS, Condition())))
    with torch.inference_mode():
        assert getattr(shared(**batch.tensors), "attentions", None) is None


def test_one_layer_at_a_time_is_in_memory(loaded: Loaded) -> None:
    import weakref

    checkpoint, alive = loaded("mpnet"), []
    seen: list[weakref.ref[torch.Tensor]] = []

    def watch(_: Any, __: int, weights: torch.Tensor) -> None:
        alive.append(sum(one() is not None for one in seen))
        seen.append(weakref.ref(weights))

    list(attentions(prepare(checkpoint, TEXTS, Condition()), watch))
    assert len(seen) == 3 and max(alive) == 0, "MPNet keeps every layer unless it is taken from it"


def test_of_many_heads_one_layer_is_kept(loaded: Loaded, monkeypatch: pytest.MonkeyPatch) -> None:
    checkpoint = loaded("electra")
    whole = bertlens.attention(checkpoint, TEXTS)
    assert sorted(whole.read.maps) == [0, 1, 2]
    assert not bertlens.attention(checkpoint, TEXTS, maps=False).read.maps
    monkeypatch.setattr(reading, "MOST_BYTES", 1000)
    one = bertlens.attention(checkpoint, TEXTS, layer=2)
    assert sorted(one.read.maps) == [1] and (one.map(2, 3) == whole.map(2, 3)).all()
    with pytest.raises(BertlensError, match="layer 1 were not kept"):
        one.map(1, 1)
    assert (one.map(1, "mean") == whole.map(1, "mean")).all()


def test_many_texts_have_the_measures_of_each(loaded: Loaded) -> None:
    checkpoint = loaded("roberta")
    found = bertlens.attention_of_texts(checkpoint, TEXTS, condition="mask=off,batch=whole")
    for text in range(3):
        one = bertlens.attention(checkpoint, TEXTS, text, condition="mask=off")
        for name in reading.MEASURES:
            np.testing.assert_allclose(found.measures[name][text], one.read.measures[name], rtol=1e-4, atol=1e-6)
    frame = found.to_frame()
    assert frame["to_padding"][0] > 0 == frame["to_padding"][1], "the longest row has no padding"
    packed = bertlens.attention_of_texts(checkpoint, TEXTS * 100)
    assert len(packed.to_frame()) == 256 and packed.of == 300 and not packed.measures["to_padding"].any()


def test_padding_is_looked_at_only_without_the_mask(minilm: Checkpoint) -> None:
    look = bertlens.attention_to_padding(minilm, TEXTS, 2)
    frame = look.to_frame()
    assert not frame["mask on"].any() and frame["mask off"].min() > 0
    assert "exactly 0 in every head" in look.sentence and look.masked.text == 2
    assert look.masked.read.padding == len(look.masked.tokens), "twice as long by default"
    with pytest.raises(BertlensError, match="cannot pad text 0"):
        bertlens.attention_to_padding(minilm, TEXTS, 0, padding=4)


def sound(found: Attention) -> bool:
    return found.verdict == "sound"


def test_dropout_and_half_precision(loaded: Loaded) -> None:
    checkpoint = loaded("bert", hidden_dropout_prob=0.1, attention_probs_dropout_prob=0.3)
    assert sound(bertlens.attention(checkpoint, TEXTS)) and sound(
        bertlens.attention(checkpoint, TEXTS, condition="dtype=bfloat16")
    )
    dropped = bertlens.attention(checkpoint, TEXTS, condition="dropout=on")
    assert not dropped.sums_to_one and dropped.verdict == "problem" and dropped.findings[0].id == "dropout-active"
    assert "should sum to 1 and misses it by up to" in dropped.sentence
    exact = bertlens.attention(checkpoint, TEXTS, condition="dtype=float64")
    assert exact.read.row_error < 1e-14 and exact.read.maps[0].dtype == np.float32


def test_a_text_of_one_token(loaded: Loaded) -> None:
    found = bertlens.attention(loaded("bert"), ("cat",), condition="specials=off")
    assert found.tokens == ("cat",) and (found.map(1, 1) == 1).all()
    assert found.read.measures["entropy"].max() == 0 and np.isnan(found.read.measures["to_previous"]).all()
    assert found.to_dict()["measures"]["to_next"][0][0] is None and sound(found)


def test_what_cannot_be_shown_is_said(loaded: Loaded, minilm: Checkpoint) -> None:
    checkpoint = loaded("bert")
    with pytest.raises(BertlensError, match="batch axis"):
        bertlens.attention(checkpoint, TEXTS, condition="rows=index")
    for layer, head in ((4, 1), (0, 1), (1, 5), (1, "most")):
        with pytest.raises(BertlensError, match="layer 1 … 3 and head 1 … 4"):
            bertlens.attention(checkpoint, TEXTS).map(layer, head)
    with pytest.raises(BertlensError, match="number 3"):
        bertlens.attention(checkpoint, TEXTS, 3)
    long = loaded("modernbert", max_position_embeddings=1024)
    with pytest.raises(BertlensError, match="at most 512"):
        bertlens.attention(long, ("word " * 600,))
    cut = bertlens.attention(long, ("word " * 600,), condition="max_length=64")
    assert cut.findings[0].id == "silent-truncation" and cut.verdict == "caution" and len(cut.tokens) == 64
    with pytest.raises(BertlensError, match="cannot pad"):
        bertlens.attention_to_padding(checkpoint, ("word " * 100,))


@pytest.mark.parametrize(("kind", "squares"), [("fnet", 0), ("deberta-v2", 2), ("convbert", 2)])
def test_families_beyond_the_nine_go_by_what_they_return(kind: str, squares: int) -> None:
    sizes = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 64, "vocab_size": 50}
    config = transformers.CONFIG_MAPPING[kind](**sizes)
    if squares:
        config._attn_implementation = "eager"
        config.output_attentions = True
    model, seen = transformers.AutoModel.from_config(config).eval(), []
    ids = torch.arange(7)[None]
    with torch.inference_mode(), each_layer(model, (1, 7), lambda weights: seen.append(weights)):
        model(input_ids=ids)
    assert len(seen) == squares
    assert all((weights.sum(-1) - 1).abs().max() < 1e-6 for weights in seen)
    assert not any(module._forward_hooks for module in model.modules()) or squares, "nothing is left behind"


def test_a_model_without_attention_says_so(loaded: Loaded, monkeypatch: pytest.MonkeyPatch) -> None:
    checkpoint = loaded("distilbert")
    fnet = transformers.FNetModel(transformers.FNetConfig(hidden_size=32, num_hidden_layers=2, vocab_size=30522)).eval()
    monkeypatch.setattr(Checkpoint, "own_instance", lambda *_: fnet)
    with pytest.raises(BertlensError, match=r"0 squares of weights from a model of 2 layers \(fnet\)"):
        bertlens.attention(checkpoint, TEXTS)


def test_512_tokens(minilm: Checkpoint) -> None:
    found = bertlens.attention(minilm, ("word " * 600, "short"))
    assert found.map(6, 12).shape == (512, 512) and sorted(found.read.maps) == list(range(6))
    assert found.read.row_error < 2e-6 and found.sums_to_one
    assert sum(map_.nbytes for map_ in found.read.maps.values()) < reading.MOST_BYTES
    short = bertlens.attention(minilm, ("word " * 600, "short"), 1)
    assert short.read.padding == 509 and short.map(6, 12).shape == (3, 4)
