"""Given: what vectors betray by themselves: how they were stored, normalised, centred, and rows without a vector."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from bertlens.errors import BertlensError
from bertlens.read.post import FLOATS, RANGED, Post

DECIMALS = range(1, 9)
"""Numbers of decimals that are looked for."""

SIGNIFICANT = range(2, 7)
"""Numbers of significant digits that are looked for; float32 has seven."""

BY_LUCK = 1e-4
"""Chance that numbers which were never rounded all have so few decimals, at most."""

SCATTERED = 0.4
"""Below this share of the mean of unrelated directions rows were probably centred."""

EPS = 2.0**-24
"""Half a unit in the last place of float32."""


@dataclass(frozen=True)
class Given:
    """Vectors from elsewhere.

    Attributes
    ----------
    values : (rows, dims), float64.
    usable : (rows,), False on rows with NaN or Inf, and on rows of zeros.
    store : as in `Post.store`, "" where every number has the digits of float32 or more.
    int8 : as in `Post.int8`, where store is "int8".
    step : distance of two neighbouring stored values, where store is "int8"; the largest where each row has its own.
    double : whether some number has more digits than float32 holds.
    unit : whether every row has one length, as far as its digits tell: 1, or a factor that all were multiplied with.
    centred : whether the mean row is zero ("texts"), or the mean of each row ("components").
    sign : "removed" where no number is negative, "only" where there are but signs.
    """

    values: np.ndarray
    usable: np.ndarray
    store: str
    int8: str
    step: float
    double: bool
    unit: bool
    centred: str
    sign: str

    @property
    def dims(self) -> int:
        """Components of each vector."""
        return int(self.values.shape[1])

    @property
    def among_texts(self) -> bool:
        """Whether what was done to a vector depends on the others: a mean or a range over the texts."""
        return self.centred == "texts" or self.int8 in RANGED

    @property
    def without_middle(self) -> bool:
        """Whether a mean may have been removed before what hides it.

        Of unrelated directions the mean has the length 1 / sqrt(rows); of what was centred before it was divided by the
        length next to nothing is left. Lost signs tell nothing.
        """
        kept = self.values[self.usable]
        directions = kept / np.linalg.norm(kept, axis=1, keepdims=True)
        return self.sign == "removed" or float(np.linalg.norm(directions.mean(0))) * len(kept) ** 0.5 < SCATTERED

    def at(self, rows: Sequence[int | None]) -> np.ndarray:
        """Some of the rows, (count, dims); NaN where there is none."""
        missing = np.full(self.dims, np.nan)
        return np.array([missing if row is None else self.values[row] for row in rows])

    @property
    def codes(self) -> bool:
        """Whether int8 by rows left the codes themselves, and not the numbers they stand for."""
        kept = self.values[self.usable]
        return self.step == 1.0 and bool((kept == np.round(kept)).all())

    @property
    def grain(self) -> float:
        """By how much storing turns a vector, roughly: the sine of the angle."""
        if self.store.endswith("g"):
            return 10.0 ** (1 - int(self.store[:-1])) / 2
        if self.store in FLOATS or not self.store:
            return FLOATS.get(self.store, 0.0)
        return self.step / float(np.sqrt((self.values[self.usable] ** 2).mean())) / 3

    def facts(self) -> dict[str, Any]:
        """For reports."""
        lengths = np.linalg.norm(self.values[self.usable], axis=1)
        return {
            "rows": len(self.values),
            "dims": self.dims,
            "stored": Post(store=self.store, int8=self.int8).format or ("float64" if self.double else "float32"),
            "unit": self.unit,
            "norm_min": float(lengths.min()) if len(lengths) else None,
            "norm_max": float(lengths.max()) if len(lengths) else None,
            "centred": self.centred,
            "not_finite": [int(row) for row in np.flatnonzero(~np.isfinite(self.values).all(1))],
            "zeros": [int(row) for row in np.flatnonzero((self.values == 0).all(1))],
        }


def given(vectors: Any) -> Given:
    """Look at vectors, (rows, dims) of any number format.

    Raises
    ------
    BertlensError
        Where there is nothing that could be compared: no row, no number, another shape.
    """
    try:
        array = np.asarray(vectors)
        array = array[None] if array.ndim == 1 else array
        whole = np.asarray(array, np.float64) if array.dtype.kind in "biufO" else None
    except (TypeError, ValueError):
        whole = None
    if whole is None or whole.ndim != 2 or 0 in whole.shape:
        got = "something that is no table of numbers" if whole is None else f"an array of the shape {whole.shape}"
        raise BertlensError(
            "cannot use the vectors", got=got, expected="numbers, one row per text and one column per component"
        )
    with np.errstate(over="ignore", invalid="ignore"):
        usable = np.isfinite(whole).all(1) & (whole != 0).any(1) & (np.abs(whole).max(1) < 1e30)
    if not usable.any():
        got = f"{len(whole)} rows of NaN, Inf or zeros only"
        raise BertlensError("cannot use the vectors", got=got, expected="at least one row with finite numbers")
    kept = whole[usable]
    store, int8, step = _storage(kept)
    double = bool((kept.astype(np.float32).astype(np.float64) != kept).any()) and not store
    return Given(
        whole,
        usable,
        store,
        int8,
        step,
        double,
        _unit(kept, store, step),
        _centred(kept, store, step),
        "" if int8 == "unsigned" else _sign(kept),
    )


def _storage(values: np.ndarray) -> tuple[str, str, float]:
    """Storage, kind of int8, and step."""
    small = np.abs(values).max()
    if (values == np.round(values)).all() and small <= 255 and small > 1:
        columns = len(values) > 2 and bool(((values.max(0) - values.min(0)) >= 254).mean() > 0.9)
        rows = bool((np.abs(values).max(1) == 127).all()) and len(values) > 1
        ranged = "unsigned" if values.min() >= 0 else "columns"
        return "int8", ranged if columns else "rows" if rows else "", 1.0
    if (np.sign(values) == values).all():
        return "", "", 1.0
    numbers = np.unique(values[values != 0])  # those that come again, as in equal rows, are no further luck
    (decimal, luck), (half, as_luckily) = _digits(numbers), _half(numbers)
    store = decimal if luck < as_luckily else ""
    finest = 10.0 ** -int(store) if store.isdigit() else 0.0
    step = _lattice(values)
    if step > 1.5 * finest:  # multiples of few steps have few digits as well
        return "int8", "", step
    if len(values) > 1:
        steps = [_lattice(row[None]) for row in values]
        if min(steps) > 1.5 * finest:
            return "int8", "rows", max(steps)
    return (store, "", finest or 1.0) if store else (half, "", 1.0)


def _half(numbers: np.ndarray) -> tuple[str, float]:
    """The half precision that holds every number, "" for none, and the logarithm of the chance that float32 numbers do."""
    tensor = torch.from_numpy(numbers)
    for name, lost in (("bfloat16", 16), ("float16", 13)):
        if bool((tensor.to(getattr(torch, name)).double() == tensor).all()):
            return name, -lost * len(tensor) * float(np.log(2))
    return "", 0.0


def _digits(numbers: np.ndarray) -> tuple[str, float]:
    """Decimals or significant digits, as in `Post.store`, that numbers hardly have by luck, and its logarithm; "" for none."""
    reach, best = 2 * EPS * np.abs(numbers), ("", float(np.log(BY_LUCK)))
    for store in (*map(str, DECIMALS), *(f"{digits}g" for digits in SIGNIFICANT)):
        post = Post(store=store)
        if (np.abs(post.stored(numbers) - numbers) <= reach).all():
            # how often a number lies so near to one that could be stored
            often = np.minimum(1.0, reach / post.coarseness(numbers))
            best = min(best, (store, float(np.log(often).sum())), key=lambda one: one[1])
    return best


def _lattice(values: np.ndarray) -> float:
    """The step of which all values are a multiple of at most 128, or 0."""
    sizes = np.abs(values[values != 0])
    if sizes.size < 16:
        return 0.0
    largest = sizes.max()
    for most in (127, 128):
        step = largest / most
        multiples = values / step
        if (np.abs(multiples - np.round(multiples)) <= 2e-4).all():
            return float(step)
    least = sizes.min()
    for divisor in (1, 2, 3):
        step = least / divisor
        multiples = values / step
        if largest / step <= 128 and (np.abs(multiples - np.round(multiples)) <= 2e-4).all():
            # the step over all values, more exact than that of the least
            whole = np.round(multiples)
            return float((values * whole).sum() / (whole * whole).sum())
    return 0.0


def _unit(values: np.ndarray, store: str, step: float) -> bool:
    lengths = (values * values).sum(1)
    spread = {"float16": 2.0**-10, "bfloat16": 2.0**-7}.get(store, 1e-5)
    if store.endswith("g"):
        spread = 10.0 ** (1 - int(store[:-1]))
    if store.isdigit() or store == "int8":
        spread = values.shape[1] * step * step / 4 + 4 * step + 1e-5
    whole = 1.0 if len(lengths) == 1 else float(lengths.mean())  # a factor for all may have followed
    return bool((np.abs(lengths / whole - 1) <= spread / min(whole, 1.0)).all())


def _centred(values: np.ndarray, store: str, step: float) -> str:
    """Whether a mean was removed, as far as the digits tell."""
    size = float(np.sqrt((values * values).mean()))
    coarse = {"float16": 2.0**-10, "bfloat16": 2.0**-7}.get(store, 1e-5) * size
    coarse = step if store.isdigit() or store == "int8" else coarse
    if len(values) > 2 and float(np.abs(values.mean(0)).max()) <= coarse:
        return "texts"
    if values.shape[1] > 8 and float(np.abs(values.mean(1)).max()) <= coarse / 8:
        return "components"
    return ""


def _sign(values: np.ndarray) -> str:
    if (np.sign(values) == values).all():
        return "only"
    return "removed" if (values >= 0).all() and values.shape[1] > 8 else ""
