"""Untrained: whether a weight was ever moved by training, from the weight alone.

A model that was never trained, or a layer that nobody used, is drawn from a random law and loads like any other. What tells
them apart is structure: training writes directions into a matrix that independent draws do not have. See
`docs/untrained-weights.md`.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch

from bertlens.judge.weights import draws
from bertlens.judge.weights.added_rows import untrained_rows
from bertlens.judge.weights.draws import FITS, TRAINED, WeightState
from bertlens.read.spectrum import BLOCK, ROWS, Reading, Top, as_matrix, read, sampled, top

__all__ = ["WeightState", "state_of", "untrained_rows"]

EARLY = 1e-9
"""Below this probability a sampled block ends the reading: the rest is not looked at."""

SMALLEST = 256
"""Entries a weight must have before it can fit a fresh draw, with a bias that never moved."""

ALONE = 64
"""Rows and columns a matrix must have before it decides without any bias."""

TESTS = 13  # five sums, two tests of two spectra, the entries, three of evenness: the smallest probability counts so often


def state_of(
    kind: str,
    weight: torch.Tensor,
    bias: torch.Tensor | None = None,
    *,
    initializer_range: float | None = None,
    padding_row: int | None = None,
    thorough: bool = True,
) -> WeightState:
    """Decide from its numbers whether a weight was ever trained.

    Parameters
    ----------
    kind : "linear" (out, in), "embedding" (rows, dim) or "norm" (dim,).
    weight, bias : as the file holds them, in any floating format; the bias (out,) or (dim,), if the layer has one.
    initializer_range : the standard deviation the config names; reported next to the measured one, never decisive.
    padding_row : the row of an embedding that a fresh model sets to zero.
    thorough : False leaves out the whole spectrum, the slow part, of a layer whose bias was never moved: that speaks for
        itself, and a block of the matrix is read in any case.
    """
    matrix = as_matrix(weight)
    largest = 0.0
    for part, name in ((matrix, "weight"), (None if bias is None else as_matrix(bias), "bias")):
        if part is not None and part.size:
            largest = max(largest, float(part.max()), -float(part.min()))  # NaN and Inf pass through the extremes
            if not math.isfinite(float(part.max()) + float(part.min())):
                bad = int(part.size - np.isfinite(part).sum())
                return WeightState(
                    "not finite", f"{bad} of {part.size} numbers of the {name} are NaN or infinite.", {"bad": bad}
                )
    evidence: dict[str, Any] = {"shape": list(weight.shape), "bias": _bias(bias), "largest": largest}
    if not matrix.any():
        return WeightState("all zero", f"All {matrix.size} numbers of the weight are exactly zero.", evidence)
    if kind == "norm":
        return _norm(matrix, evidence)
    if kind == "embedding":
        matrix = _real_rows(matrix, padding_row, evidence)
        if not matrix.size:
            return WeightState("all zero", "Every row but the padding row is exactly zero.", evidence)
    if _filled(matrix):
        reason = (
            f"Holds no numbers but {matrix.min():.4g}, {matrix.max():.4g} and 0: filled by a rule, neither drawn nor trained."
        )
        return WeightState("cannot tell", reason, evidence)
    return _matrix(matrix, bias, evidence, initializer_range, thorough)


def _filled(matrix: np.ndarray) -> bool:
    """Whether a matrix is a constant, the identity, or signs: its extremes and zero are all it holds."""
    low, high = matrix.min(), matrix.max()
    return all(bool(((part == low) | (part == high) | (part == 0)).all()) for part in (matrix[:1], matrix[-1:], matrix))


def _bias(bias: torch.Tensor | None) -> str:
    """What a bias says before anything is compared with the weight."""
    if bias is None:
        return "none"
    return "moved" if bool(bias.any()) else "exactly zero"


def _norm(matrix: np.ndarray, evidence: dict[str, Any]) -> WeightState:
    """A LayerNorm starts with ones and zeros; one step of training moves every one of them."""
    low, high = float(matrix.min()), float(matrix.max())
    evidence |= {"smallest": low, "largest": high}
    if low == high and evidence["bias"] != "moved":
        what = "exactly one" if low == 1 else f"exactly {low:.6g}, as weight decay alone leaves ones"
        bias = ", every bias exactly zero" if evidence["bias"] == "exactly zero" else ""
        return WeightState("newly drawn", f"Every one of {matrix.size} weights is {what}{bias}.", evidence)
    bias = "the bias is not zero" if low == high else f"the weights lie between {low:.4g} and {high:.4g}"
    return WeightState("trained", f"A new LayerNorm holds ones and zeros; here {bias}.", evidence)


def _real_rows(matrix: np.ndarray, padding_row: int | None, evidence: dict[str, Any]) -> np.ndarray:
    """The rows of an embedding that a draw would have filled, at most `ROWS` of them."""
    rows = np.arange(len(matrix))
    if padding_row is not None and len(matrix) > 1:
        evidence["padding_row"] = "not zero" if matrix[padding_row].any() else "exactly zero"
        rows = np.delete(rows, padding_row)
    matrix = matrix.take(sampled(rows[:, None], ROWS)[:, 0], 0)
    filled = matrix.any(1)
    evidence |= {"zero_rows": int((~filled).sum()), "rows_read": len(matrix)}
    return matrix if filled.all() else matrix[filled]


def _matrix(
    matrix: np.ndarray,
    bias: torch.Tensor | None,
    evidence: dict[str, Any],
    initializer_range: float | None,
    thorough: bool,
) -> WeightState:
    """The rule for matrices, the cheapest tests first; what a sampled block already settles is not read further."""
    largest = float(max(matrix.max(), -matrix.min()))
    # fourth powers of anything in between fit float32; the scale of a weight says nothing, so another is as good
    unit = 1.0 if 1e-8 < largest < 1e8 else 2.0 ** math.floor(math.log2(largest))
    matrix = matrix if unit == 1 else matrix / matrix.dtype.type(unit)
    reading, seen = read(matrix), top(sampled(matrix, *BLOCK))
    chances = draws.structure(reading) | draws.spectral(seen, reading.kurtosis)
    evidence |= {
        "std": reading.std * unit,
        **({"std_over_initializer_range": reading.std * unit / initializer_range} if initializer_range else {}),
        "kurtosis": reading.kurtosis,
        "zeros": reading.zeros,
    }
    doubt = ""
    if TESTS * min(chances.values()) >= EARLY:
        if seen.shape != matrix.shape and (thorough or evidence["bias"] != "exactly zero"):
            seen = top(matrix)
            chances |= {f"{name} (whole)": chance for name, chance in draws.spectral(seen, reading.kurtosis).items()}
        doubt = _doubt(matrix, reading, seen, evidence)
        if evidence["bias"] == "moved" and bias is not None and _as_linear_draws(matrix, bias, reading, evidence["law"]):
            evidence["bias"] = "as torch.nn.Linear draws it"
    test = min(chances, key=lambda name: chances[name])
    evidence |= {
        "edge_ratio": seen.edge_ratio,
        "tracy_widom": seen.tracy_widom,
        "spectrum_of": list(seen.shape),
        "test": test,
        "probability": min(1.0, TESTS * chances[test]),
    }
    return _ruled(evidence, doubt, matrix.shape)


def _doubt(matrix: np.ndarray, reading: Reading, seen: Top, evidence: dict[str, Any]) -> str:
    """Why a matrix without structure is still no fresh draw of a known law; empty if it is one."""
    evidence["law"], likely = draws.entries(matrix, reading)
    if reading.zeros > 10 + 1e-4 * matrix.size:
        return f"{reading.zeros} of {matrix.size} entries are exactly zero, as after pruning"
    if TESTS * draws.too_even(reading, seen) < FITS:
        return "its rows or singular values are more equal than independent draws, as after an orthogonal initialisation"
    if TESTS * likely < FITS:
        return f"its entries follow no law that initialisers draw from (kurtosis {reading.kurtosis:.3f})"
    return ""


def _as_linear_draws(matrix: np.ndarray, bias: torch.Tensor, reading: Reading, law: str) -> bool:
    """Weight and bias uniform within 1/√fan_in, up to that bound and not beyond: no step of training moved them."""
    bound, slack = 1 / math.sqrt(matrix.shape[1]), 1 + reading.step / 2
    values = np.sort(as_matrix(bias).ravel().astype(np.float64))
    ranks = (np.arange(len(values)) + 0.5) / len(values)
    distance = float(abs(ranks - (values / bound + 1) / 2).max())
    return (
        law == "uniform"
        # a draw of N entries misses the outermost 14/N of the bound once in a million times
        and bound * (1 - 14 / matrix.size) / slack <= reading.largest <= bound * slack
        and abs(values).max() <= bound * slack
        and 2 * math.exp(-2 * len(values) * distance**2) > FITS
    )


def _ruled(evidence: dict[str, Any], doubt: str, shape: tuple[int, ...]) -> WeightState:
    """The state that the numbers lead to, with its sentence."""
    least, bias = evidence["probability"], evidence["bias"]
    size = shape[0] * shape[1]
    part = "" if tuple(evidence["spectrum_of"]) == shape else " of a sampled block"
    edge = f"largest singular value{part} {evidence['edge_ratio']:.3f} of the edge of independent draws"
    unlike = f"Unlike a fresh draw in its {evidence['test']} ({_chance(least)}); {edge}."
    if least < TRAINED or (least < FITS and bias == "moved"):
        return WeightState("trained", unlike, evidence)
    if least < FITS:
        return WeightState("cannot tell", f"{unlike} That is too little to call it trained.", evidence)
    if doubt:
        return WeightState("cannot tell", f"No direction stands out, yet it is no plain draw: {doubt}.", evidence)
    fits = f"{evidence['law']} entries, {edge}"
    if bias == "moved":
        return WeightState(
            "cannot tell", f"The weight fits a fresh draw ({fits}), but its bias was moved: trained little.", evidence
        )
    if size < SMALLEST or (bias == "none" and min(shape) < ALONE):
        return WeightState("cannot tell", f"{shape[0]} x {shape[1]} numbers are too few to decide ({fits}).", evidence)
    # below this a change of one direction hides among the draws (Benaych-Georges and Nadakuditi 2012)
    hidden = f"; without a bias a change below {size**-0.25:.1%} of it cannot be seen"
    also = {"none": hidden, "exactly zero": "; every bias exactly zero"}.get(bias, f"; bias {bias}")
    return WeightState("newly drawn", f"Fits a fresh draw: {fits}{also}.", evidence)


def _chance(probability: float) -> str:
    return f"probability {probability:.1g}" if probability >= 1e-12 else "probability below 1e-12"
