"""The shared model is never changed, and its variants share what they can."""

from __future__ import annotations

import hashlib
import threading
from typing import Any

import numpy as np
import pytest
import torch

import bertlens
from bertlens.errors import BertlensError
from bertlens.read.readout import Readout
from bertlens.read.vectors import read
from bertlens.run.checkpoint import Checkpoint
from bertlens.run.condition import CHOICES, Condition
from bertlens.run.inputs import prepare
from bertlens.run.outputs import forward
from bertlens.run.variants import CASTS_KEPT
from tests.conftest import Loaded

TEXTS = ("A cat sat.", "Rain fell all night on the old stone bridge.", "The dog slept; nobody came home.")


def state(checkpoint: Checkpoint) -> dict[str, Any]:
    """Everything about a loaded checkpoint that a run could leave changed."""
    model, total = checkpoint.model, hashlib.sha256()
    for name, tensor in model.state_dict().items():
        total.update(name.encode() + str(tensor.dtype).encode() + tensor.numpy().tobytes())
    modules = list(model.modules())
    kinds = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks")
    return {
        "weights": total.hexdigest(),
        "training": [module.training for module in modules],
        "hooks": sum(len(getattr(module, kind)) for module in modules for kind in kinds),
        "attention": model.config._attn_implementation,
        "config": model.config.to_json_string(),
        "gradients": [(parameter.requires_grad, parameter.grad) for parameter in model.parameters()],
        "tokenizer": checkpoint.tokenizer.backend_tokenizer.to_str(),
        "sides": (
            checkpoint.tokenizer.padding_side,
            checkpoint.tokenizer.truncation_side,
            checkpoint.tokenizer.model_max_length,
        ),
        "default dtype": torch.get_default_dtype(),
        "threads": torch.get_num_threads(),
        "inference": torch.is_inference_mode_enabled(),
        "buffers": [(name, buffer.dtype) for name, buffer in model.named_buffers()],
    }


def every_condition() -> list[Condition]:
    """Each value of each key once, all else default."""
    counts: dict[str, int] = {"batch": 2, "padding": 40, "max_length": 6}
    words = [Condition.parse({key: value}) for key, values in CHOICES.items() for value in values]
    return [*words, *(Condition.parse({key: value}) for key, value in counts.items())]


def test_the_checkpoint_is_the_same_after_every_condition(family: str, loaded: Loaded) -> None:
    checkpoint = bertlens.load(str(loaded(family).folder))
    backend = checkpoint.tokenizer.backend_tokenizer
    backend.enable_truncation(max_length=20)
    backend.enable_padding(length=20, pad_id=checkpoint.tokenizer.pad_token_id)
    before, ran = state(checkpoint), 0
    for condition in every_condition():
        try:
            vectors = read(prepare(checkpoint, TEXTS, condition), Readout.parse("mean@last2:mean"))
            ran += np.isfinite(vectors).all()
        except BertlensError as error:
            assert "segments" in str(error)
    bertlens.compare(checkpoint, TEXTS, candidate="padding=40,mask=off,dtype=bfloat16,attention=eager")
    assert ran > 15
    assert state(checkpoint) == before


