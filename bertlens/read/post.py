"""Post-processing: what is done to vectors after they were read: cut, centred, scaled, stored with fewer digits."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch

FLOATS = {"float16": 2.0**-11, "bfloat16": 2.0**-8}
"""Number formats that vectors are stored in, with the largest relative error of rounding to them."""

CENTRED = {
    "texts": "the mean vector of all texts subtracted",
    "components": "the mean of its components subtracted from each vector",
}
SIGNS = {"removed": "signs removed (absolute values)", "only": "nothing but the signs kept"}
INT8 = {
    "": "one step for all",
    "rows": "each vector by its own largest component",
    "columns": "each component from its least to its largest value over the texts, as sentence-transformers does",
    "unsigned": "each component from its least to its largest value over the texts, as codes 0 … 255",
}
"""How int8 is scaled, and uint8."""

RANGED = {"columns": 128, "unsigned": 0}
"""Kinds that depend on the other texts, with what is subtracted from the codes 0 … 255."""


@dataclass(frozen=True)
class Post:
    """Steps after the readout, in the order of the attributes; what is left at its first value is not done.

    Attributes
    ----------
    centred : a key of `CENTRED`.
    dims : only the first components are kept.
    again : divided by its length (again) after that.
    sign : a key of `SIGNS`.
    scale : every component times this number; negative where the signs are turned round.
    store : "float16", "bfloat16", "int8", the number of decimals as a string, or of significant digits with a g, as "6g".
    int8 : a key of `INT8`.
    step : distance of two neighbouring stored values for int8 with one step for all: 1 where the codes themselves are stored.
    codes : whether int8 by rows stores the codes, and not the numbers they stand for.
    """

    centred: str = ""
    dims: int | None = None
    again: bool = False
    sign: str = ""
    scale: float = 1.0
    store: str = ""
    int8: str = ""
    step: float = 1.0
    codes: bool = True

    @property
    def among_texts(self) -> bool:
        """Whether a vector depends on the vectors of the other texts."""
        return self.centred == "texts" or (self.store == "int8" and self.int8 in RANGED)

    @property
    def format(self) -> str:
        """What it is stored in, as `store`, but "uint8" where the codes have no sign."""
        return "uint8" if self.int8 == "unsigned" else self.store

    def apply(self, vectors: np.ndarray) -> np.ndarray:
        """The vectors as they come out: (texts, dims), float64."""
        return self.stored(self.before_storing(vectors))

    def before_storing(self, vectors: np.ndarray) -> np.ndarray:
        """Everything but the rounding at the end, in the units of what is stored: (texts, dims), float64."""
        values = np.asarray(vectors, np.float64)
        if self.centred:
            values = values - values.mean(0 if self.centred == "texts" else 1, keepdims=True)
        values = values[:, : self.dims]
        if self.again:
            values = unit(values)
        if self.sign:
            values = np.abs(values) if self.sign == "removed" else np.sign(values)
        values = values * self.scale
        if self.store == "int8" and self.int8 in RANGED:
            return ranged(values, self.int8)
        if self.store == "int8" and self.int8 == "rows" and self.codes:
            return np.asarray(values / _steps(values))
        return values

    def stored(self, values: np.ndarray) -> np.ndarray:
        """The last step: the same numbers with fewer digits, (texts, dims), float64."""
        if self.store in FLOATS:
            return torch.from_numpy(np.array(values)).to(getattr(torch, self.store)).double().numpy()
        if self.store.endswith("g"):
            decades = _decades(values) * 10.0 ** (1 - int(self.store[:-1]))
            return np.asarray(np.round(values / decades) * decades)
        if self.store != "int8":
            return np.round(values, int(self.store)) if self.store else values
        if self.int8 in RANGED:
            return np.asarray(np.trunc(values))
        step = 1.0 if self.int8 and self.codes else _steps(values) if self.int8 else self.step
        return np.asarray(np.clip(np.round(values / step), -128, 127) * step)

    def coarseness(self, values: np.ndarray) -> np.ndarray:
        """How far storing can move each component of `before_storing`: (texts, dims), 0 where nothing is stored coarsely."""
        if self.store in FLOATS:
            # below the smallest normal number the steps no longer shrink
            least = {"float16": 2.0**-25, "bfloat16": 0.0}[self.store]
            return np.asarray(np.maximum(np.abs(values) * FLOATS[self.store], least))
        if self.store.endswith("g"):
            return np.asarray(_decades(values) * (0.5 * 10.0 ** (1 - int(self.store[:-1]))))
        if self.store != "int8":
            return np.full_like(values, 0.5 * 10.0 ** -int(self.store) if self.store else 0.0)
        if self.int8 in RANGED:
            return np.ones_like(values)
        step = 1.0 if self.int8 and self.codes else _steps(values) if self.int8 else self.step
        return np.zeros_like(values) + step / 2

    def weights(self, vectors: np.ndarray) -> np.ndarray:
        """How much a difference in each component counts, (dims,), 0 … 1: its range, where each is stretched to one range."""
        if self.store != "int8" or self.int8 not in RANGED:
            return np.ones(1)
        values = replace(self, store="").before_storing(vectors)
        ranges = np.ptp(values, 0)
        alike = not float(ranges.max()) > 1e-4 * float(np.abs(values).max())  # the same vector for every text, or no number
        return np.ones(1) if alike else np.asarray(ranges / ranges.max())

    def to_dict(self) -> dict[str, Any]:
        """Only what is done, in the contract's names."""
        done: dict[str, Any] = {}
        if self.centred:
            done["centred"] = self.centred
        if self.dims is not None:
            done["dims"] = self.dims
        if self.again:
            done["dims_l2" if self.dims is not None else "centred_l2"] = True
        if self.sign:
            done["sign"] = self.sign
        if self.scale != 1.0:
            done["scale"] = self.scale
        if self.store:
            done["store"] = int(self.store) if self.store.isdigit() else self.format
        if self.store == "int8":
            done["int8"] = self.int8 or "step"
            done |= {"step": self.step} if not self.int8 else {"codes": self.codes} if self.int8 == "rows" else {}
        return done

    @property
    def words(self) -> tuple[str, ...]:
        """The steps in words, in their order."""
        said = [CENTRED[self.centred]] if self.centred else []
        said += [f"only the first {self.dims} components"] if self.dims is not None else []
        said += ["divided by the length again" if self.dims is not None else "then divided by the length"] if self.again else []
        said += [SIGNS[self.sign]] if self.sign else []
        if self.scale != 1.0:
            turned = "signs turned round" if self.scale < 0 else ""
            times = f"times {abs(self.scale):.6g}" if abs(self.scale) != 1.0 else ""
            said.append(" and ".join(filter(None, [turned, times])))
        if self.store.isdigit():
            said.append(f"rounded to {self.store} decimals")
        elif self.store.endswith("g"):
            said.append(f"rounded to {self.store[:-1]} significant digits")
        elif self.store == "int8":
            said.append(f"stored as {self.format} ({INT8[self.int8]})")
        elif self.store:
            said.append(f"stored as {self.store}")
        return tuple(said)


def ranged(values: np.ndarray, kind: str) -> np.ndarray:
    """The codes of vectors by a key of `RANGED` before they are rounded; the range is over the first axis."""
    low, high = values.min(0, keepdims=True), values.max(0, keepdims=True)
    return np.asarray((values - low) / np.where(high > low, (high - low) / 255, 1.0) - RANGED[kind])


def _steps(values: np.ndarray) -> np.ndarray:
    """The step of each row whose largest component becomes 127: (texts, 1)."""
    return np.asarray(np.maximum(np.abs(values).max(1, keepdims=True), np.finfo(np.float64).tiny) / 127)


def _decades(values: np.ndarray) -> np.ndarray:
    """The power of ten at or below each number; 1 for zero."""
    sizes = np.abs(values)
    return np.asarray(10.0 ** np.floor(np.log10(np.where(sizes > 0, sizes, 1.0))))


def unit(values: np.ndarray) -> np.ndarray:
    """Rows divided by their length; a row of zeros stays."""
    lengths = np.linalg.norm(values, axis=-1, keepdims=True)
    return np.asarray(values / np.where(lengths > 0, lengths, 1.0))
