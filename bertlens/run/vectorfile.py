"""Vector file: one vector that somebody uploads to put it in the place of a token's: .npy, .csv or .json."""

from __future__ import annotations

import io
import json
from pathlib import PurePath
from typing import Any

import numpy as np

from bertlens.errors import BertlensError

FORMATS = (".npy", ".csv", ".json")


def vector_of(name: str, content: bytes, width: int) -> np.ndarray:
    """The vector in a file, (width,), float32.

    Parameters
    ----------
    name : of the file; its suffix says how it is read.
    content : a .npy array, numbers divided by commas or line breaks (.csv), or a list of numbers (.json).

    Raises
    ------
    BertlensError
        For another format, a broken file, another count of numbers, or one that is not finite.
    """
    what, suffix = f"cannot use the vector in {name}", PurePath(name).suffix.lower()
    if suffix not in FORMATS:
        raise BertlensError(what, got=f"'{suffix}'", expected=" / ".join(FORMATS))
    try:
        found = np.asarray(_read(suffix, content))
        if found.dtype.kind not in "biuf":
            raise ValueError("something that is no number")
        found = found.astype(np.float64).reshape(-1)
    except (ValueError, EOFError, OSError) as error:  # a broken file, pickled objects, ragged lists, words
        reason = str(error).split("\n")[0][:100]
        raise BertlensError(what, got=f"a file that cannot be read ({reason})", expected=f"{width} numbers") from None
    if len(found) != width:
        got = f"{len(found):,} number{'s' * (len(found) != 1)}"
        raise BertlensError(what, got=got, expected=f"{width}, the width of the model's token table")
    with np.errstate(over="ignore"):
        single = found.astype(np.float32)
    if not np.isfinite(single).all():
        at = int(np.flatnonzero(~np.isfinite(single))[0])
        raise BertlensError(what, got=f"{found[at]} at place {at}", expected="finite numbers in float32")
    return single


def _read(suffix: str, content: bytes) -> Any:
    if suffix == ".npy":
        return np.load(io.BytesIO(content), allow_pickle=False)
    text = content.decode("utf-8-sig")
    if suffix == ".json":
        return json.loads(text)
    words = text.replace("\n", ",").replace("\r", ",").replace(";", ",").split(",")
    return [float(word) for word in words if word.strip()]
