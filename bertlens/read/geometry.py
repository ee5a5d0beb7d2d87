"""Geometry: the shape of a cloud of vectors in every hidden state: how narrow, through which units, how like another."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
"""Which quantiles of the cosines of pairs are kept."""


@dataclass(frozen=True, eq=False)
class Anisotropy:
    """How alike the directions of unrelated tokens are, in every hidden state.

    Attributes
    ----------
    mean : (states,) mean cosine of the pairs, -1 … 1; NaN where there is no pair.
    quantiles : (states, 5) the cosines at `QUANTILES`.
    centred : (states,) the mean cosine after the mean vector of the tokens was taken off; slightly below 0 where one common
        vector explains everything, because what is left sums to zero.
    common : (states,) share of the mean squared length that lies in the mean vector, 0 … 1.
    tokens, pairs, hidden : how many tokens, unordered pairs of them, and units there are.
    texts : how many different texts the tokens come from.
    """

    mean: np.ndarray
    quantiles: np.ndarray
    centred: np.ndarray
    common: np.ndarray
    tokens: int
    pairs: int
    hidden: int
    texts: int

    @property
    def isotropic(self) -> float:
        """Standard deviation of the cosine of two independent directions, of which every one is as likely: 1/sqrt(hidden).

        Their mean is exactly 0: a cosine is then the first coordinate of a point on the unit sphere, whose squares sum to 1.
        """
        return float(self.hidden**-0.5)


def anisotropy(values: np.ndarray, pairs: np.ndarray, texts: int = 2) -> Anisotropy:
    """The mean cosine of pairs of tokens in every state, before and after the mean vector is taken off.

    Parameters
    ----------
    values : (states, tokens, hidden).
    pairs : (tokens, tokens) bool, symmetric with an empty diagonal: the pairs that count.
    texts : how many different texts the tokens come from.

    Source: Ethayarajh 2019, "How Contextual are Contextualized Word Representations?", section 3.3. A vector of zeros has the
    cosine 0 to every other.
    """
    states, tokens, hidden = values.shape
    upper = np.triu(pairs, 1)
    mean, centred, common = (np.full(states, np.nan) for _ in range(3))
    quantiles = np.full((states, len(QUANTILES)), np.nan)
    for at in range(states if upper.any() else 0):
        state = values[at].astype(np.float64)
        middle = state.mean(0)
        units = directions(state)
        cosines = (units @ units.T)[upper]
        mean[at], quantiles[at] = cosines.mean(), np.quantile(cosines, QUANTILES)
        units = directions(state - middle)
        centred[at] = (units @ units.T)[upper].mean()
        squares = (state**2).sum(1).mean()
        common[at] = (middle**2).sum() / squares if squares else np.nan
    return Anisotropy(mean, quantiles, centred, common, tokens, int(upper.sum()), hidden, texts)


def directions(vectors: np.ndarray) -> np.ndarray:
    """(…, vectors, hidden) divided by their lengths, in float64; a vector of zeros stays zero, and NaN stays NaN.

    Zero is also what is nothing but rounding beside the longest vector.
    """
    wide = vectors.astype(np.float64)
    lengths = np.linalg.norm(wide, axis=-1, keepdims=True)
    nothing = lengths <= 1e-12 * np.fmax.reduce(lengths, axis=-2, keepdims=True, initial=0.0)
    units: np.ndarray = np.divide(wide, lengths, out=np.zeros_like(wide), where=~nothing)
    return units


@dataclass(frozen=True, eq=False)
class Outliers:
    """Which units of the hidden states are far larger than the others, and make the cosines.

    Attributes
    ----------
    contributions : (states, hidden) what each unit adds to the mean cosine of the pairs; they sum to it exactly.
    magnitude : (states, hidden) mean absolute value of each unit over the tokens.
    """

    contributions: np.ndarray
    magnitude: np.ndarray

    @property
    def z(self) -> np.ndarray:
        """(states, hidden) how many standard deviations of all units' magnitudes each lies above their mean; 0 if all agree."""
        spread = self.magnitude.std(1, keepdims=True)
        apart = self.magnitude - self.magnitude.mean(1, keepdims=True)
        z: np.ndarray = np.divide(apart, spread, out=np.zeros_like(apart), where=spread > 0)
        return z

    def shares(self, state: int) -> np.ndarray:
        """(hidden,) the part of the mean cosine that each unit makes; NaN where the mean cosine is not above zero.

        They sum to 1; some are negative, and others then sum to more.
        """
        total = self.contributions[state].sum()
        return self.contributions[state] / total if total > 0 else np.full(self.contributions.shape[1], np.nan)

    def top(self, state: int, count: int = 5) -> tuple[int, ...]:
        """The units that contribute most to the mean cosine of one state, the largest first."""
        return tuple(int(unit) for unit in np.argsort(-self.contributions[state], kind="stable")[:count])

    def making(self, state: int, part: float = 0.5) -> tuple[tuple[int, ...], float]:
        """The fewest units that make this part of the mean cosine, and what they make; none where that is not above 0."""
        shares = self.shares(state)
        if not np.isfinite(shares).all():
            return (), float("nan")
        order = np.argsort(-shares, kind="stable")
        sums = np.cumsum(shares[order])
        count = int(np.argmax(sums >= part)) + 1
        return tuple(int(unit) for unit in order[:count]), float(sums[count - 1])


