"""The script of a parting finds the same states, to the last digit, and parts in the same place."""

from __future__ import annotations

import ast
import math
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import bertlens
from bertlens.errors import BertlensError
from bertlens.judge.parting import Parting
from bertlens.run.checkpoint import Checkpoint
from bertlens.run.condition import Condition
from bertlens.run.texts import Texts
from bertlens.show.parting_script import parting_script
from tests.families import FAMILIES
from tests.scripts import (
    COUNTED,
    NASTY,
    PAIRS,
    TEXTS,
    VALUES,
    Load,
    assert_well_written,
    executed,
    in_a_process,
    load,
    one_thread,
)

__all__ = ["load", "one_thread"]

STATE = re.compile(r"(.+)  bound (\S+)  max abs (\[.*\])")
NORMS = re.compile(r"(reference|candidate)  (.+)  norms (\[.*\])")
ROW = re.compile(r"(reference|candidate)  padding (\d+)  tokens (\[.*\])")


def written(checkpoint: Checkpoint, texts: Texts, text: int, reference: str, candidate: str, **more: Any) -> str:
    one, other = Condition.parse(reference), Condition.parse(candidate)
    facts: dict[str, Any] = {"architecture": checkpoint.architecture, "max_length": checkpoint.max_length}
    return parting_script(checkpoint.name, texts, text, one, other, **facts, **more)


def listed(printed: str) -> list[Any]:
    return [None if value == "nan" else float(value) for value in printed.strip("[]").split(", ") if value]


def numbers(printed: str) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for line in printed.splitlines():
        if match := NORMS.fullmatch(line):
            found[f"{match[1]} {match[2]}"] = listed(match[3])
        elif match := ROW.fullmatch(line):
            found[match[1]] = (int(match[2]), ast.literal_eval(match[3]))
        elif match := STATE.fullmatch(line):
            found[match[1]] = (float(match[2]), listed(match[3]))
        else:
            name, _, value = line.partition("  " if line.startswith("aligned") else " part ")
            found[name] = value
    return found


def plain(values: np.ndarray) -> list[Any]:
    return [None if math.isnan(value) else value for value in values.tolist()]


def expected(parting: Parting) -> dict[str, Any]:
    found: dict[str, Any] = {"aligned": str(list(parting.tokens)), "first": "nowhere"}
    for name, side in zip(("reference", "candidate"), parting.sides, strict=True):
        found[name] = (int(side.padding.sum()), list(side.tokens))
        found |= {f"{name} {layer}": plain(norms) for layer, norms in zip(parting.layers, side.norms, strict=True)}
    for layer, bound, gaps in zip(parting.layers, parting.bound, parting.max_abs, strict=True):
        found[layer] = (bound, plain(gaps))
    if parting.first:
        state, token = parting.first
        found["first"] = f"in {parting.layers[state]}, most at token {token} {parting.tokens[token]!r}"
    return found


def assert_same(checkpoint: Checkpoint, texts: Texts, text: int, sides: tuple[str, str], **more: Any) -> Parting:
    parting = bertlens.where_they_part(checkpoint, texts, text, reference=sides[0], candidate=sides[1], **more)
    script = written(checkpoint, texts, text, *sides, **more)
    assert_well_written(script)
    assert numbers(executed(script)) == expected(parting)
    return parting


@pytest.mark.parametrize("float64", [True, False])
@pytest.mark.parametrize("value", [*VALUES, *(f"{key}={n}" for key, ns in COUNTED.items() for n in ns), ""])
def test_a_value_of_a_key_prints_the_same_numbers(load: Load, value: str, float64: bool) -> None:
    parting = assert_same(load("minilm"), TEXTS, 2, ("batch=alone", value), float64=float64)
    assert "layer 6 attention" in parting.layers


SAMPLE = [
    ("batch=alone", "mask=off,padding=40"),
    ("batch=alone", "side=left"),
    ("side=left,positions=from-mask", "side=left,attention=eager"),
    ("rows=index", "max_length=7,padding=12"),
    ("rows=index,side=left", "rows=index,mask=inverted"),
    ("dtype=bfloat16,batch=2", "dtype=float64"),
    ("dropout=on", "dropout=on,batch=2"),
    ("segments=zeros", "segments=ones"),
    ("specials=off", "batch=1,max_length=6"),
]


KINDS: tuple[Texts, ...] = (TEXTS, PAIRS, (*PAIRS[:2], *TEXTS[:2]))
"""Texts, pairs, and both: each of them for a third of the sample, and each parting with all three over the families."""


@pytest.mark.parametrize("family", FAMILIES)
def test_a_family_prints_the_same_numbers(load: Load, family: str) -> None:
    ran = 0
    for at, sides in enumerate(SAMPLE):
        texts = KINDS[(at + list(FAMILIES).index(family)) % len(KINDS)]
        try:
            assert_same(load(family), texts, at % len(texts), sides, float64=at % 3 != 2)
            ran += 1
        except BertlensError as error:  # segments or positions that the family does not have
            assert re.search(r"cannot run ", str(error)), error
    assert ran >= len(SAMPLE) - 2


@pytest.mark.parametrize("text", [1, 3, 7, 9])
def test_nasty_texts_part_alike(load: Load, text: int) -> None:
    assert_same(load("minilm"), NASTY, text, ("batch=alone", "mask=off,batch=4"))


def test_one_text_and_many(load: Load) -> None:
    assert_same(load("bert"), TEXTS[:1], 0, ("batch=alone", "padding=20"))
    assert_same(load("bert"), TEXTS * 14, 41, ("batch=alone", "batch=32"))


def test_a_process_of_its_own_prints_the_same_numbers(load: Load, tmp_path: Path) -> None:
    for name in ("minilm", "modernbert"):
        parting = bertlens.where_they_part(load(name), TEXTS, 0, candidate="mask=off")
        script = written(load(name), TEXTS, 0, "batch=alone", "mask=off")
        assert numbers(in_a_process(script, tmp_path)) == expected(parting)
        assert parting.first is not None


def test_the_twin_with_another_number_is_caught(load: Load) -> None:
    parting = bertlens.where_they_part(load("minilm"), TEXTS, 0, candidate="mask=off")
    printed = numbers(executed(written(load("minilm"), TEXTS, 0, "batch=alone", "mask=off")))
    assert printed == expected(parting)
    parting.max_abs[3, 1] *= 1 + 1e-12
    assert printed != expected(parting)
    other = bertlens.where_they_part(load("minilm"), TEXTS, 0, candidate="mask=off,padding=30")
    assert printed != expected(other)
