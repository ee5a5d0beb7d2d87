"""Proof: a whole recipe run as it says, held against every row with the rounding that was measured for it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from bertlens.judge.identify.fit import Fit, held
from bertlens.judge.identify.given import Given
from bertlens.judge.tokenizer.vocabulary import spread
from bertlens.read.logits import Logits
from bertlens.read.recipe import Recipe, read_out
from bertlens.run.condition import Condition
from bertlens.run.headed import headed
from bertlens.run.progress import Progress, silent
from bertlens.run.texts import Texts

if TYPE_CHECKING:
    from bertlens.run.checkpoint import Checkpoint

WITHIN = {"float64": 16.0, "float32": 16.0, "float16": 2.0, "bfloat16": 2.0}
"""How many times its own distance from float64 a run may lie from the same run elsewhere, where sums have another order."""

LEAST = {"float64": 2.0**-48, "float32": 2.0**-20, "float16": 2.0**-11, "bfloat16": 2.0**-8}
"""Rounding that is always allowed, as a share of the largest component."""

FAR_NEARER = 16
"""Times as near to float64 as to float32."""

SEEN = 4
"""Times as large as the rounding of storing that of a run must be to be seen through it."""

BY_LUCK = 0.005
"""Chance that digits take the side of half precision by luck, at most."""

NEARLY_ALL = 0.9
"""Share of the rows that half precision must move as far as it was measured to."""

ALIKE = 0.45
"""Cosine of the rounding of two runs in half precision, at least: their weights were rounded alike."""

REPEATED = 64
"""Texts that are run again in float64; the others are judged by the rounding of these."""


@dataclass(frozen=True)
class Proof:
    """A recipe against the rows of all texts.

    Attributes
    ----------
    recipe : what was run.
    texts : the texts that have a usable row.
    fit : the recipe in float64 against their rows; error and cosine are those of the run as it is.
    floor : (texts,), the largest difference that number format and storage explain.
    explained : (texts,), bool.
    exact_gap : (texts,), the largest difference from the run in float64.
    """

    recipe: Recipe
    texts: tuple[int, ...]
    fit: Fit
    floor: np.ndarray
    explained: np.ndarray
    exact_gap: np.ndarray

    @property
    def double(self) -> bool:
        """Whether the rows lie so near to float64 that no float32 run gives them.

        Some families compute angles in float32 in any case: there the run in float64 is merely far nearer.
        """
        gap = np.abs(self.exact_gap / np.where(self.fit.size > 0, self.fit.size, 1))
        return bool((gap < 2.0**-36).all() or ((gap < 2.0**-24).all() and self.exact_gap.max() < self.max_abs / FAR_NEARER))

    @property
    def max_abs(self) -> float:
        """The largest difference."""
        return float(self.fit.error.max())

    @property
    def cosine(self) -> float:
        """The mean cosine."""
        return float(np.nanmean(self.fit.cosine)) if np.isfinite(self.fit.cosine).any() else float("nan")


def proof(
    checkpoint: Checkpoint,
    texts: Texts,
    recipe: Recipe,
    given: Given,
    rows: Sequence[int | None],
    progress: Progress = silent,
) -> Proof:
    """Run a recipe on all texts, and again in float64, and say which rows it explains.

    Raises
    ------
    BertlensError
        Where the model cannot run the recipe.
    """
    there = [text for text, row in enumerate(rows) if row is not None and given.usable[row]]
    wanted = given.values[[int(rows[text] or 0) for text in there]]
    run = read_out(checkpoint, texts, recipe, rows=rows, progress=progress)
    few = there if len(there) <= REPEATED or recipe.post.among_texts else list(spread(there, REPEATED))
    again = run.astype(np.float64)
    again[few] = _repeated(checkpoint, texts, recipe, few, rows)
    post = recipe.post
    as_run, exact = (_held(recipe, side, there, wanted) for side in (run, again))
    rounding, dtype = np.abs(as_run.expected - exact.expected).max(1), recipe.condition.dtype
    if dtype == "float64":  # nothing finer to hold it against, and parts of it may be float32 in any case
        coarser = _held(recipe, read_out(checkpoint, texts, recipe, rows=rows, dtype="float32"), there, wanted)
        rounding = np.abs(coarser.expected - exact.expected).max(1) / (FAR_NEARER * WITHIN[dtype])
    share = np.where(exact.size > 0, rounding / np.where(exact.size > 0, exact.size, 1), 0)
    at = [there.index(text) for text in few]
    if len(few) < len(there):  # the rounding of a text that was not repeated is that of the worst that was
        share = np.full(len(there), share[at].max())
    share = np.maximum(WITHIN[dtype] * share, LEAST[dtype])
    judged = exact if len(few) == len(there) else as_run
    explained = judged.fits(share) | as_run.fits(share)
    coarse = post.coarseness(exact.expected)
    storing, running = float((coarse**2).mean()) / 3, float(((as_run.expected - exact.expected) ** 2).mean())
    if dtype in ("float16", "bfloat16") and storing <= running:
        explained &= _like_rounding(as_run, exact, wanted)
    if dtype in ("float16", "bfloat16") and storing > running / SEEN**2:
        # storing blurs or hides the rounding of the run, but its very digits must be nearer than those of float32
        single = _held(recipe, read_out(checkpoint, texts, recipe, rows=rows, dtype="float32"), there, wanted)
        nearer, farther = votes(as_run, single, wanted)
        # few numbers cannot be many votes: then all must be for it, and float32 must leave some row unexplained
        alone = nearer > 0 == farther and not single.fits(np.full(len(there), 16 * LEAST["float32"])).all()
        explained &= _nearer(nearer, farther) or alone
    # storing moves the row, and what is held against it
    floor = share * exact.size + 2 * coarse.max(1)
    return Proof(
        recipe,
        tuple(there),
        replace(exact, error=as_run.error, cosine=as_run.cosine),
        floor,
        explained,
        _exact_gap(exact, wanted),
    )


def _held(recipe: Recipe, vectors: np.ndarray, there: Sequence[int], wanted: np.ndarray) -> Fit:
    """Vectors of all texts against the rows of those that have one; the others count for what is done among texts."""
    if not recipe.post.among_texts:
        return held(recipe.readout, recipe.post, vectors[list(there)], wanted)
    rows = np.full((len(vectors), wanted.shape[1]), np.nan)
    rows[list(there)] = wanted
    return held(recipe.readout, recipe.post, vectors, rows).of(there)


def _exact_gap(exact: Fit, wanted: np.ndarray) -> np.ndarray:
    """The largest difference from float64 of each row, after the factor for all rows that fits best: (texts,)."""
    square = float((exact.expected**2).sum())
    factor = float((exact.expected * wanted).sum()) / square if square > 0 else 1.0
    return np.asarray(np.abs(factor * exact.expected - wanted).max(1))


def _repeated(
    checkpoint: Checkpoint, texts: Texts, recipe: Recipe, few: Sequence[int], rows: Sequence[int | None]
) -> np.ndarray:
    """The vectors of some texts in float64, each at the padded length it has among all."""
    from bertlens.read.bank import Asked, Bank

    if len(few) == len(texts) or recipe.post.among_texts:
        return read_out(checkpoint, texts, recipe, rows=rows, dtype="float64")[list(few)]
    bank = Bank(checkpoint, texts, head=headed(checkpoint, "sequence") if isinstance(recipe.readout, Logits) else None)
    widths = bank.widths(recipe, rows)
    found = bank.read([Asked(recipe, text, widths[text]) for text in few], "float64")
    return np.asarray(bank.pooled([row for row in found if row is not None]).vectors(recipe.readout))


def _nearer(nearer: int, farther: int) -> bool:
    """Whether more votes are for it than chance would give."""
    from scipy.stats import binomtest

    return nearer > farther and float(binomtest(nearer, nearer + farther, alternative="greater").pvalue) < BY_LUCK


def _like_rounding(as_run: Fit, exact: Fit, wanted: np.ndarray) -> np.ndarray:
    """Whether rows lie as far from float64 as half precision does, and in its direction: (texts,).

    Rounding the weights moves a vector the same way on every machine; another model moves it some other way.
    """
    ours, theirs = as_run.post.stored(as_run.expected) - exact.expected, wanted - exact.expected
    own, other = (np.sqrt((side**2).mean(1)) for side in (ours, theirs))
    as_far = (other <= 1.5 * own + 1e-12) & (other >= 0.5 * own)
    if as_far.mean() < NEARLY_ALL:  # the weights are rounded for all texts
        return np.zeros(len(as_far), bool)
    return np.asarray(as_far & (alike(ours, theirs) >= ALIKE))


def votes(half: Fit, single: Fit, wanted: np.ndarray) -> tuple[int, int]:
    """Of the components that half precision stores otherwise than float32 does: how many are as one has it, and as the other.

    Of vectors that neither made as many take one side as the other.
    """
    ours, theirs = (np.abs(one.post.stored(one.expected) - wanted) for one in (half, single))
    return int((ours < theirs).sum()), int((theirs < ours).sum())


def alike(ours: np.ndarray, theirs: np.ndarray) -> float:
    """The cosine of two tables of differences."""
    lengths = float(np.linalg.norm(ours) * np.linalg.norm(theirs))
    return float((ours * theirs).sum()) / lengths if lengths > 0 else 1.0


def differ(checkpoint: Checkpoint, texts: Texts, one: Recipe, other: Recipe) -> np.ndarray:
    """How far two recipes lie apart on each text in float64, as a share of the largest component, before they are stored.

    (texts,); infinite where only one of them can be run. Where the mean of all texts is subtracted, the vectors before that:
    those that differ in length alone have another mean.
    """
    from bertlens.errors import BertlensError

    sides = []
    for recipe in (one, other):
        condition: Condition = recipe.condition
        post = replace(recipe.post, store="", centred="", int8="", scale=1.0)
        if recipe.post.centred == "texts":
            post = replace(post, again=False, sign="")
        plain = replace(recipe, post=post, condition=condition.replace(dtype="float32"))
        try:
            sides.append(plain.post.apply(read_out(checkpoint, texts, plain, dtype="float64")))
        except BertlensError:
            sides.append(None)  # type: ignore[arg-type]
    left, right = sides
    if left is None or right is None or left.shape != right.shape:
        return np.full(len(texts), np.inf if (left is None) != (right is None) or left is not None else 0.0)
    with np.errstate(invalid="ignore"):
        gap = np.abs(left - right).max(1)
        size = np.maximum(np.abs(left).max(1), np.abs(right).max(1))
    both = ~np.isfinite(left).all(1) & ~np.isfinite(right).all(1)
    return np.where(both, 0.0, np.nan_to_num(gap / np.where(size > 0, size, 1), nan=np.inf))
