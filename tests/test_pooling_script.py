"""The script of the poolings prints the numbers of the result objects; the padding trap to the last digit."""

from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import bertlens
from bertlens.diagnose.vectors import BATCH, default_readouts
from bertlens.judge.pooling import Poolings
from bertlens.judge.trap import PaddingTrap
from bertlens.read.readout import Readout
from bertlens.run.checkpoint import Checkpoint
from bertlens.run.condition import Condition
from bertlens.run.texts import Texts
from bertlens.show.pooling_script import AT_ONCE, pooling_script
from tests.families import FAMILIES
from tests.scripts import NASTY, PAIRS, TEXTS, Load, assert_well_written, executed, in_a_process, load, one_thread

__all__ = ["load", "one_thread"]

MANY: Texts = tuple(f"{one} {other} number {at}" for at, one in enumerate(TEXTS * 5) for other in ("once", "again", "and then"))
TRAPPED = ("mean_all", "mean", "cls", "mean@last2:concat|l2")
PAIR = re.compile(r"(cosine|max abs|rank agreement|overlap) (\S+)")
Numbers = dict[str, Any]
Trapped = dict[tuple[str, int], tuple[list[float], list[float]]]


def written(checkpoint: Checkpoint, texts: Texts, condition: str = "", **more: Any) -> str:
    readouts = [Readout.parse(one) for one in default_readouts(checkpoint)]
    facts: dict[str, Any] = {"architecture": checkpoint.architecture, "max_length": checkpoint.max_length}
    return pooling_script(checkpoint.name, texts, readouts, Condition.parse(condition), **facts, **more)


def numbers(printed: str) -> Numbers:
    found: Numbers = {}
    for line in printed.splitlines():
        kind, name, rest = line.split(" ", 1)[0], *line.split("  ", 1)
        if kind == "pair":
            other, _, values = rest.partition("  ")
            found[f"{name}  {other}"] = {key: float(value) for key, value in PAIR.findall(values)}
        else:
            *names, values = line.rsplit("  ", 1)
            found["  ".join(names)] = listed(values)
    return found


def listed(printed: str) -> Any:
    return [float(value) for value in re.findall(r"nan|-?[\d.]+(?:e[-+]?\d+)?", printed)]


def assert_same(found: Numbers, result: Poolings, checkpoint: Checkpoint, tolerance: float = 1e-4) -> None:
    close: dict[str, Any] = {"rtol": tolerance, "atol": tolerance / 5}
    for option in result.options:
        name = f"readout {option.readout}  shape ({option.texts}, {option.dimensions})"
        (line,) = [values for key, values in found.items() if key == name or key.startswith(name)]
        np.testing.assert_allclose(line[-3:], [option.norm_mean, option.norm_min, option.norm_max], **close)
        _, similar = result.neighbours(option.readout)
        for text, row in zip(result.compared, similar, strict=True):
            lines = [values for key, values in found.items() if key.startswith(f"near {option.readout}  text {text}  ")]
            assert len(lines) == 1
            np.testing.assert_allclose(lines[0], row, **close)  # of two texts as alike, either may come first
    pairs = result.pairs()
    assert len(pairs) == sum(name.startswith("pair ") for name in found)
    columns = {"cosine": "cosine_mean", "max abs": "max_abs", "rank agreement": "rank_agreement", "overlap": "overlap"}
    for line in pairs.to_dict("records"):
        values = found[f"pair {line['one']}  {line['other']}"]
        wanted = [line[column] for column in columns.values()]
        np.testing.assert_allclose([values.get(name, np.nan) for name in columns], wanted, **close, err_msg=str(line))
    fresh = result.fresh(result.readouts[0], 5, (0, 1, 2))
    for seed, layer in zip(fresh.seeds, fresh.logits, strict=True):
        for text, row in enumerate(layer):
            np.testing.assert_allclose(found[f"logits seed {seed}  text {text}"], row, **close)


