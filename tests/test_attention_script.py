"""The script of the attention prints the numbers of the result objects, to the last digit."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import bertlens
from bertlens.judge.attention import Attention
from bertlens.run.checkpoint import Checkpoint
from bertlens.run.texts import Texts
from bertlens.show.attention_script import attention_script
from tests.families import FAMILIES
from tests.scripts import NASTY, PAIRS, TEXTS, Load, assert_well_written, executed, in_a_process, load, one_thread

__all__ = ["load", "one_thread"]


def written(checkpoint: Checkpoint, texts: Texts, **shown: Any) -> str:
    facts: dict[str, Any] = {"architecture": checkpoint.architecture, "max_length": checkpoint.max_length}
    code = attention_script(checkpoint.name, texts, **shown, **facts)
    assert_well_written(code)
    return code


def measured(found: Attention, prefix: str = "", names: tuple[str, ...] = ()) -> dict[str, Any]:
    values = found.read.measures
    return {
        f"{prefix}layer {at}  {name}": heads.tolist()
        for name in names or values
        for at, heads in enumerate(values[name], start=1)
    }


def expected(
    checkpoint: Checkpoint,
    texts: Texts,
    text: int = 0,
    layer: int = 1,
    head: int | str = 1,
    token: int = 0,
    padding: int | None = None,
) -> dict[str, Any]:
    found = bertlens.attention(checkpoint, texts, text)
    shown = found.map(layer, head)
    wanted: dict[str, Any] = {
        "tokens": list(found.tokens),
        "padding": found.read.padding,
        "rows sum to 1 within": found.read.row_error,
    }
    wanted |= measured(found)
    wanted |= {f"from {at}": looks.tolist() for at, looks in enumerate(shown)}
    wanted[f"to {token}"] = shown[:, token].tolist()
    if padding is not None:
        look = bertlens.attention_to_padding(checkpoint, texts, text, padding=padding)
        for mask, side in (("on", look.masked), ("off", look.unmasked)):
            wanted |= measured(side, f"mask {mask}, ", ("to_padding",))
    return split(wanted)


def split(wanted: dict[str, Any]) -> dict[str, Any]:
    """Names as the lines begin, before the first two blanks."""
    found: dict[str, Any] = {}
    for name, values in wanted.items():
        first, _, measure = name.partition("  ")
        if measure:
            found.setdefault(first, {})[measure] = values
        else:
            found[name] = values
    return found


def printed(code: str) -> dict[str, Any]:
    return parsed(executed(code))


def parsed(told: str) -> dict[str, Any]:
    nan = {"nan": float("nan")}
    found: dict[str, Any] = {}
    for line in filter(None, told.split("\n")):
        name, *measure, values = line.split("  ", 2 if "layer " in line.split("  ")[0] else 1)
        if measure:
            assert measure[0] not in found.setdefault(name, {}), line
            found[name][measure[0]] = eval(values, nan)
        else:
            assert name not in found, line
            found[name] = eval(values, nan)
    return found


def same(left: Any, right: Any) -> bool:
    """Equal to the last digit; NaN equals itself."""
    if isinstance(left, dict):
        return isinstance(right, dict) and left.keys() == right.keys() and all(same(left[key], right[key]) for key in left)
    if isinstance(left, list) and left and isinstance(left[0], float):
        return np.array_equal(np.array(left), np.array(right), equal_nan=True)
    return bool(left == right)


VIEWS: tuple[dict[str, Any], ...] = (
    {"layer": 2, "head": 3, "token": 1, "padding": 33},
    {"layer": 3, "head": "rollout", "text": 1},
)


@pytest.mark.parametrize("name", ["minilm", *FAMILIES])
def test_every_family_prints_the_numbers_of_the_page(load: Load, name: str) -> None:
    for view, texts in zip(VIEWS, (TEXTS, PAIRS), strict=True):
        found, wanted = printed(written(load(name), texts, **view)), expected(load(name), texts, **view)
        assert same(found, wanted), [key for key in wanted if not same(found.get(key), wanted[key])]
        assert ("mask off, layer 1" in found) == ("padding" in view)


@pytest.mark.parametrize("head", ["mean", "all", 4])
def test_other_views_and_nasty_texts(load: Load, head: int | str) -> None:
    for text in (1, 4, 9):
        view: dict[str, Any] = {"text": text, "layer": 1, "head": head}
        assert same(printed(written(load("bert"), NASTY, **view)), expected(load("bert"), NASTY, **view))


def test_one_text_that_is_cut(load: Load) -> None:
    checkpoint, long = load("distilbert"), ("word after word " * 60,)
    found = printed(written(checkpoint, long))
    assert same(found, expected(checkpoint, long)) and len(found["tokens"]) == checkpoint.max_length


def test_a_process_of_its_own_prints_the_same_numbers(load: Load, tmp_path: Path) -> None:
    view = {"layer": 6, "head": 12, "padding": 20}
    told = in_a_process(written(load("minilm"), TEXTS, **view), tmp_path)
    assert same(parsed(told), expected(load("minilm"), TEXTS, **view))


def test_the_twin_with_another_number_is_caught(load: Load) -> None:
    found, wanted = printed(written(load("bert"), TEXTS)), expected(load("bert"), TEXTS)
    assert same(found, wanted)
    for name in ("rows sum to 1 within", "padding"):
        assert not same(found, wanted | {name: wanted[name] + 1})
    looks = [wanted["from 1"][0] + 1e-7, *wanted["from 1"][1:]]
    assert not same(found, wanted | {"from 1": looks})
    assert not same(found, expected(load("bert"), TEXTS, head=2))
