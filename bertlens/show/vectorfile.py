"""Vector files: vectors with their texts, written whole or not at all, in the formats that other tools read."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import IO, Any

import numpy as np

from bertlens.errors import BertlensError
from bertlens.run.texts import Texts, sides

SEVERAL = (".parquet", ".npz", ".safetensors")
"""Formats that hold the vectors of several readouts side by side."""

Vectors = Mapping[str, np.ndarray]


def check(path: str | Path, readouts: int) -> Path:
    """The path, where such a file can be written; asked before anything is computed.

    Raises
    ------
    BertlensError
        For a suffix without a format, several readouts in a format for one, or a folder that is not there.
    """
    file = Path(path)
    what = f"cannot write the vectors to {path}"
    if file.suffix.lower() not in FORMATS:
        raise BertlensError(what, got=f"the suffix '{file.suffix}'", expected=" / ".join(FORMATS))
    if readouts > 1 and file.suffix.lower() not in SEVERAL:
        raise BertlensError(
            what, got=f"{readouts} readouts", expected=f"one in a {file.suffix} file", do=f"write {' / '.join(SEVERAL)} instead"
        )
    if not file.absolute().parent.is_dir():
        raise BertlensError(what, got="a folder that does not exist", do="make the folder first")
    if file.is_dir():
        raise BertlensError(what, got="a folder", expected="a file name")
    return file


def write(path: str | Path, vectors: Vectors, texts: Texts, metadata: Mapping[str, Any] | None = None) -> Path:
    """Write vectors, one row per text; the file appears, or takes the place of the one there, when it is complete.

    One readout: parquet, csv and jsonl hold the text (and `pair`) beside `vector`, npz and safetensors the array `vectors`.
    Several: a column or an array for each, named by its readout. npy and csv have no place for the metadata.

    Parameters
    ----------
    vectors : readout -> (texts, dimensions), float32 or float64, written as they are.
    metadata : how they were made; plain values.

    Raises
    ------
    BertlensError
        As `check` does, and where the disk refuses.
    """
    file = check(path, len(vectors))
    beside = file.with_name(f".{file.name}.{os.getpid()}.part")
    try:
        with beside.open("wb") as stream:
            FORMATS[file.suffix.lower()](stream, vectors, texts, dict(metadata or {}))
        beside.replace(file)
    except OSError as error:
        raise BertlensError(f"cannot write the vectors to {path}", got=error.strerror or str(error)) from None
    finally:
        beside.unlink(missing_ok=True)
    return file


def _parquet(stream: IO[bytes], vectors: Vectors, texts: Texts, metadata: dict[str, Any]) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    columns: dict[str, Any] = {name: pa.array(values, pa.string()) for name, values in _words(texts).items()}
    for name, values in _named(vectors, "vector").items():
        flat = pa.array(np.ascontiguousarray(values).reshape(-1))
        columns[name] = pa.FixedSizeListArray.from_arrays(flat, values.shape[1])
    table = pa.table(columns).replace_schema_metadata({"bertlens": json.dumps(metadata)})
    pq.write_table(table, stream)


def _npy(stream: IO[bytes], vectors: Vectors, texts: Texts, metadata: dict[str, Any]) -> None:
    np.save(stream, _only(vectors))


def _npz(stream: IO[bytes], vectors: Vectors, texts: Texts, metadata: dict[str, Any]) -> None:
    np.savez(stream, **_named(vectors, "vectors"), metadata=np.array(json.dumps(metadata)))  # type: ignore[arg-type]


def _csv(stream: IO[bytes], vectors: Vectors, texts: Texts, metadata: dict[str, Any]) -> None:
    import pyarrow as pa
    from pyarrow import csv

    values = _only(vectors)
    components = {str(at): np.ascontiguousarray(column) for at, column in enumerate(values.T)}
    csv.write_csv(pa.table({**_words(texts), **components}), stream)  # with as many digits as give the same bits back


def _jsonl(stream: IO[bytes], vectors: Vectors, texts: Texts, metadata: dict[str, Any]) -> None:
    words = _words(texts)
    for at, row in enumerate(_only(vectors)):
        plain = [value if np.isfinite(value) else None for value in row.tolist()]
        line = {**{name: values[at] for name, values in words.items()}, "vector": plain}
        stream.write(json.dumps(line, ensure_ascii=False, allow_nan=False).encode("utf-8") + b"\n")


def _safetensors(stream: IO[bytes], vectors: Vectors, texts: Texts, metadata: dict[str, Any]) -> None:
    from safetensors.numpy import save

    arrays = {name: np.ascontiguousarray(values) for name, values in _named(vectors, "vectors").items()}
    stream.write(save(arrays, {"bertlens": json.dumps(metadata)}))


def _named(vectors: Vectors, single: str) -> dict[str, np.ndarray]:
    """Arrays by their name in the file."""
    return {single: _only(vectors)} if len(vectors) == 1 else dict(vectors)


def _only(vectors: Vectors) -> np.ndarray:
    return next(iter(vectors.values()))


def _words(texts: Texts) -> dict[str, list[str]]:
    """The columns of the texts: `text`, and `pair` where there are second sentences."""
    parts = [sides(text) for text in texts]
    columns = {"text": [part[0] for part in parts]}
    if any(len(part) > 1 for part in parts):
        columns["pair"] = [part[1] if len(part) > 1 else "" for part in parts]
    return columns


FORMATS: dict[str, Callable[[IO[bytes], Vectors, Texts, dict[str, Any]], None]] = {
    ".parquet": _parquet,
    ".npy": _npy,
    ".npz": _npz,
    ".csv": _csv,
    ".jsonl": _jsonl,
    ".safetensors": _safetensors,
}
"""Writers by suffix."""
