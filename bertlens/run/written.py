"""Written numbers: vectors as text: JSON, lines of numbers, what numpy and PyTorch print, base64; and which format they had."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

NUMBER = r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?|[-+]?(?:nan|inf(?:inity)?)|null|none"
_PARTS = re.compile(rf"(?P<number>{NUMBER})(?![\w.])|(?P<bracket>[\[\]])|(?P<gap>[\s,;]+)", re.IGNORECASE)
_WRAPPED = re.compile(
    r"(?:\b(?:np\.|numpy\.|torch\.)?(?:array|tensor)\()|(?:,\s*(?:dtype|device|grad_fn|requires_grad)=[^,)\]]*)+"
)

WRAPPED_AT = 16
"""Numbers on a line of a printed vector at most: numpy breaks lines after 75 characters."""

SAMPLED = 200_000
"""Numbers whose digits are looked at."""

LEAST_PACKED = 40
"""Characters of base64 below which a string is taken for a word."""


def parsed(text: str) -> list[Any]:
    """Nested lists of floats out of brackets and numbers, as JSON, numpy or PyTorch write them.

    Lines without brackets are a list each; numbers one below the other, lines that end with commas, and short lines of
    one length with a shorter last are one list.

    Raises
    ------
    ValueError
        For words, brackets that do not close, or a print that was shortened with "...".
    """
    if "..." in text or "…" in text:
        raise ValueError("a print that was shortened with “...”; print it whole with np.set_printoptions(threshold=np.inf)")
    bare = _WRAPPED.sub("", text).replace(")", " ")
    if "[" in bare:
        return _nested(bare)
    lines = [line.strip() for line in bare.splitlines() if line.strip()]
    rows = [_nested(line) for line in lines]
    counts = [len(row) for row in rows]
    if not rows:
        raise ValueError("nothing")
    broken = len(set(counts[:-1])) == 1 and counts[-1] < counts[0] <= WRAPPED_AT
    if max(counts) == 1 or broken or (len(lines) > 1 and all(line.endswith(",") for line in lines[:-1])):
        return [number for row in rows for number in row]
    return rows


def _nested(text: str) -> list[Any]:
    """The numbers of a text in lists, a list for each pair of brackets; one pair around everything is no list more."""
    stack: list[list[Any]] = [[]]
    at = 0
    while at < len(text):
        part = _PARTS.match(text, at)
        if part is None:
            word = re.match(r"\S{1,30}", text[at:])
            raise ValueError(f"“{word[0] if word else text[at]}” where a number was expected")
        at = part.end()
        if part.lastgroup == "number":
            number = part[0].lower()
            stack[-1].append(np.nan if number in ("null", "none") else float(number))
        elif part[0] == "[":
            stack.append([])
        elif part[0] == "]":
            if len(stack) == 1:
                raise ValueError("a bracket that was never opened")
            inner = stack.pop()
            stack[-1].append(inner)
    if len(stack) > 1:
        raise ValueError("a bracket that is never closed")
    found = stack[0]
    return found[0] if len(found) == 1 and isinstance(found[0], list) else found


def stacked(rows: Sequence[Any]) -> np.ndarray:
    """Rows of numbers, or of lists of them, as one float64 array; a row that is missing (None) is NaN.

    Raises
    ------
    ValueError
        For rows of unequal length, which it names, and for anything that is no number.
    """
    whole = next((row for row in rows if row is not None), None)
    if isinstance(whole, list | tuple | np.ndarray):
        lengths = [None if row is None else len(row) if isinstance(row, list | tuple | np.ndarray) else 1 for row in rows]
        odd = next((at for at, length in enumerate(lengths) if length not in (None, len(whole))), None)
        if odd is not None:
            raise ValueError(f"rows of unequal length: {lengths[odd]} in row {odd}, {len(whole)} in others")
        rows = [[np.nan] * len(whole) if row is None else row for row in rows]
    try:
        found = np.array(rows)
        if found.dtype == object:  # None among the numbers
            found = np.array(rows, dtype=np.float64)
    except (ValueError, TypeError):
        raise ValueError("lists of unequal length, or words among the numbers") from None
    if found.dtype.kind not in "iuf":
        raise ValueError("words where numbers were expected" if found.dtype.kind in "US" else f"values of {found.dtype}")
    return found.astype(np.float64)


def format_of(values: np.ndarray) -> tuple[np.ndarray, str, tuple[str, ...]]:
    """Which number format written numbers had, by their digits: the numbers of that format, its name, and notes.

    float32 where every number is one or the shortest way to write one, int8 and uint8 for whole numbers of their range,
    float64 for more digits, and "decimal" where the digits were cut.
    """
    finite = values[np.isfinite(values)]
    some = finite[:: max(1, len(finite) // SAMPLED)]
    if len(some) and (some == np.round(some)).all() and (finite == np.round(finite)).all():
        low, high = finite.min(), finite.max()
        kind = "int8" if low >= -128 and high <= 127 else "uint8" if low >= 0 and high <= 255 else "float64"
        return values, kind, ()
    with np.errstate(over="ignore", invalid="ignore"):
        single = values.astype(np.float32).astype(np.float64)
    if np.array_equal(single, values, equal_nan=True):
        return values, "float32", ()
    digits = _digits(some)
    shortest = some.astype(np.float32).astype(str).astype(np.float64)
    if 7 < digits <= 9 and np.array_equal(shortest, some):
        return single, "float32", ()
    if digits > 12:
        return values, "float64", ()
    places = _places(some)
    return values, "decimal", (f"The numbers are written with at most {places} digits after the point.",) if places else ()


def _digits(values: np.ndarray) -> int:
    """Significant digits that the numbers need at most, in the shortest way of writing them."""
    return max((len(_mantissa(value)) for value in values.tolist()), default=0)


def _mantissa(value: float) -> str:
    return repr(abs(value)).split("e")[0].replace(".", "").strip("0")


def _places(values: np.ndarray) -> int:
    """Digits after the point, 0 where it is not these that were cut."""
    return next((places for places in range(1, 9) if np.array_equal(np.round(values, places), values)), 0)


def packed(content: str | bytes) -> np.ndarray:
    """The float32 numbers of base64 or of bare bytes, least significant byte first.

    Raises
    ------
    ValueError
        Where it is no base64, or no whole count of numbers.
    """
    try:
        raw = content if isinstance(content, bytes) else base64.b64decode(content, validate=True)
    except binascii.Error:
        raise ValueError("text that is no base64") from None
    if not raw or len(raw) % 4:
        raise ValueError(f"{len(raw)} bytes, which is no whole count of float32 numbers")
    return np.frombuffer(raw, "<f4")


def looks_packed(values: Iterable[Any]) -> bool:
    """Whether strings may be base64 of vectors: long, of one length, and of its letters alone."""
    strings = [value for value in values if value is not None][:20]
    if not strings or len({len(value) for value in strings}) > 1 or len(strings[0]) < LEAST_PACKED:
        return False
    return all(re.fullmatch(r"[A-Za-z0-9+/]+={0,2}", value) and len(value) % 4 == 0 for value in strings)
