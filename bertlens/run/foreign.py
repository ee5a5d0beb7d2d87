"""Foreign vectors: made by somebody else, read from a file or from what was pasted, exactly as they are stored."""

from __future__ import annotations

import json
import pickle
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePath

import numpy as np

from bertlens.errors import BertlensError
from bertlens.run import stored, tabled
from bertlens.run.stored import Held, Stored
from bertlens.run.tabled import KNOWN
from bertlens.run.texts import Texts, as_texts

FORMATS: dict[str, Callable[[bytes], Held]] = {
    ".npy": stored.of_numpy,
    ".npz": stored.of_archive,
    ".csv": tabled.of_csv,
    ".tsv": partial(tabled.of_csv, separator="\t"),
    ".json": tabled.of_json,
    ".jsonl": tabled.of_json_lines,
    ".parquet": tabled.of_parquet,
    ".safetensors": stored.of_safetensors,
    ".pt": stored.of_torch,
    ".pth": stored.of_torch,
    ".bin": stored.of_torch,
}
"""Readers by suffix."""

LARGEST = 2 * 2**30
"""Bytes of a file that is read whole into memory."""

WORDS = ("text", "texts", "sentence", "sentences")
"""Names of what holds the texts beside the vectors."""

SANE = (1e-8, 1e8)
"""Between these lie the components of any vector that a model gives; read in the wrong byte order, most lie outside."""


@dataclass(frozen=True)
class Foreign:
    """Vectors that somebody else made.

    Attributes
    ----------
    values : (rows, dims), float64, exactly the stored numbers; NaN and infinity are kept.
    dtype : the format they are stored in: float32, float16, bfloat16, int8, uint8, float64, …; "decimal" where they are
        written out with fewer digits than any of these needs.
    texts : the texts that stand beside them, or ().
    notes : how they were read, a sentence each.
    """

    values: np.ndarray
    dtype: str
    texts: Texts = ()
    notes: tuple[str, ...] = ()


def read_vectors(path: str | Path, *, column: str | None = None) -> Foreign:
    """Vectors from a file: .npy, .npz, .csv, .tsv, .json, .jsonl, .parquet, .safetensors, .pt, .pth or .bin (torch.save).

    Parameters
    ----------
    column : the column, key or array that holds them. Without it, one called `vector`, `vectors`, `embedding` or
        `embeddings` is used, or the only one there is.

    Raises
    ------
    BertlensError
        Where there is no such file, nothing in it can be vectors, or several things can and nobody says which.
    """
    file = Path(path)
    _known(str(path), file.suffix)
    if not file.is_file():
        got = "a folder" if file.is_dir() else "no such file"
        raise BertlensError(f"cannot read the vectors from {path}", got=got, do="check the path")
    if (size := file.stat().st_size) > LARGEST:
        raise BertlensError(
            f"cannot read the vectors from {path}",
            got=f"{size / 2**30:.1f} GB",
            expected=f"at most {LARGEST / 2**30:.0f} GB",
            do="save some of the rows as .npy; a few hundred decide",
        )
    try:
        content = file.read_bytes()
    except OSError as error:
        raise BertlensError(f"cannot read the vectors from {path}", got=error.strerror or str(error)) from None
    return vectors_from(str(path), content, column)


def vectors_from(name: str, content: bytes, column: str | None = None) -> Foreign:
    """Vectors from the bytes of a file, as `read_vectors` reads them; the suffix of its name says how."""
    what = f"cannot read the vectors from {name}"
    return _foreign(what, _opened(what, _known(name, PurePath(name).suffix), content), column)


def vectors_from_text(text: str) -> Foreign:
    """Vectors as somebody pasted them: JSON, a vector per line, or what numpy or PyTorch prints.

    Raises
    ------
    BertlensError
        For words, lines of unequal length, or a print that was shortened.
    """
    what = "cannot read the pasted vectors"
    if not text.strip():
        raise BertlensError(what, got="nothing", expected="numbers", do="paste JSON, a vector per line, or a numpy print")
    return _foreign(what, _opened(what, lambda _: tabled.of_text(text), b" "), None)


def choices(name: str, content: bytes) -> tuple[str, ...]:
    """What in a file may be vectors, by name, the likeliest first."""
    held = _opened(f"cannot read the vectors from {name}", _known(name, PurePath(name).suffix), content)
    return tuple(sorted(held.vectors, key=lambda one: KNOWN.index(one) if one in KNOWN else len(KNOWN)))


def _known(name: str, suffix: str) -> Callable[[bytes], Held]:
    """The reader of a suffix."""
    if suffix.lower() not in FORMATS:
        got = f"the suffix '{suffix}'" if suffix else "a name without a suffix"
        raise BertlensError(f"cannot read the vectors from {name}", got=got, expected=" / ".join(FORMATS))
    return FORMATS[suffix.lower()]


