"""Between attention and MLP: the state that is caught gives the layer's output back by hand, and nothing is left behind."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import bertlens
from bertlens.read.states import States, states_of
from bertlens.run.checkpoint import Checkpoint
from bertlens.run.condition import Condition
from bertlens.run.inputs import prepare
from bertlens.run.sublayers import mlp_inputs
from bertlens.run.variants import DoubleThroughout
from tests.conftest import Loaded
from tests.families import FAMILIES, build

TEXTS = ("A cat sat.", "Rain fell all night on the old stone bridge.", "The dog slept; nobody came home.")
CONDITIONS = ("", "mask=off,padding=40", "side=left", "rows=index", "attention=eager", "dropout=on", "dtype=float64", "batch=2")

Step = Callable[[Any, torch.Tensor, torch.Tensor], torch.Tensor]


def bert_like(model: Any, layer: int, x: torch.Tensor) -> torch.Tensor:
    one = model.encoder.layer[layer]
    found: torch.Tensor = one.output(one.intermediate(x), x)
    return found


def distilbert(model: Any, layer: int, x: torch.Tensor) -> torch.Tensor:
    one = model.transformer.layer[layer]
    found: torch.Tensor = one.output_layer_norm(one.ffn(x) + x)
    return found


def albert(model: Any, layer: int, x: torch.Tensor) -> torch.Tensor:
    one = model.encoder.albert_layer_groups[0].albert_layers[0]
    found: torch.Tensor = one.full_layer_layer_norm(one.ffn_output(one.activation(one.ffn(x))) + x)
    return found


BY_HAND = dict.fromkeys(FAMILIES, bert_like) | {"distilbert": distilbert, "albert": albert}


def run(checkpoint: Checkpoint, condition: str = "", text: int = 0, *, sublayers: bool = True, **options: Any) -> States:
    return states_of(prepare(checkpoint, TEXTS, Condition.parse(condition)), text, sublayers=sublayers, **options)


def named(depth: int) -> tuple[str, ...]:
    pairs = ((f"layer {layer} attention", f"layer {layer}") for layer in range(1, depth + 1))
    return ("embeddings", *(name for pair in pairs for name in pair))


def state(states: States, name: str) -> torch.Tensor:
    return torch.from_numpy(states.values[states.names.index(name)])


@pytest.mark.parametrize("condition", ["", "mask=off,padding=40", "side=left"])
@pytest.mark.parametrize("family", [family for family in FAMILIES if family != "modernbert"])
def test_the_mlp_takes_what_was_caught_to_the_layers_output(loaded: Loaded, family: str, condition: str) -> None:
    checkpoint = loaded(family)
    states = run(checkpoint, condition, dtype="float64")
    model = checkpoint.instance("float64", "sdpa", False)
    assert states.names == named(3)
    assert states.values.shape == (7, len(states.ids), 32)
    for layer in range(3):
        x, expected = state(states, f"layer {layer + 1} attention"), state(states, f"layer {layer + 1}")
        with torch.no_grad(), DoubleThroughout():
            torch.testing.assert_close(BY_HAND[family](model, layer, x), expected, rtol=0, atol=1e-12)
            before = state(states, states.names[2 * layer])
            wrong = BY_HAND[family](model, layer, before)
        assert (wrong - expected).abs().max() > 1e-3, "the layer's own input does not give it"


def test_modernbert_reads_the_normalised_stream(loaded: Loaded) -> None:
    checkpoint = loaded("modernbert")
    states = run(checkpoint, "padding=40", dtype="float64")
    assert states.names == named(3)
    model: Any = checkpoint.own_instance("float64", "sdpa", False)
    streams: list[torch.Tensor] = []
    for one in model.layers:
        one.mlp_norm.register_forward_pre_hook(lambda _, given: streams.append(given[0]))
    batch = next(iter(prepare(checkpoint, TEXTS, Condition(padding=40))))
    with torch.no_grad(), DoubleThroughout():
        model(**batch.tensors)
        for layer, one in enumerate(model.layers):
            stream = streams[layer][0][torch.from_numpy(states.real)]
            x, out = state(states, f"layer {layer + 1} attention"), state(states, f"layer {layer + 1}")
            assert torch.equal(one.mlp_norm(stream), x)
            assert (stream - x).abs().max() > 1e-3, "not the stream itself"
            after = stream + one.mlp(x)
            last = layer == len(model.layers) - 1  # hidden_states end with what the final norm returns
            torch.testing.assert_close(model.final_norm(after) if last else after, out, rtol=0, atol=1e-12)


@pytest.mark.parametrize("condition", CONDITIONS)
@pytest.mark.parametrize("family", FAMILIES)
def test_whole_layers_are_the_same_bits_with_sublayers_and_without(loaded: Loaded, family: str, condition: str) -> None:
    checkpoint = loaded(family)
    for dtype in (None, "float64"):
        plain = run(checkpoint, condition, sublayers=False, dtype=dtype, seed=3)
        resolved = run(checkpoint, condition, dtype=dtype, seed=3)
        assert plain.names == ("embeddings", "layer 1", "layer 2", "layer 3")
        assert resolved.names == named(3)
        whole = [resolved.names.index(name) for name in plain.names]
        assert np.array_equal(resolved.values[whole], plain.values)
        assert np.array_equal(resolved.norms[whole], plain.norms)
        assert (resolved.row, resolved.padding) == (plain.row, plain.padding)


def test_dropout_draws_by_its_seed(loaded: Loaded) -> None:
    one, same, other = (run(loaded("bert"), "dropout=on", seed=seed) for seed in (1, 1, 2))
    assert np.array_equal(one.values, same.values)
    assert not np.array_equal(one.values[1], other.values[1])


def test_the_row_is_whole_and_its_norms_are_its_own(checkpoint: Checkpoint) -> None:
    states = run(checkpoint, "side=left,padding=40", dtype="float64")
    assert len(states.row) == len(states.real) == states.norms.shape[1] == 40
    assert states.real.tolist() == [False] * states.padding + [True] * len(states.ids)
    assert set(states.row[: states.padding]) == {checkpoint.tokenizer.pad_token_id}
    np.testing.assert_allclose(states.norms[:, states.real], np.linalg.norm(states.values, axis=-1), rtol=1e-12)


def hooks(checkpoint: Checkpoint) -> dict[int, list[int]]:
    """Every hook on the modules of the loaded model and of every variant of it."""
    kinds = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks")
    casts = checkpoint._variants._casts.values()
    models = [checkpoint.model, *(one for instances in casts for one in instances.values())]
    parts = [part for one in models for part in one.modules()]
    return {id(part): [id(hook) for kind in kinds for hook in getattr(part, kind).values()] for part in parts}


def test_no_hook_is_left_or_ever_put_on_what_is_shared(loaded: Loaded, monkeypatch: pytest.MonkeyPatch) -> None:
    checkpoint = loaded("albert")
    for condition in CONDITIONS:  # transformers hangs its own on a model at the first pass, and they stay
        run(checkpoint, condition, sublayers=False)
    before, during, clone = hooks(checkpoint), [], torch.Tensor.clone

    def looked(*arguments: Any, **options: Any) -> torch.Tensor:
        during.append(hooks(checkpoint))
        return clone(*arguments, **options)

    monkeypatch.setattr(torch.Tensor, "clone", looked)
    for condition in CONDITIONS:
        run(checkpoint, condition)
    assert len(during) >= 3 * len(CONDITIONS), "looked while the hooks were on"
    assert all(seen == before for seen in during)
    assert hooks(checkpoint) == before


def test_an_own_instance_shares_its_parameters_and_nothing_else(loaded: Loaded) -> None:
    checkpoint = loaded("roberta")
    for dtype in ("float32", "float64"):
        for dropout in (False, True):
            shared, own = (make(dtype, "eager", dropout) for make in (checkpoint.instance, checkpoint.own_instance))
            assert own is not shared
            assert not set(own.modules()) & {*shared.modules(), *checkpoint.model.modules()}
            assert own.training == dropout
            assert own.config._attn_implementation == "eager"
            pairs = zip(own.named_parameters(), shared.named_parameters(), strict=True)
            assert all(a == b and x is y for (a, x), (b, y) in pairs)
            assert checkpoint.own_instance(dtype, "eager", dropout) is not own


def test_hooks_are_gone_after_a_pass_that_fails(loaded: Loaded) -> None:
    model = loaded("bert").own_instance("float32", "sdpa", False)

    def hooks() -> list[int]:
        return [len(part._forward_pre_hooks) + len(part._forward_hooks) for part in model.modules()]

    before = hooks()  # transformers hangs some of its own on at a model's first pass
    with pytest.raises(ZeroDivisionError), mlp_inputs(model, lambda stream: stream):
        assert sum(hooks()) > sum(before)
        _ = 1 / 0
    assert hooks() == before


def test_two_threads_have_their_own_answers(loaded: Loaded) -> None:
    for family in ("bert", "albert"):
        checkpoint = loaded(family)
        expected = [run(checkpoint, "padding=40", text).values for text in range(3)]
        found: list[list[np.ndarray]] = [[] for _ in range(3)]

        def work(text: int, checkpoint: Checkpoint = checkpoint, found: list[list[np.ndarray]] = found) -> None:
            found[text] += [run(checkpoint, "padding=40", text).values for _ in range(10)]

        threads = [threading.Thread(target=work, args=(text,)) for text in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert all(len(answers) == 10 for answers in found)
        assert all(np.array_equal(one, expected[text]) for text in range(3) for one in found[text])


def test_threads_that_are_the_first_to_run_a_model(tmp_path: Path) -> None:
    """Transformers hangs its hooks at the first pass: a tree copied in that moment would have some of them twice."""
    checkpoint = bertlens.load(str(build("bert", tmp_path / "bert")))
    found: list[States] = []
    conditions = ("", "attention=eager", "dtype=float64", "dtype=float64,attention=eager") * 2
    threads = [threading.Thread(target=lambda one=one: found.append(run(checkpoint, one))) for one in conditions]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [states.names for states in found] == [named(3)] * 8
    assert all(np.abs(states.values - found[0].values).max() < 1e-4 for states in found)


class Unknown(torch.nn.Module):
    """A layer that calls nothing attention."""

    def __init__(self) -> None:
        super().__init__()
        self.mixing, self.mlp = torch.nn.Linear(4, 4), torch.nn.Linear(4, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        out: torch.Tensor = self.mlp(self.mixing(x))
        return out


class Bottleneck(torch.nn.Module):
    """A layer with a linear module before its attention and two after it, registered in another order."""

    def __init__(self) -> None:
        super().__init__()
        self.output, self.inner, self.self_attn, self.down = (torch.nn.Linear(4, 4) for _ in range(4))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        out: torch.Tensor = self.output(self.inner(self.self_attn(self.down(x)) + x))
        return out


def test_a_layer_that_does_not_show_its_parts_has_none() -> None:
    x = torch.ones(1, 2, 4)
    for layer, count in ((Unknown(), 0), (Bottleneck(), 2)):
        with mlp_inputs(layer, torch.Tensor.clone) as caught:
            layer(layer(x))
        assert len(caught) == count
    layer = Bottleneck()
    with mlp_inputs(layer, torch.Tensor.clone) as caught, torch.no_grad():
        layer(x)
        assert torch.equal(caught[0], layer.self_attn(layer.down(x)) + x), "what is read first after the attention"


@pytest.mark.parametrize(("family", "changes"), [("bert", {"chunk_size_feed_forward": 1}), ("albert", {"inner_group_num": 2})])
def test_what_cannot_be_named_is_left_out(loaded: Loaded, family: str, changes: dict[str, int]) -> None:
    """A layer computed token by token, and two layers in what the config counts as one."""
    states = run(loaded(family, **changes), "")
    last = () if family == "bert" else ("last_hidden_state",)  # more states than the config counts: the last is not layer 3
    assert states.names == ("embeddings", "layer 1", "layer 2", "layer 3", *last)
    assert run(loaded(family)).names == named(3), "the healthy twin"


def test_a_mask_acts_in_the_attention_first_and_segments_before(checkpoint: Checkpoint) -> None:
    masked = bertlens.where_they_part(checkpoint, TEXTS, 0, reference="padding=40", candidate="mask=off,padding=40")
    assert masked.first is not None
    assert masked.layers[masked.first[0]] == "layer 1 attention"
    assert not masked.max_abs[0].any()
    assert masked.max_abs[1:].max() > 1e-3
    if checkpoint.architecture.segments > 1:
        segments = bertlens.where_they_part(checkpoint, TEXTS, 0, reference="", candidate="segments=ones")
        assert segments.first is not None
        assert segments.first[0] == 0
    healthy = bertlens.where_they_part(checkpoint, TEXTS, 0, reference="batch=alone", candidate="padding=40")
    assert healthy.first is None
    assert healthy.layers == named(3)
    assert healthy.padding[1] > 0
