"""Verdict: is a difference rounding, or another computation?

Size does not decide: rounding in bfloat16 is larger than many real faults. The rule, per text:

1. The same bits: `identical`.
2. Otherwise both sides are computed again in float64 on the CPU. Where the same sum is only added up in another order, the
   difference falls with the precision; where something else is computed, it stays.
   Below `BOUND` x eps(float64) x the largest component: `rounding`. Above: `different`, except that up to `CEILING` it is
   `undecided` where the model amplifies rounding so much that the run itself lies as many eps from its float64 repeat.
3. Rounding must also be possible: if a side lies farther from its own float64 repeat than `PLAUSIBLE` eps of its format,
   something besides rounding happened that float64 on the CPU cannot show (a device, a kernel): `undecided`.
4. NaN or Inf on one side: `different`. On both: `undecided`, because there is no number to compare.

`docs/verdict.md` holds the measurements from which the constants were taken.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np

from bertlens.judge.measures import BOUND, EPS, Row

VERDICTS = ("identical", "rounding", "undecided", "different")
"""From harmless to serious; the verdict of several texts is that of the most serious one."""

PLAUSIBLE = {"float64": 2.0**16, "float32": 2.0**10, "bfloat16": 2.0**6, "float16": 2.0**9}
"""A side lies within this many eps of its own format, times the largest component, of its float64 repeat."""

CEILING = 2.0**26
"""Above this many eps(float64) times the largest component no model's amplified rounding was seen; see `docs/verdict.md`."""

FOLLOWS = 2.0**5
"""Rounding that a model amplifies shows in every format: at least 1/32 as many eps in the run as in float64."""


def judge(
    rows: list[Row],
    as_run: tuple[np.ndarray, np.ndarray],
    in_float64: tuple[np.ndarray, np.ndarray] | None,
    dtypes: tuple[str, str],
) -> list[Row]:
    """The rows with their verdicts and the evidence for them.

    Parameters
    ----------
    as_run, in_float64 : reference and candidate, each (texts, dimensions); float64 is None where every row is equal or
        the repeat could not be made.
    """
    finite = [np.isfinite(side).all(1) for side in as_run]
    if in_float64 is None:
        return [replace(row, verdict=_without_float64(row, finite)) for row in rows]
    with np.errstate(invalid="ignore"):
        scale = np.maximum(*(np.abs(side).max(1) for side in in_float64))
        gap = np.abs(in_float64[0] - in_float64[1]).max(1)
        sides = zip(as_run, in_float64, dtypes, strict=True)
        errors = [_error(run, twice, dtype, scale) for run, twice, dtype in sides]
        error = np.maximum(*errors)
        plausible = np.all([side <= PLAUSIBLE[dtype] for side, dtype in zip(errors, dtypes, strict=True)], axis=0)
        amplified = gap <= CEILING * EPS["float64"] * scale
        for side, dtype in zip(errors, dtypes, strict=True):
            amplified &= _follows(side, gap, scale, dtype)
    bound = BOUND * EPS["float64"] * scale
    judged = []
    for row in rows:
        i = row.text
        verdict = _without_float64(row, finite)
        if verdict == "undecided" and finite[0][i] and finite[1][i] and np.isfinite(gap[i]):
            if gap[i] > bound[i]:
                verdict = "undecided" if amplified[i] else "different"
            elif plausible[i]:
                verdict = "rounding"
        # an equal row is repeated only where it shares a pass with an unequal one; its evidence must not hang on that
        known = not row.equal and bool(np.isfinite(gap[i]))
        judged.append(
            replace(
                row,
                verdict=verdict,
                max_abs_float64=float(gap[i]) if known else None,
                bound_float64=float(bound[i]) if known else None,
                error=float(error[i]) if known else None,
            )
        )
    return judged


def _error(run: np.ndarray, twice: np.ndarray, dtype: str, scale: np.ndarray) -> np.ndarray:
    """Distance of a side to its float64 repeat, in eps of its format times the largest component."""
    return np.asarray(np.abs(run.astype(np.float64) - twice).max(1) / _unit(dtype, scale))


def _follows(error: np.ndarray, gap: np.ndarray, scale: np.ndarray, dtype: str) -> np.ndarray:
    """Whether a side's own error is as large as amplified rounding makes it, if that is what the float64 gap is.

    No format can lose more than everything, 1 / eps. A run in float64 is its own repeat and tells nothing.
    """
    growth = np.minimum(gap / _unit("float64", scale), 1 / EPS[dtype])
    return np.asarray((dtype == "float64") | (growth <= FOLLOWS * error))


def _unit(dtype: str, scale: np.ndarray) -> np.ndarray:
    """One eps of a format times the largest component."""
    return np.where(scale > 0, scale, 1.0) * EPS[dtype]


def _without_float64(row: Row, finite: list[np.ndarray]) -> str:
    """What can be said from the vectors as they were run."""
    left, right = bool(finite[0][row.text]), bool(finite[1][row.text])
    if not (left or right):
        return "undecided"
    if left != right:
        return "different"
    return "identical" if row.equal else "undecided"


def overall(rows: list[Row]) -> str:
    """The verdict of a whole comparison: that of its most serious text."""
    return max((row.verdict for row in rows), key=VERDICTS.index)


def counts(rows: list[Row]) -> dict[str, int]:
    """How many texts have each verdict, from harmless to serious."""
    found = Counter(row.verdict for row in rows)
    return {verdict: found[verdict] for verdict in VERDICTS if found[verdict]}


def worst(rows: list[Row]) -> Row:
    """The row to show first: the most serious verdict, and among those the largest difference."""
    return max(rows, key=lambda row: (VERDICTS.index(row.verdict), np.nan_to_num(row.max_abs, nan=np.inf)))
