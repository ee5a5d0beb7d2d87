"""Markdown: text of a person or a model inside a document, shown as it is."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence
from typing import Any

SPECIAL = re.compile(r"([\\`*_\[\]<>~|$&])")
"""What means something to Markdown, tables and formulas wherever it stands."""

BEGINS = re.compile(r"^(#{1,6}|[-+=]+|\d+[.)])(?=\s|$)")
"""What would make a heading or a list of a line."""

CALLS = re.compile(r"([@#])(?=\w)")
"""A sign that would call a person, or refer to an issue of the tracker."""

LINKS = re.compile(r"(?i)\b(https?|ftp|mailto|www)([:.])")
"""The beginning of what a tracker makes a link of without being asked."""


def visible(value: Any) -> Any:
    """Text in which control characters, and those that turn the direction of writing, are written out instead of obeyed."""
    if type(value) is not str:  # not markup that has been made safe already
        return value
    return "".join(f"⟨U+{ord(sign):04X}⟩" if _commands(sign) else sign for sign in value)


def _commands(sign: str) -> bool:
    turns = unicodedata.bidirectional(sign) in ("LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI")
    return turns or (unicodedata.category(sign) in ("Cc", "Cs", "Zl", "Zp") and sign not in "\n\t")


def plain(text: str) -> str:
    """Text on one line in which nothing is markup, a link, a mention or the end of a table's cell."""
    line = SPECIAL.sub(r"\\\1", " ".join(visible(text).split()))
    line = BEGINS.sub(lambda found: f"{found[1][:-1]}\\{found[1][-1]}", line)
    return LINKS.sub(r"\1<!-- -->\2", CALLS.sub(r"\1<!-- -->", line))


def fenced(code: str, language: str = "") -> str:
    """A block of code behind a fence that is longer than any inside."""
    fence = "`" * max(3, 1 + max((len(run) for run in re.findall("`+", code)), default=0))
    return f"{fence}{language}\n{visible(code)}\n{fence}"


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table of plain text."""
    lines = [head, ["---"] * len(head)]
    return "\n".join(f"| {' | '.join(line)} |" for line in [*lines, *([plain(cell) for cell in row] for row in rows)])
