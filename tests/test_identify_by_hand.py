"""The benchmark of `bertlens.identify`: recipes by hand are those of the core, and its judge can tell right from wrong."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest

from benchmarks import identify_draws, recipes
from benchmarks.identify_controls import CONTROLS, of_control
from benchmarks.identify_draws import Drawn, Models, of_recipe
from benchmarks.identify_judge import judged
from bertlens.judge.identification import Candidate, Identification
from bertlens.read.logits import Logits
from bertlens.read.readout import Readout
from bertlens.read.recipe import Recipe, made

FAMILIES = ("bert", "distilbert", "mpnet", "roberta")
"""Positions from 0, no segments, no fused attention, positions from behind the padding token."""


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Models]:
    """Draws are of small models of these families, and not of the packaged one, which takes longer."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(identify_draws, "FAMILIES", FAMILIES)
        yield Models(tmp_path_factory.mktemp("drawn"), minilm=0.0)


@pytest.fixture(scope="module")
def draws(models: Models) -> list[Drawn]:
    """The first draws of a seed."""
    return [of_recipe(3, index, models, []) for index in range(24)]


def answer(recipe: Recipe, rows: tuple[int | None, ...], verdict: str = "found") -> Identification:
    best = Candidate(recipe, 0.0, 1.0, 0.0, True, len(rows))
    return Identification({}, verdict, "", best, (), "same", "", rows, (), (), (), (), {}, (), {})


def test_two_ways_of_carrying_out_a_recipe_agree(models: Models, draws: list[Drawn]) -> None:
    """What `made` computes is what plain transformers compute, in float64 to the last digits."""
    assert any(isinstance(drawn.recipe.readout, Logits) for drawn in draws)
    assert {drawn.family for drawn in draws} == set(FAMILIES) and {len(drawn.deviations) for drawn in draws} == {0, 1, 2, 3}
    for drawn in draws:
        if drawn.recipe.condition.dropout == "on":
            continue
        plain = replace(drawn.recipe, post=replace(drawn.recipe.post, store=""))
        ours = made(models.loaded(drawn.family, drawn.model_seed), drawn.texts, plain, rows=drawn.row_of_text, dtype="float64")
        folder, rows = models.by_hand(drawn.family, drawn.model_seed), drawn.row_of_text
        theirs = recipes.before_storing(recipes.raw(folder, drawn.texts, plain, rows=rows, dtype="float64"), plain.post)
        assert np.abs(ours - theirs).max() <= 1e-9 * np.abs(theirs).max(), drawn.words


def test_a_draw_is_the_same_for_its_seed_and_another_for_others(models: Models) -> None:
    one, again, other = (of_recipe(seed, 1, models, []) for seed in (3, 3, 4))
    assert one.words == again.words and one.texts == again.texts and np.array_equal(one.vectors, again.vectors)
    assert one.texts != other.texts
    lines = [f"line number {at}" for at in range(30)]
    assert set(of_recipe(3, 1, models, lines).texts) <= set(lines)


def test_the_truth_is_judged_right_and_a_spoiled_one_wrong(models: Models, draws: list[Drawn]) -> None:
    spoiled = 0
    for drawn in draws:
        folder, dropout = models.by_hand(drawn.family, drawn.model_seed), drawn.recipe.condition.dropout == "on"
        truth = judged(drawn, answer(drawn.recipe, drawn.row_of_text, "none" if dropout else "found"), folder)
        assert truth["right"] and not truth["wrong_found"], drawn.words
        pooling = "max" if drawn.recipe.readout.pooling != "max" else "cls"
        wrong = replace(drawn.recipe, readout=Readout(pooling, l2=drawn.recipe.readout.l2))
        found = judged(drawn, answer(wrong, drawn.row_of_text), folder)
        one_token = drawn.recipe.condition.rows == "index" or drawn.recipe.post.sign == "only"
        assert one_token or (not found["right"] and found["wrong_found"]), drawn.words
        if not dropout and drawn.order == "same" and len(np.unique(drawn.vectors, axis=0)) == len(drawn.vectors):
            turned = (*drawn.row_of_text[1:], drawn.row_of_text[0])
            assert not judged(drawn, answer(drawn.recipe, turned), folder)["ordered"]
            spoiled += 1
    assert spoiled


def test_no_control_is_what_its_recipe_makes(models: Models) -> None:
    for index, name in enumerate(CONTROLS):
        drawn = of_control(0, index, models, [])
        assert drawn.control == name and np.isfinite(drawn.vectors).all()
        if drawn.vectors.shape == drawn.raw.shape:
            apart = float(np.abs(drawn.vectors - drawn.raw).max() / np.abs(drawn.raw).max())
            assert apart > 1e-4, f"{name} is {apart} away"
        assert not judged(drawn, answer(drawn.recipe, drawn.row_of_text), models.by_hand(drawn.family, 0))["right"]
