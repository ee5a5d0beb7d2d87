"""Wording: a verdict as one sentence with its number, for somebody who has never heard of eps."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bertlens.judge.comparison import Comparison


def number(value: float | None) -> str:
    """A size with two digits: 9.5e-07, 0.55, 0."""
    if value is None or math.isnan(value):
        return "not a number"
    if math.isinf(value):
        return "infinite"
    if value == 0:
        return "0"
    return f"{value:.2g}" if abs(value) >= 1e-3 else f"{value:.1e}"


def sentence(comparison: Comparison) -> str:
    """The verdict of a comparison in one sentence; a second one where other texts than the worst are no numbers."""
    last = comparison.worst
    broken = [row for row in comparison.rows if not math.isfinite(row.max_abs)]
    untold = [row for row in broken if math.isfinite(last.max_abs) or row.verdict != last.verdict]
    return _verdict(comparison) + (f" {_texts(comparison, len(untold))} NaN or Inf in both vectors." if untold else "")


def _verdict(comparison: Comparison) -> str:
    row, many = comparison.worst, len(comparison.rows) > 1
    where = f" (text {row.text})" if many else ""
    if comparison.verdict == "identical":
        every = f"all {len(comparison.rows)} vectors are" if many else "the vector is"
        return f"Identical: {every} the same to the last bit."
    if not math.isfinite(row.max_abs):
        return _not_finite(comparison)
    size = f"the largest difference is {number(row.max_abs)}{where}"
    if row.max_abs_float64 is None:
        return f"Undecided: {size}, and it could not be repeated in float64."
    if comparison.verdict == "rounding":
        return f"Rounding: {size}, and in float64 it falls to {number(row.max_abs_float64)}; both runs compute the same thing."
    if comparison.verdict == "undecided" and row.max_abs_float64 > (row.bound_float64 or 0.0):
        shows = f"in the run it is {row.error:,.0f} eps" if row.error else "only a coarser format would show it"
        return (
            f"Undecided: {size}, and in float64 it is {number(row.max_abs_float64)}: more than rounding usually leaves, but "
            f"this model may amplify it ({shows}). How far float64 runs of one side lie apart, alone and batched, decides."
        )
    if comparison.verdict == "undecided":
        return (
            f"Undecided: {size}; it vanishes in float64 on the CPU, but it is larger than rounding explains "
            f"({row.error:,.0f} eps). Running on another device would decide."
        )
    if row.max_abs_float64 < 1e-6 * max(row.scale_float64, 1e-300):
        stays = f"of which {number(row.max_abs_float64)} stays in float64: small, but no rounding"
    else:
        stays = f"and in float64 it stays {number(row.max_abs_float64)}, so it is no rounding"
    return f"Different: {size}, {stays}{_because(comparison)}."


def _because(comparison: Comparison) -> str:
    causes = comparison.explanation.causes
    if not causes:
        return ""
    if len(causes) == 1:
        return f"; the cause is {causes[0].words}"
    first, second = (f"{cause.words} ({number(cause.max_abs)})" for cause in causes[:2])
    rest = f" and {len(causes) - 2} more" if len(causes) > 2 else ""
    return f"; the causes are {first} and {second}{rest}"


def _texts(comparison: Comparison, count: int) -> str:
    total = len(comparison.rows)
    return f"{count} of {total} texts {'has' if count == 1 else 'have'}" if total > 1 else "The text has"


def _not_finite(comparison: Comparison) -> str:
    verdict = comparison.verdict
    texts = _texts(comparison, sum(row.verdict == verdict and not math.isfinite(row.max_abs) for row in comparison.rows))
    if comparison.verdict == "undecided":
        return f"Undecided: {texts} NaN or Inf in both vectors, so there is no number to compare."
    return f"Different: {texts} NaN or Inf in one of the two vectors{_because(comparison)}."
