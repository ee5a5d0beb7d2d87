"""Measures: how far two sets of vectors lie apart, text by text.

They say how large a difference is; they never decide what it is. That is the verdict's business.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch

PRECISION = ("float64", "float32", "float16", "bfloat16")
"""Number formats from the finest to the coarsest."""

EPS: dict[str, float] = {name: torch.finfo(getattr(torch, name)).eps for name in PRECISION}
"""Distance from 1 to the next number, per format."""


BOUND = 2.0**16
"""Rounding in float64 stays below this many eps(float64) times the largest component; see `docs/verdict.md`."""


@dataclass(frozen=True)
class Row:
    """How one text's two vectors compare.

    Attributes
    ----------
    text : index of the text.
    equal : the same bits in every component.
    max_abs, l2 : largest absolute difference, and length of the difference; NaN where a component is not finite.
    cosine : cosine similarity, -1 … 1, computed in float64.
    max_ulp : largest distance in representable numbers of the coarser of the two formats.
    max_abs_float64 : largest absolute difference when both sides are computed in float64; None where that was not needed.
    bound_float64 : what rounding can explain in float64 (see `bertlens.judge.verdict`).
    error : the larger distance of a side to its own float64 repeat, in eps of its format times the largest component.
    verdict : "identical", "rounding", "different" or "undecided".
    """

    text: int
    equal: bool
    max_abs: float
    l2: float
    cosine: float
    max_ulp: int | None
    max_abs_float64: float | None = None
    bound_float64: float | None = None
    error: float | None = None
    verdict: str = "undecided"

    @property
    def scale_float64(self) -> float:
        """Largest component of the two float64 vectors; 0 where they were not computed."""
        return (self.bound_float64 or 0.0) / (BOUND * EPS["float64"])

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON, which knows no NaN: None instead."""
        return {key: plain(value) for key, value in asdict(self).items()}


def plain(value: Any) -> Any:
    """A value for JSON: None in the place of NaN and Inf."""
    return None if isinstance(value, float) and not math.isfinite(value) else value


def measure(reference: np.ndarray, candidate: np.ndarray, dtypes: tuple[str, str]) -> list[Row]:
    """Compare (texts, dimensions) with (texts, dimensions), row by row, without a verdict yet.

    Parameters
    ----------
    dtypes : the number formats in which the two sides were computed; ULPs are counted in the coarser one.
    """
    coarse = max(dtypes, key=PRECISION.index)
    wide = np.float64 if coarse == "float64" else np.float32
    left, right = reference.astype(wide), candidate.astype(wide)
    # compared in float64, which holds both exactly: float64 digits that float32 would drop still count
    equal = (bits(reference.astype(np.float64)) == bits(candidate.astype(np.float64))).all(1)
    difference = _double(reference) - _double(candidate)
    max_abs, l2 = difference.abs().amax(1), difference.norm(dim=1)
    cosines = cosine(reference, candidate)
    steps = ulps(left, right, coarse)
    return [Row(i, bool(equal[i]), float(max_abs[i]), float(l2[i]), float(cosines[i]), steps[i]) for i in range(len(left))]


def bits(values: np.ndarray) -> np.ndarray:
    """The bits of floats as integers, so that -0.0 and 0.0 differ and a NaN equals itself."""
    return np.ascontiguousarray(values).view(np.int64 if values.dtype == np.float64 else np.int32)


def cosine(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Cosine similarity per row, in float64; NaN where a vector is zero or not finite.

    Sums are PyTorch's, so that a script which knows only PyTorch prints the same digits.
    """
    a, b = _double(left), _double(right)
    lengths = a.norm(dim=1) * b.norm(dim=1)
    found = ((a * b).sum(1) / lengths).clamp(-1.0, 1.0)
    same = (a.view(torch.int64) == b.view(torch.int64)).all(1) & (lengths > 0)
    return torch.where(same, 1.0, found).numpy()


def _double(values: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(values.astype(np.float64, order="C"))


def ulps(left: np.ndarray, right: np.ndarray, dtype: str) -> list[int | None]:
    """Largest distance per row, counted in representable numbers of a format; None where a component is not finite."""
    a, b = (_ordered(side, dtype) for side in (left, right))
    finite = np.isfinite(left).all(1) & np.isfinite(right).all(1)
    # unsigned, because the distance of two float64 can exceed int64; the wrap-around of the subtraction is the distance
    apart = np.maximum(a, b).view(np.uint64) - np.minimum(a, b).view(np.uint64)
    return [int(row.max()) if known else None for row, known in zip(apart, finite, strict=True)]


def _ordered(values: np.ndarray, dtype: str) -> np.ndarray:
    """Integers that count the representable numbers of a format from 0 up and down."""
    tensor = torch.from_numpy(np.ascontiguousarray(values)).to(getattr(torch, dtype))
    size = tensor.element_size()
    whole = tensor.view({2: torch.int16, 4: torch.int32, 8: torch.int64}[size]).numpy().astype(np.int64)
    lowest = np.int64(-(2 ** (8 * size - 1)))
    return np.where(whole < 0, lowest - whole, whole)
