"""Scatter: how the vectors of runs with dropout lie around their middle, and whether rows lie as they do."""

from __future__ import annotations

import numpy as np

from bertlens.read.post import unit

NEAR = 3.5
"""Standard deviations among runs within which the distance of the rows must lie, each by itself and on average."""

REACH = 2.5
"""How many times as far as a run from the middle of the runs."""


def distance(runs: np.ndarray, wanted: np.ndarray) -> float:
    """Mean distance of rows from the middle of runs: (seeds, texts, dims) against (texts, dims)."""
    return float(np.linalg.norm(wanted - runs.mean(0), axis=1).mean())


def within_reach(runs: np.ndarray, wanted: np.ndarray, bar: float) -> bool:
    """Whether rows are anywhere near the first runs, and may be nearer than `bar`: (seeds, texts, dims), (texts, dims)."""
    if runs.shape[2] != wanted.shape[1] or not np.isfinite(runs).all():
        return False
    middle = runs.mean(0)
    spread = float(np.sqrt(((runs - middle) ** 2).sum(2).sum(0) / (len(runs) - 1)).mean())
    # the middle of a few runs is itself off: what is as near after all of them lies 1.1 times as far after these
    return distance(runs, wanted) <= min(REACH * spread, 1.1 * bar)


def same_directions(drawn: np.ndarray, moves: np.ndarray) -> bool:
    """Whether rows move in the directions in which dropout moves these texts: (seeds, texts, dims) and (texts, dims).

    The share of the moves that lies in the main directions of the others is compared with that of every run.
    """
    main = max(1, min(16, moves.shape[1] // 3, len(drawn) * len(moves) // 4))

    def share(others: np.ndarray, one: np.ndarray) -> float:
        directions = np.linalg.svd(others.reshape(-1, others.shape[-1]), full_matrices=False)[2][:main]
        return float(((one @ directions.T) ** 2).sum() / (one**2).sum())

    known = np.array([share(np.delete(drawn, at, 0), run) for at, run in enumerate(drawn)])
    return share(drawn, moves) >= float(known.mean() - NEAR * known.std()) - 0.02


def common(moves: np.ndarray) -> float:
    """Mean cosine of the moves of different texts, (texts, dims)."""
    if len(moves) < 2:
        return 0.0
    units = unit(moves)
    cosines = units @ units.T
    return float(cosines[~np.eye(len(units), dtype=bool)].mean())
