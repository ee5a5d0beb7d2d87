"""Identifying: which recipe made given vectors of given texts."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from bertlens.judge.identification import Identification
from bertlens.judge.identify import answer, otherwise
from bertlens.judge.identify.asked import Asked
from bertlens.judge.identify.changes import Room, prompts
from bertlens.judge.identify.confirm import LEAST, Confirmed, confirmed
from bertlens.judge.identify.doubt import twins
from bertlens.judge.identify.given import Given, given
from bertlens.judge.identify.labels import in_column, labels, probes_for
from bertlens.judge.identify.search import Clue, Search
from bertlens.judge.identify.settle import Settle, Settled
from bertlens.judge.identify.space import Space
from bertlens.read.bank import Asked as Row
from bertlens.read.bank import Bank, way_of
from bertlens.read.logits import Logits
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

FEW = 3
"""Texts whose differences are compared first where the mean over all was removed."""

MOST_TOGETHER = 64
"""Texts that are run together where vectors were centred or scaled over all of them."""

MOST_CLUES = 24
"""Clues that are settled on all texts before the search is given up."""

ROUNDS, COMMON = (0, 1, 2, 3, 4), (0, 1)
"""Changes that are made together in each round of the search, and those that are looked at before logits are alone."""

SOON = 3
"""Rounds after which dropout is looked for, before recipes of more changes are."""

SEARCHING = 0.55
"""Share of the budget for the search; a mean that may be hidden, and what is said where nothing is found, come after it."""

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
    whole = as_texts(texts)
    known = given(in_column(vectors.values if isinstance(vectors, Foreign) else vectors, len(whole)))
    of_head = labels(checkpoint, known)
    bank = Bank(checkpoint, whole, progress, head=of_head.head)
    lengths = [int(tokens) for tokens in bank.lengths(ORDINARY)[:, 1]]
    shortest = min(range(len(whole)), key=lengths.__getitem__)
    bank.read([Row(ORDINARY, shortest, lengths[shortest])])
    room = Room.of(checkpoint, lengths, prompts(_declared(checkpoint), prefixes))
    space = _space(bank, known, of_head.readouts)
    asked = Asked(checkpoint, whole, known, bank, space, room, of_head.note)
    if space.empty:
        return otherwise.nothing_fits(asked, [])
    asked.deadline, asked.latest = asked.started + SEARCHING * budget, asked.started + budget
    found, clues, nearest = None, list[Clue](), list[Clue]()
    for staged, rounds, compared in _stages(asked, lengths):
        if found is not None and staged.given is not asked.given:
            continue
        search = replace(staged, given=compared).search(_probes(compared, lengths), progress)
        found = _better(found, _best(staged, search, rounds[:SOON], lengths, progress))
        if found is None and compared is asked.given and (told := otherwise.soon(asked, search.clues, progress)):
            return told
        if rounds[SOON:] and not (found is not None and found.proven.explained.all()):
            found = _better(found, _best(staged, search, rounds[SOON:], lengths, progress))
        clues = search.clues
        nearest = nearest if compared is not asked.given else clues
        if found is not None and (staged.given is not asked.given or found.proven.explained.all()):
            asked.given, asked.space = staged.given, staged.space
            break
    asked.ended = time.monotonic()
    if found is None:
        return otherwise.by_chance(asked, nearest, progress) or otherwise.nothing_fits(asked, nearest)
    doubtful = twins(
        bank, asked.space, asked.given, found.clue, found.settled, asked.room, found.rows, same_order=asked.same_count
    )
    return answer.answered(asked, found.proven, found.rows, doubtful, clues)


def _hidden_mean(asked: Asked) -> Asked | None:
    """The same, supposing that a mean over texts was removed: a division by the length, lost signs or missing rows hide it."""
    known, there = asked.given, len(asked.texts)
    missing = there - len(known.values)
    hidden = missing > 0 or known.unit or known.sign == "removed"
    if known.among_texts or known.dims == 1 or not hidden or not 3 <= there <= MOST_TOGETHER or missing < 0:
        return None
    supposed = replace(known, centred="texts")
    return replace(asked, given=supposed, space=_space(asked.bank, supposed, ()))


def _space(bank: Bank, known: Given, logits: Sequence[Logits], *, alone: bool = False) -> Space:
    """What is read: every readout that gives so many components, or the logits alone."""
    facts, size = bank.checkpoint.architecture, float(np.sqrt((known.values[known.usable] ** 2).mean()))
    return Space(
        bank.states,
        facts.layers,
        facts.hidden,
        known.dims,
        pooler=facts.pooler,
        apart=known.among_texts,
        logits=logits,
        size=size,
        alone=alone,
    )


def _stages(asked: Asked, lengths: Sequence[int]) -> Iterator[tuple[Asked, Sequence[int], Given]]:
    """What is searched, how many changes are made together, and the vectors that the search compares with.

    Where the vectors may be logits, these come alone before the rare changes of all readouts: of few components some readout
    is near by chance, and a search that goes on from it goes astray. A mean that was removed unseen is supposed early where
    the vectors look like it, and at last wherever it can be.
    """
    known, hidden, whole = asked.given, _hidden_mean(asked), asked.deadline - asked.started
    halfway = (asked.started + asked.deadline) / 2
    if asked.space.logits:
        if known.dims > 1:
            yield asked, COMMON, known
        yield replace(asked, space=_space(asked.bank, known, asked.space.logits, alone=True), deadline=halfway), ROUNDS, known
    elif hidden is not None and known.without_middle:
        yield asked, COMMON, known
        yield replace(hidden, deadline=time.monotonic() + whole / 4), COMMON, hidden.given
    elif (few := _differences(asked, lengths)) is not None:
        yield replace(asked, deadline=halfway), ROUNDS, few
    if not (asked.space.logits and known.dims == 1):  # a single number is near whatever is scaled
        yield asked, ROUNDS, known
    if hidden is not None:
        yield replace(hidden, deadline=time.monotonic() + whole / 4), ROUNDS, hidden.given


def _differences(asked: Asked, lengths: Sequence[int]) -> Given | None:
    """The rows of a few texts without the mean of these, where the mean of all was removed and nothing was done after it.

    Their differences are the same, and a few short texts are run sooner than all. The other rows are left out.
    """
    known = asked.given
    if known.centred != "texts" or known.unit or known.sign or known.store or not asked.same_count:
        return None
    few = [text for text in sorted(range(len(lengths)), key=lengths.__getitem__) if known.usable[text]][:FEW]
    if len(few) < FEW:
        return None
    values = np.full_like(known.values, np.nan)
    values[few] = known.values[few] - known.values[few].mean(0)
    return replace(known, values=values, usable=np.isin(np.arange(len(values)), few))


def _best(asked: Asked, search: Search, rounds: Sequence[int], lengths: Sequence[int], progress: Progress) -> Confirmed | None:
    """The clue that explains most rows once it is settled, and still does when all texts are run.

    One row may be explained by chance, and what the search takes for rounding may turn out to be none.
    """
    best: tuple[Clue, Settled] | None = None
    for tried, clue in enumerate(search.run(ORDINARY, rounds)):
        settled = _settled(asked, clue, lengths, search.clues, progress)
        if settled.explained.any() and (best is None or settled.explained.sum() > best[1].explained.sum()):
            best = clue, settled
        if best and best[1].explained.sum() == _with_rows(asked, best[1]):
            if (found := confirmed(asked, *best, progress)).holds:
                return found
            best = None
        if tried >= MOST_CLUES:
            break
    if best is None or best[1].explained.sum() < LEAST * _with_rows(asked, best[1]):
        return None
    found = confirmed(asked, *best, progress)
    return found if found.holds else None


def _better(one: Confirmed | None, other: Confirmed | None) -> Confirmed | None:
    """The one that explains more rows, the first of equals."""
    return max(filter(None, (one, other)), key=lambda found: found.count, default=None)


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
        search = asked.search(probes, progress)
        other = next(search.run(clue.way, (0, 1, 2)), None)
        clues += search.clues
        if other is None:
            break
        again = Settle(asked.bank, asked.space, asked.given, other, same=asked.same_count, progress=progress).run()
        if again.explained.sum() <= best.explained.sum():
            break
        best, clue = again, other
    return best


def _probes(known: Given, lengths: Sequence[int]) -> list[int]:
    """The texts that recipes are tried on: the shortest; all, where what was done to vectors mixes those of all texts."""
    order = sorted(range(len(lengths)), key=lengths.__getitem__)
    if known.among_texts and len(known.values) < len(lengths):  # any text may be the one without a row
        return order[:MOST_TOGETHER]
    if known.among_texts:
        return [text for text in order if text < len(known.usable) and known.usable[text]][:MOST_TOGETHER] or order
    few = probes_for(known, PROBES)
    missing = len(lengths) - int(known.usable.sum())
    if missing > 0:  # any text may be the one without a row
        return order[: min(few + missing, MOST_PROBES)]
    return [text for text in order if text < len(known.values) and known.usable[text]][:few] or order[:few]


def _declared(checkpoint: Checkpoint) -> list[str]:
    """The prompts that sentence-transformers would put before a text."""
    root = documents.root_of(checkpoint.folder, checkpoint.name)
    stated = documents.read(checkpoint.folder, root)["config_sentence_transformers.json"]
    listed = stated.get("prompts")
    return [prompt for prompt in (listed.values() if isinstance(listed, dict) else ()) if isinstance(prompt, str) and prompt]
