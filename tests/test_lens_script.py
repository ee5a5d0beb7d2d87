"""An expression as a script: only torch and transformers, the same shapes, and the same values digit for digit."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bertlens.read.capture import capture
from bertlens.read.expression.evaluate import evaluate
from bertlens.run.checkpoint import Checkpoint
from bertlens.run.condition import Condition
from bertlens.run.inputs import prepare
from bertlens.show.lens import lens_script
from bertlens.show.script import shapes_script
from tests.scripts import NASTY, PAIRS, TEXTS, Load, assert_well_written, executed, in_a_process, load, one_thread

__all__ = ["load", "one_thread"]

MEAN = "(last_hidden_state * attention_mask.unsqueeze(-1)).sum(1) / attention_mask.sum(1, keepdim=True)"
EXPRESSIONS = [
    "outputs.last_hidden_state[:, 0, :]",
    "output[0][0]",
    "torch.cat(hidden_states[-4:], dim=-1).mean(1)",
    "torch.stack([h[:, 0] for h in hidden_states[-4:]]).mean(0)",
    MEAN,
    "hidden_states[-2:]",
    "x = outputs.last_hidden_state\nx[:, 0]",
    "x = outputs['last_hidden_state']; x[:, 0]",
    "with torch.no_grad():\n    outputs = model(**inputs, output_hidden_states=True)\n"
    "    pooled = outputs.hidden_states[-2].mean(dim=1)",
    "total = 0\nfor h in hidden_states[-4:]:\n    total = total + h[:, 0]\ntotal",
    "def pool(states, mask):\n    mask = mask.unsqueeze(-1).float()\n    return (states * mask).sum(1) / mask.sum(1)\n"
    "pool(outputs[0], inputs['attention_mask'])",
    "last_hidden_state.detach().numpy()[:, 0]",
    "np.mean(last_hidden_state.numpy(), axis=1)",
    "F.normalize(last_hidden_state[:, 0], p=2, dim=1)",
    "emb = last_hidden_state[:, 0]\nemb[0] = 0\nemb",
    ">>> x = last_hidden_state[:, 0]\n>>> x.norm(dim=1)",
    "import torch\nlast_hidden_state[0, 0, 0]",
]


def written(checkpoint: Checkpoint, texts: Any, expression: str, condition: str = "") -> str:
    facts: dict[str, Any] = {"architecture": checkpoint.architecture, "max_length": checkpoint.max_length}
    return lens_script(checkpoint.name, texts, Condition.parse(condition), expression, **facts)


def told(printed: str) -> list[tuple[str, Any]]:
    """(shape, first values) of each part, or what was printed of something else."""
    lines = [line.removeprefix("value  ") for line in printed.splitlines() if line.startswith("value  ")]
    parts = [line.split("  ") for line in lines]
    return [
        (part[0], [float(one) for one in part[2].strip("[]").split(",")]) if len(part) == 3 else (part[0], None)
        for part in parts
    ]


def assert_same(checkpoint: Checkpoint, texts: Any, expression: str, condition: str = "") -> None:
    trace = evaluate(expression, capture(prepare(checkpoint, texts, Condition.parse(condition))))
    assert trace.failure is None and trace.value is not None
    parts = [np.asarray(part) for part in (trace.value if isinstance(trace.value, list) else [trace.value])]
    expected = [(str(tuple(part.shape)), part.reshape(-1)[:6].tolist()) for part in parts]
    assert told(executed(written(checkpoint, texts, expression, condition))) == expected


@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_a_script_prints_the_values_of_the_lens(load: Load, expression: str) -> None:
    checkpoint = load("minilm")
    assert_same(checkpoint, TEXTS, expression)


@pytest.mark.parametrize(
    ("expression", "expected"), [("last_hidden_state.shape", ["3", "16", "384"]), ("len(hidden_states)", ["7"])]
)
def test_what_is_no_tensor_is_printed_as_it_is(load: Load, expression: str, expected: list[str]) -> None:
    assert told(executed(written(load("minilm"), TEXTS, expression))) == [(one, None) for one in expected]


@pytest.mark.parametrize("condition", ["padding=32", "side=left", "batch=2", "mask=off", "dtype=float64,segments=zeros"])
def test_a_script_runs_the_condition(load: Load, condition: str) -> None:
    assert_same(load("minilm"), TEXTS, "last_hidden_state[:, 0] + hidden_states[1].mean(1)", condition)


@pytest.mark.parametrize("name", ["distilbert", "roberta", "mpnet"])
def test_a_script_of_another_family(load: Load, name: str) -> None:
    assert_same(load(name), TEXTS, MEAN)


@pytest.mark.parametrize("texts", [NASTY, PAIRS])
def test_any_text_is_a_literal(load: Load, texts: Any) -> None:
    assert_same(load("minilm"), texts, "last_hidden_state[:, 0]")


def test_a_script_needs_only_torch_and_transformers(load: Load, tmp_path: Path) -> None:
    checkpoint = load("minilm")
    script = written(checkpoint, TEXTS, MEAN)
    assert_well_written(script)
    assert told(in_a_process(script, tmp_path)) == told(executed(script))


def test_without_an_expression_it_is_the_script_of_the_shapes(load: Load) -> None:
    checkpoint = load("minilm")
    facts: dict[str, Any] = {"architecture": checkpoint.architecture, "max_length": checkpoint.max_length}
    assert written(checkpoint, TEXTS, " \n") == shapes_script("minilm", TEXTS, Condition(), **facts)


def test_code_that_loads_a_model_goes_on_with_the_one_that_is_loaded(load: Load) -> None:
    code = 'model = AutoModel.from_pretrained("nobody/nothing")\nmodel(**inputs).last_hidden_state[:, 0]'
    checkpoint = load("minilm")
    expected = told(executed(written(checkpoint, TEXTS, "last_hidden_state[:, 0]")))
    assert told(executed(written(checkpoint, TEXTS, code))) == expected
