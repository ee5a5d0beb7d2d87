"""Folds: what a linear layer, trained on the other folds, says of every text; cross-validation as scikit-learn does it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from bertlens.run.progress import Progress, silent

if TYPE_CHECKING:
    from sklearn.pipeline import Pipeline  # loaded where it is used, for the first page should not wait for it

STEPS = 1000
"""Steps of L-BFGS at most; a hundred, scikit-learn's default, are too few for some hundred dimensions."""


Splits = Sequence[tuple[np.ndarray, np.ndarray]]
"""Texts to learn from and texts to test on, fold after fold, repeat after repeat."""


@dataclass(frozen=True, eq=False)
class HeldOut:
    """What was said of every text by layers that had not seen it.

    Attributes
    ----------
    labels : (repeats, texts), predicted.
    converged : whether every fit ended by itself.
    """

    labels: np.ndarray
    converged: bool


def linear_layer() -> Pipeline:
    """One linear layer on standardised vectors: logistic regression, penalised by half the squared weights (C = 1)."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    return make_pipeline(StandardScaler(), LogisticRegression(max_iter=STEPS))


def splits(labels: Sequence[str], folds: int, repeats: int, seed: int) -> Splits:
    """`folds` times `repeats` splits, each class spread evenly over the folds; shuffled anew every time, with the seed."""
    from sklearn.model_selection import RepeatedStratifiedKFold

    dealt = RepeatedStratifiedKFold(n_splits=folds, n_repeats=repeats, random_state=seed)
    return list(dealt.split(np.zeros(len(labels)), labels))


def held_out(vectors: np.ndarray, labels: Sequence[str], dealt: Splits, progress: Progress = silent) -> HeldOut:
    """Cross-validate a linear layer on vectors, (texts, dimensions); mean and deviation are taken inside each fold."""
    classes, wide = np.asarray(labels), vectors.astype(np.float64)
    said, converged = [], True
    for at, (learn, test) in enumerate(dealt):
        progress(at, len(dealt), "training a linear layer")
        layer, ended = _fitted(wide[learn], classes[learn])
        said.append(layer.predict(wide[test]))
        converged = converged and ended
    return HeldOut(put_back(said, dealt, len(classes)), converged)


def put_back(said: Sequence[np.ndarray], dealt: Splits, texts: int) -> np.ndarray:
    """What was said of the texts of each test, in the order of the texts: (repeats, texts)."""
    found, repeat, seen = [], np.empty(texts, np.result_type(*said)), 0
    for (_, test), values in zip(dealt, said, strict=True):
        repeat[test] = values
        seen += len(test)
        if seen == texts:
            found.append(repeat.copy())
            seen = 0
    return np.stack(found)


def layer_of(vectors: np.ndarray, labels: Sequence[str]) -> tuple[np.ndarray, np.ndarray, tuple[str, ...]]:
    """The linear layer trained on all vectors, with the standardisation put into its weights.

    Returns weight (classes, dimensions), bias (classes,) and the classes, so that the largest of `vectors @ weight.T + bias`
    is the class; of two classes the first has the weights of the second with the other sign.
    """
    layer, _ = _fitted(vectors.astype(np.float64), np.asarray(labels))
    scaler, regression = layer[0], layer[-1]
    weight: Any = regression.coef_ / scaler.scale_
    bias = regression.intercept_ - weight @ scaler.mean_
    if len(weight) == 1:  # scikit-learn keeps one row for two classes: the log odds of the second
        weight, bias = np.vstack([-weight, weight]) / 2, np.concatenate([-bias, bias]) / 2
    return weight, bias, tuple(map(str, regression.classes_))


def _fitted(vectors: np.ndarray, labels: np.ndarray) -> tuple[Pipeline, bool]:
    layer = linear_layer().fit(vectors, labels)
    return layer, bool(layer[-1].n_iter_.max() < STEPS)