def outliers(values: np.ndarray, pairs: np.ndarray) -> Outliers:
    """What each unit contributes to the mean cosine of the pairs, and how large it is.

    Parameters
    ----------
    values : (states, tokens, hidden).
    pairs : (tokens, tokens) bool, symmetric with an empty diagonal.

    Source: Timkey & van Schijndel 2021, "All Bark and No Bite: Rogue Dimensions in Transformer Language Models Obscure
    Representational Quality", section 3.1. The cosine of a and b is the sum over units i of a_i b_i / (|a| |b|), so the means
    of these terms over the pairs sum to the mean cosine.
    """
    weights = pairs.astype(np.float64)
    count = weights.sum()
    contributions = np.full((values.shape[0], values.shape[2]), np.nan)
    magnitude = contributions.copy()
    for at, state in enumerate(values if values.shape[1] else ()):
        units = directions(state)
        if count:
            contributions[at] = (units * (weights @ units)).sum(0) / count
        magnitude[at] = np.abs(state.astype(np.float64)).mean(0)
    return Outliers(contributions, magnitude)


def cka(values: np.ndarray, *, debiased: bool = False) -> np.ndarray:
    """Linear centred kernel alignment between all pairs of states: (states, states).

    1 where two states hold the same cloud up to rotation and one common scale. The plain form, 0 … 1, is biased upwards where
    there are few vectors and many units; the debiased one is 0 on average for independent clouds and may be slightly negative.
    NaN where a state does not vary, or there are too few vectors (2; debiased 4).

    Parameters
    ----------
    values : (states, vectors, hidden), the same tokens or texts in every state.

    Source: Kornblith et al. 2019, "Similarity of Neural Network Representations Revisited"; debiased by the unbiased HSIC of
    Song et al. 2012, "Feature Selection via Dependence Maximization", as in Nguyen et al. 2021. Computed through the
    (vectors, vectors) Gram matrices, so that the number of units is of no account.
    """
    states, count = values.shape[:2]
    if count < (4 if debiased else 2):
        return np.full((states, states), np.nan)
    grams = np.stack([_centred_gram(state, debiased=debiased).ravel() for state in values])
    products = grams @ grams.T
    lengths = np.sqrt(np.diag(products))
    scale = np.outer(lengths, lengths)
    alike: np.ndarray = np.divide(products, scale, out=np.full_like(products, np.nan), where=scale > 0)
    return alike


def _centred_gram(state: np.ndarray, *, debiased: bool) -> np.ndarray:
    """The Gram matrix, centred in both directions; debiased it is U-centred, whose products are Song's HSIC times n(n-3)."""
    wide = state.astype(np.float64)
    wide = wide - wide.mean(0)  # changes neither form, and keeps digits
    if np.abs(wide).max() <= 1e-12 * np.abs(state).max():  # what the mean leaves of equal vectors is rounding
        return np.zeros((len(wide), len(wide)))
    gram: np.ndarray = wide @ wide.T
    gram /= np.trace(gram)
    if not debiased:
        return gram
    count = len(gram)
    np.fill_diagonal(gram, 0.0)
    rows = gram.sum(1)
    gram += rows.sum() / ((count - 1) * (count - 2)) - (rows[:, None] + rows[None]) / (count - 2)
    np.fill_diagonal(gram, 0.0)
    return gram


@dataclass(frozen=True, eq=False)
class Trail:
    """The way of some vectors through the states, in the plane in which they vary most.

    Attributes
    ----------
    coordinates : (states, texts, 2); NaN for texts that have no vector.
    explained : (2,) share of the variance of all vectors in all states that each axis holds; 0 where nothing varies.
    """

    coordinates: np.ndarray
    explained: np.ndarray


def trail(vectors: np.ndarray) -> Trail:
    """Principal components of all texts in all states together, one plane for every one of them.

    Parameters
    ----------
    vectors : (states, texts, hidden).

    Signs are those of scikit-learn: in each axis the unit with the largest weight counts as positive, so that the same vectors
    always give the same picture. Source: scikit-learn, `PCA(svd_solver="full")`.
    """
    from sklearn.decomposition import PCA

    states, texts, hidden = vectors.shape
    there = np.isfinite(vectors).all((0, 2))
    coordinates = np.full((states, texts, 2), np.nan)
    coordinates[:, there] = 0.0
    cloud = vectors[:, there].reshape(-1, hidden).astype(np.float64)
    explained = np.zeros(2)
    apart = np.abs(cloud - cloud.mean(0)).max() if len(cloud) else 0.0
    axes = min(2, *cloud.shape)
    if axes and apart > 1e-12 * np.abs(cloud).max():
        found = PCA(axes, svd_solver="full").fit(cloud)
        coordinates[:, there, :axes] = found.transform(cloud).reshape(states, -1, axes)
        explained[:axes] = found.explained_variance_ratio_
    return Trail(coordinates, explained)


def pairs_of(matrices: Iterable[np.ndarray]) -> dict[str, np.ndarray]:
    """Mean, smallest and largest over pairs of different texts, each (states,); NaN where there is no pair.

    Parameters
    ----------
    matrices : one (texts, texts) per state.
    """
    found = []
    for matrix in matrices:
        over = matrix[np.triu(np.isfinite(matrix), 1)]
        found.append((over.mean(), over.min(), over.max()) if over.size else (np.nan,) * 3)
    return dict(zip(("mean", "smallest", "largest"), np.array(found).T, strict=True))
