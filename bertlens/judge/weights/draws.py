"""Draws: how likely the statistics of a weight are if its entries were drawn independently a moment ago.

Each test gives the probability that a fresh draw would look at least this extreme. See `docs/untrained-weights.md`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch

from bertlens.read.spectrum import Reading, Top

TRAINED = 1e-6
"""Below this probability under a fresh draw, all tests counted, structure means training."""

FITS = 1e-3
"""Above this probability a weight fits a fresh draw; between the two nothing is said."""

SAMPLE = 16384
"""Entries whose law is compared in full; so few that float16 and bfloat16 rounding stays invisible."""


SUMMED = 16
"""Norms are judged only where so many squares are summed (of fewer the cube root is not normal), and too much evenness only
among so many singular values."""


@dataclass(frozen=True)
class Law:
    """A law that initialisers draw from, in units of its standard deviation.

    Attributes
    ----------
    name : for a person.
    cut : where it ends, in standard deviations of the normal law that was cut; infinite for normal, 0 for uniform.
    bound : the largest value it can take, in its own standard deviations.
    kurtosis : its fourth moment.
    spread : N times the variance of the kurtosis of N draws.
    """

    name: str
    cut: float
    bound: float
    kurtosis: float
    spread: float

    def below(self, values: np.ndarray) -> np.ndarray:
        """Probability of a draw below each value (in standard deviations)."""
        if self.cut == 0:
            return np.clip((values / self.bound + 1) / 2, 0, 1)
        unit = 1.0 if math.isinf(self.cut) else self.cut / self.bound
        normal: np.ndarray = torch.special.ndtr(torch.from_numpy(values * unit)).numpy()
        tail = 0.5 * math.erfc(self.cut / math.sqrt(2))
        return np.clip((normal - tail) / (1 - 2 * tail), 0, 1)


def _law(name: str, cut: float) -> Law:
    """Moments of a normal law cut at ± `cut` standard deviations; cut 0 means the uniform law."""
    grid = np.linspace(-1, 1, 20001) * (min(cut, 12.0) or 1.0)
    weight = np.exp(-(grid**2) / 2) if cut else np.ones_like(grid)
    weight /= weight.sum()
    unit = grid / math.sqrt(float((weight * grid**2).sum()))
    kurtosis = float((weight * unit**4).sum())
    # how the kurtosis of a sample moves with one entry: x^4 - k - 2k (x^2 - 1)
    spread = float((weight * (unit**4 - kurtosis - 2 * kurtosis * (unit**2 - 1)) ** 2).sum())
    return Law(name, cut, math.inf if math.isinf(cut) else float(unit[-1]), kurtosis, spread)


LAWS = (
    _law("normal", math.inf),
    _law("truncated normal", 2.0),
    _law("truncated normal (3 std)", 3.0),
    _law("uniform", 0.0),
)
"""What torch, transformers and TensorFlow draw from; Xavier and Kaiming are normal or uniform with a scale of their own."""


@dataclass(frozen=True)
class WeightState:
    """Whether one weight was ever trained.

    Attributes
    ----------
    state : "newly drawn", "trained", "cannot tell", "not finite" or "all zero"; for added rows see `untrained_rows`.
    reason : one sentence with its numbers.
    evidence : the numbers by name; what was not measured is not there.
    """

    state: str
    reason: str
    evidence: dict[str, Any] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {"state": self.state, "reason": self.reason, "evidence": self.evidence}


def upper_chi_square(value: float, freedom: float) -> float:
    """Probability that a chi-square with so many degrees of freedom is at least `value`."""
    if freedom <= 0:
        return 1.0
    half = torch.tensor([freedom / 2, max(value, 0.0) / 2], dtype=torch.float64)
    return float(torch.special.gammaincc(half[0], half[1]))


def upper_normal(score: float) -> float:
    """Probability that a standard normal number is at least `score`."""
    return 0.5 * math.erfc(score / math.sqrt(2))


def upper_tracy_widom(value: float) -> float:
    """Upper tail of the Tracy-Widom law of order 1 as a shifted gamma law (Chiani 2014, table I)."""
    shape, scale, shift = torch.tensor([46.446, 0.186054, 9.84801], dtype=torch.float64)
    return float(torch.special.gammaincc(shape, ((value + shift) / scale).clamp(min=0)))


def entries(matrix: np.ndarray, reading: Reading) -> tuple[str, float]:
    """The law that fits the entries best, and how likely they are under it."""
    flat = matrix.reshape(-1)
    values = np.sort(flat[:: max(1, -(-flat.size // SAMPLE))].astype(np.float64)) / reading.rms
    return max(((law.name, _fit(law, values, reading)) for law in LAWS), key=lambda pair: pair[1])


def _fit(law: Law, values: np.ndarray, reading: Reading) -> float:
    """Three looks at one law: the fourth moment, the largest entry, and the whole law (Kolmogorov-Smirnov)."""
    size = reading.shape[0] * reading.shape[1]
    if math.isinf(law.cut):
        moment = 2 * upper_normal(abs(_anscombe_glynn(reading.kurtosis, size)))
        beyond = 2 * upper_normal(reading.largest / reading.rms)
        most = -math.expm1(size * math.log1p(-beyond))
    else:
        moment = 2 * upper_normal(abs(reading.kurtosis - law.kurtosis) / math.sqrt(law.spread / size))
        # no entry lies beyond the bound; only the standard deviation, the bound is measured by, is uncertain
        error = math.sqrt((law.kurtosis - 1) / 4 / size)
        most = upper_normal((reading.largest / reading.rms / law.bound * (1 - reading.step / 2) - 1) / error)
    expected = law.below(values)
    ranks = np.arange(len(values) + 1) / len(values)
    distance = max(float((ranks[1:] - expected).max()), float((expected - ranks[:-1]).max()))
    whole = min(1.0, 2 * math.exp(-2 * len(values) * distance**2))
    return min(1.0, 3 * min(moment, most, whole))


def _anscombe_glynn(kurtosis: float, size: int) -> float:
    """The kurtosis of `size` normal draws as a standard score (Anscombe and Glynn 1983)."""
    mean = 3 * (size - 1) / (size + 1)
    variance = 24 * size * (size - 2) * (size - 3) / ((size + 1) ** 2 * (size + 3) * (size + 5))
    score = (kurtosis - mean) / math.sqrt(variance)
    skew = 6 * (size**2 - 5 * size + 2) / ((size + 7) * (size + 9))
    skew *= math.sqrt(6 * (size + 3) * (size + 5) / (size * (size - 2) * (size - 3)))
    a = 6 + 8 / skew * (2 / skew + math.sqrt(1 + 4 / skew**2))
    inner = (1 - 2 / a) / (1 + score * math.sqrt(2 / (a - 4)))
    return float((1 - 2 / (9 * a) - math.copysign(abs(inner) ** (1 / 3), inner)) / math.sqrt(2 / (9 * a)))


def structure(reading: Reading) -> dict[str, float]:
    """Tests of what training leaves in sums over rows and columns."""
    rows, columns = reading.shape
    return {
        "mean of all": 2 * upper_normal(abs(reading.mean) / reading.rms * math.sqrt(rows * columns)),
        "row norms": upper_normal(reading.row_norms) if columns >= SUMMED else 1.0,
        "column norms": upper_normal(reading.column_norms) if rows >= SUMMED else 1.0,
        "row means": upper_chi_square(reading.row_means, rows),
        "column means": upper_chi_square(reading.column_means, columns),
    }


def spectral(top: Top, kurtosis: float) -> dict[str, float]:
    """Tests of what training leaves in the singular values."""
    return {
        "largest singular value": upper_tracy_widom(top.tracy_widom),
        "spread of the singular values": upper_chi_square(*_john(top, kurtosis)),
    }


def too_even(reading: Reading, top: Top) -> float:
    """Probability that independent entries spread so evenly; 0 for an orthogonal matrix."""
    return min(
        upper_normal(-reading.row_norms) if reading.shape[1] >= SUMMED else 1.0,
        upper_normal(-reading.column_norms) if reading.shape[0] >= SUMMED else 1.0,
        1 - upper_chi_square(*_john(top, reading.kurtosis)) if min(top.shape) >= SUMMED else 1.0,
    )


def _john(top: Top, kurtosis: float) -> tuple[float, float]:
    """John's statistic as a chi-square and its degrees of freedom; entries that are not normal shift it (Wang and Yao 2013)."""
    short = min(top.shape)
    return short / 2 * (top.evenness + short - (kurtosis - 3) * (1 - 1 / short)), short * (short + 1) / 2 - 1
