"""Syntax: text becomes Python's own tree, with bounds that hold before a parser sees it."""

from __future__ import annotations

import ast
import io
import re
import threading
import tokenize
import unicodedata
import warnings
from typing import NoReturn

from bertlens.read.expression.errors import ExpressionError, Place, lines_of, shown
from bertlens.read.expression.pasted import Pasted, readings

LONGEST = 4_000
"""Characters of an expression."""
DEEPEST = 64
"""Levels of a tree; an interpreter may need a few Python frames for each."""
MOST_BRACKETS = 40

_BIDIRECTIONAL = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
_ALIKE = str.maketrans("аеорсхуіѕΑΒΕΟорΡν", "aeopcxyisABEOopPv")
_RUN = re.compile(r"(?:[-+~]\s*){40}|(?:\bnot\b[\s(]*){40}")
_WARNS = re.compile(r"\\|[\da-fA-F](?:and|else|for|if|in|is|not|or)")
_QUOTED = (tokenize.STRING, tokenize.COMMENT, *(getattr(tokenize, f"FSTRING_{one}", -1) for one in ["START", "MIDDLE", "END"]))
_NO_TREE = (SyntaxError, ValueError, MemoryError, RecursionError)
_ONE_AT_A_TIME = threading.Lock()


def tree_of(expression: str) -> ast.Module:
    """Python's tree; `lineno`, `col_offset` and their ends are in characters of the text as it was given.

    Raises
    ------
    ExpressionError
        For text that is no Python, is too long or too deep, or has names that are not ASCII.
    """
    if not isinstance(expression, str):
        raise ExpressionError("cannot read the expression", got=type(expression).__name__, expected="text")
    _check_text(expression)
    pasted, tree = _read(expression)
    _check_names(expression, pasted)
    _check_depth(expression, pasted, tree)
    for node in ast.walk(tree):
        if isinstance(node, (ast.expr, ast.stmt, ast.arg, ast.keyword, ast.alias)):
            end_line, end_column = node.end_lineno or node.lineno, node.end_col_offset or node.col_offset
            ends = _characters(pasted, node.lineno, node.col_offset), _characters(pasted, end_line, end_column)
            place = pasted.place(node.lineno, ends[0], end_line, ends[1])
            node.lineno, node.col_offset, node.end_lineno, node.end_col_offset = place
    return tree


def _check_text(expression: str) -> None:
    """What must hold before a parser sees it."""
    if len(expression) > LONGEST:
        got = f"{len(expression):,} characters"
        head = expression[:LONGEST]
        last = lines_of(head)
        place = (len(last), len(last[-1]), len(last), len(last[-1]))
        do = "keep the lines that lead to the result"
        raise ExpressionError("cannot read so long an expression", got=got, expected=f"at most {LONGEST:,}", do=do,
                              place=place, source=head)  # fmt: skip
    depth, position = 0, 0
    for position, sign in enumerate(expression):
        control = unicodedata.category(sign) in ("Cc", "Cs") and sign not in "\t\n\r"
        if control or sign in _BIDIRECTIONAL:
            name = unicodedata.name(sign, "a control character").lower()
            got = f"U+{ord(sign):04X} ({name})"
            rest = "".join(one for one in expression if one != sign)
            raise ExpressionError("cannot read a sign that is not shown", got=got, do="delete it", suggestion=rest,
                                  place=_at(expression, position), source=expression)  # fmt: skip
        depth += (sign in "([{") - (sign in ")]}")
        if depth > MOST_BRACKETS:
            break
    run = _RUN.search(expression)
    if run or depth > MOST_BRACKETS:
        _too_deep(expression, _at(expression, run.start() if run else position))


def _at(expression: str, position: int) -> Place:
    lines = lines_of(expression[:position])
    # a position behind the first half of \r\n would start a line that is none
    return len(lines), len(lines[-1]), len(lines), len(lines[-1]) + 1


def _too_deep(expression: str, place: Place) -> NoReturn:
    do = "assign a part of it to a name on a line of its own"
    expected = f"at most {MOST_BRACKETS} brackets and {DEEPEST} levels within each other"
    raise ExpressionError("cannot read so deep an expression", expected=expected, do=do, place=place, source=expression)


