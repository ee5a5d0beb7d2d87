"""Doubt: which other recipes explain the vectors as well, whether they are others at all, and which texts would tell."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from bertlens.judge.identify.changes import Room, changes, moves
from bertlens.judge.identify.given import Given
from bertlens.judge.identify.proof import differ, proof
from bertlens.judge.identify.search import Clue
from bertlens.judge.identify.settle import Settle, Settled
from bertlens.judge.identify.space import Space
from bertlens.read.bank import Bank
from bertlens.read.logits import Logits
from bertlens.read.readout import POOLINGS
from bertlens.read.recipe import Recipe
from bertlens.run.condition import COUNTS, DEFAULT
from bertlens.run.texts import Texts

if TYPE_CHECKING:
    from bertlens.run.checkpoint import Checkpoint

SENTINELS = (
    "No.",
    "Dr Müller paid $3.50 in ZÜRICH at 9:15.",
    "The bank by the river raised its interest rates again, although nobody who sat there that evening had asked for it.",
)
"""Texts of unlike length, with capitals, digits and accents: recipes that agree on them are taken to be the same recipe."""

PLAINER = {"first_position": "cls", "mean_all": "mean", "mean_sqrt_len_tokens": "mean"}
"""Poolings that may come to a plainer one: without padding at the left, without padding, divided by the length."""

SAME = 1e-9
"""In float64, as a share of the largest component: the same numbers summed in another order."""


@dataclass(frozen=True)
class Twin:
    """Another recipe that explains the vectors as well.

    Attributes
    ----------
    recipe : the other one.
    apart : how far it lies from the best one on each of `SENTINELS`, as a share of the largest component.
    """

    recipe: Recipe
    apart: np.ndarray

    @property
    def same(self) -> bool:
        """Whether it is the same recipe on every text that was tried."""
        return bool((self.apart <= SAME).all())

    @property
    def telling(self) -> str:
        """The text that tells the two apart best, "" where none does."""
        return "" if self.same else SENTINELS[int(np.argmax(self.apart))]


def simplest(checkpoint: Checkpoint, recipe: Recipe, texts: Texts) -> Recipe:
    """The recipe without what changes nothing on any text: every key put back to its default as long as the vectors stay.

    Parameters
    ----------
    texts : some of the texts in question, which are tried beside those of unlike length.
    """
    short = (*_fitting(recipe), *texts)
    for key in ("side", "positions", "batch", "padding", "segments", "attention", "mask", "specials"):
        default = getattr(DEFAULT, key)
        # three texts cannot tell a batch of three from all
        if getattr(recipe.condition, key) == default or (key in COUNTS and moves(recipe.condition, recipe.readout)):
            continue
        plainer = replace(recipe, condition=recipe.condition.replace(**{key: default}))
        if (differ(checkpoint, short, recipe, plainer) <= SAME).all():
            recipe = plainer
    if recipe.readout.pooling in PLAINER:
        plainer = replace(recipe, readout=replace(recipe.readout, pooling=PLAINER[recipe.readout.pooling]))
        if (differ(checkpoint, short, recipe, plainer) <= SAME).all():
            recipe = plainer
    if recipe.lower and (differ(checkpoint, short, recipe, replace(recipe, lower=False)) <= SAME).all():
        recipe = replace(recipe, lower=False)
    if recipe.condition.batch == "whole" and recipe.condition.padding == "longest" and recipe.arrival != "given":
        recipe = replace(recipe, arrival="given")
    return recipe


def twins(
    bank: Bank,
    space: Space,
    given: Given,
    clue: Clue,
    best: Settled,
    room: Room,
    rows: Sequence[int | None],
    *,
    same_order: bool,
) -> list[Twin]:
    """Recipes one step from the best one that explain the same rows; each is held against it on texts of unlike length.

    Parameters
    ----------
    rows : the row of every text.
    """
    found, checkpoint = [], bank.checkpoint
    short = _fitting(best.recipe)
    for recipe in _neighbours(best.recipe, room):
        at = space.direction(recipe.readout)
        if at is None:
            continue
        direction = space.readouts[at]
        settle = Settle(bank, space, given, replace(clue, way=recipe, readout=direction), same=same_order, known=best)
        if not given.among_texts and settle.refuted(recipe):
            continue
        other = settle.held(recipe)
        if other is None or not other.explained[best.explained].all():
            continue
        whole = np.zeros(len(SENTINELS))
        whole[[SENTINELS.index(text) for text in short]] = differ(checkpoint, short, best.recipe, other.recipe)
        twin = Twin(other.recipe, whole)
        # what was close enough for a first look is held against the rounding that was measured
        if twin.same or proof(checkpoint, bank.texts, other.recipe, given, rows).explained.all():
            found.append(twin)
    return found


def suggestions(doubtful: Sequence[Twin]) -> tuple[str, ...]:
    """The fewest texts that tell all of them from the best recipe, each given with a longer one, because padding needs two."""
    left, chosen = list(doubtful), []
    while left:
        best = max(range(len(SENTINELS)), key=lambda at: (sum(twin.apart[at] > SAME for twin in left), -at))
        if not any(twin.apart[best] > SAME for twin in left):
            break
        chosen.append(SENTINELS[best])
        left = [twin for twin in left if twin.apart[best] <= SAME]
    if chosen and SENTINELS[-1] not in chosen:
        chosen.append(SENTINELS[-1])
    return tuple(chosen)


def _neighbours(recipe: Recipe, room: Room) -> Iterator[Recipe]:
    """One step away in what goes in, then in what is read."""
    for way in changes(recipe, room):
        condition = way.condition
        alone = condition.batch == "alone" and condition.padding == "longest"
        yield replace(way, condition=condition.replace(batch="whole")) if alone else way
    for pooling in () if isinstance(recipe.readout, Logits) else POOLINGS:
        if pooling not in (recipe.readout.pooling, "pooler") and recipe.readout.pooling != "pooler":
            yield replace(recipe, readout=replace(recipe.readout, pooling=pooling))


def _fitting(recipe: Recipe) -> tuple[str, ...]:
    """The sentinels that a recipe can run: a fixed padded length leaves no room for long ones."""
    padding = recipe.condition.padding
    most = padding if isinstance(padding, int) and recipe.condition.max_length == "model" else 10_000
    return tuple(text for text in SENTINELS if len(text) / 2 <= most) or SENTINELS[:1]
