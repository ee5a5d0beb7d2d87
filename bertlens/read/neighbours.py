"""Neighbours: which texts lie near each other under a readout, and how far two readouts agree about it.

Readouts of different sizes share no coordinates, but all of them rank the same pairs of texts: that is what is compared.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

DECIMALS = 6
"""Similarities of float32 vectors that agree to so many decimals are equal: what is beyond them is rounding."""


def similarity(vectors: np.ndarray) -> np.ndarray:
    """Cosine similarity of every text with every other: (…, texts, texts), float64, symmetric.

    NaN for a vector without length.

    Parameters
    ----------
    vectors : (…, texts, dimensions).
    """
    wide = vectors.astype(np.float64)
    with np.errstate(invalid="ignore", divide="ignore"):
        unit = wide / np.linalg.norm(wide, axis=-1, keepdims=True)
        found = np.clip(unit @ unit.swapaxes(-1, -2), -1.0, 1.0)
    found = (found + found.swapaxes(-1, -2)) / 2  # blocked products need not be symmetric to the last bit; ranks would see it
    texts = np.arange(unit.shape[-2])
    found[..., texts, texts] = np.where(np.isnan(unit).any(-1), np.nan, 1.0)
    return np.asarray(found)


def nearest(similarities: np.ndarray, k: int) -> np.ndarray:
    """The k nearest other texts of each text, the nearest first: (texts, min(k, texts - 1)); of equals the earlier one.

    Texts whose vectors have no length come last.
    """
    others = similarities.copy()
    np.fill_diagonal(others, -np.inf)
    order = np.argsort(-np.nan_to_num(others, nan=-2.0), axis=1, kind="stable")
    return order[:, : min(k, len(others) - 1)]


def pairs(similarities: np.ndarray) -> np.ndarray:
    """The similarity of every pair of two different texts once: (texts · (texts - 1) / 2,)."""
    return similarities[np.triu_indices(len(similarities), 1)]


def rank_agreement(similarities: Sequence[np.ndarray]) -> np.ndarray:
    """Spearman's rank correlation of the similarities of all pairs of texts, for every two readouts: (readouts, readouts).

    Pairs that are equally similar (to `DECIMALS`) share their mean rank. NaN where there is nothing to rank: fewer than three
    texts (a single pair), or a readout under which all pairs are equally similar or have no similarity.
    """
    from scipy.stats import rankdata

    ranks = np.stack([rankdata(pairs(each).round(DECIMALS), nan_policy="propagate") for each in similarities])
    count = ranks.shape[1]
    if count < 2:
        return np.full((len(ranks), len(ranks)), np.nan)
    centred = ranks - ranks.mean(1, keepdims=True)
    length = np.linalg.norm(centred, axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        unit = centred / np.where(length > 0, length, np.nan)[:, None]
        found = np.clip(unit @ unit.T, -1.0, 1.0)
    np.fill_diagonal(found, np.where(length > 0, 1.0, np.nan))
    return np.asarray(found)


def overlap(left: np.ndarray, right: np.ndarray) -> float:
    """The share of the k nearest texts that two readouts have in common, 0 … 1, averaged over texts; NaN for a single text.

    Parameters
    ----------
    left, right : (texts, k), as `nearest` gives them.
    """
    if not left.size:
        return float("nan")
    return float((left[:, :, None] == right[:, None, :]).any(2).mean())


def chance(texts: int, k: int) -> float:
    """The overlap that two readouts without anything in common have on average: k of the other texts, drawn twice."""
    return min(k, texts - 1) / (texts - 1) if texts > 1 else float("nan")