def _opened(what: str, reader: Callable[[bytes], Held], content: bytes) -> Held:
    if not content:
        raise BertlensError(what, got="an empty file", expected="vectors")
    try:
        return reader(content)
    except pickle.UnpicklingError:
        raise BertlensError(
            what,
            got="pickled Python objects, or a broken file",
            expected="tensors alone",
            do="save the vectors with np.save, or torch.save of a tensor",
        ) from None
    except UnicodeDecodeError as error:
        raise BertlensError(what, got=f"bytes that are not UTF-8 at {error.start}", do="save the file as UTF-8") from None
    except (MemoryError, KeyboardInterrupt):
        raise
    except (
        Exception
    ) as error:  # numpy, pyarrow, torch and safetensors raise dozens of kinds for a file that is not what it says
        raise BertlensError(what, got=_reason(error), expected="one vector per text") from None


def _reason(error: Exception) -> str:
    """What a reader said, on one short line."""
    said = str(error).strip().split("\n")[0]
    if "allow_pickle" in said:
        return "pickled Python objects, which are not read (arrays of dtype object)"
    ours = type(error) in (
        ValueError,
        json.JSONDecodeError,
    )  # what a library raises, ArrowInvalid for one, is a kind of its own
    return said[:200] if ours else f"a broken file ({said[:120]})"


def _foreign(what: str, held: Held, column: str | None) -> Foreign:
    name = _chosen(what, held, column)
    try:
        found = held.vectors[name]()
    except ValueError as error:
        raise BertlensError(what, got=_reason(error), expected="one vector per text, all of one length") from None
    found = _in_order(_one_per_row(what, found))
    return Foreign(found.values.astype(np.float64), found.dtype, _texts(held, len(found.values)), found.notes)


def _chosen(what: str, held: Held, column: str | None) -> str:
    there = list(held.vectors)
    if column is not None and column in there:
        return column
    listed = ", ".join(f"'{name}'" for name in there[:12]) + (f" and {len(there) - 12} more" if len(there) > 12 else "")
    if column is not None:
        words = " (it holds words)" if column in held.strings else ""
        raise BertlensError(what, got=f"the name '{column}'{words}", expected=f"one of {listed}" if there else "vectors")
    if not there:
        got = f"only words, in {', '.join(held.strings)}" if held.strings else "nothing that can be vectors"
        raise BertlensError(what, got=got, expected="lists of numbers, or a column per component")
    known = [name for name in KNOWN if name in there]
    if known or len(there) == 1:
        return known[0] if known else there[0]
    raise BertlensError(what, got=f"several that may be vectors: {listed}", do="name one of them as the vector column")


def _one_per_row(what: str, found: Stored) -> Stored:
    """One vector per row; a single vector is one row, and an axis of length 1 between is dropped."""
    values = found.values
    if values.ndim == 3 and values.shape[1] == 1:
        values = values[:, 0]
    values = values[None] if values.ndim == 1 else values
    shape = " × ".join(map(str, values.shape)) or "a single number"
    if values.ndim == 3:
        raise BertlensError(
            what,
            got=f"an array of {shape}: a vector for every token, as last_hidden_state holds them",
            expected="one vector per text, texts × dimensions",
            do="pool over the tokens first, such as (x * mask).sum(1) / mask.sum(1), and save that",
        )
    if values.ndim == 4:
        got = f"an array of {shape}: every layer and every token, as stacked hidden_states hold them"
        raise BertlensError(
            what, got=got, expected="one vector per text", do="take a layer, pool over the tokens, and save that"
        )
    if values.ndim != 2 or not values.size:
        got = "no numbers" if not values.size else f"an array of {shape}"
        raise BertlensError(what, got=got, expected="one vector per text, texts × dimensions")
    return Stored(values, found.dtype, found.notes)


def _in_order(found: Stored) -> Stored:
    """The values with their bytes turned round, where only then they are numbers that a model can give."""
    values = found.values
    if found.dtype not in ("float32", "float64") or _sane(values) > 0.5:
        return found
    turned = values.astype(found.dtype).byteswap()
    if _sane(turned) < 0.95:
        return found
    note = f"The bytes of every {found.dtype} were stored in the other order (big- against little-endian); they are turned."
    return Stored(turned, found.dtype, (*found.notes, note))


def _sane(values: np.ndarray) -> float:
    """The share of components of a size that a model can give."""
    with np.errstate(invalid="ignore"):
        size = np.abs(values)
        return float(((size == 0) | ((size > SANE[0]) & (size < SANE[1]))).mean())


def _texts(held: Held, rows: int) -> Texts:
    """The texts beside the vectors, with their second sentences; () where no column can be them."""
    name = next((word for word in WORDS if word in held.strings), None)
    if name is None and len(held.strings) == 1:
        name = next(iter(held.strings))
    if name is None or len(held.strings[name]) != rows or not all(isinstance(text, str) for text in held.strings[name]):
        return ()
    seconds = held.strings.get("pair", [])
    try:
        if len(seconds) == rows:
            return as_texts([(one, two) if two else one for one, two in zip(held.strings[name], seconds, strict=True)])
        return as_texts(held.strings[name])
    except BertlensError:  # only blanks: the vectors are there all the same
        return ()
