"""Tables: results as data frames for pages."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from bertlens.run.texts import Text, sides

if TYPE_CHECKING:
    from bertlens.judge.comparison import Comparison


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
