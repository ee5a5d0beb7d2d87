"""Match: how near the vectors of rows come to given ones, whatever their length: the first, coarse look."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from bertlens.judge.identify.given import Given
from bertlens.judge.identify.space import Space
from bertlens.read.bank import Row
from bertlens.read.logits import Logits
from bertlens.read.post import RANGED, ranged, unit

LEAST = 1e-6
"""Below this two directions are the same."""

MOVED = 0.35
"""By how much, as a logarithm, a row of another number must be nearer than the own one to count."""

AT_ONCE = 25_000_000
"""Similarities of a text to a row that are in memory together."""

Transform = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True)
class Match:
    """One way into the model against the given vectors, under every readout.

    Attributes
    ----------
    own : (probes, readouts), the sine of the angle to the row of the same number: 0 where the directions are the same.
    any : (probes, readouts), the same to the nearest row.
    rows : (probes, readouts), that nearest row.
    """

    own: np.ndarray
    any: np.ndarray
    rows: np.ndarray

    @property
    def scores(self) -> np.ndarray:
        """(readouts,): mean logarithm of the sines, the lower the nearer; rows that were moved must come nearer."""
        own, elsewhere = (np.log(np.maximum(sines, LEAST)).mean(0) for sines in (self.own, self.any))
        return np.asarray(np.minimum(own, elsewhere + MOVED))

    def best(self, count: int) -> list[int]:
        """The nearest readouts, the nearest first; those that people use more come first among equals."""
        return [int(at) for at in np.argsort(np.round(self.scores, 6), kind="stable")[:count]]


def match(
    space: Space,
    rows: Sequence[Row],
    given: Given,
    probes: Sequence[int],
    transforms: Sequence[Transform],
    *,
    anywhere: bool = True,
) -> Match:
    """Hold rows against given vectors.

    Parameters
    ----------
    probes : the text of each row.
    transforms : what may turn (probes, readouts, dims) into what the given vectors were before they were scaled.
    anywhere : whether rows of other numbers are looked at; otherwise only where the own row is missing.
    """
    stacked = np.stack([space.directions(row) for row in rows])  # (probes, readouts, dims)
    found = [_held(change(stacked), given.values, given.usable, probes, anywhere) for change in transforms]
    own, nearest, at = found[0]
    for other in found[1:]:  # as it is, and divided by the length first
        own = np.minimum(own, other[0])
        at = np.where(other[1] < nearest, other[2], at)
        nearest = np.minimum(nearest, other[1])
    if space.logits:
        lifted = space.lifted(np.stack([space.of_head(row) for row in rows]))
        logits = _held(lifted, space.lifted(given.values), given.usable, probes, anywhere)
        own, nearest, at = (np.concatenate(pair, 1) for pair in zip((own, nearest, at), logits, strict=True))
    return Match(own, nearest, at)


def _held(
    vectors: np.ndarray, values: np.ndarray, rows: np.ndarray, probes: Sequence[int], anywhere: bool
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Sines to the own rows and to the nearest usable ones, and which those are: each (probes, readouts)."""
    with np.errstate(invalid="ignore"):
        units = unit(vectors)
    units[~np.isfinite(units).all(2)] = 0.0
    usable = np.flatnonzero(rows)
    every = unit(values[usable])
    own, nearest, at = np.ones(units.shape[:2]), np.ones(units.shape[:2]), np.zeros(units.shape[:2], int)
    for place, probe in enumerate(probes):
        there = probe < len(values) and bool(rows[probe])
        if there:
            own[place] = _sines(units[place], unit(values[probe]))
            nearest[place], at[place] = own[place], probe
        if anywhere or not there:
            best = np.abs(units[place] @ every.T).argmax(1)
            sines = _sines(units[place], every[best])
            better = sines < nearest[place]
            nearest[place] = np.where(better, sines, nearest[place])
            at[place] = np.where(better, usable[best], at[place])
    return own, nearest, at


