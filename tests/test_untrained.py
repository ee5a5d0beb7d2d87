"""Whether a weight was ever trained: fresh draws and trained weights, and what looks like either."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import init
from transformers import AutoModel, BertConfig, ModernBertConfig

from benchmarks.untrained import LAWS, trained_pooler
from benchmarks.untrained_figure import figure
from bertlens.judge.weights import added_rows, draws, untrained
from bertlens.judge.weights.untrained import WeightState, state_of, untrained_rows
from bertlens.read import spectrum as spectra
from bertlens.run.checkpoint import Checkpoint

ROOT = Path(__file__).parent.parent
KINDS: dict[type[Any], str] = {torch.nn.Linear: "linear", torch.nn.LayerNorm: "norm", torch.nn.Embedding: "embedding"}
SHAPES = [(2, 384), (64, 64), (64, 256), (384, 384), (384, 1536), (1536, 384)]


def states(model: torch.nn.Module) -> dict[str, WeightState]:
    """The state of every layer of a model."""
    found = {}
    for name, module in model.named_modules():
        if kind := KINDS.get(type(module)):
            pad = getattr(module, "padding_idx", None)
            found[name] = state_of(kind, module.weight, getattr(module, "bias", None), padding_row=pad)  # type: ignore[arg-type]
    return found


def drawn(shape: tuple[int, ...], law: str = "normal 0.02", seed: int = 0) -> torch.Tensor:
    torch.manual_seed(seed)
    weight = torch.empty(shape)
    LAWS[law](weight)
    return weight


def structured(weight: torch.Tensor, strength: float = 0.5) -> torch.Tensor:
    """The weight with one direction more, `strength` of its length: what training leaves at least."""
    change = torch.randn(weight.shape[0], 1) @ torch.randn(1, weight.shape[1])
    return weight + change * (strength * weight.norm() / change.norm())


def test_the_packaged_checkpoint_is_trained_but_for_its_pooler(minilm: Checkpoint) -> None:
    found = states(minilm.model)
    assert len(found) == 53
    assert [name for name, one in found.items() if one.state != "trained"] == ["pooler.dense"]
    pooler = found["pooler.dense"]
    assert pooler.state == "newly drawn"
    assert pooler.evidence["bias"] == "exactly zero"
    linear = [one.evidence["probability"] for one in found.values() if "tracy_widom" in one.evidence and one is not pooler]
    assert max(linear) < 1e-50
    assert pooler.evidence["edge_ratio"] == pytest.approx(0.986, abs=0.001)  # measured with another program before


def test_reading_everything_finds_what_the_block_found(minilm: Checkpoint, monkeypatch: pytest.MonkeyPatch) -> None:
    layers = [minilm.model.encoder.layer[depth].attention.self.value for depth in range(6)] + [minilm.model.pooler.dense]
    short = [state_of("linear", layer.weight, layer.bias) for layer in layers]
    monkeypatch.setattr(untrained, "EARLY", 0.0)
    whole = [state_of("linear", layer.weight, layer.bias) for layer in layers]
    assert [one.evidence["spectrum_of"] for one in short] == [[64, 384]] * 6 + [[384, 384]]
    assert [one.evidence["spectrum_of"] for one in whole] == [[384, 384]] * 7
    assert [one.state for one in short] == [one.state for one in whole]
    assert [one.evidence["edge_ratio"] > 1.1 for one in whole] == [True] * 6 + [False]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
@pytest.mark.parametrize("law", LAWS)
def test_a_draw_is_new_and_one_direction_more_is_not(law: str, dtype: torch.dtype) -> None:
    for seed, shape in enumerate(SHAPES):
        weight = drawn(shape, law, seed)
        zeros = torch.zeros(shape[0])
        assert state_of("linear", weight.to(dtype), zeros).state == "newly drawn", shape
        if min(shape) >= 64:
            assert state_of("linear", structured(weight).to(dtype), zeros).state == "trained", shape


def test_a_model_made_from_a_config_is_new_in_every_layer() -> None:
    size: dict[str, Any] = {"num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 256, "vocab_size": 1000}
    bert = AutoModel.from_config(BertConfig(hidden_size=128, **size))
    found = states(bert)
    assert {name: one.state for name, one in found.items() if one.state != "newly drawn"} == {
        "embeddings.token_type_embeddings": "cannot tell"  # two rows and no bias
    }
    modern = states(AutoModel.from_config(ModernBertConfig(hidden_size=128, pad_token_id=0, **size)))
    assert {one.evidence["bias"] for one in modern.values()} == {"none"}
    assert {one.state for one in modern.values()} == {"newly drawn"}


@given(st.floats(-25, 15), st.sampled_from(["normal 0.02", "Xavier uniform"]))
@settings(max_examples=20, deadline=None)
def test_the_scale_decides_nothing(exponent: float, law: str) -> None:
    new = drawn((96, 96), law)
    for weight, state in ((new, "newly drawn"), (structured(new), "trained")):
        assert state_of("linear", weight * 10**exponent, torch.zeros(96)).state == state


def test_a_bias_that_moved_forbids_newly_drawn() -> None:
    weight = drawn((384, 384))
    assert state_of("linear", weight, torch.zeros(384)).state == "newly drawn"
    assert state_of("linear", weight, torch.full((384,), 2e-5)).state == "cannot tell"


@pytest.mark.parametrize("rate", [2e-5, 1e-4])
def test_a_fine_tuned_pooler_is_never_new(rate: float, minilm: Checkpoint) -> None:
    table = minilm.model.get_input_embeddings().weight.detach()
    vectors = torch.nn.functional.normalize(table[2000:2200]) * 4  # trained vectors stand in for those of texts
    kept = trained_pooler(vectors, (torch.arange(200) % 2), rate, 0, (0, 1, 10, 300))
    found = [state_of("linear", weight, bias).state for weight, bias, _ in kept]
    assert found[0] == "newly drawn"
    assert "newly drawn" not in found[1:]
    assert rate == 2e-5 or found[-1] == "trained"


def test_nn_linear_as_it_comes_is_new_and_one_step_is_seen() -> None:
    torch.manual_seed(0)
    layer = torch.nn.Linear(384, 384)
    new = state_of("linear", layer.weight, layer.bias)
    assert (new.state, new.evidence["bias"]) == ("newly drawn", "as torch.nn.Linear draws it")
    moved = layer.weight + 2e-5 * torch.randn(384, 384).sign()
    assert state_of("linear", moved, layer.bias).state == "cannot tell"
    assert state_of("linear", layer.weight, layer.bias * 1.01).state == "cannot tell"
    assert state_of("linear", init.normal_(torch.empty(384, 384), 0, 0.02), layer.bias).state == "cannot tell"


def in_8_bits(weight: torch.Tensor) -> torch.Tensor:
    """Rounded to 127 steps on each side of zero, row by row, and back."""
    step = weight.abs().amax(1, keepdim=True) / 127
    return (weight / step).round() * step


LOOK_ALIKES: dict[str, Callable[[], torch.Tensor]] = {
    "orthogonal": lambda: init.orthogonal_(torch.empty(384, 384)),
    "half orthogonal": lambda: init.orthogonal_(torch.empty(384, 128)),
    "pruned draw": lambda: torch.nn.functional.hardshrink(torch.randn(384, 384), 0.5),
    "rows of one length": lambda: torch.nn.functional.normalize(torch.randn(128, 128)),
    "constant signs": lambda: torch.randn(128, 128).sign(),
    "constant": lambda: torch.full((128, 128), 0.5),
    "identity": lambda: torch.eye(128),
    "8 bits": lambda: in_8_bits(torch.randn(384, 384)),
    "heavy tails": lambda: torch.distributions.Laplace(0.0, 1.0).sample((128, 128)),
    "too few": lambda: torch.randn(4, 32),
}


@pytest.mark.parametrize("name", LOOK_ALIKES)
def test_what_is_no_plain_draw_is_not_called_one(name: str) -> None:
    torch.manual_seed(0)
    weight = LOOK_ALIKES[name]()
    assert state_of("linear", weight, torch.zeros(len(weight))).state == "cannot tell"


def test_a_trained_layer_stays_trained_pruned_without_bias_or_in_half_precision(minilm: Checkpoint) -> None:
    weight = minilm.model.encoder.layer[3].attention.self.query.weight.detach()
    pruned = torch.where(weight.abs() > weight.abs().median(), weight, 0.0)
    assert (pruned == 0).float().mean() == pytest.approx(0.5, abs=0.01)
    for one in (weight, pruned, weight.to(torch.bfloat16), weight.to(torch.float16), weight[:64, :64], in_8_bits(weight)):
        assert state_of("linear", one, torch.zeros(len(one))).state == "trained"
        assert state_of("linear", one).state == "trained"


def test_norms() -> None:
    ones, zeros = torch.ones(128), torch.zeros(128)
    assert state_of("norm", ones, zeros).state == "newly drawn"
    assert state_of("norm", ones).state == "newly drawn"
    assert state_of("norm", ones * 0.97, zeros).state == "newly drawn"
    assert "weight decay" in state_of("norm", ones * 0.97, zeros).reason
    assert state_of("norm", ones, zeros + 2e-5).state == "trained"
    assert state_of("norm", ones + 2e-5 * torch.randn(128), zeros).state == "trained"
    assert state_of("norm", zeros, zeros).state == "all zero"


@pytest.mark.parametrize("kind", ["linear", "embedding", "norm"])
@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_not_finite(kind: str, bad: float) -> None:
    weight = torch.ones(128) if kind == "norm" else drawn((128, 128))
    assert state_of(kind, weight).state == "newly drawn"
    weight.view(-1)[77] = bad
    one = state_of(kind, weight)
    assert (one.state, one.evidence) == ("not finite", {"bad": 1})
    assert state_of("linear", drawn((128, 128)), torch.tensor([bad] * 128)).state == "not finite"


def test_embeddings_and_their_padding_row(minilm: Checkpoint) -> None:
    table = drawn((5000, 128))
    table[1] = 0
    one = state_of("embedding", table, padding_row=1, initializer_range=0.02)
    assert (one.state, one.evidence["padding_row"]) == ("newly drawn", "exactly zero")
    assert one.evidence["std_over_initializer_range"] == pytest.approx(1, abs=0.01)
    assert state_of("embedding", drawn((2, 384))).state == "cannot tell"
    real = minilm.model.get_input_embeddings().weight
    assert state_of("embedding", real, padding_row=0).state == "trained"
    assert state_of("embedding", torch.zeros(10, 8)).state == "all zero"
    assert state_of("embedding", torch.eye(10)[:, :1], padding_row=0).state == "all zero"


def test_added_rows_by_how_they_were_made(minilm: Checkpoint) -> None:
    old = minilm.model.get_input_embeddings().weight.detach()
    rows = range(len(old), len(old) + 3)
    twin = torch.randn(1, 384) * 0.1
    made = {
        "newly drawn": drawn((3, 384)),
        "zero": torch.zeros(3, 384),
        "duplicate": twin.expand(3, 384),
        "near the mean": old.mean(0) + 1e-6 * torch.randn(3, 384),
        "trained": old[[5000, 6000, 7000]] * 1.001,
        "cannot tell": torch.randn(3, 384) * 0.05,  # no direction, but not the scale of a draw either
    }
    for state, added in made.items():
        found = untrained_rows(torch.cat([old, added]), rows, 0.02)
        assert [one.state for one in found.values()] == [state] * 3
        assert list(found) == list(rows)


@pytest.mark.parametrize("near_the_mean", [True, False])
def test_rows_that_transformers_added(near_the_mean: bool, minilm: Checkpoint) -> None:
    model = AutoModel.from_pretrained(minilm.folder)
    size = len(model.get_input_embeddings().weight)
    table = model.resize_token_embeddings(size + 4, mean_resizing=near_the_mean).weight
    state = "near the mean" if near_the_mean else "newly drawn"
    assert {one.state for one in untrained_rows(table, range(size, size + 4), 0.02).values()} == {state}
    own = untrained_rows(table, [3000, 101, 50, 998], 0.02)  # words, [CLS], and rows that no text uses
    assert {one.state for one in own.values()} == {"trained"}


def test_rows_of_a_table_that_is_itself_new_prove_nothing() -> None:
    assert {one.state for one in untrained_rows(drawn((2000, 128)), [1998, 1999], 0.02).values()} == {"cannot tell"}
    assert {one.state for one in untrained_rows(drawn((20, 128)), [19], 0.02).values()} == {"cannot tell"}


def test_the_spectrum_of_a_draw_fills_the_curve() -> None:
    weight = drawn((256, 512))
    found = spectra.spectrum(weight)
    assert np.allclose(found.singular_values, torch.linalg.svdvals(weight.double()).numpy())
    assert np.trapezoid(found.density, found.grid) == pytest.approx(1, abs=0.002)
    below = [float((found.singular_values < at).mean()) for at in found.grid[::20]]
    curve = [float(np.trapezoid(found.density[: i + 1], found.grid[: i + 1])) for i in range(0, 200, 20)]
    assert np.abs(np.subtract(below, curve)).max() < 0.02
    square = spectra.spectrum(drawn((128, 128)))
    assert np.trapezoid(square.density, square.grid) == pytest.approx(1, abs=0.002)


@pytest.mark.parametrize("shape", [(3, 50), (64, 64), (100, 80), (300, 400)])
def test_readings_are_those_of_plain_numpy(shape: tuple[int, int]) -> None:
    weight = structured(drawn(shape), 0.1).numpy()
    reading, top = spectra.read(weight), spectra.top(weight)
    wide = weight.astype(np.float64)
    assert reading.std == pytest.approx(wide.std(), rel=1e-5)
    assert reading.kurtosis == pytest.approx((wide**4).mean() / (wide**2).mean() ** 2, rel=1e-5)
    assert top.largest_singular == pytest.approx(np.linalg.svd(wide)[1][0], rel=1e-5)
    assert (reading, top) == (spectra.read(weight), spectra.top(weight))


def test_the_laws_have_their_published_moments_and_quantiles() -> None:
    kurtosis = {law.name: law.kurtosis for law in draws.LAWS}
    assert kurtosis["normal"] == pytest.approx(3, abs=1e-3)
    assert kurtosis["uniform"] == pytest.approx(1.8, abs=1e-3)
    for value, tail in ((0.9793, 0.05), (2.0234, 0.01), (3.2724, 0.001)):  # Tracy-Widom of order 1
        assert draws.upper_tracy_widom(value) == pytest.approx(tail, rel=0.06)
    assert draws.upper_chi_square(3.841459, 1) == pytest.approx(0.05, rel=1e-4)


def test_the_constants_are_those_in_the_document() -> None:
    document = (ROOT / "docs" / "untrained-weights.md").read_text("utf-8")
    for room, names in (
        (draws, ("TRAINED", "FITS", "SAMPLE", "SUMMED")),
        (untrained, ("EARLY", "SMALLEST", "ALONE", "TESTS")),
        (spectra, ("ROWS", "STEPS")),
        (added_rows, ("NEAR", "ALIKE", "WIDTH")),
    ):
        for name in names:
            said = re.search(rf"`{name}` \| ([\d.e-]+) \|", document)
            assert said, name
            assert float(said[1]) == getattr(room, name), name
    assert f"`BLOCK` | {spectra.BLOCK[0]} x {spectra.BLOCK[1]} |" in document


def test_the_recorded_measurement_is_what_the_document_claims() -> None:
    table = pd.read_csv(ROOT / "docs" / "untrained-weights.csv")
    fresh = table[table.study == "fresh"]
    assert fresh.draws.sum() > 10_000
    assert fresh.trained.sum() == 0
    assert fresh.cannot_tell.sum() / fresh.draws.sum() < untrained.FITS
    tuned = table[(table.study == "pooler") & table.what.str.contains("with its bias") & (table.steps > 0)]
    assert tuned.newly_drawn.sum() == 0
    assert table[(table.study == "look-alike")].newly_drawn.sum() == 0
    svg = (ROOT / "docs" / "images" / "untrained-weights.svg").read_text("utf-8")
    assert svg == figure(table), "the figure is not that of the table"
