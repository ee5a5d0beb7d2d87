"""Tables that may hold vectors: .csv, .tsv, .json, .jsonl, .parquet; a list in a cell, or a column per component."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from bertlens.run.stored import Held, Stored
from bertlens.run.written import NUMBER, format_of, looks_packed, packed, parsed, stacked

if TYPE_CHECKING:
    import pyarrow as pa

KNOWN = ("vector", "vectors", "embedding", "embeddings")
"""Names of what holds the vectors, where nobody says which it is."""


def of_text(text: str) -> Held:
    """Vectors as somebody pasted them: JSON, JSON lines, or numbers in brackets or on lines."""
    shown = text.strip()
    if shown.startswith("{") or re.match(r"\[\s*\{", shown):
        try:
            return of_json(shown.encode())
        except json.JSONDecodeError:
            return of_json_lines(shown.encode())
    return Held({"vectors": lambda: written(parsed(shown))})


def of_json(content: bytes) -> Held:
    """Lists of numbers, records, columns, text → vector, or what an embedding service answers (`data` of records)."""
    found = json.loads(content.decode("utf-8-sig"))
    if isinstance(found, dict) and isinstance(found.get("data"), list) and not _numbers(found["data"]):
        found = found["data"]
    if isinstance(found, list):
        return _of_rows(found)
    if not isinstance(found, dict):
        raise ValueError(f"a {type(found).__name__} where lists of numbers were expected")
    lists = {str(name): value for name, value in found.items() if isinstance(value, list)}
    if len(lists) == len(found) > 1 and all(map(_numbers, lists.values())) and not set(KNOWN) & set(lists):
        return Held({"vectors": lambda: written(list(lists.values()))}, {"text": list(lists)})
    if any(isinstance(value, str) for value in found.values()):
        return _of_rows([found])  # one record
    return of_columns(lists)


def of_json_lines(content: bytes) -> Held:
    """A record or a list of numbers on each line."""
    rows = []
    for at, line in enumerate(content.decode("utf-8-sig").split("\n"), start=1):
        if line.strip():
            try:
                rows.append(json.loads(line))
            except ValueError as error:
                raise ValueError(f"no JSON in line {at}: {error}") from None
    return _of_rows(rows)


def of_csv(content: bytes, separator: str | None = None) -> Held:
    """Columns with or without a header; `separator` is found out where nobody says it."""
    text = content.decode("utf-8-sig")
    if text.lstrip().startswith("["):
        return Held({"vectors": lambda: written(parsed(text))})
    lines = [line for line in text.splitlines() if line.strip()][:2]
    if not lines:
        raise ValueError("an empty file")
    found = separator or next((sign for sign in ";\t," if any(sign in line for line in lines)), " ")
    rows = [row for row in csv.reader(io.StringIO(text, newline=""), delimiter=found, skipinitialspace=found == " ") if row]
    if all(not row[-1] for row in rows) and len(rows[0]) > 1:
        rows = [row[:-1] for row in rows]  # lines that end with a separator
    odd = next((at for at, row in enumerate(rows) if len(row) != len(rows[0])), None)
    if odd is not None:
        raise ValueError(f"rows of unequal length: {len(rows[odd])} fields in row {odd}, {len(rows[0])} in the first")
    names = rows.pop(0) if _header(rows[0]) else list(map(str, range(len(rows[0]))))
    comma = found == ";" and not any("." in cell for row in rows[:5] for cell in row)
    cells = zip(*rows, strict=True) if rows else ([] for _ in names)
    return of_columns({name: _cells(name, column, comma) for name, column in zip(names, cells, strict=True)})


def of_parquet(content: bytes) -> Held:
    """Columns of lists of numbers, of numbers, of bytes, of strings."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    table, columns = pq.read_table(io.BytesIO(content)), {}
    for name in table.column_names:
        column = table[name].combine_chunks()
        kind = column.type
        listed = pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind)
        if listed and (pa.types.is_floating(kind.value_type) or pa.types.is_integer(kind.value_type)):
            columns[name] = partial(_lists, column)
        elif pa.types.is_floating(kind) or pa.types.is_integer(kind):
            columns[name] = column.to_numpy(zero_copy_only=False)
        else:
            columns[name] = column.to_pylist()
    return of_columns(columns)


