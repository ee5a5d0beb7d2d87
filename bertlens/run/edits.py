"""Edits: changes of the looked-up vectors of chosen tokens, written `3:scale=2;5-7:zero`, and carried out on a tensor.

An edit is `tokens:kind` or `tokens:kind=value`; tokens are a position, counted from 0, a range `2-4` with both ends, or `all`.
Several edits are divided by semicolons and carried out in their order, each on what the ones before left.
"""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch

from bertlens.errors import BertlensError

KINDS: dict[str, tuple[str, str]] = {
    "scale": ("2", "times a factor"),
    "zero": ("", "all zeros"),
    "noise": ("0.5@0", "Gaussian noise: its length over the mean length of the row's lookups, then @ and the seed"),
    "token": ("river", "the vector of another token of the vocabulary: as the tokenizer writes it, or # and its id"),
    "average": ("left", "the mean of itself and its neighbour on the left or on the right"),
    "vector": ("name", "a vector from a file, by the name of that file"),
}
"""Every kind of edit with a value that it takes and what it makes of the token's vector."""

WRITTEN = re.compile(r"\s*(?P<tokens>all|\d+(?:\s*-\s*\d+)?)\s*:\s*(?P<kind>[a-z]+)\s*(?:=(?P<value>.*))?", re.DOTALL)
WHAT = "cannot read the edit"


@dataclass(frozen=True)
class Edit:
    """One change of the vectors of some tokens.

    Attributes
    ----------
    first, last : positions of the first and of the last token that is changed; -1 as the last is the end of the row.
    kind : a key of `KINDS`.
    value : as it was written; "" for a kind without one.
    number : of scale the factor, of noise its relative length; 0 elsewhere.
    seed : of noise.
    """

    first: int
    last: int
    kind: str
    value: str = ""
    number: float = 0.0
    seed: int = 0

    def __str__(self) -> str:
        some = str(self.first) if self.first == self.last else f"{self.first}-{self.last}"
        tokens = "all" if self.last == -1 else some
        return f"{tokens}:{self.kind}" + (f"={self.value}" if self.value else "")


def parse(text: str) -> tuple[Edit, ...]:
    """Read edits from their notation; an empty text has none.

    Raises
    ------
    BertlensError
        For what is no edit, with the part of the text and what could stand there.
    """
    # a semicolon begins another edit only before tokens and a colon, so that the token ";" can be named
    parts = re.split(r";(?=\s*(?:all|\d+(?:\s*-\s*\d+)?)\s*:)", re.sub(r"(?<!=)[;\s]+$", "", text))
    return tuple(_edit(part) for part in (part.strip() for part in parts) if part)


def written(edits: tuple[Edit, ...]) -> str:
    """The edits in their notation."""
    return ";".join(map(str, edits))


def _edit(part: str) -> Edit:
    match = WRITTEN.fullmatch(part)
    if match is None:
        raise BertlensError(f"{WHAT} '{part[:60]}'", expected="tokens:kind=value, such as 3:scale=2 or 5-7:zero")
    kind, value = match["kind"], (match["value"] or "").strip()
    if kind not in KINDS:
        near = difflib.get_close_matches(kind, KINDS, n=1)
        do = f"did you mean '{near[0]}'?" if near else ""
        raise BertlensError(f"{WHAT} '{part[:60]}'", got=f"the kind '{kind}'", expected=" / ".join(KINDS), do=do)
    example = KINDS[kind][0]
    if bool(example) != bool(value):
        got = "no value" if example else f"the value '{value[:40]}'"
        raise BertlensError(f"{WHAT} '{part[:60]}'", got=got, expected=f"{kind}={example}" if example else f"{kind} alone")
    first, last = _tokens(match["tokens"], part)
    number, seed = _numbers(kind, value, part)
    return Edit(first, last, kind, value, number, seed)


def _tokens(tokens: str, part: str) -> tuple[int, int]:
    if tokens == "all":
        return 0, -1
    first, _, last = tokens.partition("-")
    if last and int(last) < int(first):
        got = f"tokens {int(first)} to {int(last)}"
        raise BertlensError(f"{WHAT} '{part[:60]}'", got=got, expected="the smaller position first")
    return int(first), int(last or first)


