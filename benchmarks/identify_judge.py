"""Judging an answer of `bertlens.identify`: its recipe carried out by hand, in float64, against that which made the vectors."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from benchmarks import recipes
from benchmarks.identify_draws import Drawn
from benchmarks.recipes import ByHand
from bertlens.judge.identification import Identification
from bertlens.read.post import RANGED, Post
from bertlens.read.recipe import Recipe

SAME = 1e-6
"""Largest difference of two float64 runs of one computation, over the largest component: some families compute in float32 in
places. The largest of right answers and the smallest of wrong ones stand above the tables."""

IDLE = 2.0**-20
"""Storing that moves no component farther, as a share of the largest, is lost in the rounding of a float32 run."""

EPS = {"float32": 2.0**-23, "float64": 2.0**-23, "bfloat16": 2.0**-8, "float16": 2.0**-11}


def judged(drawn: Drawn, answer: Identification | None, by_hand: ByHand) -> dict[str, Any]:
    """What is right about an answer.

    Returns
    -------
    dict
        `same` : the computation, `gap` : how far it is off, `ordered` : the rows, `format` : number format and storage,
        `right` : all three and not a verdict of none, `wrong_found` : a verdict that promises what does not hold,
        `listed` : one of the alternatives is right.
    """
    blank = {**dict.fromkeys(("same", "ordered", "format", "right", "wrong_found", "listed"), False), "gap": np.inf}
    if answer is None or answer.best is None:
        return {**blank, "right": bool(drawn.control) and answer is not None}
    if drawn.control:
        return {**blank, "right": answer.verdict != "found", "wrong_found": answer.verdict == "found"}
    if drawn.recipe.condition.dropout == "on":
        return {**blank, **_of_dropout(drawn, answer, by_hand)}
    truth = _exact(by_hand, drawn, drawn.recipe, drawn.row_of_text)
    gap = _gap(by_hand, drawn, answer.best.recipe, answer.row_of_text, truth)
    same = gap <= SAME or _same_digits(by_hand, drawn, answer.best.recipe, answer.row_of_text)
    order, form = ordered(drawn, answer.row_of_text, truth), format_named(drawn, answer.best.recipe)
    listed = [one.recipe for one in answer.alternatives if not same and one.explained]
    return {
        "same": same,
        "gap": gap,
        "ordered": order,
        "format": form,
        "right": same and order and form and answer.verdict != "none",
        "wrong_found": answer.verdict == "found" and not (same and order),
        "listed": any(_gap(by_hand, drawn, recipe, answer.row_of_text, truth) <= SAME for recipe in listed),
    }


def _of_dropout(drawn: Drawn, answer: Identification, by_hand: ByHand) -> dict[str, Any]:
    """Dropout has to be named, with the pooling and the layers; the vectors themselves cannot be made again."""
    assert answer.best is not None
    named = answer.best.recipe.condition.dropout == "on" or any(one.id == "dropout-active" for one in answer.findings)
    off = [replace(one, condition=one.condition.replace(dropout="off")) for one in (drawn.recipe, answer.best.recipe)]
    truth = _exact(by_hand, drawn, off[0], drawn.row_of_text)
    gap = _gap(by_hand, drawn, off[1], answer.row_of_text, truth)
    read = [(one.readout.pooling, _from_below(one.readout.layers, by_hand), one.readout.combine) for one in off]
    family = gap <= SAME or read[0] == read[1]
    return {
        "same": family,
        "gap": gap,
        "ordered": True,
        "format": named,
        "right": named and family and answer.verdict != "found",
        "wrong_found": answer.verdict == "found",
    }


def _from_below(layers: str, by_hand: ByHand) -> str:
    """The number of a hidden state counted from the embeddings; words as they are."""
    return str(by_hand.depth + 1 + int(layers)) if layers.startswith("-") else layers


def _exact(by_hand: ByHand, drawn: Drawn, recipe: Recipe, rows: tuple[int | None, ...]) -> np.ndarray:
    """The vectors of a recipe in float64 before they are stored, in the order of the texts."""
    raw = recipes.raw(by_hand, drawn.texts, recipe, rows=rows, dtype="float64")
    found = recipes.before_storing(raw, recipe.post)
    if recipe.post.store == "int8" and recipe.post.int8 == "rows" and recipe.post.codes:
        return np.asarray(found / np.abs(found).max(1, keepdims=True))  # a factor of a row is lost in its codes
    if recipe.post.store == "int8" and recipe.post.int8 in RANGED:
        spread = found.max(0) - found.min(0)
        return np.asarray((found - found.min(0)) / np.where(spread > 0, spread, 1.0))  # so are level and factor of a column
    return found


def _gap(by_hand: ByHand, drawn: Drawn, recipe: Recipe, rows: tuple[int | None, ...], truth: np.ndarray) -> float:
    """Largest difference of a recipe from the truth over the truth's largest component; infinite where it cannot be run.

    A factor that had to be measured on the vectors may be as far off as they are coarse.
    """
    try:
        found = _exact(by_hand, drawn, recipe, rows)
    except (ValueError, RuntimeError, IndexError, AssertionError):
        return np.inf
    if found.shape != truth.shape:
        return np.inf
    measured = recipe.post.scale not in (1.0, -1.0) or drawn.recipe.post.scale not in (1.0, -1.0)
    factor = float((found * truth).sum() / max((found * found).sum(), np.finfo(float).tiny)) if measured else 1.0
    allowed = max(EPS[drawn.recipe.condition.dtype] * 2, coarse(drawn.recipe.post, truth), SAME)
    factor = factor if abs(factor - 1) <= allowed else 1.0
    return float(np.abs(found * factor - truth).max() / max(np.abs(truth).max(), np.finfo(float).tiny))


def _same_digits(by_hand: ByHand, drawn: Drawn, recipe: Recipe, rows: tuple[int | None, ...]) -> bool:
    """Whether storing makes the same digits of a recipe as of the truth, both in float64: no text tells them apart."""
    if not drawn.recipe.post.store or recipe.post.store != drawn.recipe.post.store:
        return False
    sides = []
    for one, order in ((drawn.recipe, drawn.row_of_text), (recipe, rows)):
        try:
            raw = recipes.raw(by_hand, drawn.texts, one, rows=order, dtype="float64")
        except (ValueError, RuntimeError, IndexError, AssertionError):
            return False
        sides.append(_wide(recipes.stored(recipes.before_storing(raw, one.post), one.post)))
    return np.array_equal(sides[0], sides[1])


def coarse(post: Post, truth: np.ndarray) -> float:
    """How far storing moves a component, over the largest one."""
    if post.store.isdigit():
        return float(0.5 * 10.0 ** -int(post.store) / np.abs(truth).max())
    return {"": 0.0, "float16": 2.0**-11, "bfloat16": 2.0**-8, "int8": 1 / 127}[post.store]


def ordered(drawn: Drawn, rows: tuple[int | None, ...], truth: np.ndarray) -> bool:
    """Whether every text has its row, or that of a text whose vector is the same."""
    owner = {row: text for text, row in enumerate(drawn.row_of_text) if row is not None}
    if len(rows) != len(drawn.row_of_text):
        return False
    for text, (row, own) in enumerate(zip(rows, drawn.row_of_text, strict=True)):
        if row == own:
            continue
        twins = [other for other in owner.values() if other != text and _alike(truth[other], truth[text], drawn, other, text)]
        if not twins or (row is not None and owner.get(row) not in twins) or (row is None and own is not None):
            return False
    return True


def _alike(one: np.ndarray, two: np.ndarray, drawn: Drawn, *texts: int) -> bool:
    """Equal in float64, or stored with the same digits."""
    rows = [drawn.row_of_text[text] for text in texts]
    bits = None not in rows and np.array_equal(drawn.vectors[rows[0]], drawn.vectors[rows[1]])
    return bool(bits or np.abs(one - two).max() <= SAME * np.abs(two).max())


def format_named(drawn: Drawn, recipe: Recipe) -> bool:
    """Whether number format and storage are those of the truth, or such as make no difference to these vectors."""
    ours, named = drawn.recipe.condition.dtype, recipe.condition.dtype
    full = ("float32", "float64")
    delivered = drawn.vectors.dtype == np.float64 and not drawn.recipe.post.store
    if ours != named and (delivered or not (ours in full and named in full)) and not _hidden(drawn, ours, named):
        return False
    ready = recipes.before_storing(drawn.raw, drawn.recipe.post)
    if _storage(drawn.recipe.post) == _storage(recipe.post):
        return True
    least = 0.0 if delivered else IDLE * np.abs(ready).max()
    idle = bool(np.abs(_wide(recipes.stored(ready, drawn.recipe.post)) - ready).max() <= least)
    given = _wide(drawn.vectors)
    again = _wide(recipes.stored(given, replace(recipe.post, scale=1.0))) if recipe.post.store else given
    return idle and bool(np.abs(again - given).max() <= IDLE * np.abs(given).max())


def _storage(post: Post) -> tuple[str, ...]:
    """What tells one storage from another."""
    if post.store != "int8":
        return (post.store,)
    return (post.store, post.int8, f"{post.codes}" if post.int8 == "rows" else f"{post.step:.4g}" if not post.int8 else "")


def _hidden(drawn: Drawn, ours: str, named: str) -> bool:
    """Whether storing is coarser than the number formats in which the model may have run."""
    ready = recipes.before_storing(drawn.raw.astype(np.float64), drawn.recipe.post)
    return coarse(drawn.recipe.post, ready) >= 4 * max(EPS[ours], EPS[named])


def _wide(values: np.ndarray) -> np.ndarray:
    return values.astype(np.float64)
