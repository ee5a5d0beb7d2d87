"""Answer: the verdict on given vectors for which a recipe was proven."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from bertlens.judge.findings import Finding, most_serious_first, named
from bertlens.judge.identification import Candidate, Held, Identification
from bertlens.judge.identify import order
from bertlens.judge.identify.accuse import accuse
from bertlens.judge.identify.asked import SHOWN, Asked, around, candidates, identification
from bertlens.judge.identify.changes import moves
from bertlens.judge.identify.doubt import Twin, suggestions
from bertlens.judge.identify.proof import Proof
from bertlens.judge.identify.search import Clue
from bertlens.judge.wording import number
from bertlens.read.logits import Logits
from bertlens.read.recipe import Recipe

if TYPE_CHECKING:
    pass

ENOUGH = 24
"""Numbers that must be explained before a recipe is called found: fewer fit by chance."""


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
    known = [proven.recipe, *(twin.recipe for twin in doubtful)]
    tried = {one.recipe.words: one for one in [*around(asked, proven.recipe, rows), *candidates(asked, clues, known)]}
    nearest = sorted((one for one in tried.values() if one.recipe not in known), key=lambda one: one.max_abs)
    listed = [*rivals, *nearest[:SHOWN]]
    words = order.in_words(rows, asked.texts, [len(row.ids) for row in lengths], len(asked.given.values))
    evidence = {"max_abs": proven.max_abs, "explained_rows": int(proven.explained.sum()), "rows": len(proven.texts)}
    findings = accuse(proven.recipe, asked.checkpoint, asked.given, asked.texts, lengths, rows, words, evidence)
    left = [text for text, fits in zip(proven.texts, proven.explained, strict=True) if not fits]
    return identification(
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


def _whole(proven: Proof, tokens: Sequence[int]) -> bool:
    """Whether every row is explained, but for a few that are strange and not just the longest."""
    left = [text for text, fits in zip(proven.texts, proven.explained, strict=True) if not fits]
    if not left:
        return True
    recipe = proven.recipe
    # so few numbers are explained by chance where all but some are; and what depends on its neighbours had others
    if isinstance(recipe.readout, Logits) or moves(recipe.condition, recipe.readout):
        return False
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
    same = [twin.recipe.words for twin in doubtful if twin.same and twin.recipe.words != recipe.words]
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
