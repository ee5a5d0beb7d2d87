"""Chance: vectors of a model whose dropout was on, which no run matches exactly, told by how far they lie from its runs."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from bertlens.errors import BertlensError
from bertlens.judge.identify import scatter
from bertlens.judge.identify.doubt import simplest
from bertlens.judge.identify.given import Given
from bertlens.judge.identify.search import Clue
from bertlens.judge.identify.space import Space, collinear
from bertlens.read.post import Post, unit
from bertlens.read.readout import Readout
from bertlens.read.recipe import Recipe, arrived, read_out
from bertlens.read.vectors import read_all
from bertlens.run.condition import Condition
from bertlens.run.inputs import Inputs, prepare
from bertlens.run.progress import Progress, silent
from bertlens.run.texts import Texts, sides

if TYPE_CHECKING:
    from bertlens.run.checkpoint import Checkpoint

SEEDS = (0, 1, 2, 3, 4, 5, 6, 7, 42, 123, 1234, 2024)
"""Of the runs; the first and the last ones are those that people set."""

MOST = 16
"""Texts that are run."""

FIRST = 3
"""Runs after which a recipe is given up whose runs the rows are far away from."""

CELLS = 2048
"""Padded tokens of a pass; of longer ones fewer texts are run."""

WAYS = 9
"""Ways into the model that are run with dropout."""

PLAIN = 3
"""Nearest recipes without dropout whose distance is taken."""

LEAST_DIMS = 8
"""Components below which anything lies among the runs of some readout."""

NEARER = 0.9
"""How much nearer a recipe of more changes must come: some run lies nearer by luck."""

BETWEEN = 0.75
"""How much nearer than the rows lie to the middle of their runs they may lie to that of another recipe: a run moves away from
every middle, by as much as from its own."""

BESIDE = 0.4
"""The same for the vectors of a recipe without dropout, of which so many were tried that some come near by luck."""


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
    dims : components of the vectors that were run, of which the given ones may be the first.
    """

    recipe: Recipe
    ratio: float
    spread: float
    seed: int | None
    cosine: float
    dims: int = 0

    @property
    def distance(self) -> float:
        """How far the rows lie from the middle of the runs, of unit vectors."""
        return self.spread * self.ratio

    @property
    def rank(self) -> tuple[bool, float]:
        """The lower the better: the very vectors first, then how far the rows lie from the middle."""
        return self.seed is None, self.distance


def dropped_out(
    checkpoint: Checkpoint,
    texts: Texts,
    given: Given,
    clues: Sequence[Clue],
    rows: Sequence[int | None],
    space: Space,
    progress: Progress = silent,
    *,
    deadline: float = float("inf"),
) -> Dropout | None:
    """The nearest recipes with dropout on: the one among whose runs the vectors do not stand out; None where they do.

    Parameters
    ----------
    clues : the nearest recipes without dropout, the nearest first.
    rows : the row of each text.
    space : of the readouts; where the vectors may be logits nothing else is compared: near so few numbers comes any readout.
    deadline : of `time.monotonic`; what was not run by then is not compared.
    """
    there = [text for text, row in enumerate(rows) if row is not None and given.usable[row]][:MOST]
    if not there or given.centred or given.sign or (given.store == "int8" and given.int8):
        return None
    if given.dims < LEAST_DIMS and not space.logits:
        return None
    given_rows = given.values[[int(rows[text] or 0) for text in there]]
    wanted, asked = unit(space.lifted(given_rows) if space.logits else given_rows), tuple(texts[text] for text in there)
    best: Dropout | None = None
    nearest = float("inf")
    # dropout blurs which readout is nearest, and reading a run in more ways costs nothing
    usual = (Readout(pooling) for pooling in ("mean", "cls", "max", "weightedmean"))
    readouts: list[Readout] = list(space.logits) or list(dict.fromkeys([*usual, *(clue.readout for clue in clues)]))
    for way in _ways(checkpoint, texts, [] if space.logits else clues):
        if time.monotonic() > deadline:
            break
        bar = min(nearest / BETWEEN, best.distance if best is not None else float("inf"))
        found, distance = _one(checkpoint, asked, way, readouts, wanted, space, progress, deadline, bar)
        nearest = min(nearest, distance)
        if found is not None and given.unit and not space.logits:
            found = replace(found, recipe=replace(found.recipe, readout=replace(found.recipe.readout, l2=True)))
        if found is not None and (best is None or found.distance < NEARER * best.distance):
            best = found
        if best is not None and best.seed is not None:  # the very vectors
            break
    if best is None or (best.seed is None and nearest < BETWEEN * best.distance):
        return None
    if best.seed is None and _from_plain(checkpoint, asked, clues, wanted, space) < BESIDE * best.distance:
        return None
    if not given.unit and not space.logits and time.monotonic() < deadline:
        readout = _of_their_length(checkpoint, asked, best.recipe, given_rows)
        best = replace(best, recipe=replace(best.recipe, readout=readout))
    dims = given.dims if given.dims < best.dims else None
    return replace(best, recipe=replace(best.recipe, post=Post(dims=dims)))


