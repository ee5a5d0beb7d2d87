"""How many heads weights were trained with: told by trained ones, never by what has no heads in it."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

import bertlens
from bertlens.judge.weights.heads import SIDES, head_size
from bertlens.read.projections import projections
from bertlens.run.checkpoint import Checkpoint
from tests.conftest import Folder, Loaded

Layers = list[dict[str, Tensor]]


@pytest.fixture(scope="module")
def trained(minilm: Checkpoint) -> Layers:
    """Six layers of 12 heads of 32."""
    return projections(dict(minilm.model.named_parameters()))


def units(layers: Layers, order: Tensor) -> Layers:
    """The layers with their units picked out and ordered alike in all matrices."""
    return [{name: w[:, order] if name == "output" else w[order] for name, w in layer.items()} for layer in layers]


def scaled(layers: Layers, levels: Tensor, names: tuple[str, ...] = tuple(SIDES)) -> Layers:
    """The layers with the weights of unit i multiplied by levels[i], in some matrices."""
    one = torch.ones_like(levels)
    shaped = [(layer, {name: levels if name in names else one for name in layer}) for layer in layers]
    return [
        {name: w * (by[name] if name == "output" else by[name][:, None]) for name, w in layer.items()} for layer, by in shaped
    ]


def noisy(layers: Layers, times: float) -> Layers:
    """The layers with Gaussian noise of so many times their own spread."""
    torch.manual_seed(0)
    return [{name: w + times * w.std() * torch.randn_like(w) for name, w in layer.items()} for layer in layers]


def drawn(seed: int, width: int, layers: int) -> Layers:
    torch.manual_seed(seed)
    return [{name: torch.randn(width, width) for name in SIDES} for _ in range(layers)]


def test_the_packaged_model_betrays_its_heads(trained: Layers) -> None:
    found = head_size(trained)
    assert (found.size, found.heads, found.agreeing, found.layers) == (32, 12, 6, 6)
    assert found.margin is not None
    assert found.margin > 400
    assert sorted(found.evidence) == [2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128, 192]
    assert found.sentence.startswith("The weights are those of 12 heads of 32: ")


@pytest.mark.parametrize("layer", range(6))
def test_so_does_every_layer_alone(trained: Layers, layer: int) -> None:
    assert head_size(trained[layer : layer + 1]).size == 32


@pytest.mark.parametrize("name", SIDES)
def test_so_does_every_kind_of_matrix_alone(trained: Layers, name: str) -> None:
    assert head_size([{name: layer[name]} for layer in trained]).size == 32


@pytest.mark.parametrize("heads", [(3, 7), (0, 1, 2), (1, 3, 5, 11), tuple(range(8)), (11, 2, 9, 0, 7, 5, 3, 1, 10, 4, 6, 8)])
def test_fewer_heads_or_others_in_front(trained: Layers, heads: tuple[int, ...]) -> None:
    order = torch.cat([torch.arange(32) + 32 * head for head in heads])
    found = head_size(units(trained, order))
    assert (found.size, found.heads) == (32, len(heads))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float64])
def test_neither_scale_nor_number_format_matters(trained: Layers, dtype: torch.dtype) -> None:
    layers = [{name: (w * 10.0 ** (at - 3)).to(dtype) for name, w in layer.items()} for at, layer in enumerate(trained)]
    assert head_size(layers).size == 32


def test_it_falls_silent_before_it_errs(trained: Layers) -> None:
    found = [head_size(noisy(trained, times)).size for times in (0.5, 1, 2, 3, 4, 5, 6, 8)]
    assert found[:3] == [32, 32, 32]
    assert set(found) == {32, None}


@pytest.mark.parametrize("width", [32, 64, 96, 128, 384])
def test_random_matrices_tell_nothing(width: int) -> None:
    for seed in range(20):
        found = head_size(drawn(seed, width, 1 + seed % 6))
        assert found.size is found.heads is None
        assert found.margin is not None
        assert found.margin < 0
        assert found.sentence.startswith("Cannot tell the head size: the norms of the units show no blocks")


def test_random_checkpoints_of_every_family_tell_nothing(checkpoint: Checkpoint) -> None:
    layers = projections(dict(checkpoint.model.named_parameters()))
    kind = checkpoint.architecture.kind
    assert len(layers) == (1 if kind == "albert" else checkpoint.architecture.layers)
    names = {"value", "output"} if kind == "modernbert" else set(SIDES)
    assert all(set(layer) == names for layer in layers)
    assert all(matrix.shape == (32, 32) for layer in layers for matrix in layer.values())
    assert head_size(layers).size is None


def test_the_fused_matrix_is_split_as_the_model_splits_it(loaded: Loaded) -> None:
    model = loaded("modernbert").model
    (fused,) = [weight for name, weight in model.named_parameters() if name.endswith("layers.1.attn.Wqkv.weight")]
    assert torch.equal(projections(dict(model.named_parameters()))[1]["value"], fused[64:])


def drift(kind: str, width: int) -> Tensor:
    """Levels that change along the index and know no heads."""
    torch.manual_seed(1)
    if kind == "trend":
        return torch.linspace(0, 1, width).exp()
    return (0.1 * torch.randn(width).cumsum(0)).exp()


@pytest.mark.parametrize("kind", ["trend", "walk"])
def test_a_drift_along_the_index_is_no_row_of_heads(kind: str) -> None:
    layers = drawn(0, 128, 4)
    assert head_size(scaled(layers, drift(kind, 128))).size is None
    blocks = drift("walk", 8).repeat_interleave(16)
    assert head_size(scaled(layers, blocks)).size == 16, "its twin: levels that jump at the multiples of 16"


@pytest.mark.parametrize("by", [4, 8, 16])
def test_blocks_that_begin_elsewhere_are_no_heads(trained: Layers, by: int) -> None:
    assert head_size(units(trained, torch.arange(384).roll(by))).size is None


def test_shuffled_units_tell_nothing(trained: Layers) -> None:
    torch.manual_seed(0)
    assert head_size(units(trained, torch.randperm(384))).size is None


@pytest.mark.parametrize("depth", [0.1, 0.3, 1.0])
def test_frequencies_within_the_heads_are_no_smaller_heads(trained: Layers, depth: float) -> None:
    """Rotary positions give query and key a profile within each head; value and output have none and contradict."""
    profile = (depth * torch.linspace(0, torch.pi, 16).cos()).exp().repeat(24)
    rotary = scaled(trained, profile, ("query", "key"))
    assert head_size(rotary).size in (32, None)
    assert head_size([{name: layer[name] for name in ("value", "output")} for layer in rotary]).size == 32


def test_nothing_to_divide() -> None:
    constant = {name: torch.ones(8, 8) for name in SIDES}
    broken = {name: torch.full((8, 8), torch.nan) for name in SIDES}
    prime = {name: torch.randn(7, 7) for name in SIDES}
    cases: list[Layers] = [[], [{}], [constant], [broken], [prime], [*drawn(0, 8, 1), *drawn(0, 16, 1)]]
    for layers in cases:
        found = head_size(layers)
        assert (found.size, found.margin, found.evidence) == (None, None, {})
        assert found.sentence == "Cannot tell the head size: no matrices with units to divide."


def test_one_broken_matrix_does_not_hide_the_others(trained: Layers) -> None:
    broken = [{**trained[0], "key": torch.full_like(trained[0]["key"], torch.nan)}, *trained[1:]]
    assert head_size(broken).size == 32


def test_a_wrong_config_is_contradicted_by_the_weights(minilm: Checkpoint, copy_of: Folder) -> None:
    wrong = bertlens.load(str(copy_of(minilm.folder, num_attention_heads=6)))
    assert wrong.architecture.heads == 6, "the premise: it loads without a word"
    assert head_size(projections(dict(wrong.model.named_parameters()))).heads == minilm.architecture.heads == 12
