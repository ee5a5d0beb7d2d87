"""Pasted: the code in a text that comes from a notebook, a terminal or a web page, with the way back to its columns."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from typing import NamedTuple

from bertlens.read.expression.errors import Place, lines_of

_DOCTEST = re.compile(r"\s*>>>(?: |$)")
_DOCTEST_MORE = re.compile(r"\s*(?:>>>|\.\.\.)(?: |$)")
_CELL = re.compile(r"\s*In ?\[[\d ]*\] ?:? ?")
_CELL_MORE = re.compile(r"\s*\.\.\.: ?")
_ANSWER = re.compile(r"\s*Out ?\[[\d ]*\] ?:?")

_SIGNS = {
    **dict.fromkeys("“”„‟″", '"'),
    **dict.fromkeys("‘’‚‛′", "'"),
    **dict.fromkeys("−–—‐‑", "-"),
    **dict.fromkeys("\u200b\u200c\u200d\u2060\ufeff\u00ad", ""),
    "…": "...",
    **{chr(0xFEE0 + code): chr(code) for code in range(0x21, 0x7F) if not chr(code).isalnum() and chr(code) != "_"},
}


class Pasted(NamedTuple):
    """Code, and where each of its characters stood.

    Attributes
    ----------
    code : lines joined with "\\n", as many as the text has.
    columns : for each line and each of its characters the column in the text, and one more for the line's end.
    """

    code: str
    columns: tuple[tuple[int, ...], ...]

    def column(self, line: int, column: int) -> int:
        """Column in the text of a column in the code; beyond the line's end, its end."""
        columns = self.columns[line - 1]
        return columns[min(max(column, 0), len(columns) - 1)]

    def place(self, line: int, column: int, end_line: int, end_column: int) -> Place:
        """Place in the text of a place in the code."""
        line = min(max(line, 1), len(self.columns))
        end_line = min(max(end_line, line), len(self.columns))
        # the end is that of the last character, which may stand for several
        last = self.column(end_line, end_column - 1) + 1 if end_column > 0 else 0
        return line, self.column(line, column), end_line, max(last, self.column(line, column) if line == end_line else 0)


_Line = list[tuple[str, int]]


def readings(text: str) -> Iterator[Pasted]:
    """What may be meant, the most literal first: without prompts; the first line's indent lost; with plain quotes."""
    lines = [[(sign, column) for column, sign in enumerate(line)] for line in lines_of(text)]
    lengths = [len(line) for line in lines]
    lines = _unprompted(lines)
    seen = set()
    for typed in (lines, [_typed(line) for line in lines]):
        for body in (_dedented(typed), _dedented(typed[:1]) + _dedented(typed[1:])):
            code = "\n".join(_text(line) for line in body)
            if code not in seen:
                seen.add(code)
                columns = ((*(column for _, column in line), length) for line, length in zip(body, lengths, strict=True))
                yield Pasted(code, tuple(columns))


def _text(line: _Line) -> str:
    return "".join(sign for sign, _ in line)


def _unprompted(lines: list[_Line]) -> list[_Line]:
    """Prompts cut off, and what was printed left out where prompts tell it from what was typed."""
    texts = [_text(line) for line in lines]
    if any(_DOCTEST.match(text) for text in texts):
        prompts = [_DOCTEST_MORE.match(text) for text in texts]
        return [line[prompt.end() :] if prompt else [] for line, prompt in zip(lines, prompts, strict=True)]
    if not any(_CELL.match(text) for text in texts):
        return lines
    kept, typed = [], True
    for line, text in zip(lines, texts, strict=True):
        cell = _CELL.match(text)
        typed = bool(cell) or (typed and not _ANSWER.match(text))
        prompt = cell or _CELL_MORE.match(text)
        kept.append([] if not typed else line[prompt.end() :] if prompt else line)
    return kept


def _typed(line: _Line) -> _Line:
    """Signs of typography as the signs of a keyboard."""
    plain: _Line = []
    for sign, column in line:
        space = unicodedata.category(sign) == "Zs"
        plain += [(one, column) for one in (" " if space else _SIGNS.get(sign, sign))]
    return plain


def _dedented(lines: list[_Line]) -> list[_Line]:
    """Without the indentation that all lines have in common; comments may stand further left."""
    texts = [_text(line) for line in lines]
    margins = [text[: len(text) - len(text.lstrip())] for text in texts if text.strip() and not text.lstrip().startswith("#")]
    shortest, longest = min(margins, default=""), max(margins, default="")
    common = next((at for at, sign in enumerate(shortest) if sign != longest[at]), len(shortest))
    return [line[min(common, len(text) - len(text.lstrip())) :] for line, text in zip(lines, texts, strict=True)]