def _numbers(kind: str, value: str, part: str) -> tuple[float, int]:
    """Factor or length, and seed."""
    if kind == "average" and value not in ("left", "right"):
        raise BertlensError(f"{WHAT} '{part[:60]}'", got=f"'{value[:40]}'", expected="average=left or average=right")
    if kind not in ("scale", "noise"):
        return 0.0, 0
    size, _, seed = value.partition("@") if kind == "noise" else (value, "", "")
    try:
        number = float(size)
        drawn = int(seed or 0)
    except ValueError:
        number, drawn = math.nan, 0
    if not math.isfinite(number) or abs(number) > 1e6 or not 0 <= drawn < 2**63:
        expected = "a number up to a million" + (", @ and a whole number as the seed" if kind == "noise" else "")
        raise BertlensError(f"{WHAT} '{part[:60]}'", got=f"'{value[:40]}'", expected=expected)
    return number, drawn


def check(edits: tuple[Edit, ...], tokens: int) -> None:
    """Raise where an edit names a token that the row does not have, or a neighbour beyond its end."""
    for edit in edits:
        last = tokens - 1 if edit.last == -1 else edit.last
        if last >= tokens:
            got = f"token {last} of a text with {tokens} tokens"
            raise BertlensError(f"cannot carry out {edit}", got=got, expected=f"tokens 0 … {tokens - 1}")
        beyond = edit.first == 0 if edit.value == "left" else last == tokens - 1
        if edit.kind == "average" and beyond:
            raise BertlensError(
                f"cannot carry out {edit}",
                got=f"token {edit.first if edit.value == 'left' else last}, which has no neighbour on the {edit.value}",
                do="choose the other side, or other tokens",
            )


def edited(
    lookup: torch.Tensor,
    edits: tuple[Edit, ...],
    entry: Callable[[str], torch.Tensor],
    vectors: Mapping[str, Any],
) -> torch.Tensor:
    """The looked-up vectors of one row, (tokens, width), after the edits; the tensor given stays as it is.

    Noise is drawn in float32 on the CPU whatever the format is, so that a repeat in float64 has the same.

    Parameters
    ----------
    entry : from a token as an edit writes it to its vector, (width,).
    vectors : name -> (width,), for the edits of kind `vector`.

    Raises
    ------
    BertlensError
        For tokens that the row does not have, a token that is not in the vocabulary, or a vector that nobody gave.
    """
    check(edits, len(lookup))
    found, length = lookup.clone(), lookup.norm(dim=1).mean()
    for edit in edits:
        place = slice(edit.first, None if edit.last == -1 else edit.last + 1)
        found[place] = _changed(found, place, edit, length, entry, vectors)
    return found


def _changed(
    found: torch.Tensor,
    place: slice,
    edit: Edit,
    length: torch.Tensor,
    entry: Callable[[str], torch.Tensor],
    vectors: Mapping[str, Any],
) -> torch.Tensor:
    chosen = found[place]
    if edit.kind == "scale":
        return chosen * edit.number
    if edit.kind == "zero":
        return torch.zeros_like(chosen)
    if edit.kind == "noise":
        drawn = torch.randn(chosen.shape, generator=torch.Generator().manual_seed(edit.seed), dtype=torch.float32)
        scale = edit.number * length / math.sqrt(chosen.shape[1])
        return chosen + drawn.to(chosen) * scale
    if edit.kind == "token":
        row: torch.Tensor = entry(edit.value)
        return row.to(chosen).expand_as(chosen)
    if edit.kind == "average":
        step = -1 if edit.value == "left" else 1
        beside = found[edit.first + step : edit.first + step + len(chosen)]
        return (chosen + beside) / 2
    if edit.value not in vectors:
        raise BertlensError(f"cannot carry out {edit}", got=f"no vector called '{edit.value}'", do="upload its file again")
    return torch.as_tensor(vectors[edit.value]).to(chosen).expand_as(chosen)
