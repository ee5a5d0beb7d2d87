"""Verdict: is a difference rounding, or another computation?

Size does not decide: rounding in bfloat16 is larger than many real faults. The rule, per text:

1. The same bits: `identical`.
2. Otherwise both sides are computed again in float64 on the CPU. Where the same sum is only added up in another order, the
   difference falls with the precision; where something else is computed, it stays.
   Below `BOUND` x eps(float64) x the largest component: `rounding`. Above: `different`.
3. Rounding must also be possible: if a side lies farther from its own float64 repeat than `PLAUSIBLE` eps of its format,
   something besides rounding happened that float64 on the CPU cannot show (a device, a kernel): `undecided`.
4. NaN or Inf on one side: `different`. On both: `undecided`, because there is no number to compare.

`docs/verdict.md` holds the measurements from which the two constants were taken.
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
    bound = BOUND * EPS["float64"] * scale
    judged = []
    for row in rows:
        i = row.text
        verdict = _without_float64(row, finite)
        if verdict == "undecided" and finite[0][i] and finite[1][i] and np.isfinite(gap[i]):
            verdict = "different" if gap[i] > bound[i] else "rounding" if plausible[i] else "undecided"
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
    unit = np.where(scale > 0, scale, 1.0) * EPS[dtype]
    return np.asarray(np.abs(run.astype(np.float64) - twice).max(1) / unit)


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
