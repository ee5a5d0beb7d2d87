"""Otherwise: the answer where no recipe explains the vectors: dropout, a linear map, another size, or nothing."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterator, Sequence
from itertools import zip_longest
from typing import Any

from bertlens.judge.findings import most_serious_first, named
from bertlens.judge.identification import Candidate, Held, Identification
from bertlens.judge.identify import order
from bertlens.judge.identify.accuse import accuse, of_vectors
from bertlens.judge.identify.asked import Asked, candidates, identification
from bertlens.judge.identify.chance import MOST, SEEDS, Dropout, dropped_out
from bertlens.judge.identify.changes import batches, moves, padded, to_longest
from bertlens.judge.identify.fit import ROUGH, fit
from bertlens.judge.identify.linear import linear
from bertlens.judge.identify.search import AT_ONCE, Clue, Search
from bertlens.judge.identify.settle import Settle
from bertlens.judge.wording import number
from bertlens.read.bank import Asked as Row
from bertlens.read.bank import way_of
from bertlens.read.readout import Readout
from bertlens.read.recipe import Recipe
from bertlens.run.condition import Condition
from bertlens.run.progress import Progress, silent

CANDIDATES = 6
"""Nearest recipes that are run with dropout on."""

SUSPECTS = 3
"""Of these, whose runs tell before the search is over whether dropout was on."""

SIMPLE = 64
"""Recipes that the search tried first."""

SIZES = {
    128: "BERT tiny",
    256: "BERT mini",
    312: "TinyBERT",
    384: "MiniLM and small sentence encoders",
    512: "BERT small and medium",
    768: "base models",
    1024: "large models",
    1536: "services such as OpenAI's",
    3072: "services such as OpenAI's",
}
"""Sizes of well-known vectors."""


def by_chance(
    asked: Asked, clues: Sequence[Clue], progress: Progress = silent, *, together: Sequence[int] = (0, 1, 2)
) -> Identification | None:
    """Vectors of a model whose dropout was on; None where they are not.

    Parameters
    ----------
    together : how many changes are made together on all texts.
    """
    near = _on_many_texts(asked, clues, together, progress)[: 2 * CANDIDATES]
    found = next(_dropouts(asked, clues, near, progress), None)
    return _by_chance(asked, *found, candidates(asked, sorted(clues, key=_score), [])) if found else None


def soon(asked: Asked, clues: Sequence[Clue], progress: Progress = silent) -> Identification | None:
    """The same before the search is over, where the nearest recipes already look like it: more changes would be in vain."""
    near = _unlike(clues)[:SUSPECTS]
    suspected = time.monotonic() < asked.deadline and next(_dropouts(asked, clues, near, progress), None) is not None
    return by_chance(asked, clues, progress, together=(0, 1)) if suspected else None


def _dropouts(
    asked: Asked, clues: Sequence[Clue], near: Sequence[Clue], progress: Progress
) -> Iterator[tuple[Dropout, tuple[int | None, ...]]]:
    """Dropout that may have been on, with the row of each text: in their order, or as they come nearest."""
    if not clues:
        return
    orders = [tuple(range(len(asked.texts)))] if asked.same_count else []
    for rows in dict.fromkeys([*orders, _nearest_rows(asked, min(clues, key=_score))]):
        dropout = dropped_out(
            asked.checkpoint, asked.texts, asked.given, near, rows, asked.space, progress, deadline=asked.latest
        )
        if dropout is not None:
            yield dropout, rows


def _score(clue: Clue) -> float:
    return clue.score


def _on_many_texts(asked: Asked, clues: Sequence[Clue], together: Sequence[int], progress: Progress) -> list[Clue]:
    """Recipes by how near they come on more texts than the search tried, the nearest first.

    Dropout blurs what is nearest on two texts: some recipe of many changes is. So the recipes of few changes are held against
    all of them, and take turns with the nearest that the search found.
    """
    lengths = asked.bank.lengths(Recipe(Condition()))[:, 1]
    # the longest first: limits are looked for below its length
    texts = sorted(range(min(len(asked.texts), MOST)), key=lambda text: -int(lengths[text]))
    plain = _of_few_changes(_blurred(asked, texts, progress), together)
    search = _blurred(asked, texts, progress)
    chosen = [*clues[:SIMPLE], *sorted(clues, key=_score)[:CANDIDATES]]
    # a padded length that dropout blurred may be that of the longest text
    ways = dict.fromkeys(
        way for clue in chosen for way in ((to_longest(clue.way), clue.way) if padded(clue.way) else (clue.way,))
    )
    found = _looked(search, list(ways), asked.latest)
    moving = [clue for clue in found[:CANDIDATES] if padded(clue.way) and moves(clue.way.condition, clue.readout)]
    filled = [way for clue in moving[:2] for way in batches(to_longest(clue.way), len(texts))]
    near = _unlike([*found, *_looked(search, filled, asked.latest)])
    return [clue for pair in zip_longest(plain, near) for clue in pair if clue is not None]


def _blurred(asked: Asked, texts: Sequence[int], progress: Progress) -> Search:
    """A search on many texts that leaves half of the time to the runs with dropout."""
    now = time.monotonic()
    halfway = max(now, (now + asked.latest) / 2)
    return asked.search(texts, progress, deadline=halfway)


def _of_few_changes(search: Search, together: Sequence[int]) -> list[Clue]:
    """The nearest recipes of few changes, and those with another limit around theirs."""
    deque(search.run(way_of("batch=alone"), together), maxlen=0)
    for clue in _unlike(search.clues)[:2]:
        deque(search.cut(clue), maxlen=0)
    return _unlike(search.clues)


def _unlike(clues: Sequence[Clue]) -> list[Clue]:
    """The nearest clues; of those that come to the same, the first."""
    kept: dict[tuple[float, Readout], Clue] = {}
    for clue in sorted(clues, key=_score):
        kept.setdefault((round(clue.score, 4), clue.readout), clue)
    return list(kept.values())


def _looked(search: Search, ways: Sequence[Recipe], latest: float) -> list[Clue]:
    """Clues of ways, the nearest first; those that were not run by then are left out."""
    found: list[Clue] = []
    for at in range(0, len(ways), AT_ONCE):
        if time.monotonic() > latest:
            break
        found += search.look(ways[at : at + AT_ONCE])
    return _unlike(found)


def nothing_fits(asked: Asked, clues: Sequence[Clue]) -> Identification:
    """No recipe explains the vectors: the nearest one, and whether a linear map would, as far as the texts can tell."""
    if not clues:
        return _no_readout(asked)
    leaders = sorted(clues, key=_score)
    rows = _nearest_rows(asked, leaders[0])
    listed, found = candidates(asked, leaders, []), _linear(asked, rows)
    nearest, tried = (listed[0] if listed else None), len(clues) * len(asked.space.readouts)
    near = "nothing could be compared"
    if nearest:
        near = f"the nearest is {nearest.recipe.words}, which leaves {number(nearest.max_abs)} (cosine {nearest.cosine:.4f})"
    severity = "caution" if found["kind"] == "too few texts" else "problem"
    title = f"Another computation made these vectors: {found['words']}"
    finding = named("checkpoint-drift", severity, {"kind": found["kind"], "left": found.get("left")}, ("the vectors",), title)
    return identification(
        asked,
        verdict="none",
        sentence=f"None: no recipe of {tried:,} explains the vectors; {near}; {found['words']}",
        best=nearest,
        alternatives=tuple(listed[1:]),
        order="permuted" if any(row is not None and row != text for text, row in enumerate(rows)) else "same",
        order_words="",
        row_of_text=rows,
        rows=_nearest_held(asked, leaders[0], rows),
        undetermined=(),
        suggestions=(),
        findings=most_serious_first([finding, *of_vectors(asked.given)]),
        tried=tried,
        linear=found,
    )


def _by_chance(asked: Asked, dropout: Dropout, rows: tuple[int | None, ...], listed: list[Candidate]) -> Identification:
    """Vectors of a model whose dropout was on."""
    exact = dropout.seed is not None
    nearest = min((one.max_abs for one in listed), default=float("nan"))
    best = Candidate(dropout.recipe, 0.0 if exact else nearest, dropout.cosine, dropout.spread, exact, len(rows))
    said = f"seed {dropout.seed} gives these very vectors" if exact else "no run can be matched, since each draws anew"
    sentence = (
        f"{'Found' if exact else 'Ambiguous'}: dropout was on ({dropout.recipe.words}): the rows lie {dropout.ratio:.2f} times "
        f"as far from the middle of {len(SEEDS)} runs with dropout as a run does, and {said}"
    )
    tokens = asked.bank.tokens(dropout.recipe, range(len(asked.texts)))
    words = order.in_words(rows, asked.texts, [len(row.ids) for row in tokens], len(asked.given.values))
    evidence = {"ratio": dropout.ratio, "spread": dropout.spread, "seed": dropout.seed}
    return identification(
        asked,
        verdict="found" if exact else "ambiguous",
        sentence=sentence,
        best=best,
        alternatives=tuple(listed),
        order="permuted" if any(row is not None and row != text for text, row in enumerate(rows)) else "same",
        order_words=words,
        row_of_text=rows,
        rows=(),
        undetermined=()
        if exact
        else ("The draw of dropout: its seed leaves no trace, and batches only where a vector depends on its padding.",),
        suggestions=(),
        findings=accuse(dropout.recipe, asked.checkpoint, asked.given, asked.texts, tokens, rows, words, evidence),
        tried=len(listed),
    )


def _no_readout(asked: Asked) -> Identification:
    """Vectors of a size that no readout of the checkpoint has."""
    dims, facts = asked.given.dims, asked.checkpoint.architecture
    known = f"; {dims} is the size of {SIZES[dims]}" if dims in SIZES else ""
    sentence = (
        f"None: the vectors have {dims:,} components, and no readout of {asked.checkpoint.name} gives so many: "
        f"one state has {facts.hidden}, all {facts.layers + 1} joined have {facts.hidden * (facts.layers + 1):,}{known}"
    )
    finding = named(
        "checkpoint-drift", "problem", {"dims": dims, "hidden": facts.hidden}, ("the vectors",), sentence.removeprefix("None: ")
    )
    return identification(
        asked,
        verdict="none",
        sentence=sentence,
        best=None,
        alternatives=(),
        order="same",
        order_words="",
        row_of_text=tuple(text if text < len(asked.given.values) else None for text in range(len(asked.texts))),
        rows=(),
        undetermined=(),
        suggestions=(),
        findings=(finding,),
    )


def _nearest_rows(asked: Asked, clue: Clue) -> tuple[int | None, ...]:
    """The row that each text comes nearest to, of those that are looked at."""
    settle = Settle(asked.bank, asked.space, asked.given, clue, same=asked.same_count)
    rows: list[int | None] = [None] * len(asked.texts)
    for text, row in zip(settle.texts, settle.rows, strict=True):
        rows[text] = row
    return tuple(rows)


def _nearest_held(asked: Asked, clue: Clue, rows: Sequence[int | None]) -> tuple[Held, ...]:
    """Each text under the nearest recipe against the row that it comes nearest to."""
    widths = asked.bank.widths(clue.way)
    there = [text for text, row in enumerate(rows) if row is not None and asked.given.usable[row]]
    read = asked.bank.read([Row(clue.way, text, max(widths[text], asked.bank.longest(clue.way, [text]))) for text in there])
    known = {text: row for text, row in zip(there, read, strict=True) if row is not None}
    if not known:
        return ()
    wanted = asked.given.values[[int(rows[text] or 0) for text in known]]
    one = fit(clue.readout, asked.bank.pooled(list(known.values())), wanted, asked.given)
    floor = ROUGH * one.size + 2 * one.post.coarseness(one.expected).max(1)
    at = {text: place for place, text in enumerate(known)}
    found = []
    for text, row in enumerate(rows):
        if text not in at:
            found.append(Held(text, row, float("nan"), float("nan"), float("nan"), False, "no row that could be compared"))
            continue
        place = at[text]
        error, cosine, most = (float(part[place]) for part in (one.error, one.cosine, floor))
        found.append(Held(text, row, error, cosine, most, error <= most, "" if error <= most else "another vector"))
    return tuple(found)


def _linear(asked: Asked, nearest: Sequence[int | None]) -> dict[str, Any]:
    """Every pooling of every layer, run as a careful person does, against the rows."""
    way = way_of("batch=alone")
    pairs = [(text, row) for text, row in enumerate(nearest) if row is not None and asked.given.usable[row]]
    if asked.same_count:
        pairs = [(text, text) for text in range(min(len(asked.texts), 2000)) if asked.given.usable[text]]
    widths = asked.bank.widths(way)
    rows = asked.bank.read([Row(way, text, widths[text]) for text, _ in pairs])
    kept = [(row, pair) for row, pair in zip(rows, pairs, strict=True) if row is not None]
    pooled = asked.bank.pooled([row for row, _ in kept])
    wanted = asked.given.values[[pair[1] for _, pair in kept]]
    depth = asked.checkpoint.architecture.layers
    names = [
        f"{pooling}{at}{l2}"
        for at in ("", f"@{depth - 1}")
        for pooling in ("mean", "cls", "max", "weightedmean")
        for l2 in ("", "|l2")
    ]
    names += ["pooler"] if pooled.pooler is not None else []
    return linear({name: pooled.vectors(Readout.parse(name)) for name in names}, wanted)
