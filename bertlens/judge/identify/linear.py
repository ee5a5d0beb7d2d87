"""Linear: whether vectors that no recipe makes are a linear map of one: a dense layer, PCA, whitening, a rotation."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

EXACT = 1e-3
"""Share of the spread that a map may leave where it is said to explain the vectors."""

RELATED = 0.5
"""Share of the spread that a map leaves at most where the vectors are said to be of a related model."""


def linear(readouts: Mapping[str, np.ndarray], wanted: np.ndarray) -> dict[str, Any]:
    """The best linear map from some readout, as far as the texts can tell.

    Parameters
    ----------
    readouts : name -> (texts, dimensions), the rows of all being those of the same texts.
    wanted : (texts, dims).

    Returns
    -------
    kind ("rotation", "linear", "related", "unrelated" or "too few texts"), readout, texts, left (share of the spread that is
    left on texts it was not fitted on, or of the Gram matrices for a rotation), words.
    """
    texts = len(wanted)
    known = {name: vectors for name, vectors in readouts.items() if np.isfinite(vectors).all()}
    if texts < 4 or not known:
        return {
            "kind": "too few texts",
            "texts": texts,
            "words": f"{texts} texts cannot tell a linear map from any other vectors",
        }
    grams = {name: _gap(vectors, wanted) for name, vectors in known.items()}
    name, (gap, _) = min(grams.items(), key=lambda pair: pair[1][0])
    if gap < EXACT:
        words = (
            f"the vectors lie to each other as those of {name} do (their dot products without the mean agree to {gap:.1e}): "
            "the same model, then a rotation such as PCA without whitening"
        )
        return {"kind": "rotation", "readout": name, "texts": texts, "left": gap, "words": words}
    name = max(grams, key=lambda one: grams[one][1])
    unknowns = known[name].shape[1] + 1
    kept = max(8, texts // 5)
    if texts - kept < unknowns + 8:
        words = (
            f"a linear map from {name} has {unknowns} unknowns per component: {texts} texts cannot tell whether there is one"
        )
        return {"kind": "too few texts", "readout": name, "texts": texts, "unknowns": unknowns, "words": words}
    left = _left(known[name], wanted, kept)
    fitted = f"fitted on {texts - kept} texts and tried on {kept} others, it leaves {left:.2g} of their spread"
    if left < EXACT:
        kind, words = (
            "linear",
            f"a linear map of {name} makes them: the same model, then a dense layer, PCA or whitening ({fitted})",
        )
    elif left < RELATED:
        kind, words = "related", f"a linear map of {name} comes near: a fine-tuned or related checkpoint ({fitted})"
    else:
        kind, words = "unrelated", f"no linear map of {name} makes them: another model ({fitted})"
    return {"kind": kind, "readout": name, "texts": texts, "unknowns": unknowns, "left": left, "words": words}


def _gap(vectors: np.ndarray, wanted: np.ndarray) -> tuple[float, float]:
    """How far two Gram matrices without the mean lie apart, up to a factor, and how alike they are (linear CKA)."""
    one, other = (_gram(side) for side in (vectors, wanted))
    product = float((one * other).sum())
    sizes = float(np.linalg.norm(one) * np.linalg.norm(other))
    if sizes == 0:
        return 1.0, 0.0
    alike = product / sizes
    return float(np.sqrt(max(0.0, 1 - alike * alike))), alike


def _gram(vectors: np.ndarray) -> np.ndarray:
    centred = vectors.astype(np.float64) - vectors.mean(0, keepdims=True)
    return np.asarray(centred @ centred.T)


def _left(vectors: np.ndarray, wanted: np.ndarray, kept: int) -> float:
    """Share of the spread that a map leaves on texts it was not fitted on: every k-th of them, from all over."""
    texts = len(wanted)
    tried = np.zeros(texts, bool)
    tried[np.linspace(0, texts - 1, kept).round().astype(int)] = True
    full = np.concatenate([vectors.astype(np.float64), np.ones((texts, 1))], 1)
    weights, *_ = np.linalg.lstsq(full[~tried], wanted[~tried], rcond=None)
    rest = wanted[tried] - full[tried] @ weights
    spread = wanted[tried] - wanted[~tried].mean(0)
    return float((rest**2).sum() / (spread**2).sum())
