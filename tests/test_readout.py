"""Every readout, recomputed by hand from plain transformers and by sentence-transformers' own module."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from transformers import AutoModel, AutoTokenizer

from bertlens.errors import BertlensError
from bertlens.read.readout import COMBINATIONS, POOLINGS, Readout
from bertlens.read.vectors import read
from bertlens.run.checkpoint import Checkpoint
from bertlens.run.condition import Condition
from bertlens.run.inputs import prepare
from tests.conftest import Loaded

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from sentence_transformers.models import Pooling

TEXTS = ("A cat sat.", "Rain fell all night on the old stone bridge.", "Well, the dog slept; nobody came home.")

Pooled = Callable[[torch.Tensor, list[int]], torch.Tensor]
# (tokens, hidden) of one row and the places of its real tokens -> (hidden,)
BY_HAND: dict[str, Pooled] = {
    "cls": lambda row, real: row[real[0]],
    "lasttoken": lambda row, real: row[real[-1]],
    "first_position": lambda row, real: row[0],
    "mean": lambda row, real: row[real].mean(0),
    "mean_all": lambda row, real: row.mean(0),
    "mean_content": lambda row, real: row[real[1:-1]].mean(0),
    "max": lambda row, real: row[real].max(0).values,
    "mean_sqrt_len_tokens": lambda row, real: row[real].sum(0) / len(real) ** 0.5,
    "weightedmean": lambda row, real: (
        (row[real] * torch.arange(1, len(real) + 1)[:, None]).sum(0) / sum(range(1, len(real) + 1))
    ),
}


def plain(folder: Path, side: str) -> tuple[dict[str, torch.Tensor], Any]:
    """The batch and the outputs with all hidden states."""
    tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True, padding_side=side)
    model = AutoModel.from_pretrained(folder, local_files_only=True).eval()
    batch = dict(tokenizer(list(TEXTS), padding=True, return_tensors="pt"))
    with torch.inference_mode():
        return batch, model(**batch, output_hidden_states=True)


def close(got: np.ndarray, expected: torch.Tensor) -> None:
    torch.testing.assert_close(torch.from_numpy(got), expected, rtol=1e-5, atol=1e-6)


def test_every_pooling_is_covered() -> None:
    assert {*BY_HAND, "pooler"} == set(POOLINGS)


@pytest.mark.parametrize("side", ["right", "left"])
def test_every_pooling_by_hand(checkpoint: Checkpoint, side: str) -> None:
    batch, outputs = plain(checkpoint.folder, side)
    reals = [mask.nonzero().flatten().tolist() for mask in batch["attention_mask"]]
    assert {len(real) for real in reals} != {batch["input_ids"].shape[1]}, "no row is padded"
    inputs = prepare(checkpoint, TEXTS, Condition(side=side))
    seen: dict[str, np.ndarray] = {}
    for pooling, pooled in BY_HAND.items():
        seen[pooling] = read(inputs, Readout.parse(pooling))
        close(seen[pooling], torch.stack([pooled(*row) for row in zip(outputs.last_hidden_state, reals, strict=True)]))
    # Were two of them the same, one could stand in for the other unnoticed.
    same = {(a, b) for a in seen for b in seen if a < b and np.allclose(seen[a], seen[b], atol=1e-4)}
    assert same == ({("cls", "first_position")} if side == "right" else set())


def test_picks_are_bit_equal(checkpoint: Checkpoint) -> None:
    batch, outputs = plain(checkpoint.folder, "right")
    inputs, states = prepare(checkpoint, TEXTS, Condition()), outputs.last_hidden_state
    last = batch["attention_mask"].sum(1) - 1
    assert np.array_equal(read(inputs, Readout("cls")), states[:, 0].numpy())
    assert np.array_equal(read(inputs, Readout("lasttoken")), states[torch.arange(3), last].numpy())
    if checkpoint.architecture.pooler:
        assert np.array_equal(read(inputs, Readout("pooler")), outputs.pooler_output.numpy())
    else:
        assert getattr(outputs, "pooler_output", None) is None
        with pytest.raises(BertlensError, match="a model without a pooler .*read cls or mean"):
            read(inputs, Readout("pooler"))


@pytest.mark.parametrize("mode", ["cls", "lasttoken", "max", "mean", "mean_sqrt_len_tokens", "weightedmean"])
@pytest.mark.parametrize("side", ["right", "left"])
def test_as_sentence_transformers_pools(checkpoint: Checkpoint, mode: str, side: str) -> None:
    batch, outputs = plain(checkpoint.folder, side)
    assert (batch["attention_mask"] == 0).any(), "without padding the sides are the same"
    features = {"token_embeddings": outputs.last_hidden_state, "attention_mask": batch["attention_mask"]}
    expected = Pooling(checkpoint.architecture.hidden, pooling_mode=mode)(features)["sentence_embedding"]
    close(read(prepare(checkpoint, TEXTS, Condition(side=side)), Readout.parse(mode)), expected)


def test_layers_and_how_they_are_combined(checkpoint: Checkpoint) -> None:
    _, outputs = plain(checkpoint.folder, "right")
    inputs, layers = prepare(checkpoint, TEXTS, Condition()), [state[:, 0] for state in outputs.hidden_states]
    depth = checkpoint.architecture.layers
    assert len(layers) == depth + 1 == 4
    last = outputs.last_hidden_state[:, 0]
    expected = {
        **{f"cls@{at}": layers[at] for at in range(depth + 1)},
        **{f"cls@{at}": layers[at] for at in range(-depth - 1, -1)},
        "cls@-1": last,
        "cls@last4:concat": torch.cat([layers[-1], layers[-2], layers[-3], layers[-4]], dim=1),
        "cls@last4:concat_reversed": torch.cat([layers[-4], layers[-3], layers[-2], layers[-1]], dim=1),
        "cls@last2:concat": torch.cat([layers[-1], layers[-2]], dim=1),
        "cls@last3:mean": torch.stack(layers[-3:]).mean(0),
        "cls@last3:sum": torch.stack(layers[-3:]).sum(0),
        "cls@all:mean": torch.stack(layers).mean(0),
        "cls@all:sum|l2": torch.nn.functional.normalize(torch.stack(layers).sum(0), dim=1),
        "cls|l2": last / last.norm(dim=1, keepdim=True),
    }
    for readout, vectors in expected.items():
        close(read(inputs, Readout.parse(readout)), vectors)
    assert (layers[0] - layers[1]).abs().max() > 1e-2


def test_mean_over_layers_and_tokens(minilm: Checkpoint) -> None:
    batch, outputs = plain(minilm.folder, "right")
    mask = batch["attention_mask"].unsqueeze(-1)
    means = [(state * mask).sum(1) / mask.sum(1) for state in outputs.hidden_states]
    inputs = prepare(minilm, TEXTS, Condition())
    close(read(inputs, Readout.parse("mean@last4:mean")), torch.stack(means[-4:]).mean(0))
    unit = read(inputs, Readout.parse("mean@last4:concat|l2"))
    close(unit, torch.nn.functional.normalize(torch.cat(means[:2:-1], dim=1), dim=1))
    assert np.allclose(np.linalg.norm(unit, axis=1), 1, atol=1e-6)


@pytest.mark.parametrize(
    ("readout", "got"),
    [("cls@4", "layers 4"), ("cls@-5", "layers -5"), ("mean@last5:mean", "layers last5"), ("cls@last0:sum", "layers last0")],
)
def test_layers_that_are_not_there(loaded: Loaded, readout: str, got: str) -> None:
    bert = loaded("bert")
    with pytest.raises(BertlensError, match=f"cannot read .*; got {got}; expected indices 0 .* 3 .*at most last4"):
        read(prepare(bert, TEXTS, Condition()), Readout.parse(readout))


@pytest.mark.parametrize(
    "wrong",
    [
        "",
        "clss",
        "cls@",
        "cls@x",
        "cls@last4",
        "cls@last4:median",
        "cls@1.5",
        "cls|l1",
        "cls|",
        "pooler@2",
        "cls@1@2",
        "all:mean",
    ],
)
def test_unreadable_readouts(wrong: str) -> None:
    with pytest.raises(BertlensError, match="cannot read the readout .*; got .*; expected pooling"):
        Readout.parse(wrong)


LAYERS = st.one_of(
    st.integers(-20, 20).map(str),
    st.tuples(st.one_of(st.just("all"), st.integers(1, 12).map("last{}".format)), st.sampled_from(COMBINATIONS)).map(":".join),
)


@given(st.sampled_from(sorted(set(POOLINGS) - {"pooler"})), LAYERS, st.booleans())
def test_notation_comes_back(pooling: str, layers: str, l2: bool) -> None:
    written = f"{pooling}@{layers}" + "|l2" * l2
    readout = Readout.parse(written)
    assert Readout.parse(str(readout)) == readout
    assert Readout.parse(f" {pooling} @ {layers} " + "| l2" * l2) == readout
    assert str(readout) == written.replace("@-1", "" if layers == "-1" else "@-1")


def test_a_row_without_a_token_to_read_is_nan_and_its_neighbour_is_not(loaded: Loaded) -> None:
    bert = loaded("bert")
    vectors = read(prepare(bert, ("", "A cat sat."), Condition()), Readout("mean_content"))
    assert np.isnan(vectors[0]).all()
    assert np.isfinite(vectors[1]).all()


def test_left_out_texts_are_nan_and_the_dtype_follows_the_run(minilm: Checkpoint) -> None:
    inputs = prepare(minilm, TEXTS, Condition(batch="alone"))
    assert np.isnan(read(inputs.select([0, 2]), Readout())).all(1).tolist() == [False, True, False]
    assert read(inputs, Readout()).dtype == np.float32
    assert read(inputs, Readout(), dtype="float64").dtype == np.float64
    assert read(prepare(minilm, TEXTS, Condition(dtype="bfloat16")), Readout()).dtype == np.float32