@pytest.fixture(params=["bert", "modernbert", "mpnet"])
def family(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def test_variants_share_parameters_of_one_number_format(family: str, loaded: Loaded) -> None:
    checkpoint = bertlens.load(str(loaded(family).folder))
    places = {name: parameter.data_ptr() for name, parameter in checkpoint.model.named_parameters()}
    for attention in checkpoint.architecture.attentions:
        for dropout in (False, True):
            twin = checkpoint.instance("float32", attention, dropout)
            assert twin is checkpoint.instance("float32", attention, dropout)
            assert twin is not checkpoint.model
            assert {name: parameter.data_ptr() for name, parameter in twin.named_parameters()} == places
            assert twin.config._attn_implementation == attention
            assert all(module.training == dropout for module in twin.modules())
    cast = checkpoint.instance("float64", "eager", False)
    other = checkpoint.instance("float64", "eager", True)
    assert {p.dtype for p in cast.parameters()} == {torch.float64}
    assert not {p.data_ptr() for p in cast.parameters()} & set(places.values())
    assert [p.data_ptr() for p in cast.parameters()] == [p.data_ptr() for p in other.parameters()]


def test_only_a_few_number_formats_are_kept(loaded: Loaded) -> None:
    checkpoint = bertlens.load(str(loaded("bert").folder))
    own, first = (checkpoint.instance(dtype, "sdpa", False) for dtype in ("float32", "float64"))
    for dtype in ("bfloat16", "float64", "float16"):
        checkpoint.instance(dtype, "sdpa", False)
    assert checkpoint.instance("float64", "sdpa", False) is first, "it was used after bfloat16"
    assert checkpoint.instance("float32", "sdpa", False) is own
    assert CASTS_KEPT == 2
    assert {key[0] for key in checkpoint._variants._casts} == {"float32", "float64", "float16"}


def test_two_threads_at_once_give_what_one_after_the_other_gives(loaded: Loaded) -> None:
    checkpoint = bertlens.load(str(loaded("bert").folder))
    jobs = [
        (TEXTS, "padding=40,mask=off"),
        (tuple(text * 9 for text in TEXTS), "max_length=20,attention=eager"),
        (TEXTS[:2], "dropout=on"),
        (TEXTS[1:], "dtype=bfloat16"),
    ]
    expected = [bertlens.compare(loaded("bert"), texts, candidate=candidate).to_dict() for texts, candidate in jobs]
    got: dict[int, Any] = {}
    start = threading.Barrier(len(jobs))

    def work(at: int) -> None:
        start.wait()
        got[at] = [bertlens.compare(checkpoint, jobs[at][0], candidate=jobs[at][1]).to_dict() for _ in range(2)]

    threads = [threading.Thread(target=work, args=(at,)) for at in range(len(jobs))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [got[at] for at in range(len(jobs))] == [[one, one] for one in expected]


def test_states_asked_for_and_no_others(loaded: Loaded) -> None:
    inputs = prepare(loaded("bert"), TEXTS, Condition(batch="alone"))
    seen = list(forward(inputs, layers=(3, 0, 3)))
    assert len(seen) == 3
    for outputs in seen:
        assert sorted(outputs.hidden_states) == [0, 3]
        assert torch.equal(outputs.hidden_states[3], outputs.last_hidden_state)
        assert outputs.hidden_states[0].shape == outputs.last_hidden_state.shape
        assert outputs.pooler_output is not None
        assert outputs.pooler_output.shape == (1, 32)
        assert not outputs.last_hidden_state.requires_grad


def test_progress_is_told_and_cancels(loaded: Loaded) -> None:
    told: list[tuple[int, int]] = []
    inputs = prepare(loaded("bert"), TEXTS, Condition(batch="alone"))
    list(forward(inputs, progress=lambda done, total, what: told.append((done, total))))
    assert told == [(0, 3), (1, 3), (2, 3), (3, 3)]

    def cancel(done: int, total: int, what: str) -> None:
        if done == 1:
            raise KeyError("enough")

    for dtype in ("float32", "float64"):
        with pytest.raises(KeyError, match="enough"):
            read(
                prepare(loaded("bert"), TEXTS, Condition(batch="alone", dropout="on")), Readout(), dtype=dtype, progress=cancel
            )
        assert not torch.is_inference_mode_enabled()
        assert torch.zeros(1).float().dtype == torch.float32
    list(forward(prepare(loaded("bert"), TEXTS, Condition(dropout="on"))))  # the lock of the draws is free again


def test_what_the_model_refuses_keeps_its_own_words(loaded: Loaded, monkeypatch: pytest.MonkeyPatch) -> None:
    checkpoint = bertlens.load(str(loaded("bert").folder))

    def refuse(**tensors: Any) -> None:
        raise RuntimeError("mat1 and mat2\nand a long story")

    monkeypatch.setattr(checkpoint.instance("float32", "sdpa", False), "forward", refuse)
    with pytest.raises(BertlensError, match="cannot run this condition; got RuntimeError: mat1 and mat2; change the condition"):
        list(forward(prepare(checkpoint, TEXTS, Condition())))