def checked(checkpoint: Checkpoint, texts: Texts, condition: str = "", tolerance: float = 1e-4) -> Poolings:
    result = bertlens.pooling(checkpoint, texts, condition=condition)
    script = written(checkpoint, texts, condition)
    assert_well_written(script)
    assert_same(numbers(executed(script)), result, checkpoint, tolerance)
    return result


@pytest.mark.parametrize("texts", [TEXTS, PAIRS, (*PAIRS[:2], *TEXTS[:2])], ids=["texts", "pairs", "mixed"])
@pytest.mark.parametrize("name", ["minilm", *FAMILIES])
def test_every_family_prints_the_numbers_of_the_page(load: Load, name: str, texts: Texts) -> None:
    checked(load(name), texts)


CONDITIONS = {
    **dict.fromkeys(("batch=alone", "side=left", "padding=30,mask=off", "rows=index", "attention=eager"), 1e-4),
    **dict.fromkeys(("rows=index,side=left", "dropout=on", "dtype=float64", "specials=off,max_length=6", "batch=2"), 1e-4),
    "dtype=bfloat16": 3e-2,
}


@pytest.mark.parametrize("condition", CONDITIONS)
@pytest.mark.parametrize("name", ["minilm", "modernbert"])
def test_every_kind_of_condition(load: Load, name: str, condition: str) -> None:
    checked(load(name), TEXTS, condition, CONDITIONS[condition])


@pytest.mark.parametrize("texts", [NASTY, TEXTS[:1], TEXTS[:1] * 2, MANY], ids=["nasty", "one", "equal", "many"])
@pytest.mark.parametrize("name", ["minilm", "roberta"])
def test_all_kinds_of_texts(load: Load, name: str, texts: Texts) -> None:
    result = checked(load(name), texts)
    assert result.condition == (f"batch={AT_ONCE}" if len(texts) > AT_ONCE else "")
    assert AT_ONCE == BATCH


def trap_of(printed: str) -> Trapped:
    lines = [line for line in printed.splitlines() if line.startswith("trap ")]
    matches = [re.fullmatch(r"trap (.+)  padding (\d+)  max abs (\[.*\])  in float64 (\[.*\])", line) for line in lines]
    return {(m[1], int(m[2])): (ast.literal_eval(m[3]), ast.literal_eval(m[4])) for m in matches if m}


def assert_trapped(found: Trapped, trap: PaddingTrap) -> None:
    assert len(found) == len(trap.rows)
    for row in trap.rows:
        as_run, doubled = found[row.pooling, row.padding]
        assert as_run[row.text] == row.max_abs
        assert row.max_abs_float64 in (None, doubled[row.text])


@pytest.mark.parametrize("condition", ["", "dtype=bfloat16,attention=eager"])
@pytest.mark.parametrize("name", ["minilm", *FAMILIES])
def test_the_trap_to_the_last_digit(load: Load, name: str, condition: str) -> None:
    trap = bertlens.padding_trap(load(name), TEXTS, poolings=TRAPPED, lengths=(21, 50))
    script = written(load(name), TEXTS, condition, trap=trap, trap_texts=TEXTS)
    assert_well_written(script)
    assert_trapped(trap_of(executed(script)), trap)


def test_a_process_of_its_own_prints_the_same_numbers(load: Load, tmp_path: Path) -> None:
    trap = bertlens.padding_trap(load("minilm"))
    printed = in_a_process(written(load("minilm"), NASTY, trap=trap), tmp_path)
    assert_same(numbers(printed), bertlens.pooling(load("minilm"), NASTY), load("minilm"))
    assert_trapped(trap_of(printed), trap)


def test_the_twin_with_another_number_is_caught(load: Load) -> None:
    checkpoint = load("bert")
    found = numbers(executed(written(checkpoint, TEXTS)))
    assert_same(found, bertlens.pooling(checkpoint, TEXTS), checkpoint)
    with pytest.raises(AssertionError):
        assert_same(found, bertlens.pooling(checkpoint, TEXTS, condition="padding=40"), checkpoint)
    with pytest.raises(AssertionError):
        assert_same(found | {"logits seed 1  text 0": [0.0] * 5}, bertlens.pooling(checkpoint, TEXTS), checkpoint)
