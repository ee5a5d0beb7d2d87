"""Search: from the ordinary recipe outwards, one change at a time, until some row is explained.

Only a few short texts are run. A row depends on no other row, so a single explained row settles the way into the model and the
readout; what remains (batches, truncation of longer texts, order) is settled on the other texts afterwards.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice

import numpy as np

from bertlens.judge.identify.changes import LENGTHS, Room, batches, changes, moves, padded, to_longest, truncations
from bertlens.judge.identify.fit import Fit, fit
from bertlens.judge.identify.given import Given
from bertlens.judge.identify.half import in_half
from bertlens.judge.identify.lengths import CUTS, LIKELY, left_over, nearest_length
from bertlens.judge.identify.match import Match, assigned, match, similarity, transforms_of
from bertlens.judge.identify.space import Space
from bertlens.read.bank import Asked, Bank, Row
from bertlens.read.post import unit
from bertlens.read.readout import Readout
from bertlens.read.recipe import Recipe
from bertlens.run.progress import Progress, silent

BEAM, WIDE = 8, 24
"""Recipes of each round from which the next one goes on; more where few numbers say little of which is nearer."""

AT_ONCE = 12
"""Recipes that are run before the best of them is looked at."""

MANY = 512
"""Rows among which every recipe looks for its own; of more, only where the first recipe does not find them in their places."""

MOST_CHANGES = 4
"""Changes that are made together in the last round: one of them is to pad at all, where the padding has a part."""

AGAIN = (2, 3, 4)
"""Rounds that are gone through once more from more recipes, where time is left and nothing was found."""

ALIKE = 2
"""Recipes with the same limit that the search goes on from: a few tokens of each text look alike whatever is done to them."""

NARROWED = 3
"""Recipes from which the last round goes on: three changes that are right come far nearer than any others."""

ROUGHLY = 0.1
"""Sine to which directions come near that are known to be cut, divided by the length, centred or stretched in some order."""

CLOSE = 0.35
"""Below this sine half precision may be the reason for what is left: a small model amplifies it."""


@dataclass(frozen=True)
class Clue:
    """A recipe's way into the model with its nearest readout.

    Attributes
    ----------
    score : mean logarithm of the sine of the angle to the given rows.
    explained : the probes whose rows it explains, with the padded length of each.
    probes, rows : the texts it was tried on, and the row that each came nearest to.
    """

    way: Recipe
    readout: Readout
    score: float
    probes: tuple[int, ...]
    rows: tuple[int, ...]
    explained: dict[int, int] = field(default_factory=dict)


class Search:
    """The search over a bank of rows for given vectors; `clues` is what was tried."""

    def __init__(
        self,
        bank: Bank,
        space: Space,
        given: Given,
        probes: Sequence[int],
        room: Room,
        *,
        deadline: float,
        progress: Progress = silent,
    ) -> None:
        self.bank, self.space, self.given, self.room = bank, space, given, room
        self.probes, self.deadline, self.progress = tuple(probes), deadline, progress
        self._anywhere = len(given.values) <= MANY
        self.transforms = transforms_of(given)
        self.clues: list[Clue] = []
        self._seen: set[tuple[bytes, ...]] = set()
        self._scanned: set[Recipe] = set()
        self._batches: set[Recipe] = set()
        self.grain = given.grain

    @property
    def missing(self) -> int:
        """How many texts have no row."""
        return max(0, len(self.bank.texts) - int(self.given.usable.sum()))

    def run(self, start: Recipe, depths: Sequence[int]) -> Iterator[Clue]:
        """Every clue that explains a row, as it is found; ends when time or recipes have run out.

        Parameters
        ----------
        depths : how many changes are made together, 0 for the start alone; a later call goes on where an earlier one ended.
        """
        few = WIDE if set(self.space.readouts) <= set(self.space.logits) else BEAM
        whole = depths[-1] == MOST_CHANGES
        beams = [(depth, NARROWED if depth == MOST_CHANGES else few) for depth in depths]
        for depth, beam in (*beams, *((depth, WIDE) for depth in AGAIN if whole and few < WIDE)):
            ways = self._next([clue.way for clue in self._leaders(beam)]) if depth else iter([start])
            yield from self._round(ways, depth)
            if depth:
                yield from self._refine()
            if time.monotonic() > self.deadline:
                return
            if whole and depth == MOST_CHANGES and beam == NARROWED:
                yield from left_over(self, self._scanned)
        if whole:
            yield from self._polished()

    def _polished(self) -> Iterator[Clue]:
        """At last one change of the nearest recipe at a time, as long as that brings another one nearer."""
        done: set[Recipe] = set()
        while (leaders := self._leaders(1)) and leaders[0].way not in done and time.monotonic() < self.deadline:
            done.add(leaders[0].way)
            yield from self._round(changes(leaders[0].way, self.room), MOST_CHANGES)
            yield from self._refine()

    def _next(self, frontier: Sequence[Recipe]) -> Iterator[Recipe]:
        if not frontier:  # the start cannot be run
            return
        # one text that is not cut is enough, unless all of them are needed at once, or several; any may have no row
        whole = self.probes if self.given.among_texts or self.space.logits else self.probes[: 1 + self.missing]
        length = self.bank.longest(frontier[0], whole)
        for way in frontier:
            yield from changes(way, self.room)
            yield from truncations(way, length, every=64 if way == frontier[0] else CUTS)

    def _leaders(self, count: int) -> list[Clue]:
        """The nearest clues, one for each that differs in more than the padded length or comes to the same.

        Of those that are as near within rounding, the one that was tried first: what people do most.
        """
        kept: dict[tuple[float, Readout], Clue] = {}
        for clue in self.clues:
            kept.setdefault((round(clue.score, 4), clue.readout), clue)
        best: dict[Recipe, Clue] = {}
        cut: Counter[int | str] = Counter()
        for clue in sorted(kept.values(), key=lambda clue: round(clue.score, 2)):
            way = to_longest(clue.way) if padded(clue.way) else clue.way
            limit = clue.way.condition.max_length
            if way not in best and (limit == "model" or cut[limit] < ALIKE):
                best[way] = clue
                cut[limit] += 1
        return list(best.values())[:count]

    def _round(self, ways: Iterator[Recipe], depth: int) -> Iterator[Clue]:
        """Try recipes, a few at a time."""
        while part := list(islice(ways, AT_ONCE)):
            self.progress(len(self.clues), 0, f"recipes with {depth} change{'s' * (depth != 1)} compared")
            yield from (clue for clue in self.look(part) if clue.explained)
            if time.monotonic() > self.deadline:
                return

    def look(self, ways: Sequence[Recipe]) -> list[Clue]:
        """Run recipes on the probes and say what comes nearest; recipes that put in what was put in before are left out."""
        ways = [way for way in ways if self.bank.cuts(way, self.probes)]
        widths = [self.widths(way) for way in ways]
        asked = [
            Asked(way, probe, width)
            for way, row in zip(ways, widths, strict=True)
            for probe, width in zip(self.probes, row, strict=True)
        ]
        rows = self.bank.read(asked)
        found = []
        for at, way in enumerate(ways):
            part = rows[at * len(self.probes) : (at + 1) * len(self.probes)]
            whole = [row for row in part if row is not None]
            key = tuple(row.key for row in whole)
            if len(whole) < len(part) or key in self._seen:
                continue
            self._seen.add(key)
            found.append(self._clue(way, whole, widths[at]))
            self.clues.append(found[-1])
        return found

    def widths(self, way: Recipe) -> list[int]:
        """The padded length of each probe."""
        if isinstance(way.condition.padding, int):
            return [way.condition.padding] * len(self.probes)
        if way.condition.batch == "alone":
            return [len(row.ids) for row in self.bank.tokens(way, self.probes)]
        widths = self.bank.widths(way)
        return [widths[probe] for probe in self.probes]

    def _clue(self, way: Recipe, rows: Sequence[Row], widths: Sequence[int]) -> Clue:
        found, plain = self.match(rows), None
        for at in found.best(3):
            clue = Clue(way, self.space.readouts[at], float(found.scores[at]), self.probes, tuple(map(int, found.rows[:, at])))
            explained = self._explained(found, at, rows, widths)
            if self._crowded([row for probe, row in zip(self.probes, clue.rows, strict=True) if probe in explained]):
                clue, explained = replace(clue, score=0.0), {}
            # one text's logits are so few numbers that some recipe comes near them by chance
            if len(explained) >= (min(2, len(rows)) if self.space.readouts[at] in self.space.logits else 1):
                return replace(clue, explained=explained)
            plain = clue if plain is None or clue.score < plain.score else plain
        assert plain is not None, "some readout is compared"
        return plain

    def _crowded(self, rows: Sequence[int]) -> bool:
        """Whether a row explains more texts than there are rows like it: a recipe that sees no text gives one vector.

        Where all texts are explained together, each was given a row of its own.
        """
        if self.given.among_texts or len(set(rows)) == len(rows):
            return False
        known = unit(self.given.values)
        alike = {row: int((np.abs(known - known[row]).max(1) <= 6 * self.grain + 1e-5).sum()) for row in set(rows)}
        return any(count > alike[row] for row, count in Counter(rows).items())

    def _explained(self, found: Match, at: int, rows: Sequence[Row], widths: Sequence[int]) -> dict[int, int]:
        """The probes whose rows a readout explains."""
        together = self.given.among_texts
        near = np.flatnonzero(found.any[:, at] <= 6 * self.grain + (ROUGHLY if together else 2e-3))
        if not near.size:
            return {}
        groups = [list(range(len(rows)))] if together else [[int(probe)] for probe in near]
        explained: dict[int, int] = {}
        for group in groups:
            targets: Sequence[int | None] = list(map(int, found.rows[group, at]))
            if together and len(self.given.values) < len(rows):
                targets = assigned(similarity(rows, at, self.space, self.given, self.probes))
            one = self.fit(self.space.readouts[at], [rows[probe] for probe in group], targets)
            explained |= {self.probes[probe]: widths[probe] for probe, fits in zip(group, one.fits(), strict=True) if fits}
        return explained

    def match(self, rows: Sequence[Row]) -> Match:
        """The rows of the probes against the given ones, under every readout."""
        found = match(self.space, rows, self.given, self.probes, self.transforms, anywhere=self._anywhere or not self.clues)
        if not self.clues and not self._anywhere:  # many rows: whether they stand in their places
            best = found.best(1)[0]
            self._anywhere = bool((found.rows[:, best] != np.array(self.probes)).all())
        return found

    def fit(self, readout: Readout, rows: Sequence[Row], targets: Sequence[int | None]) -> Fit:
        """What was done to the vectors of a readout that makes of rows those at `targets`, None where there is none."""
        return fit(readout, self.bank.pooled(rows), self.given.at(targets), self.given)

    def _refine(self) -> Iterator[Clue]:
        """What a round leaves open in its best recipes: half precision, and the length to which rows were padded."""
        for clue in self._leaders(3):
            if clue.score < np.log(CLOSE) and (found := in_half(self, clue)):
                self.clues.append(found)
                yield found
        if self.given.among_texts:  # no row explains anything by itself, the cut ones included
            for clue in self._leaders(2):
                yield from self.cut(clue)
            yield from self._batched()
        moving = [clue for clue in self._leaders(4 * BEAM) if padded(clue.way) and moves(clue.way.condition, clue.readout)]
        for clue in [clue for clue in moving[:3] if clue is moving[0] or clue.score < np.log(LIKELY)]:
            if to_longest(clue.way) in self._scanned:
                continue
            yield from nearest_length(self, clue)
            self._scanned.add(to_longest(clue.way))
            if time.monotonic() > self.deadline:
                return

    def _batched(self) -> Iterator[Clue]:
        """The nearest recipe to which neighbours matter, in batches of every size and order of arrival."""
        near = (clue for clue in self._leaders(BEAM) if padded(clue.way) and moves(clue.way.condition, clue.readout))
        way = next((to_longest(clue.way) for clue in near), None)
        if way is not None and way not in self._batches:
            self._batches.add(way)
            yield from (found for found in self.look(list(batches(way, len(self.bank.texts)))) if found.explained)

    def cut(self, clue: Clue) -> Iterator[Clue]:
        """Every limit between the common ones around that of a recipe."""
        limit = clue.way.condition.max_length
        if not isinstance(limit, int):
            return
        first = max((one for one in LENGTHS if one < limit), default=1)
        last = min((one for one in LENGTHS if one > limit), default=limit)
        condition = clue.way.condition
        ways = [replace(clue.way, condition=condition.replace(max_length=one)) for one in range(first + 1, last)]
        yield from (found for found in self.look(ways) if found.explained)
