"""What the worked cases measure on labels is what the core says, and their scripts print it; what that loss teaches."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import BertForPreTraining

import bertlens
from bertlens.cases.worked.poolerless import gradients
from bertlens.diagnose import check
from bertlens.judge.weights.load_report import is_pooler
from bertlens.run.checkpoint import Checkpoint
from bertlens.run.labels import example_labelled
from bertlens.run.presets import EXAMPLE_TEXTS
from tests.conftest import Loaded
from tests.scripts import in_a_process
from tests.test_worked_cases import emptied, found, told

__all__ = ["emptied"]


def test_a_pooler_trained_on_labels_is_repeatable_and_worth_what_is_held_out(minilm: Checkpoint) -> None:
    answer, measured = told(minilm, 2, "if", remedy="train"), found(minilm, 2, "if", remedy="train")
    assert answer.verdict == "identical" and answer.sentence.startswith("Identical: pooler_output of two loads:")
    assert f"right in {measured.trained.learnt.accuracy:.2f}" in answer.reason
    assert f"says of this pooler: {measured.trained.state}" in answer.reason and measured.trained.reason in answer.reason
    before = check(minilm.name)
    assert next(one for one in before.modules if is_pooler(one.name)).state == "newly drawn"
    assert measured.trained.after.checkpoint["name"] != minilm.name


LABELS: dict[int, Any] = {2: {"remedy": "train"}, 3: {"what": "labels"}, 5: {"what": "labels"}}


@pytest.mark.parametrize("number", LABELS)
def test_what_is_measured_on_labels_is_what_probe_says(number: int, minilm: Checkpoint) -> None:
    example, measured = example_labelled(), found(minilm, number, "if", **LABELS[number]).probe
    readouts = [one.name for one in measured.readouts]
    again = bertlens.probe(minilm, example.texts, example.labels, readouts)
    assert measured.to_dict() == again.to_dict()
    answer = told(minilm, number, "if", **LABELS[number])
    assert again.sentence in f"{answer.sentence}\n{answer.reason}"
    table = next(one for one in answer.tables if one.name == f"case-{number}-labels")
    assert table.frame["accuracy"].tolist() == again.to_frame()["accuracy"].tolist()
    assert answer.drawings[0].frame.equals(table.frame)


@pytest.mark.parametrize("number", LABELS)
def test_the_scripts_on_labels_print_the_numbers_of_the_page(number: int, minilm: Checkpoint, tmp_path: Path) -> None:
    measured = found(minilm, number, "if", **LABELS[number])
    scripts = told(minilm, number, "if", **LABELS[number]).scripts
    printed = in_a_process(scripts[f"case_{number}_labels"], tmp_path)
    lines = dict(line.split("  ", 1) for line in printed.splitlines() if "  accuracy " in line)
    wanted = {one.name: [one.accuracy, one.spread, one.macro_f1] for one in (*measured.probe.readouts, measured.probe.baseline)}
    assert {name: numbers_of(line) for name, line in lines.items()} == {
        name: pytest.approx(values, abs=1e-12) for name, values in wanted.items()
    }
    assert "classes ['negative', 'positive']" in printed
    if measured.trained is not None:
        printed = in_a_process(scripts[f"case_{number}_train"], tmp_path)
        learnt = measured.trained.learnt
        assert numbers_of(printed.splitlines()[0]) == pytest.approx([learnt.accuracy, learnt.spread], abs=1e-12)
        assert "pooler_output of two loads  equal True" in printed
    for code in scripts.values():
        assert max(map(len, code.splitlines())) < 120 and "bertlens" not in code


def numbers_of(line: str) -> list[float]:
    return [float(value) for value in re.findall(r"(?:accuracy|spread|macro-F1) (\S+)", line)]


@pytest.mark.parametrize("family", ["bert", "roberta", "albert", "mpnet"])
def test_its_gradient_stops_before_the_pooler_in_every_family(family: str, loaded: Loaded) -> None:
    one = loaded(family)
    before = {name: value.clone() for name, value in one.model.state_dict().items()}
    learnt, of, dead = gradients(one, EXAMPLE_TEXTS)
    assert (of - learnt, dead) == (2, 2), "every weight but those of the pooler"
    assert all(value.equal(before[name]) for name, value in one.model.state_dict().items())
    assert all(value.grad is None for value in one.model.parameters())


def test_the_trap_is_real_and_a_loss_on_the_pooler_would_teach_it(loaded: Loaded) -> None:
    model = BertForPreTraining.from_pretrained(loaded("bert").folder)
    ids = torch.tensor([[5, 6, 7, 8]])
    out = model(ids)
    loss = torch.nn.functional.cross_entropy(out.prediction_logits[0], ids[0])
    assert torch.autograd.grad(loss, model.bert.pooler.dense.weight, allow_unused=True, retain_graph=True) == (None,)
    loss = out.seq_relationship_logits.square().sum()
    assert torch.autograd.grad(loss, model.bert.pooler.dense.weight)[0].abs().max() > 0
