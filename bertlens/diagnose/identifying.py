"""Identifying: which recipe made given vectors of given texts."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from bertlens.judge.identification import Identification
from bertlens.judge.identify import answer, otherwise
from bertlens.judge.identify.asked import Asked
from bertlens.judge.identify.changes import Room, prompts
from bertlens.judge.identify.doubt import simplest, twins
from bertlens.judge.identify.given import Given, given
from bertlens.judge.identify.match import assigned
from bertlens.judge.identify.proof import Proof, proof
from bertlens.judge.identify.search import NARROW, Clue, Search
from bertlens.judge.identify.settle import Settle, Settled
from bertlens.judge.identify.space import Space
from bertlens.read.bank import Asked as Row
from bertlens.read.bank import Bank, way_of
from bertlens.read.post import unit
from bertlens.read.recipe import read_out
from bertlens.run import documents
from bertlens.run.foreign import Foreign
from bertlens.run.progress import Progress, silent
from bertlens.run.texts import as_texts

if TYPE_CHECKING:
    from bertlens.run.checkpoint import Checkpoint

PROBES = 2
"""Texts that every recipe is tried on first, the shortest ones."""

MOST_PROBES = 12
"""Texts that every recipe is tried on at most, where some have no row."""

MOST_TOGETHER = 64
"""Texts that are run together where vectors were centred or scaled over all of them."""

MOST_CLUES = 24
"""Clues that are settled on all texts before the search is given up."""

ROUNDS = (0, 1, 2, 3)
"""Changes that are made together in each round of the search."""

LEAST = 0.5
"""Share of the rows that a recipe must explain to be named."""

ORDINARY = way_of("batch=alone")
"""Where the search starts: what a careful person does."""


def identify(
    checkpoint: Checkpoint,
    texts: Sequence[Any] | str,
    vectors: Any,
    *,
    prefixes: Sequence[str] = (),
    budget: float = 60.0,
    progress: Progress = silent,
) -> Identification:
    """Say which recipe made the vectors: condition, readout, post-processing and order, or that none was found.

    Parameters
    ----------
    vectors : (rows, dims) of any number format, or what `read_vectors` gives; one row per text in any order, some may miss.
    prefixes : texts that may stand before each text, besides those that the checkpoint declares and those of published models.
    budget : seconds for the search; what follows (all texts under the recipe that was found) takes what it takes.

    Raises
    ------
    BertlensError
        For texts that cannot be run, or vectors that are no table of numbers.
    """
    known, whole = given(vectors.values if isinstance(vectors, Foreign) else vectors), as_texts(texts)
    bank, facts = Bank(checkpoint, whole, progress), checkpoint.architecture
    lengths = [int(tokens) for tokens in bank.lengths(ORDINARY)[:, 1]]
    shortest = min(range(len(whole)), key=lengths.__getitem__)
    bank.read([Row(ORDINARY, shortest, lengths[shortest])])
    space = Space(bank.states, facts.layers, facts.hidden, known.dims, pooler=facts.pooler, apart=known.among_texts)
    asked = Asked(checkpoint, whole, known, bank, space, Room.of(checkpoint, lengths, prompts(_declared(checkpoint), prefixes)))
    if space.empty:
        return otherwise.nothing_fits(asked, [])
    asked.deadline = asked.started + 0.8 * budget
    search = _search(asked, _probes(known, lengths), progress)
    found = _best(asked, search, lengths, progress)
    asked.ended = time.monotonic()
    if found is None and (hidden := _hidden_mean(asked, lengths)) is not None:
        again = _search(hidden, _probes(hidden.given, lengths), progress)
        if (found := _best(hidden, again, lengths, progress)) is not None:
            asked, search, known = hidden, again, hidden.given
    if found is None:
        return otherwise.by_chance(asked, search.clues, progress) or otherwise.nothing_fits(asked, search.clues)
    clue, settled = found
    rows = _every_row(asked, settled)
    best = simplest(
        checkpoint, settled.recipe, tuple(whole[text] for text in sorted(range(len(whole)), key=lengths.__getitem__)[:4])
    )
    proven = proof(checkpoint, whole, best, known, rows, progress)
    if known.double and proven.double:
        best = replace(best, condition=best.condition.replace(dtype="float64"))
        proven = proof(checkpoint, whole, best, known, rows, progress)
    elif not proven.explained.all():
        proven = _in_half(asked, proven, clue, replace(settled, recipe=best), progress)
    if proven.explained.mean() < LEAST:
        return otherwise.nothing_fits(asked, search.clues)
    doubtful = twins(
        asked.bank, space, known, clue, replace(settled, recipe=best), asked.room, rows, same_order=asked.same_count
    )
    return answer.answered(asked, proven, rows, doubtful, search.clues)


def _hidden_mean(asked: Asked, lengths: Sequence[int]) -> Asked | None:
    """The same, supposing that a mean over texts was removed: a division by the length or lost signs hide it."""
    known, there = asked.given, len(asked.texts)
    if (
        known.among_texts
        or not (known.unit or known.sign == "removed")
        or not 3 <= there <= MOST_TOGETHER
        or not asked.same_count
    ):
        return None
    supposed = replace(known, centred="texts")
    facts = asked.checkpoint.architecture
    space = Space(asked.bank.states, facts.layers, facts.hidden, known.dims, pooler=facts.pooler, apart=True)
    return replace(asked, given=supposed, space=space, deadline=time.monotonic() + (asked.deadline - asked.started) / 4)


def _search(asked: Asked, probes: Sequence[int], progress: Progress) -> Search:
    return Search(asked.bank, asked.space, asked.given, probes, asked.room, deadline=asked.deadline, progress=progress)


def _best(asked: Asked, search: Search, lengths: Sequence[int], progress: Progress) -> tuple[Clue, Settled] | None:
    """The clue that explains most rows once it is settled; one row may be explained by chance."""
    best: tuple[Clue, Settled] | None = None
    for tried, clue in enumerate(search.run(ORDINARY, ROUNDS)):
        settled = _settled(asked, clue, lengths, search.clues, progress)
        if settled.explained.any() and (best is None or settled.explained.sum() > best[1].explained.sum()):
            best = clue, settled
        if best and best[1].explained.sum() == _with_rows(asked, best[1]):
            return best
        if tried >= MOST_CLUES:
            break
    return best if best and best[1].explained.sum() >= LEAST * _with_rows(asked, best[1]) else None


def _with_rows(asked: Asked, settled: Settled) -> int:
    """How many of the texts that decided have a usable row."""
    return sum(row is not None and bool(asked.given.usable[row]) for row in settled.rows)


def _settled(asked: Asked, clue: Clue, lengths: Sequence[int], clues: list[Clue], progress: Progress) -> Settled:
    """The clue on the other texts; where some are left over that another change explains as well, with that change."""
    best = Settle(asked.bank, asked.space, asked.given, clue, same=asked.same_count, progress=progress).run()
    for _ in range(2):
        left = [
            text for text, row, fits in zip(best.texts, best.rows, best.explained, strict=True) if row is not None and not fits
        ]
        left = [text for text in left if asked.given.usable[best.rows[best.texts.index(text)] or 0]]
        if not left or time.monotonic() > asked.deadline:
            break
        probes = sorted(left, key=lengths.__getitem__)[:PROBES]
        search = _search(asked, probes, progress)
        other = next(search.run(clue.way, (0, 1, 2)), None)
        clues += search.clues
        if other is None:
            break
        again = Settle(asked.bank, asked.space, asked.given, other, same=asked.same_count, progress=progress).run()
        if again.explained.sum() <= best.explained.sum():
            break
        best, clue = again, other
    return best


def _in_half(asked: Asked, proven: Proof, clue: Clue, settled: Settled, progress: Progress) -> Proof:
    """The same recipe run in half precision, where that explains more: coarse storage hides it from the search."""
    if proven.recipe.condition.dtype != "float32":
        return proven
    for dtype in NARROW:
        way = replace(settled.recipe, condition=settled.recipe.condition.replace(dtype=dtype))
        settle = Settle(asked.bank, asked.space, asked.given, clue, same=asked.same_count, known=settled)
        if (half := settle.held(way)) is None:
            continue
        rows = _every_row(asked, half)
        other = proof(asked.checkpoint, asked.texts, half.recipe, asked.given, rows, progress)
        if other.explained.sum() > proven.explained.sum():
            return other
    return proven


def _probes(known: Given, lengths: Sequence[int]) -> list[int]:
    """The texts that recipes are tried on: the shortest; all, where what was done to vectors mixes those of all texts."""
    order = sorted(range(len(lengths)), key=lengths.__getitem__)
    if known.among_texts:
        return order[:MOST_TOGETHER]
    missing = len(lengths) - int(known.usable.sum())
    if missing > 0:  # any text may be the one without a row
        return order[: min(PROBES + missing, MOST_PROBES)]
    return [text for text in order if text < len(known.values) and known.usable[text]][:PROBES] or order[:PROBES]


def _every_row(asked: Asked, settled: Settled) -> tuple[int | None, ...]:
    """The row of every text, also of those that did not decide."""
    count, there = len(asked.texts), len(asked.given.values)
    if len(settled.texts) == count:
        return settled.rows
    own = tuple(text if text < there else None for text in range(count))
    if all(text == row for text, row in zip(settled.texts, settled.rows, strict=True)):
        return own
    vectors = unit(settled.recipe.post.before_storing(read_out(asked.checkpoint, asked.texts, settled.recipe)))
    rows = unit(asked.given.values)
    if count * there <= 25_000_000:
        return tuple(assigned(vectors @ rows.T))
    nearest = [int((rows @ vector).argmax()) for vector in vectors]
    return tuple(nearest)


def _declared(checkpoint: Checkpoint) -> list[str]:
    """The prompts that sentence-transformers would put before a text."""
    root = documents.root_of(checkpoint.folder, checkpoint.name)
    stated = documents.read(checkpoint.folder, root)["config_sentence_transformers.json"]
    listed = stated.get("prompts")
    return [prompt for prompt in (listed.values() if isinstance(listed, dict) else ()) if isinstance(prompt, str) and prompt]
