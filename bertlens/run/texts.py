"""Texts: what a person wants vectors of, from a list, a box or a file.

A text is a string, or a pair of strings for models that read two sentences at once.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from bertlens.errors import BertlensError

Text = str | tuple[str, str]
Texts = tuple[Text, ...]

FORMATS = (".txt", ".csv", ".tsv", ".jsonl", ".parquet")
KNOWN = ("text", "sentence")
"""Names of a column that holds the texts, where nobody says which it is."""

PAIR_MARK = "|||"
"""Between the two sentences of a pair on one line, with or without spaces around it; a tab serves as well."""


def as_texts(texts: Sequence[Any] | str) -> Texts:
    """Check texts and freeze them.

    Parameters
    ----------
    texts : one string, or a sequence of strings or of pairs of strings.

    Raises
    ------
    BertlensError
        No text at all, only blanks, something that is not a string, or a lone surrogate (half a character, which no
        tokenizer can encode).
    """
    given: Any = [texts] if isinstance(texts, str) else texts
    if not isinstance(given, Iterable) or isinstance(given, bytes | Mapping):
        raise BertlensError("cannot use the texts", got=_short(given), expected="a string, or a list of strings or pairs")
    frozen = tuple(_text(index, text) for index, text in enumerate(given))
    if not frozen:
        raise BertlensError("there is nothing to run", got="no text", expected="at least one", do="write one text per line")
    if not any(part.strip() for text in frozen for part in sides(text)):
        raise BertlensError(
            "there is nothing to run", got="only blanks", expected="a text with words", do="write one text per line"
        )
    return frozen


def sides(text: Text) -> tuple[str, ...]:
    """The one or two sentences of a text."""
    return (text,) if isinstance(text, str) else text


def check_index(texts: Sequence[Any], text: int) -> None:
    """Raise where there is no text of this number."""
    if not 0 <= text < len(texts):
        raise BertlensError("cannot show a text", got=f"number {text}", expected=f"0 … {len(texts) - 1}")


def _text(index: int, text: Any) -> Text:
    if isinstance(text, list | tuple):
        if len(text) != 2 or not all(isinstance(part, str) for part in text):
            raise BertlensError(f"cannot use text {index}", got=_short(text), expected="a string, or a pair of two strings")
        return (_whole(index, text[0]), _whole(index, text[1]))
    if not isinstance(text, str):
        raise BertlensError(f"cannot use text {index}", got=_short(text), expected="a string, or a pair of two strings")
    return _whole(index, text)


def _whole(index: int, text: str) -> str:
    """The text, or an error where a character is only half there."""
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise BertlensError(
            f"cannot use text {index}",
            got=f"half a character (the lone surrogate U+{ord(text[error.start]):04X}) at character {error.start}",
            expected="valid Unicode",
            do="replace that character; it usually comes from cutting an emoji in two",
        ) from None
    return text


def _short(value: object) -> str:
    shown = f"{type(value).__name__} {value!r}"
    return shown if len(shown) <= 60 else shown[:57] + "…"


def from_lines(lines: str, *, pairs: bool = False) -> Texts:
    """Texts from a box, one per line; blank lines are left out.

    With `pairs`, each line holds two sentences with `|||` or a tab between them.
    """
    kept = [line.rstrip("\r") for line in lines.split("\n") if line.strip()]
    return split_pairs(kept) if pairs else as_texts(kept)


def split_pairs(lines: Sequence[str]) -> Texts:
    """Pairs of sentences from lines with `|||` or a tab between the two."""
    return as_texts([_pair(index, line) for index, line in enumerate(lines)])


def _pair(index: int, line: str) -> tuple[str, str]:
    mark = PAIR_MARK if PAIR_MARK in line else "\t"
    parts = [part.strip() for part in line.split(mark)]
    if len(parts) != 2:
        raise BertlensError(
            f"cannot read line {index + 1} as a pair",
            got=f"{len(parts)} sentence{'s' * (len(parts) != 1)}",
            expected=f"two, with {PAIR_MARK} or a tab between them",
        )
    return (parts[0], parts[1])


def read_texts(path: str | Path, *, column: str | None = None, pair_column: str | None = None) -> Texts:
    """Texts from a file: .txt (one per line), .csv, .tsv, .jsonl or .parquet.

    Parameters
    ----------
    column, pair_column : the columns (or JSON keys) with the text and, for pairs, the second sentence. Without
        `column`, a column named `text` or `sentence` is used, or the only one there is.

    An empty line inside a .txt file is an empty text, so that line n stays text n - 1.
    """
    if Path(path).suffix.lower() == ".txt" and (column or pair_column):
        raise BertlensError(f"cannot take a column of {path}", got="a .txt file", do="leave --column out")
    return texts_of(columns(path), column, pair_column, where=str(path))


def columns(path: str | Path) -> dict[str, list[Any]]:
    """The columns of a file of texts by name, one value a row as it stands there; the lines of a .txt are one, called `text`.

    A value that is missing is None; in .csv and .tsv everything is a string, and what is missing an empty one.
    """
    path = Path(path)
    suffix = path.suffix.lower()
    if not path.is_file():
        raise BertlensError(f"cannot read the texts from {path}", got="no such file", do="check the path")
    if suffix not in FORMATS:
        raise BertlensError(f"cannot read the texts from {path}", got=f"'{suffix}'", expected=" / ".join(FORMATS))
    try:
        if suffix == ".txt":
            return {"text": path.read_text("utf-8-sig").removesuffix("\n").split("\n")}
        return _table(path, suffix)
    except UnicodeDecodeError as error:
        raise BertlensError(
            f"cannot read the texts from {path}",
            got=f"bytes that are not UTF-8 at {error.start}",
            do="save the file as UTF-8",
        ) from None


def candidates(table: Mapping[str, Sequence[Any]]) -> tuple[str, ...]:
    """Names of the columns that may hold the texts, the likeliest first: `text`, `sentence`, then as they stand in the file.

    Columns of single words, as languages and categories are, come last. A column without a string is left out, and so is one
    of numbers written out where another has words.
    """
    strings = {name: [value for value in values if isinstance(value, str)] for name, values in table.items()}
    words = [name for name, found in strings.items() if not all(map(_number, found))]
    likely = words or [name for name, found in strings.items() if found]
    single = {name for name in likely if not any(len(value.split()) > 1 for value in strings[name])}
    return tuple(sorted(likely, key=lambda name: KNOWN.index(name) if name in KNOWN else len(KNOWN) + (name in single)))


def _number(text: str) -> bool:
    """Whether it is written as a number, or blank."""
    try:
        float(text or 0)
    except ValueError:
        return not text.strip()
    return True


def texts_of(
    table: Mapping[str, Sequence[Any]], column: str | None = None, pair_column: str | None = None, *, where: str
) -> Texts:
    """The texts of one column, or with `pair_column` the pairs of two; `where` says in errors which file it was.

    Without `column`, one named `text` or `sentence` is used, or the only one there is.
    """
    first = _column(where, table, column)
    if pair_column is None:
        return as_texts(first)
    return as_texts(list(zip(first, _column(where, table, pair_column), strict=True)))


def _table(path: Path, suffix: str) -> dict[str, list[Any]]:
    """The columns of a file by name."""
    if suffix == ".jsonl":
        return _json_lines(path)
    import pandas as pd

    try:
        if suffix == ".parquet":
            frame = pd.read_parquet(path)
        else:
            separator = "," if suffix == ".csv" else "\t"
            frame = pd.read_csv(path, sep=separator, dtype=str, keep_default_na=False, encoding="utf-8-sig")
    except UnicodeDecodeError:
        raise
    except Exception as error:  # pandas and pyarrow raise some twenty kinds for a file that is not what it says
        reason = str(error).split("\n")[0][:120]
        raise BertlensError(f"cannot read the texts from {path}", got=f"a broken {suffix} file ({reason})") from error
    if suffix != ".parquet" and not isinstance(frame.index, pd.RangeIndex):
        # pandas takes the surplus fields in front for row names: "one, two" in an unquoted line would lose "one"
        raise BertlensError(
            f"cannot read the texts from {path}",
            got=f"lines with more fields than the {len(frame.columns)} of the header",
            expected=f"texts with a {'comma' if suffix == '.csv' else 'tab'} in them in double quotes",
        )
    return {str(name): frame[name].astype(object).where(frame[name].notna(), None).tolist() for name in frame.columns}


def _json_lines(path: Path) -> dict[str, list[Any]]:
    columns: dict[str, list[Any]] = {}
    lines = enumerate(path.read_text("utf-8-sig").split("\n"), start=1)
    for number, (at, line) in enumerate((at, line) for at, line in lines if line.strip()):
        try:
            row = json.loads(line)
        except ValueError as error:
            raise BertlensError(f"cannot read line {at} of {path}", got=f"no JSON ({error})") from None
        row = row if isinstance(row, dict) else {"text": row}
        for name in dict.fromkeys([*columns, *row]):
            columns.setdefault(name, [None] * number).append(row.get(name))
    return columns


def _column(where: str, table: Mapping[str, Sequence[Any]], name: str | None) -> Sequence[str]:
    if name is None:
        name = next((known for known in KNOWN if known in table), None)
    if name is None and len(table) == 1:
        name = next(iter(table))
    if name is None or name not in table:
        raise BertlensError(
            f"cannot find the texts in {where}",
            got="the columns " + ", ".join(map(str, table)) if table else "no columns",
            expected=f"'{name}'" if name else "one called text",
            do="name the column with --column",
        )
    for row, value in enumerate(table[name]):
        if not isinstance(value, str):
            got = f"no value in row {row}" if value is None else f"{_short(value)} in row {row}"
            raise BertlensError(
                f"cannot use the column '{name}' of {where}", got=got, expected="a string in every row, counted from 0"
            )
    return table[name]
