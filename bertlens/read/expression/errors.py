"""The exception for text that is no expression of this language, with the place where it leaves it."""

from __future__ import annotations

import difflib
import re
import unicodedata
from collections.abc import Iterable

from bertlens.errors import BertlensError

Place = tuple[int, int, int, int]
"""Line from 1, column from 0 in characters, end line, end column (exclusive), in the text as it was given."""

_BREAK = re.compile(r"\r\n|\r|\n")
_WIDEST = 120
_MOST_LINES = 4


def lines_of(text: str) -> list[str]:
    """The lines as Python counts them; `str.splitlines` knows more ends of a line than Python's grammar does."""
    return _BREAK.split(text)


def shown(text: str, most: int = 60) -> str:
    """Text of a person within a sentence: on one line, short, and without signs that move the cursor or the reading."""
    line = " ".join(text[: most * 4].split())
    line = "".join(sign if sign.isprintable() else "\N{REPLACEMENT CHARACTER}" for sign in line)
    return line if len(line) <= most else line[: most - 1] + "…"


def nearest(name: str, legal: Iterable[str]) -> str:
    """The legal name that looks most like this one, or "" where none does."""
    cut, names = name[:80], sorted(set(legal))
    for wanted, among in ((cut, {one: one for one in names}), (cut.lower(), {one.lower(): one for one in reversed(names)})):
        found = difflib.get_close_matches(wanted, list(among), n=1, cutoff=0.7)
        if found:
            return among[found[0]]
    return ""


class ExpressionError(BertlensError):
    """Something outside the language of expressions; nothing, or no more, was evaluated.

    Parameters
    ----------
    place : where it is in `source`; cut to what is there.
    suggestion : the nearest legal form, "" where there is none.
    source : the expression as it was given.
    """

    def __init__(
        self,
        what: str,
        *,
        got: str = "",
        expected: str = "",
        do: str = "",
        place: Place = (1, 0, 1, 0),
        suggestion: str = "",
        source: str = "",
    ) -> None:
        super().__init__(what, got=got, expected=expected, do=do)
        self.place, self.suggestion, self.source = _within(place, source), suggestion, source

    @property
    def caret(self) -> str:
        """The lines of the place with ^^^^ below it; tabs stay tabs, and signs two columns wide get two."""
        lines = lines_of(self.source)
        line, column, end_line, end_column = self.place
        drawn: list[str] = []
        for number in range(line, min(end_line, line + _MOST_LINES - 1) + 1):
            text = lines[number - 1]
            start = column if number == line else len(text) - len(text.lstrip())
            end = end_column if number == end_line else len(text.rstrip())
            drawn += _underlined(text, start, end)
        return "\n".join(drawn)


def _within(place: Place, source: str) -> Place:
    """The place, moved to where there is text."""
    lines = lines_of(source)
    line = min(max(place[0], 1), len(lines))
    end_line = min(max(place[2], line), len(lines))
    column = min(max(place[1], 0), len(lines[line - 1]))
    end_column = min(max(place[3], column if end_line == line else 0), len(lines[end_line - 1]))
    return line, column, end_line, end_column


def _underlined(text: str, start: int, end: int) -> tuple[str, str]:
    left = 0 if len(text) <= _WIDEST else max(0, min(start - _WIDEST // 3, len(text) - _WIDEST))
    window = text[left : left + _WIDEST]
    start, end = start - left, min(end - left, len(window))
    before = ("…" if left else "", " " if left else "")
    after = "…" if left + _WIDEST < len(text) else ""
    line = "".join(sign if sign == "\t" or sign.isprintable() else "\N{REPLACEMENT CHARACTER}" for sign in window)
    margin = "".join("\t" if sign == "\t" else " " * _columns(sign) for sign in window[:start])
    marks = "".join("^" * _columns(sign) for sign in window[start:end]) or "^"
    return before[0] + line + after, before[1] + margin + marks


def _columns(sign: str) -> int:
    """Columns of a terminal that a sign takes; a sign that is not shown is replaced by one that takes one."""
    if unicodedata.combining(sign):
        return 0
    return 2 if unicodedata.east_asian_width(sign) in "WF" else 1
