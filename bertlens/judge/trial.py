"""Trial: one text run in another way than usual, held against the usual run, with the verdict on the difference."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from bertlens.judge.measures import Row, cosine, measure, plain
from bertlens.judge.verdict import judge
from bertlens.judge.wording import number

if TYPE_CHECKING:
    import pandas as pd

States = tuple[np.ndarray, np.ndarray]
"""last_hidden_state of the usual run and of the other one, each (tokens, hidden)."""


@dataclass(frozen=True)
class Trial:
    """Another way to run a text, and how far its last_hidden_state is from the usual one.

    Attributes
    ----------
    name : what was done, in a few words.
    row : the comparison of all tokens of last_hidden_state at once, with its verdict.
    cls_max_abs, cls_cosine : of the first real token alone.
    least_cosine : the smallest cosine among the tokens.
    """

    name: str
    row: Row
    cls_max_abs: float
    cls_cosine: float
    least_cosine: float

    @property
    def verdict(self) -> str:
        """ "identical", "rounding", "different" or "undecided"."""
        return self.row.verdict

    @property
    def size(self) -> str:
        """The difference in words: "identical (max abs 0.0)", "different (max abs 1.9, cosine of [CLS] 0.931)"."""
        if self.row.equal:
            return "identical (max abs 0.0)"
        return f"{self.verdict} (max abs {number(self.row.max_abs)}, cosine of [CLS] {self.cls_cosine:.4f})"

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {"name": self.name, **_of(self)}


def _of(trial: Trial) -> dict[str, Any]:
    return {
        "verdict": trial.verdict,
        "max_abs": plain(trial.row.max_abs),
        "max_abs_float64": trial.row.max_abs_float64,
        "cls_max_abs": plain(trial.cls_max_abs),
        "cls_cosine": plain(trial.cls_cosine),
        "least_cosine": plain(trial.least_cosine),
    }


def frame_of(trials: Sequence[Trial]) -> pd.DataFrame:
    """One line per trial."""
    import pandas as pd

    return pd.DataFrame([trial.to_dict() for trial in trials])


def tried(name: str, as_run: States, again: Callable[[], States]) -> Trial:
    """Compare two runs of one text.

    Parameters
    ----------
    again : both runs repeated in float64; only called where they differ.
    """
    flat = (as_run[0].reshape(1, -1), as_run[1].reshape(1, -1))
    dtypes = ("float32", "float32")
    rows = measure(*flat, dtypes)
    doubled = None
    if not rows[0].equal:
        left, right = again()
        doubled = (left.reshape(1, -1), right.reshape(1, -1))
    [row] = judge(rows, flat, doubled, dtypes)
    cosines = cosine(*as_run)
    first = float(np.abs(as_run[0][0].astype(np.float64) - as_run[1][0]).max())
    return Trial(name, row, first, float(cosines[0]), float(cosines.min()))
