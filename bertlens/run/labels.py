"""Labels: the class of every text, as a file or a person says it, checked before anything is run."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any

from bertlens.errors import BertlensError
from bertlens.run.texts import Texts, as_texts, columns, texts_of

KNOWN = ("label", "labels", "class", "target", "sentiment", "category")
"""Names of a column that holds the labels, where nobody says which it is."""


@dataclass(frozen=True)
class Labelled:
    """Texts and the class of each.

    Attributes
    ----------
    texts, labels : of the same length, in the same order; a label is a string, as it stands in a file.
    name : what they are, for a caption: "reviews.csv".
    """

    texts: Texts
    labels: tuple[str, ...]
    name: str = ""


def as_labels(labels: Iterable[Any], texts: Sequence[Any]) -> tuple[str, ...]:
    """Check the labels of texts and freeze them as strings: 1, True and "1" are written as they print.

    Raises
    ------
    BertlensError
        For another number of labels than of texts, a text without a label, or fewer than two classes.
    """
    given: Any = labels
    if isinstance(given, str | Mapping) or not isinstance(given, Iterable):
        raise BertlensError("cannot use the labels", got=type(given).__name__, expected="a list with one label per text")
    # a column of whole numbers in which one was missing, or an array, may hold numpy's own scalars
    frozen = tuple(_label(row, value.item() if hasattr(value, "item") else value) for row, value in enumerate(given))
    if len(frozen) != len(texts):
        raise BertlensError(
            "cannot use the labels", got=f"{len(frozen):,} labels for {len(texts):,} texts", expected="one label per text"
        )
    if len(set(frozen)) < 2:
        raise BertlensError(
            "cannot tell classes apart",
            got=f"only the label '{frozen[0][:60]}'" if frozen else "no label",
            expected="two classes or more",
            do="name the column that holds the classes",
        )
    return frozen


def _label(row: int, value: Any) -> str:
    missing = value is None or value != value or (isinstance(value, str) and not value.strip())
    if missing or not isinstance(value, str | int | float):
        got = f"no label for text {row}" if missing else f"a label of the type {type(value).__name__} for text {row}"
        raise BertlensError("cannot use the labels", got=got, expected="a word or a number for every text, counted from 0")
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value).strip()


def fitting_folds(labels: Sequence[str], folds: int) -> int:
    """How many folds there can be with every class in each of them: those wanted, or as many as the smallest class has texts.

    Raises
    ------
    BertlensError
        For less than two folds, or a class with a single text, which cannot be both learnt and tested.
    """
    if folds < 2:
        raise BertlensError("cannot cross-validate", got=f"{folds} fold{'s' * (folds != 1)}", expected="2 or more")
    smallest, count = min(Counter(labels).items(), key=lambda pair: pair[1])
    if count < 2:
        raise BertlensError(
            "cannot cross-validate",
            got=f"a single text of the class '{smallest[:60]}'",
            expected="two texts or more of every class",
            do="add texts of that class, or leave it out",
        )
    return min(folds, count)


def label_candidates(table: Mapping[str, Sequence[Any]], but: str | None = None) -> tuple[str, ...]:
    """Columns that may hold labels, the likeliest first: known names, then the fewest different values.

    Parameters
    ----------
    but : the column of the texts, which is none of them.
    """
    counted = {name: len({repr(value) for value in values}) for name, values in table.items() if name != but}
    fit = {name: count for name, count in counted.items() if count > 1}
    return tuple(sorted(fit, key=lambda name: (str(name).lower() not in KNOWN, fit[name])))


def labels_of(table: Mapping[str, Sequence[Any]], column: str | None, texts: Sequence[Any], *, where: str) -> tuple[str, ...]:
    """The labels of a column; without `column`, one of `KNOWN`. `where` says in errors which file it was.

    Raises
    ------
    BertlensError
        Where there is no such column, or what `as_labels` refuses.
    """
    name = column or next((name for name in table if str(name).lower() in KNOWN), None)
    if name is None or name not in table:
        raise BertlensError(
            f"cannot find the labels in {where}",
            got="the columns " + ", ".join(map(str, table)) if table else "no columns",
            expected=f"'{name}'" if name else "one called label",
            do="name the column with --label-column",
        )
    return as_labels(table[name], texts)


def read_labelled(
    path: str | Path, *, column: str | None = None, label_column: str | None = None, pair: str | None = None
) -> Labelled:
    """Labelled texts from a file: .csv, .tsv, .jsonl or .parquet.

    Parameters
    ----------
    column, label_column : the columns (or JSON keys) with the text and its label; by default those of the usual names.
    pair : the column with the second sentences of pairs.

    Raises
    ------
    BertlensError
        For a file that cannot be read, or without these columns.
    """
    if Path(path).suffix.lower() == ".txt":
        raise BertlensError(
            f"cannot find the labels in {path}", got="a .txt file", expected=".csv / .tsv / .jsonl / .parquet with two columns"
        )
    table = columns(path)
    texts = texts_of(table, column, pair, where=str(path))
    return Labelled(texts, labels_of(table, label_column, texts, where=str(path)), str(path))


@cache
def example_labelled() -> Labelled:
    """Forty short sentences, positive and negative, written as an example to begin with."""
    held = json.loads(resources.files("bertlens").joinpath("data/labelled.json").read_text("utf-8"))
    texts, labels = zip(*held["texts"], strict=True)
    return Labelled(as_texts(texts), as_labels(labels, texts), "example")