def of_columns(columns: Mapping[str, Any]) -> Held:
    """What the columns of a table hold; numbers are one vector a row together, unless a column holds whole vectors."""
    held, numbers = Held(), {}
    for name, column in columns.items():
        first = column if callable(column) else next((value for value in column if value is not None), None)
        if callable(first):
            held.vectors[name] = first
        elif isinstance(first, list):
            held.vectors[name] = partial(written, column)
        elif isinstance(first, bytes) or (isinstance(first, str) and looks_packed(column)):
            held.vectors[name] = partial(_unpacked, column, "bytes" if isinstance(first, bytes) else "base64")
        elif isinstance(first, str) and first.lstrip().startswith("["):
            held.vectors[name] = partial(_printed, column)
        elif isinstance(first, str):
            held.strings[name] = list(column)
        elif isinstance(first, int | float | np.number) and not isinstance(first, bool):
            numbers[name] = column
    if numbers and not held.vectors:
        chosen = _components(list(numbers))
        others = tuple(name for name in numbers if name not in chosen)
        label = chosen[0] if len(chosen) == 1 else f"{chosen[0]} … {chosen[-1]}"
        held.vectors[label] = partial(_side_by_side, [numbers[name] for name in chosen], others)
    return held


def written(rows: Sequence[Any]) -> Stored:
    """Rows of numbers that were written out as text."""
    return Stored(*format_of(stacked(rows)))


def _printed(column: Sequence[str | None]) -> Stored:
    """Cells with a whole vector each, as pandas writes lists and arrays."""
    return written([None if cell is None else parsed(cell) for cell in column])


def _of_rows(rows: list[Any]) -> Held:
    """Records with the same keys, or rows of numbers."""
    if not any(isinstance(row, dict) for row in rows):
        return Held({"vectors": partial(written, rows)})
    if not all(isinstance(row, dict) for row in rows):
        raise ValueError("records among lists")
    names = dict.fromkeys(str(name) for row in rows for name in row)
    return of_columns({name: [row.get(name) for row in rows] for name in names})


def _numbers(values: Sequence[Any]) -> bool:
    return bool(values) and all(isinstance(value, int | float) or value is None for value in values)


def _header(row: Sequence[str]) -> bool:
    """Whether the first line names the columns: no number in it, or nothing but numbers that count the components."""
    counted = [cell for cell in row if re.fullmatch(NUMBER, cell.strip(), re.IGNORECASE)]
    start = int(counted[0]) if counted and counted[0] in ("0", "1") else 0
    return counted == [str(start + at) for at in range(len(counted))] and (len(counted) > 2 or not counted)


def _cells(name: str, column: Sequence[str], comma: bool) -> Any:
    """A column of numbers as an array, any other as it stands."""
    cells = [cell.strip().replace(",", ".") if comma else cell.strip() for cell in column]
    first = next((cell for cell in cells if cell), "")
    if not re.fullmatch(NUMBER, first, re.IGNORECASE):
        return list(column)
    try:
        return np.array([np.nan if cell.lower() in ("", "null", "none") else float(cell) for cell in cells])
    except ValueError as error:
        raise ValueError(f"{str(error).removeprefix('could not convert ')} in column {name}") from None


def _components(names: Sequence[str]) -> list[str]:
    """The columns that are components: those numbered in a row under one name, if most are, else all."""
    numbered: dict[str, list[tuple[int, str]]] = {}
    for name in names:
        if match := re.fullmatch(r"(.*?)(\d+)", name):
            numbered.setdefault(match[1], []).append((int(match[2]), name))
    group = max(numbered.values(), key=len, default=[])
    return [name for _, name in sorted(group)] if len(group) > 1 and 2 * len(group) > len(names) else list(names)


def _side_by_side(columns: Sequence[Any], others: tuple[str, ...]) -> Stored:
    values = np.stack([np.asarray(stacked(column) if isinstance(column, list) else column) for column in columns], 1)
    if len(columns) == 1:
        values = values[:, 0]  # one number a line: a single vector
    notes = (f"Not read as components: {', '.join(others[:5])}{' …' * (len(others) > 5)}.",) if others else ()
    kinds = {getattr(column, "dtype", np.dtype(np.float64)) for column in columns}
    if kinds == {np.dtype(np.float64)}:
        values, kind, more = format_of(values)
        return Stored(values, kind, notes + more)
    return Stored(values, values.dtype.name, notes)


def _lists(column: pa.Array) -> Stored:
    """A column of lists of numbers of one length; a row that is missing is NaN."""
    import pyarrow.compute as pc

    lengths = pc.list_value_length(column)
    widths = lengths.drop_null().unique().to_pylist()
    if len(widths) > 1:
        raise ValueError(f"rows of unequal length: {widths[0]} and {widths[1]} numbers")
    flat = column.flatten().to_numpy(zero_copy_only=False)
    kind = np.dtype(column.type.value_type.to_pandas_dtype()).name
    if not column.null_count:
        return Stored(flat.reshape(len(column), *widths), kind)
    values = np.full((len(column), *widths), np.nan)
    values[column.is_valid().to_numpy(zero_copy_only=False)] = flat.reshape(-1, *widths)
    return Stored(values, kind)


def _unpacked(column: Sequence[Any], what: str) -> Stored:
    rows = [None if cell is None else packed(cell) for cell in column]
    values = stacked(rows).astype(np.float32)
    return Stored(values, "float32", (f"The vectors stand in the file as {what}, read as float32.",))
