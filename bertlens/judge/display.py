"""Display: how a result shows itself in a notebook, without Streamlit."""

from __future__ import annotations

import html
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import pandas as pd


class Result(Protocol):
    """What says itself in one sentence and lists itself as a table."""

    @property
    def sentence(self) -> str:
        """The result in one sentence."""
        ...

    def to_frame(self) -> pd.DataFrame:
        """The result as a table."""
        ...


def notebook(result: Result, most: int = 20) -> str:
    """The sentence and the first rows as HTML, in which nothing of a text is read as markup."""
    table = result.to_frame()
    more = f"<p>… and {len(table) - most:,} more rows</p>" if len(table) > most else ""
    word, colon, rest = html.escape(result.sentence).partition(": ")
    said = f"<strong>{word}</strong>{colon}{rest}" if colon else word
    return f"<p>{said}</p>{table.head(most).to_html(escape=True, index=False)}{more}"
