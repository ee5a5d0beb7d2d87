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
from bertlens.run.condition import Condition
from bertlens.run.inputs import prepare
from bertlens.run.progress import Progress, silent
from bertlens.run.texts import Texts

if TYPE_CHECKING:
    from bertlens.run.checkpoint import Checkpoint

SEEDS = (0, 1, 2, 3, 4, 5, 6, 7, 42, 123, 1234, 2024)
"""Of the runs; the first and the last ones are those that people set."""

MOST = 16
"""Texts that are run."""

NEAR = 3.5
"""Standard deviations among runs within which the distance of the rows must lie, each by itself and on average."""


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
    ways = [simplest(checkpoint, clue.way, texts[:4]) for clue in clues[:4]]
    plain = Recipe(Condition())
    for way in list(dict.fromkeys([plain, *ways]))[:4]:
        near = clues if way == plain else [clue for clue, other in zip(clues, ways, strict=False) if other == way]
        readouts = list(dict.fromkeys(clue.readout for clue in near))
        readouts = list(dict.fromkeys([*readouts, *(Readout(pooling) for pooling in ("mean", "cls", "max", "weightedmean"))]))
        found = _one(checkpoint, tuple(texts[text] for text in there), way, readouts, wanted, progress)
        if found is not None and given.unit:
            found = replace(found, recipe=replace(found.recipe, readout=replace(found.recipe.readout, l2=True)))
        if found is not None and (best is None or found.ratio * found.spread < 0.98 * best.ratio * best.spread):
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
    drawn = np.log([np.linalg.norm(run - middle, axis=1) / spread for run in runs])  # (seeds, texts)
    # a run lies nearer to a middle that it has part in than another one does
    expected = drawn.mean() + 0.5 * np.log((len(runs) + 1) / (len(runs) - 1))
    mean = float(np.log(ratios).mean())
    like = abs(mean - expected) <= NEAR * drawn.mean(1).std() + 0.05
    each = (np.abs(np.log(ratios) - expected) <= NEAR * drawn.std() + 0.05).all()
    # dropout moves each text its own way; what another text or fine-tuning does to one row it does to the others as well
    common = np.array([_common(run - middle) for run in runs])
    alone = _common(wanted - middle) <= common.mean() + NEAR * common.std()
    if not (like and each and alone and _same_directions(runs - middle, wanted - middle)):
        return None
    return Dropout(recipe, float(np.exp(mean)), float(spread.mean()), None, cosine)


def _same_directions(drawn: np.ndarray, moves: np.ndarray) -> bool:
    """Whether rows move in the directions in which dropout moves these texts: (seeds, texts, dims) and (texts, dims).

    The share of the moves that lies in the main directions of the others is compared with that of every run.
    """
    main = max(1, min(16, moves.shape[1] // 3, len(drawn) * len(moves) // 4))

    def share(others: np.ndarray, one: np.ndarray) -> float:
        directions = np.linalg.svd(others.reshape(-1, others.shape[-1]), full_matrices=False)[2][:main]
        return float(((one @ directions.T) ** 2).sum() / (one**2).sum())

    known = np.array([share(np.delete(drawn, at, 0), run) for at, run in enumerate(drawn)])
    return share(drawn, moves) >= float(known.mean() - NEAR * known.std()) - 0.02


def _common(moves: np.ndarray) -> float:
    """Mean cosine of the moves of different texts, (texts, dims)."""
    if len(moves) < 2:
        return 0.0
    units = unit(moves)
    cosines = units @ units.T
    return float(cosines[~np.eye(len(units), dtype=bool)].mean())
