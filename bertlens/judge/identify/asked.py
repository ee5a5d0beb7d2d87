"""Asked: what is to be identified with what a search keeps, and how candidates and rows are listed."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import TYPE_CHECKING, Any

import numpy as np

from bertlens.judge.identification import Candidate, Identification
from bertlens.judge.identify.changes import Room, changes, padded_to
from bertlens.judge.identify.fit import ROUGH, fit
from bertlens.judge.identify.given import Given
from bertlens.judge.identify.search import Clue, Search
from bertlens.judge.identify.space import Space
from bertlens.read.bank import Asked as Row
from bertlens.read.bank import Bank
from bertlens.read.logits import Logits
from bertlens.read.recipe import Recipe
from bertlens.run.environment import environment
from bertlens.run.progress import Progress
from bertlens.run.texts import Texts

if TYPE_CHECKING:
    from bertlens.run.checkpoint import Checkpoint

SHOWN = 24
"""Recipes that are listed besides the best one."""

AROUND = 16
"""Changes of what goes into the model that are listed beside the recipe that was found."""

NO_TIME = "The search ended because its time was over, before every recipe was tried; a larger budget tries more."


@dataclass
class Asked:
    """What is to be identified, with what the search keeps.

    Attributes
    ----------
    note : what was not compared, and why.
    started, deadline, latest, ended : of `time.monotonic`: when the search began, has to end, when what follows has to end,
        and when the search ended.
    """

    checkpoint: Checkpoint
    texts: Texts
    given: Given
    bank: Bank
    space: Space
    room: Room
    note: str = ""
    started: float = field(default_factory=time.monotonic)
    deadline: float = 0.0
    latest: float = float("inf")
    ended: float = 0.0

    @property
    def out_of_time(self) -> bool:
        """Whether the time of the search was over before it ended."""
        return 0 < self.deadline < self.ended

    @property
    def same_count(self) -> bool:
        """Whether there are as many rows as texts."""
        return len(self.given.values) == len(self.texts)

    def search(self, texts: Sequence[int], progress: Progress, *, deadline: float | None = None) -> Search:
        """A search on some of the texts, by default for all the time that there is."""
        until = self.deadline if deadline is None else deadline
        return Search(self.bank, self.space, self.given, texts, self.room, deadline=until, progress=progress)


def identification(asked: Asked, **parts: Any) -> Identification:
    """The answer, with what is known of every one: the vectors, the versions, and how much was run."""
    return Identification(
        checkpoint=asked.checkpoint.to_dict(),
        vectors=asked.given.facts(),
        notes=tuple(filter(None, (asked.note, NO_TIME if asked.out_of_time else ""))),
        environment=environment(asked.texts, asked.checkpoint.device, 0),
        passes=asked.bank.passed,
        seconds=time.monotonic() - asked.started,
        **parts,
    )


def candidates(asked: Asked, clues: Sequence[Clue], without: Sequence[Recipe]) -> list[Candidate]:
    """The nearest clues as candidates on the texts that they were tried on, each readout of a way once."""
    known, found = {recipe.words for recipe in without}, []
    for clue in sorted(clues, key=lambda clue: clue.score):
        if clue.explained and without:
            continue
        one = _candidate(asked, clue)
        if one is not None and one.recipe.words not in known:
            known.add(one.recipe.words)
            found.append(one)
        if len(found) >= SHOWN:
            break
    return found


def around(asked: Asked, recipe: Recipe, rows: Sequence[int | None]) -> list[Candidate]:
    """Recipes one step from the one that was found, on two short texts: what else could have been meant, and was not."""
    place = asked.space.direction(recipe.readout)
    there = [text for text, row in enumerate(rows) if row is not None and asked.given.usable[row]]
    if place is None or asked.given.among_texts:
        return []
    lengths = asked.bank.lengths(recipe)[:, 1]
    probes = tuple(sorted(there, key=lambda text: int(lengths[text]))[:2])
    targets, near = tuple(int(rows[text] or 0) for text in probes), asked.space.readouts[place]
    readouts = [one for one in asked.space.readouts if (one.layers == near.layers) != (one.pooling == near.pooling)]
    if isinstance(near, Logits):
        readouts = [one for one in asked.space.logits if one != near]
    clues = [Clue(recipe, readout, 0.0, probes, targets) for readout in readouts]
    clues += [Clue(way, near, 0.0, probes, targets) for way in islice(changes(recipe, asked.room), AROUND)]
    found = [_candidate(asked, clue) for clue in clues if asked.bank.cuts(clue.way, probes)]
    return [one for one in found if one is not None and not one.explained]


def _candidate(asked: Asked, clue: Clue) -> Candidate | None:
    condition = clue.way.condition
    wide = padded_to(asked.bank, clue.way, clue.readout, clue.probes)
    rows = asked.bank.read([Row(clue.way, text, wide[text]) for text in clue.probes])
    whole = [row for row in rows if row is not None]
    if len(whole) < len(rows):
        return None
    one = fit(clue.readout, asked.bank.pooled(whole), asked.given.values[list(clue.rows)], asked.given)
    alone = condition.batch == "alone" and condition.padding == "longest"
    way = replace(clue.way, condition=condition.replace(batch="whole")) if alone and condition.mask == "on" else clue.way
    floor = float((ROUGH * one.size + one.post.coarseness(one.expected).max(1)).max())
    cosine = float(np.nanmean(one.cosine)) if np.isfinite(one.cosine).any() else float("nan")
    return Candidate(
        replace(way, readout=one.readout, post=one.post),
        float(one.error.max()),
        cosine,
        floor,
        bool(one.fits().all()),
        len(whole),
    )