def _sines(units: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """The sine of the angle between directions and wanted ones, whatever their sign; 1 for a direction of zeros."""
    cosines = (units * wanted).sum(1)
    # from the difference, which keeps its digits where the cosine is nearly 1
    apart = np.linalg.norm(units - np.sign(cosines)[:, None] * wanted, axis=1)
    sines = np.where(apart < 0.1, apart, np.sqrt(np.maximum(0.0, 1 - cosines**2)))
    return np.asarray(np.where((units != 0).any(1), sines, 1.0))


def transforms_of(given: Given) -> list[Transform]:
    """What the given vectors betray to have been done, as far as it changes directions."""

    def changed(vectors: np.ndarray) -> np.ndarray:
        with np.errstate(invalid="ignore", divide="ignore"):
            if given.centred == "texts":
                vectors = vectors - vectors.mean(0, keepdims=True)
            elif given.centred == "components":
                vectors = vectors - vectors.mean(2, keepdims=True)
            if given.sign:
                vectors = np.abs(vectors) if given.sign == "removed" else np.sign(vectors)
            if given.int8 in RANGED:
                vectors = ranged(vectors, given.int8)
        return vectors

    if given.int8 in RANGED:  # where each component starts at its least, lost signs leave no trace
        both = [changed, lambda vectors: changed(np.abs(vectors))]
        return [*both, *((lambda vectors, change=change: change(unit(vectors))) for change in both)]
    if given.among_texts:
        return [changed, lambda vectors: changed(unit(vectors))]
    return [changed, lambda vectors: vectors] if given.sign == "removed" else [changed]


def similarity(rows: Sequence[Row], at: int, space: Space, given: Given, texts: Sequence[int]) -> np.ndarray:
    """How near rows of texts come to every given one under the readout of a number: (texts, rows), the own one favoured."""
    vectors, logits = np.stack([space.vector(row, at) for row in rows])[:, None], isinstance(space.readouts[at], Logits)
    wanted = unit(space.wanted(given.values, at)).T
    changed = [vectors] if logits else [change(vectors) for change in transforms_of(given)]
    with np.errstate(invalid="ignore"):
        similar = np.max([np.abs(unit(one[:, 0]) @ wanted) for one in changed], 0)
    similar[:, ~given.usable] = -1.0
    for place, text in enumerate(texts):
        if text < similar.shape[1] and given.usable[text]:
            # of equal texts each keeps its own row; logits of unlike texts may lie near each other
            similar[place, text] += 1e-12 if logits else 1e-11
    return np.asarray(similar)


def every_row(vectors: np.ndarray, rows: np.ndarray) -> list[int | None]:
    """The row of each text, both (count, dims) and of length 1; of many, that which each comes nearest to.

    Texts that come nearest to one row are told apart with the rows that nobody comes nearest to.
    """
    if len(vectors) * len(rows) <= AT_ONCE:
        return assigned(vectors @ rows.T)
    step = max(1, AT_ONCE // len(rows) // 10)
    parts = (vectors[start : start + step] @ rows.T for start in range(0, len(vectors), step))
    nearest = np.concatenate([np.nan_to_num(part, nan=-2.0).argmax(1) for part in parts])
    counts = np.bincount(nearest, minlength=len(rows))
    found: list[int | None] = list(map(int, nearest.tolist()))
    shared, free = np.flatnonzero(counts[nearest] > 1), np.flatnonzero(counts != 1)
    if len(shared) * len(free) <= AT_ONCE:
        for text, row in zip(shared.tolist(), assigned(vectors[shared] @ rows[free].T), strict=True):
            found[text] = None if row is None else int(free[row])
    return found


def assigned(similarity: np.ndarray) -> list[int | None]:
    """The row of each text such that the sum of similarities, (texts, rows), is largest; None where there are too few rows."""
    from scipy.optimize import linear_sum_assignment

    with np.errstate(invalid="ignore"):
        texts, rows = linear_sum_assignment(np.nan_to_num(similarity, nan=-2.0, neginf=-2.0), maximize=True)
    found: list[int | None] = [None] * len(similarity)
    for text, row in zip(texts, rows, strict=True):
        found[int(text)] = int(row)
    return found
