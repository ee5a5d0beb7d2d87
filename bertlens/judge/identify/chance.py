"""Chance: vectors of a model whose dropout was on, which no run matches exactly, told by how far they lie from its runs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from bertlens.errors import BertlensError
from bertlens.judge.identify.doubt import simplest
from bertlens.judge.identify.given import Given
from bertlens.judge.identify.search import Clue
from bertlens.read.post import unit
from bertlens.read.readout import Readout
from bertlens.read.recipe import Recipe
from bertlens.read.vectors import read_all
from bertlens.run.inputs import prepare
from bertlens.run.progress import Progress, silent
from bertlens.run.texts import Texts

if TYPE_CHECKING:
    from bertlens.run.checkpoint import Checkpoint

SEEDS = (0, 1, 2, 3, 4, 5, 6, 7, 42, 123, 1234, 2024)
"""Of the runs; the first and the last ones are those that people set."""

MOST = 16
"""Texts that are run."""

RATIO = (0.75, 1.35)
"""How far a row may lie from the middle of the runs, as a multiple of how far a run does, on average over the texts."""


@dataclass(frozen=True)
class Dropout:
    """A recipe with dropout that the vectors may come from.

    Attributes
    ----------
    recipe : with dropout=on.
    ratio : mean distance of the rows from the middle of the runs, as a multiple of that of the runs themselves.
    spread : that distance of the runs, of unit vectors.
    seed : the seed that gives the very vectors, None where none that was tried does.
    cosine : mean cosine of the rows with the middle of the runs.
    """

    recipe: Recipe
    ratio: float
    spread: float
    seed: int | None
    cosine: float


def dropped_out(
    checkpoint: Checkpoint,
    texts: Texts,
    given: Given,
    clues: Sequence[Clue],
    rows: Sequence[int | None],
    progress: Progress = silent,
) -> Dropout | None:
    """The nearest recipes with dropout on: the one among whose runs the vectors do not stand out; None where they do.

    Parameters
    ----------
    clues : the nearest recipes without dropout, the nearest first.
    rows : the row of each text.
    """
    there = [text for text, row in enumerate(rows) if row is not None and given.usable[row]][:MOST]
    if not there or given.centred or given.sign or (given.store == "int8" and given.int8):
        return None
    wanted = unit(given.values[[int(rows[text] or 0) for text in there]])
    best: Dropout | None = None
    ways = [simplest(checkpoint, clue.way) for clue in clues[:4]]
    for way in list(dict.fromkeys(ways))[:3]:
        readouts = list(dict.fromkeys(clue.readout for clue, plain in zip(clues, ways, strict=False) if plain == way))
        readouts = list(dict.fromkeys([*readouts, *(Readout(pooling) for pooling in ("mean", "cls", "max", "weightedmean"))]))
        found = _one(checkpoint, tuple(texts[text] for text in there), way, readouts, wanted, progress)
        if found is not None and given.unit:
            found = replace(found, recipe=replace(found.recipe, readout=replace(found.recipe.readout, l2=True)))
        if found is not None and (best is None or abs(np.log(found.ratio)) < abs(np.log(best.ratio))):
            best = found
    return best


def _one(
    checkpoint: Checkpoint, texts: Texts, way: Recipe, readouts: Sequence[Readout], wanted: np.ndarray, progress: Progress
) -> Dropout | None:
    condition = way.condition.replace(dropout="on", batch="whole", dtype="float32")
    try:
        inputs = prepare(checkpoint, way.texts(texts), condition)
    except BertlensError:  # padded to a length for which some text is too long
        return None
    runs: dict[Readout, list[np.ndarray]] = {readout: [] for readout in readouts}
    for at, seed in enumerate(SEEDS):
        progress(at, len(SEEDS), "runs with dropout on compared")
        for readout, vectors in read_all(inputs, readouts, seed=seed).items():
            runs[readout].append(unit(vectors[:, : wanted.shape[1]].astype(np.float64)))
    best: Dropout | None = None
    for readout, drawn in runs.items():
        found = _judged(replace(way, condition=condition, readout=readout), np.stack(drawn), wanted)
        if found is not None and (best is None or found.spread * found.ratio < best.spread * best.ratio):
            best = found
    return best


def _judged(recipe: Recipe, runs: np.ndarray, wanted: np.ndarray) -> Dropout | None:
    """Whether rows look like one more run: (seeds, texts, dims) against (texts, dims)."""
    if runs.shape[2] != wanted.shape[1] or not np.isfinite(runs).all():
        return None
    middle = runs.mean(0)
    spread = np.sqrt(((runs - middle) ** 2).sum(2).mean(0) * (1 + 1 / len(runs)) * len(runs) / (len(runs) - 1))
    if (spread < 1e-4).any():  # no dropout in this model
        return None
    cosine = float((unit(middle) * wanted).sum(1).mean())
    for seed, run in zip(SEEDS, runs, strict=True):
        if float(np.abs(run - wanted).max()) < 1e-5:
            return Dropout(recipe, 1.0, float(spread.mean()), seed, cosine)
    ratios = np.linalg.norm(wanted - middle, axis=1) / spread
    # dropout moves each text its own way; what fine-tuning does to one text it does to the others as well
    alone = _common(wanted - middle) <= max(_common(run - middle) for run in runs) + 0.1
    mean = float(np.exp(np.log(ratios).mean()))
    if alone and RATIO[0] <= mean <= RATIO[1] and ratios.max() <= 2 and ratios.min() >= 0.4:
        return Dropout(recipe, mean, float(spread.mean()), None, cosine)
    return None


def _common(moves: np.ndarray) -> float:
    """Mean cosine of the moves of different texts, (texts, dims)."""
    if len(moves) < 2:
        return 0.0
    units = unit(moves)
    cosines = units @ units.T
    return float(cosines[~np.eye(len(units), dtype=bool)].mean())
