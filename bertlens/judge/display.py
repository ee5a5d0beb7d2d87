"""Display: how a result shows itself in a notebook, without Streamlit: its sentence, its table, and its figure."""

from __future__ import annotations

import html
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    import pandas as pd

PLOTLY = "application/vnd.plotly.v1+json"
"""What a notebook that knows plotly draws a figure from; it has plotly.js itself, so no result carries it."""

Draw = Callable[[Any], "dict[str, Any] | None"]
"""The figure of a result as plotly's JSON; None for a result without one."""

_DRAWN_BY: list[Callable[[], Draw]] = []


def draw_with(load: Callable[[], Draw]) -> None:
    """Say what draws the figures of results; it is loaded when the first result is shown, since most never are.

    Figures are made to the right of this room, which cannot ask for them itself.
    """
    _DRAWN_BY[:] = [load]


class Result(Protocol):
    """What says itself in one sentence and lists itself as a table."""

    @property
    def sentence(self) -> str:
        """The result in one sentence."""
        ...

    def to_frame(self) -> pd.DataFrame:
        """The result as a table."""
        ...


class Shown:
    """A result that shows itself in a notebook; it has a `sentence` and a `to_frame`."""

    def _repr_html_(self: Result) -> str:
        """The sentence and the first rows of the table."""
        return notebook(self)

    def _repr_mimebundle_(self: Any, include: object = None, exclude: object = None) -> dict[str, Any]:
        """Sentence and table as HTML, the sentence as text, and the figure where there is one.

        Parameters
        ----------
        include, exclude : what the caller wants to see; IPython, whose protocol this is, chooses from the answer itself.
        """
        picture = _DRAWN_BY[0]()(self) if _DRAWN_BY else None
        said = {"text/plain": self.sentence, "text/html": self._repr_html_()}
        return said if picture is None else {**said, PLOTLY: picture}

    def _ipython_display_(self: Any) -> None:
        """Both, one below the other: of one output a notebook shows the richest form alone, which would be the figure."""
        from IPython.display import display

        bundle = self._repr_mimebundle_()
        picture = bundle.pop(PLOTLY, None)
        display(bundle, raw=True)
        if picture is not None:
            display({PLOTLY: picture, "text/plain": "(a figure, which needs a notebook that knows plotly)"}, raw=True)


def notebook(result: Result, most: int = 20) -> str:
    """The sentence and the first rows as HTML, in which nothing of a text is read as markup."""
    table = result.to_frame()
    more = f"<p>… and {len(table) - most:,} more rows</p>" if len(table) > most else ""
    word, colon, rest = html.escape(result.sentence).partition(": ")
    said = f"<strong>{word}</strong>{colon}{rest}" if colon else word
    return f"<p>{said}</p>{table.head(most).to_html(escape=True, index=False)}{more}"
