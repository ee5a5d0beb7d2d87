"""The script of a head prints the numbers of the result objects, to the last digit."""

from __future__ import annotations

import ast
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import bertlens
from bertlens.run.checkpoint import Checkpoint
from bertlens.show.head_script import head_script, written
from tests.conftest import Loaded
from tests.scripts import NASTY, assert_well_written, executed, in_a_process, one_thread

__all__ = ["one_thread"]

PAIR = ("Who is it?", "A friend of yours from Paris.")
TEXTS = ("Rain fell all night.", PAIR)
RUNS, STEPS = 3, 6


def numbers(printed: str) -> dict[str, list[float]]:
    lines = [line.split("  ", 1) for line in printed.splitlines()]
    found = {name: list(map(float, ast.literal_eval(values))) for name, values in lines}
    assert len(found) == len(lines), "every line has a name of its own"
    return found


def script_of(checkpoint: Checkpoint, found: Any, texts: Any = TEXTS, **more: Any) -> str:
    facts: dict[str, Any] = {"architecture": checkpoint.architecture, "max_length": checkpoint.max_length}
    return head_script(checkpoint.name, texts, found, **facts, **more)


def same(printed: dict[str, list[float]], name: str, values: Any) -> None:
    assert printed[name] == np.asarray(values, dtype=float).reshape(-1).tolist(), name


def assert_same(checkpoint: Checkpoint, text: int, baseline: str) -> dict[str, list[float]]:
    found = bertlens.head(checkpoint, TEXTS, text)
    label = 1 - found.predicted
    script = script_of(checkpoint, found, label=label, baseline=baseline, steps=STEPS, runs=RUNS)
    assert_well_written(script)
    printed = numbers(executed(script))
    same(printed, "logits", found.logits)
    np.testing.assert_allclose(printed["probabilities"], found.probabilities, rtol=1e-14)
    dropout = bertlens.head_dropout(checkpoint, TEXTS, text, runs=RUNS)
    for seed, logits in enumerate(dropout.on):
        same(printed, f"dropout seed {seed}", logits)
    attention = bertlens.cls_attention(checkpoint, TEXTS, text)
    for layer, values in enumerate(attention.mean, start=1):
        np.testing.assert_allclose(printed[f"attention from [CLS] in layer {layer}"], values, rtol=1e-6)  # numpy adds the heads
    shares = bertlens.token_shares(checkpoint, TEXTS, text, label=label, baseline=baseline, steps=STEPS)
    same(printed, "integrated gradients", shares.gradients)
    same(printed, "completeness error", shares.error)
    np.testing.assert_allclose(printed["occlusion"], shares.occluded[shares.content], atol=2e-6)  # words share its passes
    if (chain := written(found)) is not None:
        same(printed, "by hand, max abs", found.by_hand.gap)
        for name, values in found.replaced.items():
            same(printed, f"logits of {name}", values[-1])
        for number, step in enumerate(chain, start=1):
            same(printed, f"step {number}", step.values[:6])
        assert found.predictions is not None
        for name in found.replaced:
            same(printed, f"all texts from 0, logits of {name}", found.predictions.logits[name])
        units = found.contribution(label).head(8)
        np.testing.assert_array_equal(
            printed[f"contributions of units {units['unit'].tolist()}"], units["contribution"].to_numpy(dtype=float)
        )
    return printed


@pytest.mark.parametrize(
    ("family", "baseline"),
    [
        ("bert", "pad"),
        ("distilbert", "mask"),
        ("roberta", "zero"),
        ("electra", "pad"),
        ("albert", "mask"),
        ("modernbert", "pad"),
    ],
)
def test_every_kind_of_head_prints_the_numbers_of_the_page(family: str, baseline: str, loaded: Loaded) -> None:
    printed = assert_same(loaded(family, head="sequence-classification"), 1, baseline)
    assert "step 1" in printed, "it can be written out"


def test_a_head_that_is_drawn_is_drawn_alike(minilm: Checkpoint) -> None:
    assert_same(minilm, 0, "pad")


def test_a_head_on_the_mean_is_written_as_one(family_folder: Callable[..., Path]) -> None:
    folder = family_folder("modernbert", head="sequence-classification", classifier_pooling="mean")
    checkpoint = bertlens.load(str(folder))
    found = bertlens.head(checkpoint, TEXTS, 1)
    script = script_of(checkpoint, found, steps=2, runs=1)
    assert 'head(vectors["mean"])' in script
    printed = numbers(executed(script))
    same(printed, "logits", found.logits)
    np.testing.assert_allclose(printed["logits of mean"], found.logits, atol=1e-6)


@pytest.mark.parametrize("kind", ["masked-lm", "token", "question"])
@pytest.mark.parametrize("family", ["bert", "roberta", "modernbert"])
def test_heads_over_tokens_print_their_answers(family: str, kind: str, loaded: Loaded) -> None:
    checkpoint = loaded(family, head="sequence-classification")
    found = bertlens.head(checkpoint, TEXTS, 1, kind=kind, token=2)
    assert found.answers is not None
    script = script_of(checkpoint, found)
    assert_well_written(script)
    printed = numbers(executed(script))
    frame = found.answers.to_frame()
    if kind == "masked-lm":
        name = f"position {found.position}, ids {frame['id'].tolist()}"
        np.testing.assert_array_equal(printed[name], frame["probability"])
    elif kind == "token":
        for place, row in frame.iterrows():
            same(printed, f"position {place}, {row['label']}", [row["logit LABEL_0"], row["logit LABEL_1"]])
    else:
        for _, row in frame.iterrows():
            same(printed, f"tokens {row['start']} to {row['end']}, score", row["score"])


def test_it_runs_without_bertlens_and_with_nasty_texts(loaded: Loaded, tmp_path: Path) -> None:
    checkpoint = loaded("bert", head="sequence-classification")
    texts = [*NASTY[:-1], "last"]
    found = bertlens.head(checkpoint, texts, 2)
    script = script_of(checkpoint, found, tuple(texts), steps=2, runs=1)
    same(numbers(in_a_process(script, tmp_path)), "logits", found.logits)
