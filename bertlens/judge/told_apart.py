"""Told apart: whether two classifiers, tested on the same folds, differ by more than chance; and one from guessing.

Two tests must agree, because each is blind where the other sees. The t-test of Nadeau and Bengio (2003) takes in that the
folds share their training texts, but believes in a difference that happens to be alike in a few small folds. An exact test
counts texts, but takes the fits for fixed: McNemar's between two classifiers (Dietterich 1998), the binomial one against
guessing.
"""

from __future__ import annotations

import math

import numpy as np

from bertlens.read.folds import Splits

LEVEL = 0.05
"""Below this probability two classifiers are told apart."""


def corrected_t(differences: np.ndarray, folds: int) -> float:
    """Two-sided probability of differences, one per test of a repeated cross-validation, if the truth were none.

    The variance is corrected for training sets that overlap: a test holds 1 / (folds - 1) as many texts as were learnt from
    (Nadeau and Bengio, Inference for the Generalization Error, Machine Learning 52, 2003; with repeats: Bouckaert and Frank,
    Evaluating the Replicability of Significance Tests, PAKDD 2004).
    """
    from scipy.stats import t

    tests = len(differences)
    mean, variance = float(differences.mean()), float(differences.var(ddof=1))
    if mean == 0:
        return 1.0
    scale = math.sqrt(variance * (1 / tests + 1 / (folds - 1)))
    return float(2 * t.sf(abs(mean) / scale, tests - 1)) if scale > 0 else 0.0


def mcnemar(right: np.ndarray, other: np.ndarray) -> float:
    """Two-sided exact probability of the texts that only one of two classifiers gets right; both (texts,), true or false."""
    from scipy.stats import binomtest

    only, only_other = int((right & ~other).sum()), int((other & ~right).sum())
    return float(binomtest(only, only + only_other).pvalue) if only + only_other else 1.0


def of_two(right: np.ndarray, other: np.ndarray, dealt: Splits) -> float:
    """The probability of the distance between two classifiers if there were none: the larger of both tests'.

    Parameters
    ----------
    right, other : (repeats, texts) whether each had the held-out text right.
    dealt : texts learnt from and tested on, per test.
    """
    return max(_of_tests(right, other, dealt), mcnemar(_mostly(right), _mostly(other)))


def of_guessing(right: np.ndarray, guess: np.ndarray, dealt: Splits) -> float:
    """The same of a classifier and of one that always says the commonest label, of which it may be right by luck."""
    from scipy.stats import binomtest

    mostly = _mostly(right)
    exact = binomtest(int(mostly.sum()), len(mostly), float(guess.mean()), alternative="greater").pvalue
    return max(_of_tests(right, guess, dealt), float(exact))


def _of_tests(right: np.ndarray, other: np.ndarray, dealt: Splits) -> float:
    folds = len(dealt) // len(right)
    apart = right.astype(float) - other.astype(float)
    return corrected_t(np.array([apart[at // folds, test].mean() for at, (_, test) in enumerate(dealt)]), folds)


def _mostly(right: np.ndarray) -> np.ndarray:
    """Whether a text was right in more than half of the repeats."""
    return np.asarray(right.mean(0) > 0.5)


def holm(probabilities: list[float]) -> list[float]:
    """Probabilities corrected for how many comparisons were made (Holm 1979), in their order."""
    order, least = sorted(range(len(probabilities)), key=lambda at: probabilities[at]), 0.0
    found = list(probabilities)
    for rank, at in enumerate(order):
        least = max(least, min(1.0, (len(order) - rank) * probabilities[at]))
        found[at] = least
    return found