def _from_plain(checkpoint: Checkpoint, texts: Texts, clues: Sequence[Clue], wanted: np.ndarray, space: Space) -> float:
    """Mean distance of rows, (rows, dims), from what the nearest recipe without dropout gives for any text: which is open."""
    found = float("inf")
    for clue in clues[:PLAIN]:
        try:
            vectors = read_out(checkpoint, texts, replace(clue.way, readout=clue.readout))
        except BertlensError:  # padded to a length for which some text is too long
            continue
        vectors = vectors[:, : wanted.shape[1]].astype(np.float64)
        directions = unit(space.lifted(vectors) if space.logits else vectors)
        found = min(found, float(np.linalg.norm(wanted[:, None] - directions[None], axis=2).min(1).mean()))
    return found


def _of_their_length(checkpoint: Checkpoint, texts: Texts, recipe: Recipe, rows: np.ndarray) -> Readout:
    """Of the readouts that point where a recipe's does, as mean and sum of layers do, the one whose vectors are as long."""
    wanted = np.log(np.linalg.norm(rows, axis=1))

    def off(readout: Readout) -> float:
        vectors = read_out(checkpoint, texts, replace(recipe, readout=readout))[:, : rows.shape[1]]
        return float(np.abs(np.log(np.linalg.norm(vectors, axis=1)) - wanted).mean())

    alike = [recipe.readout, *(readout for readout in collinear(recipe.readout) if readout != recipe.readout)]
    return min(alike, key=off) if len(alike) > 1 else recipe.readout


def _ways(checkpoint: Checkpoint, texts: Texts, clues: Sequence[Clue]) -> Iterator[Recipe]:
    """The ordinary way into the model, then those of the clues, each as simple as it comes to; made one by one."""
    known = {plain := Recipe(Condition())}
    yield plain
    for clue in clues:
        if len(known) == WAYS:
            return
        way = replace(simplest(checkpoint, replace(clue.way, readout=clue.readout), texts[:4]), readout=plain.readout)
        if way not in known:
            known.add(way)
            yield way


def _one(
    checkpoint: Checkpoint,
    texts: Texts,
    way: Recipe,
    readouts: Sequence[Readout],
    wanted: np.ndarray,
    space: Space,
    progress: Progress,
    deadline: float,
    bar: float,
) -> tuple[Dropout | None, float]:
    """The nearest readout of a way among whose runs the rows do not stand out, and how far they lie from the nearest middle.

    A way is given up whose first runs lie farther away than `bar`.
    """
    condition, put = way.condition.replace(dropout="on", dtype="float32"), way.texts(texts)
    inputs = _prepared(checkpoint, put, condition)
    if inputs is None:
        return None, float("inf")
    wanted = wanted[: len(inputs.tokens)]
    lengths = [(sum(map(len, sides(text))), len(row.ids)) for text, row in zip(put, inputs.tokens, strict=False)]
    order = arrived(lengths, way.arrival)
    if order != sorted(order):
        inputs, wanted = prepare(checkpoint, tuple(put[text] for text in order), condition), wanted[order]
    runs: dict[Readout, list[np.ndarray]] = {readout: [] for readout in readouts}
    sizes: dict[Readout, int] = {}
    for at, seed in enumerate(SEEDS):
        if time.monotonic() > deadline:
            return None, float("inf")
        progress(at, len(SEEDS), "runs with dropout on compared")
        for readout, vectors in read_all(inputs, list(runs), seed=seed).items():
            kept = vectors[:, : wanted.shape[1]].astype(np.float64)
            runs[readout].append(unit(space.lifted(kept) if space.logits else kept))
            sizes[readout] = vectors.shape[1]
        if at + 1 == FIRST:
            runs = {readout: drawn for readout, drawn in runs.items() if scatter.within_reach(np.stack(drawn), wanted, bar)}
            if not runs:
                return None, float("inf")
    best: Dropout | None = None
    nearest = float("inf")
    for readout, drawn in runs.items():
        nearest = min(nearest, scatter.distance(np.stack(drawn), wanted))
        found = _judged(replace(way, condition=condition, readout=readout), np.stack(drawn), wanted)
        if found is not None and (best is None or found.rank < best.rank):
            best = replace(found, dims=sizes[readout])
    return best, nearest


def _prepared(checkpoint: Checkpoint, texts: Texts, condition: Condition) -> Inputs | None:
    """As many of the texts as a pass holds; None where the condition cannot be run."""
    try:
        inputs = prepare(checkpoint, texts, condition)
        some = max(2, CELLS * len(texts) // inputs.cells)
        return inputs if len(texts) <= some else prepare(checkpoint, texts[:some], condition)
    except BertlensError:  # padded to a length for which some text is too long
        return None


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
    like = abs(mean - expected) <= scatter.NEAR * drawn.mean(1).std() + 0.05
    # a row may lie far nearer by chance: the logarithm of a length has its long tail there
    off, wide = np.log(ratios) - expected, scatter.NEAR * drawn.std() + 0.05
    each = ((off <= wide) & (off >= -2 * wide)).all()
    # dropout moves each text its own way; what another text or fine-tuning does to one row it does to the others as well
    common = np.array([scatter.common(run - middle) for run in runs])
    alone = scatter.common(wanted - middle) <= common.mean() + scatter.NEAR * common.std()
    if not (like and each and alone and scatter.same_directions(runs - middle, wanted - middle)):
        return None
    return Dropout(recipe, float(np.exp(mean)), float(spread.mean()), None, cosine)
