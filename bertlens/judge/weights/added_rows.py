"""Added rows: whether the rows that were appended to a trained embedding were ever trained.

`resize_token_embeddings` draws them at random, or next to the mean of the old rows. See `docs/untrained-weights.md`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from bertlens.judge.weights.draws import FITS, TRAINED, WeightState, upper_normal
from bertlens.read.spectrum import ROWS, as_matrix, sampled

NEAR = 0.05
"""A row nearer to the mean than this share of the usual distance was set to the mean."""

ALIKE = 0.01
"""Where more old rows than this fit a fresh draw too, a new row that fits one proves nothing."""

WIDTH = 64
"""Components a row must have."""


@dataclass(frozen=True)
class Old:
    """What the rows that were there before have in common.

    Attributes
    ----------
    mean : (dim,) their mean; usual : median distance of a row to it.
    colour : (dim, dim) the directions along which they spread, and loads (dim,), the logarithm of how much, its mean removed.
    fits : share of the old rows that would pass for a fresh draw.
    """

    mean: np.ndarray
    usual: float
    colour: np.ndarray
    loads: np.ndarray
    fits: float = 0.0

    def chances(self, rows: np.ndarray) -> np.ndarray:
        """(rows,) how likely a fresh normal draw of any scale lies so far off: along the mean, in colour, in its entries."""
        unit = rows / np.maximum(np.sqrt((rows**2).mean(1, keepdims=True)), 1e-30)
        length = float(np.linalg.norm(self.mean))
        along = unit @ (self.mean / max(length, 1e-30))
        # a fresh draw spreads evenly over all directions, a trained row as the others do: the logarithm of the two densities
        likeness = (unit @ self.colour) ** 2 @ self.loads / math.sqrt(2 * float((self.loads**2).sum()))
        scores = np.maximum(np.abs(along), np.abs(likeness))
        entries = np.array([_normal_entries(row) for row in unit])
        return np.asarray(np.minimum(1.0, 3 * np.minimum([2 * upper_normal(score) for score in scores], entries)))


def _normal_entries(unit: np.ndarray) -> float:
    """Kolmogorov-Smirnov: how likely the entries of a row are if they were drawn from the normal law."""
    values: np.ndarray = torch.special.ndtr(torch.from_numpy(np.sort(unit).astype(np.float64))).numpy()
    ranks = (np.arange(len(values)) + 0.5) / len(values)
    distance = float(np.abs(values - ranks).max()) + 0.5 / len(values)
    return min(1.0, 2 * math.exp(-2 * len(values) * distance**2))


def old_rows(matrix: np.ndarray) -> Old:
    """What the old rows (rows, dim) have in common, from at most `ROWS` of them."""
    matrix = matrix[matrix.any(1)]
    mean = matrix.mean(0)  # of all rows: it is what `resize_token_embeddings` took
    matrix = sampled(matrix, ROWS)
    around = matrix - mean
    tensor = torch.from_numpy(around)
    variances, colour = (part.numpy() for part in torch.linalg.eigh(tensor.T @ tensor / len(matrix)))
    loads = np.log(np.maximum(variances, variances[-1] * 1e-6))
    old = Old(mean, float(np.median(np.linalg.norm(around, axis=1))), colour, loads - loads.mean())
    return Old(mean, old.usual, colour, old.loads, float((old.chances(sampled(matrix, 512)) >= FITS).mean()))


def untrained_rows(
    embedding: torch.Tensor, rows: Sequence[int], initializer_range: float | None = None
) -> dict[int, WeightState]:
    """Say of each named row of an embedding whether it was ever trained; the other rows are taken as trained.

    Parameters
    ----------
    embedding : (rows, dim).
    rows : which rows were added, as indices from 0.
    initializer_range : standard deviation of a fresh draw, where the config names it.

    Returns
    -------
    row -> state: "newly drawn", "near the mean" (what `resize_token_embeddings` draws since transformers 4.46), "duplicate"
    (the same bits as another row), "zero", "not finite", "trained" or "cannot tell".
    """
    matrix = as_matrix(embedding)
    kept = np.setdiff1d(np.arange(len(matrix)), rows)
    old = old_rows(matrix[kept]) if len(kept) >= 2 * matrix.shape[1] >= 2 * WIDTH else None
    return {row: _row(matrix, row, old, initializer_range) for row in rows}


def _row(matrix: np.ndarray, row: int, old: Old | None, initializer_range: float | None) -> WeightState:
    """The state of one row."""
    values = matrix[row]
    if not np.isfinite(values).all():
        return WeightState("not finite", f"Row {row} holds NaN or infinite numbers.")
    if not values.any():
        return WeightState("zero", f"All {len(values)} numbers of row {row} are exactly zero.")
    if old is None:
        return WeightState("cannot tell", f"There are too few other rows of {len(values)} numbers to compare row {row} with.")
    far = float(np.linalg.norm(values - old.mean)) / old.usual
    same = np.flatnonzero(matrix[:, 0] == values[0])
    same = same[(matrix[same] == values).all(1) & (same != row)]
    std = float(values.std())
    chance = float(old.chances(values[None])[0])
    evidence = {
        "std": std,
        "distance_to_mean": far,
        "same_as": same.tolist(),
        "probability": chance,
        "old_rows_that_fit": old.fits,
    }
    if initializer_range:
        evidence["std_over_initializer_range"] = std / initializer_range
    if far < NEAR:
        said = f"Row {row} lies {far:.1g} of the usual distance from the mean of the other rows."
        return WeightState("near the mean", said, evidence)
    if len(same):
        return WeightState("duplicate", f"Row {row} has the same bits as row {same[0]}.", evidence)
    return _drawn(row, len(values), evidence, old, initializer_range)


def _drawn(row: int, size: int, evidence: dict[str, float], old: Old, initializer_range: float | None) -> WeightState:
    """Fresh draw or trained, for a row that stands alone."""
    chance, std = evidence["probability"], evidence["std"]
    if chance < TRAINED:
        return WeightState("trained", f"Row {row} points where the other rows point: {chance:.1g} for a fresh draw.", evidence)
    if chance < FITS:
        return WeightState("cannot tell", f"Row {row}: {chance:.1g} for a fresh draw.", evidence)
    if old.fits > ALIKE:
        said = f"Row {row} fits a fresh draw, but so do {old.fits:.0%} of the other rows."
        return WeightState("cannot tell", said, evidence)
    # the standard deviation of n draws is known to 1/√(2n) of itself
    if initializer_range and abs(std / initializer_range - 1) > 5 / math.sqrt(2 * size):
        said = (
            f"Row {row} points nowhere in particular, but its std {std:.4g} is not the {initializer_range:g} of a fresh draw."
        )
        return WeightState("cannot tell", said, evidence)
    return WeightState(
        "newly drawn", f"Row {row} fits a fresh draw of std {std:.4g}: nothing of the other rows is in it.", evidence
    )
