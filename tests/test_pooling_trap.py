"""The padding trap says what a comparison says, and a fresh linear layer is another one in every run."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch

import bertlens
from bertlens.errors import BertlensError
from bertlens.judge.trap import PaddingTrap, steps_between
from bertlens.read.linear import fresh_layer
from bertlens.run.checkpoint import Checkpoint
from bertlens.run.condition import Condition
from bertlens.run.inputs import prepare
from bertlens.run.presets import TRAP_TEXTS
from bertlens.show import pooling as figures
from tests.conftest import Loaded

POOLINGS = ("mean_all", "mean", "first_position", "mean@last4:mean|l2")
LENGTHS = (10, 32, 128)


@pytest.fixture(scope="module")
def trap(minilm: Checkpoint) -> PaddingTrap:
    return bertlens.padding_trap(minilm, poolings=POOLINGS, lengths=LENGTHS)


def test_the_texts_of_the_case_have_seven_and_ten_tokens(minilm: Checkpoint) -> None:
    assert [len(row.ids) for row in prepare(minilm, TRAP_TEXTS, Condition()).tokens] == [7, 10]


def test_every_row_is_what_compare_says(minilm: Checkpoint, trap: PaddingTrap) -> None:
    assert len(trap.rows) == len(POOLINGS) * len(LENGTHS)
    for row in trap.rows:
        minilm.kept.clear()
        compared = bertlens.compare(minilm, TRAP_TEXTS, candidate=f"padding={row.padding}", readout=row.pooling)
        worst = compared.worst
        expected = (compared.verdict, worst.text, worst.max_abs, worst.max_abs_float64, worst.cosine)
        assert (row.verdict, row.text, row.max_abs, row.max_abs_float64, row.cosine) == expected


def test_the_plain_mean_is_caught_and_the_masked_mean_is_not(trap: PaddingTrap) -> None:
    assert {row.verdict for row in trap.of("mean_all")} == {"different"}
    sizes = [row.max_abs for row in trap.of("mean_all")]
    assert sizes == sorted(sizes) and sizes[0] > 0.1
    for sound in POOLINGS[1:]:
        assert {row.verdict for row in trap.of(sound)} <= {"rounding", "identical"}
    assert trap.verdict == "different"
    assert trap.sentence.startswith("Different: padding up to 128 tokens changes mean_all by ")
    assert "mean, first_position, mean@last4:mean|l2 stay the same up to rounding" in trap.sentence


def test_the_twin_without_the_trap_is_sound(minilm: Checkpoint) -> None:
    sound = bertlens.padding_trap(minilm, poolings=["mean"], lengths=[10])
    assert sound.verdict in ("rounding", "identical")
    assert sound.sentence.endswith(").") and "changes" not in sound.sentence
    alone = bertlens.padding_trap(minilm, ["A cat sat."], poolings=["mean_all"], lengths=[6])
    assert alone.verdict == "identical", "a single text at its own length has no padding to count"
    assert figures.padding_trap(alone).data[0].y[0] > 0, "zero has a place on a log axis"


@pytest.mark.parametrize("family", ["roberta", "modernbert", "mpnet"])
def test_other_families(loaded: Loaded, family: str) -> None:
    found = bertlens.padding_trap(loaded(family))
    assert found.lengths[-1] == loaded(family).max_length
    assert {row.verdict for row in found.of("mean_all")} == {"different"}
    assert {row.verdict for row in found.of("mean")} <= {"rounding", "identical"}


def test_lengths(minilm: Checkpoint) -> None:
    assert steps_between(10, 512) == (10, 32, 128, 512)
    assert steps_between(40, 64) == (40, 64)
    assert steps_between(64, 64) == (64,)
    for wrong, said in (((9, 32), "a padded length of 9"), ((600,), "a padded length of 600"), ((), "no padded length")):
        with pytest.raises(BertlensError, match=said):
            bertlens.padding_trap(minilm, lengths=wrong)
    many = bertlens.padding_trap(minilm, ["a b"] * 18, poolings=["cls"], lengths=[4])
    assert many.texts == 16 and many.notes == ("The first 16 texts were padded; 2 are left out.",)


def test_the_document_and_the_figure(trap: PaddingTrap) -> None:
    document = json.loads(json.dumps(trap.to_dict(), allow_nan=False))
    assert [row["max_abs"] for row in document["rows"]] == trap.to_frame()["max_abs"].tolist()
    figure = figures.padding_trap(trap)
    assert [line.name for line in figure.data][:4] == list(POOLINGS)
    assert set(figure.data[0].marker.symbol) == {"x"} and "x" not in figure.data[1].marker.symbol
    assert list(figure.data[0].x) == list(LENGTHS)


def test_a_fresh_layer_is_that_of_torch_and_draws_nothing_elsewhere(minilm: Checkpoint) -> None:
    found = bertlens.pooling(minilm, TRAP_TEXTS)
    before = torch.get_rng_state()
    result = found.fresh("cls@last4:concat", classes=5, seeds=(0, 1, 7))
    assert torch.equal(before, torch.get_rng_state())
    with torch.random.fork_rng(devices=[]), torch.inference_mode():
        for at, seed in enumerate((0, 1, 7)):
            torch.manual_seed(seed)
            layer = torch.nn.Linear(1536, 5)
            assert torch.equal(layer.weight, fresh_layer(1536, 5, seed).weight)
            assert np.array_equal(result.logits[at], layer(torch.from_numpy(found.vectors("cls@last4:concat"))).numpy())
    assert [step.shape for step in result.steps] == [(2, 10, 1536), (2, 1536), (2, 5)]
    assert result.steps[0].axes == ("texts", "tokens", "4·hidden")
    combined = found.fresh("max@last4:mean", classes=3, seeds=(0,))
    assert [step.shape for step in combined.steps] == [(4, 2, 10, 384), (4, 2, 384), (2, 384), (2, 3)]
    assert np.isnan(combined.changes) and "seed 0 gives one of them" in combined.sentence


def test_how_far_fresh_layers_lie_apart(minilm: Checkpoint) -> None:
    found = bertlens.pooling(minilm, TRAP_TEXTS)
    same = found.fresh("mean", classes=5, seeds=(3, 3))
    assert same.changes == 0 and same.spread.max() == 0
    apart = found.fresh("mean", classes=5, seeds=tuple(range(20)))
    np.testing.assert_allclose(apart.spread, apart.logits.astype(np.float64).std(0))
    classes = apart.logits.argmax(2)
    by_hand = np.mean([classes[i] != classes[j] for i in range(20) for j in range(i)])
    assert apart.changes == pytest.approx(by_hand) and by_hand > 0.3
    assert "another one in every run" in apart.sentence
    assert len(apart.to_frame()) == 40 and len(apart.to_dict()["logits"]) == 20
    assert figures.fresh(apart, TRAP_TEXTS, 1).data[0].marker.symbol.index("star") == classes[0, 1]
    for wrong in ({"classes": 0}, {"seeds": ()}, {"seeds": (-1,)}):
        with pytest.raises(BertlensError):
            found.fresh("mean", **wrong)  # type: ignore[arg-type]
    with pytest.raises(BertlensError, match="number 2"):
        figures.fresh(apart, TRAP_TEXTS, 2)
