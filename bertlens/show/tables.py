"""Tables: results as data frames for pages."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from bertlens.judge.verdict import worst
from bertlens.judge.wording import number
from bertlens.run.texts import Text, sides

if TYPE_CHECKING:
    from bertlens.judge.comparison import Comparison
    from bertlens.judge.rows import Rows


def rows(comparison: Comparison, texts: tuple[Text, ...]) -> pd.DataFrame:
    """One line per text: verdict, measures, and the text itself as it was given."""
    frame = comparison.to_frame()
    frame.insert(1, "words", [" ||| ".join(sides(text)) for text in texts])
    order = ["text", "words", "verdict", "max_abs", "max_abs_float64", "cosine", "l2", "max_ulp", "equal"]
    return frame[order]


def causes(comparison: Comparison) -> pd.DataFrame:
    """One line per factor that differs: what it does alone, and what is left without it."""
    explanation = comparison.explanation
    lines = [
        {
            "change": cause.words,
            "effect": "cause" if cause in explanation.causes else "no cause",
            "alone": cause.max_abs,
            "left without it": cause.undone,
        }
        for cause in (*explanation.causes, *explanation.innocent)
    ]
    return pd.DataFrame(lines, columns=["change", "effect", "alone", "left without it"])


def equalities(found: Rows) -> pd.DataFrame:
    """One line per question, one column per size of batch and padding: the verdict on the worst row, with its difference."""
    lines: dict[tuple[str, str], dict[str, str]] = {}
    for key in dict.fromkeys((one.way, one.against, one.padding, one.tokens, one.batch) for one in found.equalities):
        way, against, padding, tokens, batch = key
        these = [one for one in found.equalities if (one.way, one.against, one.padding, one.tokens, one.batch) == key]
        row = worst([one.row for one in these])
        size = f"{batch} row{'s' * (batch > 1)} × {tokens}{' (longest)' * (padding == 'longest')}"
        line = lines.setdefault((way, against), {"compared": _question(way, against, all(one.same_text for one in these))})
        line[size] = f"{row.verdict}, ==" if row.equal else f"{row.verdict}, {number(row.max_abs)}"
    return pd.DataFrame(list(lines.values()))


def _question(way: str, against: str, same_text: bool) -> str:
    if against == "batch":
        return f"{way} ↔ batch, the same row"
    return f"{way} ↔ {way}, row 0 and {'the same text' if same_text else 'another text'}"