def _read(expression: str) -> tuple[Pasted, ast.Module]:
    failures: list[tuple[Pasted, Exception]] = []
    for pasted in readings(expression):
        try:
            return pasted, _tree(pasted.code)
        except _NO_TREE as failure:
            failures.append((pasted, failure))
    # of readings that all fail, one that differs by its indentation only is the stranger
    told = [one for one in failures if not isinstance(one[1], IndentationError)] or failures[:1]
    pasted, last = told[-1]
    if isinstance(last, SyntaxError):
        _no_python(expression, pasted, last)
    if isinstance(last, ValueError):
        raise ExpressionError("cannot read the expression", got=shown(str(last)), source=expression)
    _too_deep(expression, (1, 0, 1, 1))


def _tree(code: str) -> ast.Module:
    if not _WARNS.search(code):
        return ast.parse(code)
    with _ONE_AT_A_TIME, warnings.catch_warnings():  # "\d" or 1if x: Python would write to the server's log
        warnings.simplefilter("ignore")
        return ast.parse(code)


def _no_python(expression: str, pasted: Pasted, failure: SyntaxError) -> NoReturn:
    """Python's own sentence at Python's own place, and the same text with its brackets closed where that is all."""
    line, column = failure.lineno or 1, max((failure.offset or 1) - 1, 0)
    end_line, end_column = failure.end_lineno or line, (failure.end_offset or 0) - 1
    if (end_line, end_column) <= (line, column):
        end_line, end_column = line, column + 1
    place = pasted.place(line, column, end_line, end_column)
    lines = pasted.code.split("\n")
    start = lines[min(line, len(lines)) - 1].lstrip()
    if start.startswith(("!", "%")):
        rest = "\n".join(one for one in lines if not one.lstrip().startswith(("!", "%"))).strip()
        raise ExpressionError("cannot run a notebook's command", got=shown(start), do="leave the line out", place=place,
                              suggestion=rest, source=expression)  # fmt: skip
    raise ExpressionError("cannot read the expression as Python", got=shown((failure.msg or "a syntax error").strip(". "), 120),
                          place=place, suggestion=_closed(pasted.code), source=expression)  # fmt: skip


def _closed(code: str) -> str:
    """The code with its brackets closed, or without one bracket too many, where that makes it Python."""
    opened: list[str] = []
    pairs = dict(zip("([{", ")]}", strict=True))
    kept = ""
    for sign in code:
        if sign in pairs:
            opened.append(pairs[sign])
        elif sign in pairs.values():
            if not opened or opened[-1] != sign:
                continue
            opened.pop()
        kept += sign
    mended = kept.rstrip() + "".join(reversed(opened))
    try:
        return mended if mended != code and _tree(mended).body else ""
    except _NO_TREE:
        return ""


def _characters(pasted: Pasted, line: int, offset: int) -> int:
    """Characters before an offset in bytes."""
    text = pasted.code.split("\n")[line - 1]
    return offset if text.isascii() else len(text.encode()[:offset].decode("utf-8", "ignore"))


def _check_names(expression: str, pasted: Pasted) -> None:
    """Outside of strings and comments all is ASCII: Python itself takes letters that only look like others for these."""
    if pasted.code.isascii():
        return
    for token in tokenize.generate_tokens(io.StringIO(pasted.code).readline):
        odd = [sign for sign in token.string if not sign.isascii()]
        if odd and token.type not in _QUOTED:
            plain = unicodedata.normalize("NFKC", pasted.code).translate(_ALIKE)
            got = f"{shown(token.string)} with U+{ord(odd[0]):04X} ({unicodedata.name(odd[0], 'unnamed').lower()})"
            place = pasted.place(*token.start, *token.end)
            raise ExpressionError("cannot read a name that is not plain ASCII", got=got, expected="a-z, A-Z, 0-9 and _",
                                  place=place, suggestion=plain if plain.isascii() else "", source=expression)  # fmt: skip


def _check_depth(expression: str, pasted: Pasted, tree: ast.Module) -> None:
    waiting: list[tuple[ast.AST, int]] = [(tree, 0)]
    while waiting:
        node, depth = waiting.pop()
        if depth > DEEPEST:
            line, column = getattr(node, "lineno", 1), getattr(node, "col_offset", 0)
            _too_deep(expression, pasted.place(line, column, line, column + 1))
        waiting += [(child, depth + 1) for child in ast.iter_child_nodes(node)]
