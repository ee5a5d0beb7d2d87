"""Rounding that a chaotic model amplifies: undecided, and no excuse for another computation of the same size."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

import bertlens
from bertlens.judge.measures import BOUND, EPS, measure
from bertlens.judge.verdict import CEILING, FOLLOWS, judge
from bertlens.run.checkpoint import Checkpoint
from tests.conftest import Folder, Loaded
from tests.scripts import executed, expected, numbers, written
from tests.test_verdict import judged

TEXTS = (
    "Wrapper prefixes in the state dict: 'module.' (DataParallel/DDP) and '_orig_mod.'",
    "add_special_tokens=False, convert_tokens_to_ids(tokenize(text)), a typo in the special-token attribute, a tokenizers",
    "token_type_ids wrong: all ones for one sentence, all zeros for",
)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float16"])
def test_amplified_rounding_shows_in_the_run_as_well(dtype: str) -> None:
    """Above the bound: undecided where the run has lost as many eps, different where it has not, or where nothing can."""
    growth = 8 * BOUND
    assert BOUND < growth < CEILING
    lost = min(growth, 1 / EPS[dtype]) / FOLLOWS * EPS[dtype]

    def verdict(error: float, size: float, other: float = 1.0) -> str:
        twice = ([[1.0, 0.5]], [[1.0, 0.5 + size * EPS["float64"]]])
        return judged([[1.0, 0.5 - other * error]], [[1.0, 0.5 + error]], twice, (dtype, dtype))[0].verdict

    assert verdict(1.1 * lost, growth) == "undecided"
    assert verdict(0.9 * lost, growth) == "different"
    assert verdict(1.1 * lost, growth, other=0.1) == "different", "amplified rounding does not spare one side"
    assert verdict(1.1 * CEILING / FOLLOWS * EPS[dtype], 1.1 * CEILING) == "different"


def test_a_run_in_float64_cannot_tell_amplified_rounding() -> None:
    def verdict(error: float, size: float, dtypes: tuple[str, str]) -> str:
        twice = (np.array([[1.0, 0.5]]), np.array([[1.0, 0.5 + size * EPS["float64"]]]))
        sides = (twice[0] + error, twice[1])
        return judge(measure(*sides, dtypes), sides, twice, dtypes)[0].verdict

    double = ("float64", "float64")
    assert verdict(0.0, 0.9 * BOUND, double) == "rounding"
    assert verdict(0.0, 1.1 * BOUND, double) == "undecided"
    assert verdict(0.0, 1.1 * CEILING, double) == "different"
    assert verdict(1e-6, 1.1 * BOUND, ("float32", "float64")) == "different"


@pytest.fixture(scope="module")
def chaotic(family_folder: Folder) -> Checkpoint:
    """A model with weights fifty times the usual, which amplifies rounding more than any trained one."""
    sizes = {"hidden_size": 128, "intermediate_size": 512, "num_hidden_layers": 12, "initializer_range": 1.0}
    return bertlens.load(str(family_folder("bert", seed=35, **sizes)))


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_a_chaotic_model_is_not_accused(chaotic: Checkpoint, dtype: str) -> None:
    candidate = f"attention=eager,padding=64,dtype={dtype}"
    result = bertlens.compare(chaotic, TEXTS, reference=f"dtype={dtype}", candidate=candidate, readout="mean")
    row = result.worst
    assert (row.max_abs_float64 or 0.0) > (row.bound_float64 or 0.0) > 0, "the premise: above the bound"
    assert (result.verdict, result.findings) == ("undecided", ())
    script = written(chaotic, TEXTS, f"dtype={dtype}", candidate, "mean")
    assert numbers(executed(script)) == expected(result), "the script applies the same rule"
    assert "more than rounding usually leaves, but this model may amplify it" in result.sentence


@pytest.mark.parametrize("scale", [1e-8, 1e-7])
def test_a_tiny_change_of_the_weights_is_never_rounding(
    chaotic: Checkpoint, loaded: Loaded, copy_of: Folder, scale: float
) -> None:
    """The twin: a last digit in some weights, as large in the usual model as amplified rounding in the chaotic one."""
    for base in (chaotic, loaded("bert")):
        folder = copy_of(base.folder)
        weights = load_file(folder / "model.safetensors")
        torch.manual_seed(0)
        changed = {name: (w.double() * (1 + scale * torch.randn_like(w).double())).float() for name, w in weights.items()}
        assert any(not torch.equal(changed[name], w) for name, w in weights.items())
        save_file(changed, folder / "model.safetensors", metadata={"format": "pt"})
        result = bertlens.compare(base, TEXTS, reference="", candidate="", against=bertlens.load(str(folder)), readout="mean")
        assert {row.verdict for row in result.rows} <= ({"undecided", "different"} if base is chaotic else {"different"})
