"""Reproduction: a fault that was made and mended, each side with its verdict against the vectors as they ought to be."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from bertlens.judge.display import Shown
from bertlens.judge.findings import catalogue
from bertlens.judge.measures import Row, measure
from bertlens.judge.verdict import judge, overall, worst
from bertlens.judge.wording import number

if TYPE_CHECKING:
    import pandas as pd

Outcome = tuple[Tensor, Tensor | Exception, Tensor]
"""Truth, mistake and mended mistake, each (texts, dimensions)."""


@dataclass(frozen=True)
class Side:
    """The mistake or its remedy against the truth.

    Attributes
    ----------
    verdict : of `bertlens.judge.verdict`, or "refused" where an exception was raised, or "another shape".
    rows : one per text; empty where nothing can be compared.
    said : the exception, or the two shapes.
    """

    verdict: str
    rows: tuple[Row, ...] = ()
    said: str = ""

    @property
    def max_abs(self) -> float | None:
        """The largest difference of the worst text."""
        return worst(list(self.rows)).max_abs if self.rows else None

    @property
    def words(self) -> str:
        """The verdict with its number."""
        if not self.rows:
            return f"{self.verdict} ({self.said})"
        row = worst(list(self.rows))
        if self.verdict == "identical":
            return "identical to the last bit"
        return f"{self.verdict}, up to {number(row.max_abs)} (cosine {row.cosine:.4f})"

    def to_dict(self) -> dict[str, Any]:
        """As JSON."""
        return {
            "verdict": self.verdict,
            "max_abs": self.max_abs,
            "said": self.said,
            "rows": [row.to_dict() for row in self.rows],
        }


@dataclass(frozen=True)
class Reproduction(Shown):
    """A fault that was made and mended.

    Attributes
    ----------
    fault : its id in the catalogue.
    mistake, mended : against the truth.
    texts : how many.
    seconds : what making it took.
    """

    fault: str
    mistake: Side
    mended: Side
    texts: int
    seconds: float

    @property
    def verdict(self) -> str:
        """That of the mistake."""
        return self.mistake.verdict

    @property
    def sentence(self) -> str:
        """Mistake and remedy in one sentence, with their numbers."""
        name = catalogue()[self.fault]["name"]
        return f"{self.verdict.capitalize()}: {name}: {self.mistake.words}; mended: {self.mended.words}."

    def to_dict(self) -> dict[str, Any]:
        """The document `bertlens.reproduction/1`."""
        return {
            "schema": "bertlens.reproduction/1",
            "fault": self.fault,
            "verdict": self.verdict,
            "sentence": self.sentence,
            "texts": self.texts,
            "mistake": self.mistake.to_dict(),
            "mended": self.mended.to_dict(),
        }

    def to_frame(self) -> pd.DataFrame:
        """One line per text and side."""
        import pandas as pd

        sides = (("mistake", self.mistake), ("mended", self.mended))
        lines = [{"side": name, **row.to_dict()} for name, side in sides for row in side.rows]
        return pd.DataFrame(lines or [{"side": name, "verdict": side.verdict, "said": side.said} for name, side in sides])


def held_against(as_run: Outcome, double: Outcome, at: int) -> Side:
    """One of the others against the truth, with the verdict that the repeat in float64 allows; `at` is its place in both."""
    truth, other = as_run[0], as_run[at]
    if isinstance(other, Exception):
        first = (str(other).strip() or "no message").splitlines()[0]
        return Side("refused", said=f"{type(other).__name__}: {first[:200]}")
    if other.shape != truth.shape:
        return Side("another shape", said=f"{tuple(other.shape)} instead of {tuple(truth.shape)}")
    dtypes = (_name(truth), _name(other))
    pair = (_array(truth), _array(other))
    rows = measure(*pair, dtypes)
    twice = double[at]
    known = isinstance(twice, Tensor) and twice.shape == truth.shape
    repeat = (_array(double[0]), _array(twice)) if known and isinstance(twice, Tensor) else None
    if all(row.equal for row in rows):
        repeat = None
    judged = judge(rows, pair, repeat, dtypes)
    return Side(overall(judged), tuple(judged))


def _name(tensor: Tensor) -> str:
    return str(tensor.dtype).removeprefix("torch.")


def _array(tensor: Tensor) -> np.ndarray:
    """As numpy, which has no bfloat16; nothing is lost in float32."""
    tensor = tensor.detach().cpu()
    return (tensor if tensor.dtype in (torch.float32, torch.float64) else tensor.float()).numpy()
