"""Lengths: the padded length under which a recipe comes nearest, where rows depend on it."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import replace
from itertools import islice
from typing import TYPE_CHECKING

import numpy as np

from bertlens.judge.identify.changes import LENGTHS, moves, padded, to_longest, truncations

if TYPE_CHECKING:
    from bertlens.judge.identify.search import Clue, Search
    from bertlens.read.recipe import Recipe

FARTHER = 2
"""Times the best padded length from which on longer ones are given up: they are only farther off."""

FEW_LENGTHS = 128
"""Tokens that a model takes up to which every padded length is tried in the end."""

REVISITED = 12
"""Recipes whose padded length is looked for after the last round."""

SCANNED = 4
"""Padded lengths that are run before the best of them is looked at."""

NARROW_GAP = 16
"""Padded lengths between two others that are all tried; of more, a part first."""

LIKELY = 0.6
"""Sine below which the padded length may be all that is wrong; other lengths of the best recipe are looked at anyway."""

CUTS = 24
"""Tokens of the text that is looked at up to which every limit is tried; of a longer one, the common limits."""


def nearest_length(search: Search, clue: Clue) -> Iterator[Clue]:
    """The usual padded lengths, then finer ones around the best of them: the nearer a length, the nearer the vectors."""
    length = search.bank.longest(clue.way, search.probes)
    lengths = {int(tokens) for tokens in search.bank.lengths(clue.way)[:, 1]}
    widths = sorted(width for width in {*LENGTHS, search.room.limit} | lengths if length <= width <= search.room.limit)
    tried: dict[int, float] = {}
    while widths:
        for found in _padded(search, clue.way, widths):
            width = int(found.way.condition.padding)
            tried[width] = found.score
            if found.explained:
                yield found
                return
            if width > FARTHER * min(tried, key=lambda one: tried[one]):
                break
        tried = {width: float("inf") for width in widths} | tried  # some cannot be run, or come to what was tried before
        widths = between(tried)
    if tried and min(tried, key=lambda one: tried[one]) == length:  # the shorter the nearer: it may have been cut
        cut = list(truncations(to_longest(clue.way), length, every=CUTS))
        yield from (found for found in search.look(cut) if found.explained)


def left_over(search: Search, done: Collection[Recipe]) -> Iterator[Clue]:
    """With time left, the padded length of recipes that were no leaders: those of fewest changes first."""
    unlike: dict[Recipe, Clue] = {}
    for clue in search.clues:
        if padded(clue.way) and moves(clue.way.condition, clue.readout) and clue.score < np.log(LIKELY):
            unlike.setdefault(to_longest(clue.way), clue)
    for clue in [clue for way, clue in unlike.items() if way not in done][:REVISITED]:
        yield from nearest_length(search, clue)
        if time.monotonic() > search.deadline:
            return
    # the nearest length need not lie beside the next nearest
    for clue in list(unlike.values())[:REVISITED] if search.room.limit <= FEW_LENGTHS else ():
        yield from (found for found in _padded(search, clue.way, range(2, search.room.limit + 1)) if found.explained)
        if time.monotonic() > search.deadline:
            return


def _padded(search: Search, way: Recipe, widths: Iterable[int]) -> Iterator[Clue]:
    """The same recipe padded to other lengths, a few at a time."""
    rest = iter([width for width in widths if search.bank.longest(way, search.probes) <= width])
    while part := list(islice(rest, SCANNED)):
        yield from search.look([replace(way, condition=way.condition.replace(padding=width)) for width in part])
        if time.monotonic() > search.deadline:
            return


def between(tried: Mapping[int, float]) -> list[int]:
    """Lengths between the best of those that were tried and its neighbours: every eighth of a wide gap, all of a narrow one."""
    if not tried:
        return []
    best, order = min(tried, key=lambda width: tried[width]), sorted(tried)
    at = order.index(best)
    low, high = order[max(at - 1, 0)], order[min(at + 1, len(order) - 1)]
    gap = [width for width in range(low + 1, high) if width not in tried]
    return gap if len(gap) <= NARROW_GAP else gap[:: len(gap) // 8]
