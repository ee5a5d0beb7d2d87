"""What a sceptic would try, to prove the judgement of untrained weights wrong: each case beside what is true of it."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

import bertlens
from tests.checkpoints import Change, Tensors, sound

POOLER = "pooler.dense."
TRAINED = "encoder.layer.5.attention.output.dense.weight"


def drawn(std: float) -> torch.Tensor:
    return torch.randn(384, 384, generator=torch.Generator().manual_seed(3)) * std


def pooler(weight: torch.Tensor | None = None, bias: torch.Tensor | None = None) -> Change:
    """A pooler of these numbers; a bias of zeros and the trained weight where none are given."""

    def change(tensors: Tensors) -> Tensors:
        tensors[f"{POOLER}weight"] = tensors[TRAINED] if weight is None else weight
        tensors[f"{POOLER}bias"] = torch.zeros(384) if bias is None else bias
        return tensors

    return change


def noised(tensors: Tensors) -> Tensors:
    """Every matrix of the encoder with noise as large as itself."""
    return {
        key: value + value.std() * torch.randn_like(value) if "encoder" in key and value.dim() == 2 else value
        for key, value in tensors.items()
    }


def positions(rows: int, *, trained: bool) -> Change:
    """A longer table of positions: the old rows again, or new ones."""

    def change(tensors: Tensors) -> Tensors:
        name = "embeddings.position_embeddings.weight"
        held = tensors[name]
        more = held[: rows - 512] if trained else torch.randn(rows - 512, 384) * 0.02
        return {key: value for key, value in tensors.items() if "position_ids" not in key} | {name: torch.cat([held, more])}

    return change


DIRECTION = torch.outer(torch.linspace(-1.7, 1.7, 384), torch.linspace(1.7, -1.7, 384))
MOVED = torch.linspace(-1e-4, 1e-4, 384)
CASES: dict[str, tuple[Change, str]] = {
    "trained, bias zeroed": (pooler(), "trained"),
    "drawn, tiny": (pooler(drawn(1e-6)), "newly drawn"),
    "drawn, huge": (pooler(drawn(5.0)), "newly drawn"),
    "drawn, rounded to bfloat16": (pooler(drawn(0.02).bfloat16().float()), "newly drawn"),
    "drawn, Xavier uniform": (pooler(torch.nn.init.xavier_uniform_(torch.empty(384, 384))), "newly drawn"),
    "drawn, only the bias moved": (pooler(drawn(0.02), MOVED), "cannot tell"),
    "drawn, with one weak direction": (pooler(drawn(0.02) + 0.003 * DIRECTION), "trained"),
    "orthogonal": (pooler(torch.nn.init.orthogonal_(torch.empty(384, 384))), "cannot tell"),
}


@pytest.mark.parametrize("name", CASES)
def test_a_pooler_of_any_origin(name: str, tmp_path: Path) -> None:
    change, state = CASES[name]
    found = bertlens.check(str(sound(tmp_path / "checkpoint").weights(change).path))
    assert next(module.state for module in found.modules if module.name == "pooler.dense") == state
    assert ("pooler-untrained" in {finding.id for finding in found.findings}) == (state == "newly drawn")


def test_noise_as_large_as_the_weights_hides_no_training(tmp_path: Path) -> None:
    assert bertlens.check(str(sound(tmp_path / "checkpoint").weights(noised).path)).verdict == "sound"


@pytest.mark.parametrize("trained", [True, False])
def test_a_longer_table_of_positions(trained: bool, tmp_path: Path) -> None:
    folder = sound(tmp_path / "checkpoint").weights(positions(1024, trained=trained)).config(max_position_embeddings=1024)
    found = bertlens.check(str(folder.path))
    told = [finding.title for finding in found.findings if finding.id == "shape-mismatch"]
    assert told == (
        [] if trained else ["The last 512 of 1024 positions were never trained: a text beyond 512 tokens reads noise"]
    )
