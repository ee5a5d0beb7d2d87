"""Notebook: a generated Python file as a Jupyter notebook, a cell for every step, with the same code in the same order."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator
from typing import Any

from bertlens.show.markdown import plain

FORMAT = {"nbformat": 4, "nbformat_minor": 5}
KERNEL = {
    "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
    "language_info": {"name": "python"},
}

LABEL = re.compile(r"^\w+: {2,}")
"""How a line of a docstring begins that stands in a table of its own."""


def notebook(code: str, title: str) -> str:
    """A Python file as JSON of the notebook format 4.5: its docstring as Markdown, its paragraphs as cells.

    Parameters
    ----------
    code : a whole file. Running the cells in order is running the file; imports that follow each other share a cell, and so
        do functions.
    title : the heading of the notebook.

    Source: the format's own schema, https://nbformat.readthedocs.io/en/latest/format_description.html.
    """
    tree = ast.parse(code)
    heading = f"# {plain(title)}"
    told = ast.get_docstring(tree)
    cells = [_cell("markdown", f"{heading}\n\n{_prose(told)}" if told else heading)]
    cells += [_cell("code", source, execution_count=None, outputs=[]) for source in _steps(code, tree)]
    numbered = [{"id": f"cell-{number}", **cell} for number, cell in enumerate(cells)]
    return json.dumps({"cells": numbered, "metadata": {**KERNEL, "title": title}, **FORMAT}, indent=1) + "\n"


def _cell(kind: str, source: str, **more: Any) -> dict[str, Any]:
    return {"cell_type": kind, "metadata": {}, "source": source, **more}


def _prose(docstring: str) -> str:
    """Paragraphs as Markdown, in which lines with a label stay lines."""
    paragraphs = [paragraph.split("\n") for paragraph in docstring.split("\n\n")]
    ends = ["\\\n" if any(map(LABEL.match, lines)) else "\n" for lines in paragraphs]
    return "\n\n".join(end.join(map(plain, lines)) for lines, end in zip(paragraphs, ends, strict=True))


def _steps(code: str, tree: ast.Module) -> list[str]:
    """The code of each cell: paragraphs, of which neighbours of one kind share a cell."""
    steps: list[str] = []
    before = ""
    for kind, source in _paragraphs(code, tree):
        if kind and kind == before:
            steps[-1] += source
        else:
            steps.append(source)
        before = kind
    return [step.strip("\n") for step in steps]


def _paragraphs(code: str, tree: ast.Module) -> Iterator[tuple[str, str]]:
    """What stands between blank lines that are in no statement, with its kind: "imports", "functions", or "" for the rest."""
    lines, start, body = code.split("\n"), 0, tree.body
    if ast.get_docstring(tree) is not None:
        start, body = body[0].end_lineno or 0, body[1:]
    held: list[ast.stmt] = []
    for statement, after in zip(body, [*body[1:], None], strict=True):
        held.append(statement)
        until = len(lines) if after is None else _first_line(after)
        blank = next((at for at in range(statement.end_lineno or 0, until) if not lines[at].strip()), None)
        if after is None or blank is not None:
            stop = len(lines) if after is None or blank is None else blank
            yield _kind(held), "".join(f"{line}\n" for line in lines[start:stop])
            start, held = stop, []


def _first_line(statement: ast.stmt) -> int:
    """The number of lines before a statement and its decorators."""
    decorators: list[ast.expr] = getattr(statement, "decorator_list", [])
    return min([statement.lineno, *(one.lineno for one in decorators)]) - 1


def _kind(statements: list[ast.stmt]) -> str:
    if all(isinstance(one, ast.Import | ast.ImportFrom) for one in statements):
        return "imports"
    if all(isinstance(one, ast.FunctionDef | ast.ClassDef) for one in statements):
        return "functions"
    return ""
