"""Confirm: a settled recipe as simple as it comes to, the row of every text, and the proof on all of them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import product

from bertlens.judge.identify.asked import Asked
from bertlens.judge.identify.doubt import simplest
from bertlens.judge.identify.half import NARROW
from bertlens.judge.identify.match import every_row
from bertlens.judge.identify.proof import Proof, proof
from bertlens.judge.identify.search import Clue
from bertlens.judge.identify.settle import Settle, Settled
from bertlens.read.logits import Logits
from bertlens.read.post import unit
from bertlens.read.recipe import read_out
from bertlens.run.progress import Progress

LEAST = 0.5
"""Share of the rows that a recipe must explain to be named."""

OTHER = {"sdpa": "eager", "eager": "sdpa"}
"""The other kind of attention."""

SHORT = 4
"""Texts on which recipes are held against each other to find the simplest that comes to the same."""


@dataclass(frozen=True)
class Confirmed:
    """A recipe that was run on all texts.

    Attributes
    ----------
    clue, settled : where it comes from; `settled.recipe` is the simplest that comes to the same.
    rows : the row of every text, None where there is none.
    proven : what it explains.
    """

    clue: Clue
    settled: Settled
    rows: tuple[int | None, ...]
    proven: Proof

    @property
    def holds(self) -> bool:
        """Whether enough rows are explained to name the recipe."""
        return bool(self.proven.explained.mean() >= LEAST)

    @property
    def count(self) -> int:
        """How many rows are explained."""
        return int(self.proven.explained.sum())


def confirmed(asked: Asked, clue: Clue, settled: Settled, progress: Progress) -> Confirmed:
    """Run a settled recipe on all texts, in float64 or half precision where that explains more."""
    checkpoint, whole, known = asked.checkpoint, asked.texts, asked.given
    rows, lengths = _every_row(asked, settled), asked.bank.lengths(settled.recipe)[:, 1]
    few = sorted(range(len(whole)), key=lambda text: int(lengths[text]))[:SHORT]
    settled = replace(settled, recipe=simplest(checkpoint, settled.recipe, tuple(whole[text] for text in few)))
    proven = proof(checkpoint, whole, settled.recipe, known, rows, progress)
    if known.double and proven.double:
        condition = settled.recipe.condition.replace(dtype="float64")
        settled = replace(settled, recipe=replace(settled.recipe, condition=condition))
        proven = proof(checkpoint, whole, settled.recipe, known, rows, progress)
    elif not proven.explained.all():
        proven = _in_half(asked, proven, clue, settled, progress)
    return Confirmed(clue, settled, rows, proven)


def _in_half(asked: Asked, proven: Proof, clue: Clue, settled: Settled, progress: Progress) -> Proof:
    """The same recipe run in half precision, where that explains more: coarse storage hides it from the search.

    There the two kinds of attention differ by as much as half precision moves a vector.
    """
    condition = settled.recipe.condition
    dtypes = {"float32": NARROW, "float64": ()}.get(condition.dtype, (condition.dtype,))
    for dtype, attention in product(dtypes, (condition.attention, OTHER[condition.attention])):
        way = replace(settled.recipe, condition=condition.replace(dtype=dtype, attention=attention))
        settle = Settle(asked.bank, asked.space, asked.given, clue, same=asked.same_count, known=settled)
        if way == settled.recipe or (half := settle.held(way)) is None:
            continue
        rows = _every_row(asked, half)
        other = proof(asked.checkpoint, asked.texts, half.recipe, asked.given, rows, progress)
        if other.explained.sum() > proven.explained.sum():
            return other
    return proven


def _every_row(asked: Asked, settled: Settled) -> tuple[int | None, ...]:
    """The row of every text, also of those that did not decide."""
    count, there = len(asked.texts), len(asked.given.values)
    if len(settled.texts) == count:
        return settled.rows
    own = tuple(text if text < there else None for text in range(count))
    if all(text == row for text, row in zip(settled.texts, settled.rows, strict=True)):
        return own
    vectors = settled.recipe.post.before_storing(read_out(asked.checkpoint, asked.texts, settled.recipe))
    rows = asked.given.values
    if isinstance(settled.recipe.readout, Logits):
        vectors, rows = asked.space.lifted(vectors), asked.space.lifted(rows)
    return tuple(every_row(unit(vectors), unit(rows)))
