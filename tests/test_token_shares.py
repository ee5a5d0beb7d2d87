"""Shares of tokens: they add up, they are what a loop of plain torch gives, and both ways rank what matters first."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

import bertlens
from bertlens.read.shares import BASELINES, points
from bertlens.run.checkpoint import Checkpoint
from bertlens.run.condition import Condition
from bertlens.run.headed import headed
from bertlens.run.inputs import prepare
from tests.conftest import Loaded
from tests.families import FAMILIES

PAIR = ("Who is it?", "A friend of yours from Paris.")
SEQUENCE = "sequence-classification"


def logit_of(checkpoint: Checkpoint, label: int, text: Any = PAIR) -> tuple[Callable[[torch.Tensor], torch.Tensor], Any, Any]:
    """The logit as a function of the embeddings, the batch, and the model."""
    model = headed(checkpoint).own_instance()
    batch = next(iter(prepare(checkpoint, (text,), Condition())))
    rest = {name: tensor for name, tensor in batch.tensors.items() if name != "input_ids"}

    def logit(embeddings: torch.Tensor) -> torch.Tensor:
        found: torch.Tensor = model(inputs_embeds=embeddings, **rest).logits[0, label]
        return found

    return logit, batch, model


@pytest.mark.parametrize("family", FAMILIES)
def test_the_parts_add_up_and_are_those_of_a_loop_by_hand(family: str, loaded: Loaded) -> None:
    checkpoint = loaded(family, head=SEQUENCE)
    found = bertlens.token_shares(checkpoint, [PAIR], label=1, baseline="mask", steps=12)
    logit, batch, model = logit_of(checkpoint, 1)
    ids = batch.tensors["input_ids"]
    lookup = model.get_input_embeddings()
    with torch.no_grad():
        end = lookup(ids)
        start = lookup(torch.where(batch.special.bool(), ids, checkpoint.tokenizer.mask_token_id))
        assert found.logit == float(model(**batch.tensors).logits[0, 1]), "the lookup fed back is the model itself"
        difference = float(logit(end)) - float(logit(start))
    total = torch.zeros_like(end)
    for place, weight in zip(*points(12), strict=True):
        here = (start + place * (end - start)).requires_grad_()
        total += weight * torch.autograd.grad(logit(here), here)[0]
    by_hand = (total * (end - start)).sum(-1)[0].detach()
    np.testing.assert_allclose(found.gradients, by_hand, atol=2e-6)
    assert found.difference == pytest.approx(difference, abs=1e-6)
    assert float(found.gradients.astype(float).sum()) - found.difference == pytest.approx(found.error, abs=1e-9)
    assert abs(found.error) < 5e-3 and found.complete, "a ReLU makes the path rough"
    assert not found.gradients[np.asarray(found.special, bool)].any(), "special tokens stand in the baseline as well"


@pytest.mark.parametrize("family", ["bert", "roberta", "modernbert"])
def test_occlusion_is_the_fall_of_the_logit_row_by_row(family: str, loaded: Loaded) -> None:
    checkpoint = loaded(family, head=SEQUENCE)
    found = bertlens.token_shares(checkpoint, [PAIR], label=0, steps=4)
    _, batch, model = logit_of(checkpoint, 0)
    ids = batch.tensors["input_ids"]
    with torch.inference_mode():
        whole = float(model(**batch.tensors).logits[0, 0])
        for place in found.content:
            hidden = ids.clone()
            hidden[0, place] = checkpoint.tokenizer.mask_token_id
            fall = whole - float(model(**{**batch.tensors, "input_ids": hidden}).logits[0, 0])
            assert found.occluded[place] == pytest.approx(fall, abs=1e-5)
    assert np.isnan(found.occluded[np.asarray(found.special, bool)]).all()
    covered = sorted(place for _, places, _ in found.words for place in places)
    assert covered == found.content.tolist(), "every word piece is in one word"
    single = {places[0]: fall for _, places, fall in found.words if len(places) == 1}
    assert single and all(fall == pytest.approx(found.occluded[place], abs=1e-5) for place, fall in single.items())


def test_more_steps_leave_a_smaller_error(loaded: Loaded) -> None:
    checkpoint = loaded("bert", head=SEQUENCE)
    few, many = (bertlens.token_shares(checkpoint, [PAIR], label=0, baseline="mask", steps=steps) for steps in (2, 20))
    assert abs(many.error) < abs(few.error) / 20 and many.complete
    assert few.gradients.tolist() != many.gradients.tolist()
    assert -1 <= many.agreement <= 1 and few.name == "LABEL_0"


@pytest.mark.parametrize("baseline", BASELINES)
def test_a_baseline_is_where_the_path_begins(baseline: str, loaded: Loaded) -> None:
    checkpoint = loaded("bert", head=SEQUENCE)
    logit, batch, model = logit_of(checkpoint, 1)
    content = batch.special[0] == 0
    start = model.get_input_embeddings()(batch.tensors["input_ids"]).detach().clone()
    token = {"pad": checkpoint.tokenizer.pad_token_id, "mask": checkpoint.tokenizer.mask_token_id, "zero": None}[baseline]
    start[0, content] = 0.0 if token is None else model.get_input_embeddings().weight[token].detach()
    found = bertlens.token_shares(checkpoint, [PAIR], label=1, baseline=baseline, steps=4)
    assert found.baseline_logit == pytest.approx(float(logit(start).detach()), abs=1e-6)


def test_one_token_has_no_rank(loaded: Loaded) -> None:
    found = bertlens.token_shares(loaded("bert", head=SEQUENCE), ["Rain"], steps=4)
    assert math.isnan(found.agreement) and "Rank agreement" not in found.sentence and found.to_dict()["rank_agreement"] is None


def test_progress_is_told_and_cancels(loaded: Loaded) -> None:
    told: list[tuple[int, int, str]] = []

    class Stop(Exception):
        pass

    def progress(done: int, total: int, what: str) -> None:
        told.append((done, total, what))
        if what.startswith("steps") and done:
            raise Stop

    text = " ".join(["word"] * 60)  # so that a pass holds a few steps of the path only
    with pytest.raises(Stop):
        bertlens.token_shares(loaded("bert", head=SEQUENCE), [text], steps=50, progress=progress)
    assert told[0][:2] == (0, 50) and 0 < told[-1][0] < 50


@pytest.mark.parametrize("wrong", [{"baseline": "x"}, {"steps": 1}, {"steps": 1001}, {"label": 2}, {"label": -1}])
def test_what_cannot_be_asked_is_one_sentence(loaded: Loaded, wrong: dict[str, Any]) -> None:
    with pytest.raises(bertlens.BertlensError):
        bertlens.token_shares(loaded("bert", head=SEQUENCE), [PAIR], **wrong)


def test_the_weights_that_are_shared_keep_asking_for_gradients(loaded: Loaded) -> None:
    checkpoint = loaded("bert", head=SEQUENCE)
    bertlens.token_shares(checkpoint, [PAIR], steps=2)
    assert all(parameter.requires_grad and parameter.grad is None for parameter in checkpoint.model.parameters())
