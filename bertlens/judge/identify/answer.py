"""Answer: the verdict on given vectors, from what was searched, settled, proven and doubted."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from bertlens.judge.findings import Finding, most_serious_first, named
from bertlens.judge.identification import Candidate, Held, Identification
from bertlens.judge.identify import order
from bertlens.judge.identify.accuse import accuse, of_vectors
from bertlens.judge.identify.chance import SEEDS, Dropout, dropped_out
from bertlens.judge.identify.changes import Room
from bertlens.judge.identify.doubt import Twin, suggestions
from bertlens.judge.identify.fit import ROUGH, fit
from bertlens.judge.identify.given import Given
from bertlens.judge.identify.linear import linear
from bertlens.judge.identify.proof import Proof
from bertlens.judge.identify.search import Clue
from bertlens.judge.identify.settle import Settle
from bertlens.judge.identify.space import Space
from bertlens.judge.wording import number
from bertlens.read.bank import Asked as Row
from bertlens.read.bank import Bank, way_of
from bertlens.read.readout import Readout
from bertlens.read.recipe import Recipe
from bertlens.run.environment import environment
from bertlens.run.progress import Progress, silent
from bertlens.run.texts import Texts

if TYPE_CHECKING:
    from bertlens.run.checkpoint import Checkpoint

SHOWN = 24
"""Recipes that are listed besides the best one."""

ENOUGH = 24
"""Numbers that must be explained before a recipe is called found: fewer fit by chance."""

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


NO_TIME = "The search ended because its time was over, before every recipe was tried; a larger budget tries more."


@dataclass
class Asked:
    """What is to be identified, with what the search keeps."""

    checkpoint: Checkpoint
    texts: Texts
    given: Given
    bank: Bank
    space: Space
    room: Room
    started: float = field(default_factory=time.monotonic)
    deadline: float = 0.0
    ended: float = 0.0

    @property
    def out_of_time(self) -> bool:
        """Whether the time of the search was over before it ended."""
        return 0 < self.deadline < self.ended

    @property
    def same_count(self) -> bool:
        """Whether there are as many rows as texts."""
        return len(self.given.values) == len(self.texts)


def answered(
    asked: Asked, proven: Proof, rows: Sequence[int | None], doubtful: Sequence[Twin], clues: Sequence[Clue]
) -> Identification:
    """A recipe that explains the vectors, with what else would."""
    others = [twin for twin in doubtful if not twin.same]
    best = Candidate(
        proven.recipe, proven.max_abs, proven.cosine, float(proven.floor.max()), bool(proven.explained.all()), len(proven.texts)
    )
    lengths = asked.bank.tokens(proven.recipe, range(len(asked.texts)))
    whole = _whole(proven, [len(row.ids) for row in lengths])
    moved = any(row is not None and row != text for text, row in enumerate(rows))
    # behind such a mask vectors hold little of their texts, and which row is whose cannot be sure
    blind = moved and proven.recipe.condition.mask in ("inverted", "swapped")
    enough = asked.given.dims * len(proven.texts) >= ENOUGH
    verdict = "found" if whole and enough and not blind and not others else "ambiguous"
    rivals = [
        Candidate(
            twin.recipe, proven.max_abs, proven.cosine, best.floor, True, len(proven.texts), f"told apart by {twin.telling!r}"
        )
        for twin in others
    ]
    listed = [*rivals, *_candidates(asked, clues, [proven.recipe, *(twin.recipe for twin in doubtful)])]
    words = order.in_words(rows, asked.texts, [len(row.ids) for row in lengths], len(asked.given.values))
    evidence = {"max_abs": proven.max_abs, "explained_rows": int(proven.explained.sum()), "rows": len(proven.texts)}
    findings = accuse(proven.recipe, asked.checkpoint, asked.given, asked.texts, lengths, rows, words, evidence)
    left = [text for text, fits in zip(proven.texts, proven.explained, strict=True) if not fits]
    return _identification(
        asked,
        verdict=verdict,
        sentence=_said(verdict, best, proven, rivals, listed[len(rivals) :], asked),
        best=best,
        alternatives=tuple(listed),
        order="permuted" if any(row is not None and row != text for text, row in enumerate(rows)) else "same",
        order_words=words,
        row_of_text=tuple(rows),
        rows=_rows(asked, proven, rows),
        undetermined=tuple(_undetermined(asked, proven.recipe, [row.full for row in lengths], doubtful)),
        suggestions=suggestions(others),
        findings=most_serious_first([*findings, *_left_over(left, proven)]),
        tried=len(clues) * len(asked.space.readouts),
    )


def by_chance(asked: Asked, clues: Sequence[Clue], progress: Progress = silent) -> Identification | None:
    """Vectors of a model whose dropout was on; None where they are not."""
    leaders = sorted(clues, key=lambda clue: clue.score)
    orders = [tuple(range(len(asked.texts)))] if asked.same_count else []
    for rows in dict.fromkeys([*orders, _nearest_rows(asked, leaders[0])]):
        dropout = dropped_out(asked.checkpoint, asked.texts, asked.given, leaders[:6], rows, progress)
        if dropout is not None:
            return _by_chance(asked, dropout, rows, _candidates(asked, leaders, []))
    return None


def nothing_fits(asked: Asked, clues: Sequence[Clue]) -> Identification:
    """No recipe explains the vectors: the nearest one, and whether a linear map would, as far as the texts can tell."""
    if not clues:
        return _no_readout(asked)
    leaders = sorted(clues, key=lambda clue: clue.score)
    rows = _nearest_rows(asked, leaders[0])
    listed, found = _candidates(asked, leaders, []), _linear(asked, rows)
    nearest, tried = (listed[0] if listed else None), len(clues) * len(asked.space.readouts)
    near = "nothing could be compared"
    if nearest:
        near = f"the nearest is {nearest.recipe.words}, which leaves {number(nearest.max_abs)} (cosine {nearest.cosine:.4f})"
    severity = "caution" if found["kind"] == "too few texts" else "problem"
    title = f"Another computation made these vectors: {found['words']}"
    finding = named("checkpoint-drift", severity, {"kind": found["kind"], "left": found.get("left")}, ("the vectors",), title)
    return _identification(
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
    return _identification(
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
        else ("The draw of dropout: neither its seed nor its batches leave a trace that could be read.",),
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
    return _identification(
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


def _identification(asked: Asked, **parts: Any) -> Identification:
    return Identification(
        checkpoint=asked.checkpoint.to_dict(),
        vectors=asked.given.facts(),
        notes=(NO_TIME,) if asked.out_of_time else (),
        environment=environment(asked.texts, asked.checkpoint.device, 0),
        passes=asked.bank.passed,
        seconds=time.monotonic() - asked.started,
        **parts,
    )


def _whole(proven: Proof, tokens: Sequence[int]) -> bool:
    """Whether every row is explained, but for a few that are strange and not just the longest."""
    left = [text for text, fits in zip(proven.texts, proven.explained, strict=True) if not fits]
    if not left:
        return True
    fine = [tokens[text] for text, fits in zip(proven.texts, proven.explained, strict=True) if fits]
    few = len(left) <= max(1, len(proven.texts) // 10) and len(proven.texts) >= 6
    return few and max(fine) > max(tokens[text] for text in left)


def _left_over(left: Sequence[int], proven: Proof) -> list[Finding]:
    if not left:
        return []
    title = f"{len(left)} of {len(proven.texts)} rows are not made by this recipe"
    return [named("rows-reordered", "problem", {"unexplained_texts": list(left[:20])}, ("these rows",), title)]


def _rows(asked: Asked, proven: Proof, rows: Sequence[int | None]) -> tuple[Held, ...]:
    place, found = {text: at for at, text in enumerate(proven.texts)}, []
    for text, row in enumerate(rows):
        at = place.get(text)
        if at is None:
            values = None if row is None else asked.given.values[row]
            note = "no row" if values is None else "a row of zeros" if (values == 0).all() else "NaN or Inf"
            found.append(Held(text, row, float("nan"), float("nan"), float("nan"), False, note))
            continue
        error, cosine, floor = (float(part[at]) for part in (proven.fit.error, proven.fit.cosine, proven.floor))
        fits = bool(proven.explained[at])
        found.append(Held(text, row, error, cosine, floor, fits, "" if fits else "another vector than the recipe's"))
    return tuple(found)


def _candidates(asked: Asked, clues: Sequence[Clue], without: Sequence[Recipe]) -> list[Candidate]:
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


def _candidate(asked: Asked, clue: Clue) -> Candidate | None:
    condition = clue.way.condition
    widths = asked.bank.widths(clue.way)
    rows = asked.bank.read([Row(clue.way, text, widths[text]) for text in clue.probes])
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


def _undetermined(asked: Asked, recipe: Recipe, lengths: Sequence[int], doubtful: Sequence[Twin]) -> list[str]:
    """What these texts cannot tell."""
    said, condition = [], recipe.condition
    limit = asked.checkpoint.max_length
    if condition.max_length == "model" and max(lengths) < limit:
        said.append(
            f"Truncation: no text has more than {max(lengths)} tokens, so a limit of {max(lengths)} or more leaves no trace."
        )
    plain = (
        condition.mask == "on"
        and recipe.readout.pooling != "mean_all"
        and (condition.side == "right" or condition.positions != "default")
    )
    if plain and len(asked.texts) > 1:
        said.append("Batches and padding: with the mask passed they only change the rounding.")
    if not plain and condition.batch == "whole" and condition.padding == "longest" and len(asked.texts) > 1:
        said.append(f"The batch size: {len(asked.texts)} or more give the same batch.")
    if recipe.post.scale != 1.0 and len(asked.texts) == 1:
        said.append("Whether the factor belongs to all texts: there is one only.")
    same = [twin.recipe.words for twin in doubtful if twin.same]
    if same:
        said.append(f"The same numbers on every text that was tried: {'; '.join(same[:4])}.")
    return said


def _said(
    verdict: str, best: Candidate, proven: Proof, rivals: Sequence[Candidate], others: Sequence[Candidate], asked: Asked
) -> str:
    rows = len(proven.texts)
    explained = int(proven.explained.sum())
    gap = f"the largest difference is {number(best.max_abs)}, and its precision explains {number(best.floor)}"
    if verdict == "found":
        next_one = f"; the nearest other recipe leaves {number(others[0].max_abs)} ({others[0].recipe.words})" if others else ""
        all_rows = f"all {rows} rows" if explained == rows else f"{explained} of {rows} rows"
        return f"Found: {best.recipe.words} makes {all_rows}: {gap}{next_one}"
    if rivals:
        more = f" and {len(rivals) - 1} more" if len(rivals) > 1 else ""
        does = f"{best.recipe.words} explains {explained} of {rows} rows ({gap})"
        return f"Ambiguous: {does}, but on these texts so does {rivals[0].recipe.words}{more}"
    why = f"{rows - explained} rows are left unexplained"
    if explained == rows:
        few = asked.given.dims * rows < ENOUGH
        why = "too few numbers to be sure" if few else "behind such a mask rows cannot be told from each other"
    return f"Ambiguous: {best.recipe.words} explains {explained} of {rows} rows ({gap}), and {why}"
