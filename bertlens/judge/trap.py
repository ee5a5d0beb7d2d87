"""Trap: poolings at growing padding against the same texts alone and unpadded, each with its verdict."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from bertlens.errors import BertlensError
from bertlens.judge.display import Shown
from bertlens.judge.measures import measure, plain
from bertlens.judge.verdict import VERDICTS, judge, worst
from bertlens.judge.wording import number
from bertlens.read.readout import Readout
from bertlens.run.condition import Condition
from bertlens.run.progress import Progress, silent

if TYPE_CHECKING:
    import pandas as pd

STEPS = (32, 128, 512)
"""Padded lengths between that of the longest text and the model's limit."""

Vectors = dict[Readout, np.ndarray]
Run = Callable[[Condition, str], Vectors]
DTYPES = ("float32", "float32")


@dataclass(frozen=True)
class Padded:
    """One pooling at one padded length, by its worst text.

    Attributes
    ----------
    pooling : in the notation of a readout.
    padding : tokens of every row.
    verdict : "identical", "rounding", "undecided" or "different".
    text : the text with the most serious verdict, and among those the largest difference.
    max_abs : its largest absolute difference to itself alone and unpadded.
    max_abs_float64 : the same when both are computed in float64; None where not a bit differs.
    cosine : -1 … 1.
    """

    pooling: str
    padding: int
    verdict: str
    text: int
    max_abs: float
    max_abs_float64: float | None
    cosine: float

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {key: plain(value) for key, value in self.__dict__.items()}


@dataclass(frozen=True)
class PaddingTrap(Shown):
    """What growing padding does to each pooling.

    Attributes
    ----------
    poolings, lengths : what was read, and at which padded lengths.
    rows : one per pooling and length, by pooling.
    texts : how many texts.
    notes : what a reader must know about how it was computed.
    """

    poolings: tuple[str, ...]
    lengths: tuple[int, ...]
    rows: tuple[Padded, ...]
    texts: int
    notes: tuple[str, ...]

    def of(self, pooling: str) -> tuple[Padded, ...]:
        """The rows of one pooling, by growing padding."""
        return tuple(row for row in self.rows if row.pooling == pooling)

    @property
    def verdict(self) -> str:
        """That of the most serious row."""
        return max((row.verdict for row in self.rows), key=VERDICTS.index)

    @property
    def sentence(self) -> str:
        """Which poolings padding moves, and how far."""
        last, parts = self.lengths[-1], []
        worsts = {
            name: max(self.of(name), key=lambda row: (VERDICTS.index(row.verdict), row.max_abs)) for name in self.poolings
        }
        for verdict, verb in (("different", "changes"), ("undecided", "is undecided and changes")):
            told = [f"{name} by {number(row.max_abs)}" for name, row in worsts.items() if row.verdict == verdict]
            if told:
                parts.append(f"padding up to {last} tokens {verb} {', '.join(told)}")
        kept = [row for row in worsts.values() if row.verdict in ("identical", "rounding")]
        if kept:
            most = max(row.max_abs for row in kept)
            names = ", ".join(row.pooling for row in kept)
            stay = "stays" if len(kept) == 1 else "stay"
            parts.append(f"{names} {stay} the same up to rounding (at most {number(most)})")
        return f"{self.verdict.capitalize()}: {'; '.join(parts)}."

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {
            "schema": "bertlens.padding-trap/1",
            "verdict": self.verdict,
            "sentence": self.sentence,
            "poolings": list(self.poolings),
            "lengths": list(self.lengths),
            "texts": self.texts,
            "rows": [row.to_dict() for row in self.rows],
            "notes": list(self.notes),
        }

    def to_frame(self) -> pd.DataFrame:
        """One line per pooling and padded length."""
        import pandas as pd

        return pd.DataFrame([row.__dict__ for row in self.rows])


def steps_between(longest: int, limit: int) -> tuple[int, ...]:
    """The longest text's own length, the `STEPS` beyond it, and the model's limit."""
    return tuple(sorted({longest, *(step for step in STEPS if longest < step < limit), max(longest, limit)}))


def checked_lengths(lengths: Sequence[int], longest: int, limit: int) -> tuple[int, ...]:
    """Padded lengths in growing order, each once.

    Raises
    ------
    BertlensError
        For none, one below the longest text, or one beyond what the model takes.
    """
    wrong = [length for length in lengths if not longest <= length <= limit]
    if wrong or not lengths:
        got = f"a padded length of {wrong[0]} tokens" if wrong else "no padded length"
        raise BertlensError(
            "cannot pad the texts", got=got, expected=f"{longest} (the longest text) to {limit} (the model's limit)"
        )
    return tuple(sorted(set(lengths)))


def trap(run: Run, readouts: Sequence[Readout], lengths: tuple[int, ...], progress: Progress = silent) -> tuple[Padded, ...]:
    """Judge every readout at every length; `run(condition, dtype)` gives the vectors of all of them from one forward pass.

    Both sides are repeated in float64 as soon as one bit differs, as a comparison does.
    """
    alone = Condition(batch="alone")
    progress(0, len(lengths) + 1, "alone and unpadded")
    reference = run(alone, "float32")
    repeats: Vectors = {}
    rows: dict[tuple[Readout, int], Padded] = {}
    for done, length in enumerate(lengths, start=1):
        progress(done, len(lengths) + 1, f"padded to {length} tokens")
        condition = Condition(padding=length)
        candidate = run(condition, "float32")
        measured = {one: measure(reference[one], candidate[one], DTYPES) for one in readouts}
        if any(not row.equal for one in readouts for row in measured[one]):
            repeats = repeats or run(alone, "float64")
            twice = run(condition, "float64")
        for one in readouts:
            unequal = any(not row.equal for row in measured[one])
            judged = judge(
                measured[one], (reference[one], candidate[one]), (repeats[one], twice[one]) if unequal else None, DTYPES
            )
            row = worst(judged)
            rows[one, length] = Padded(str(one), length, row.verdict, row.text, row.max_abs, row.max_abs_float64, row.cosine)
    progress(len(lengths) + 1, len(lengths) + 1, "padding trap")
    return tuple(rows[one, length] for one in readouts for length in lengths)
