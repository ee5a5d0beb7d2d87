"""Half: whether a recipe was run in half precision, which no run in float32 explains."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from bertlens.judge.identify.proof import ALIKE, alike, votes
from bertlens.read.bank import Asked, Row
from bertlens.read.post import unit

if TYPE_CHECKING:
    from bertlens.judge.identify.search import Clue, Search
    from bertlens.read.recipe import Recipe

NARROW = ("float16", "bfloat16")


def in_half(search: Search, clue: Clue) -> Clue | None:
    """The clue's recipe in half precision, where that explains the probes that have a row or the shorter ones; else None.

    In half precision padding changes the order of sums by as much as the rounding of the weights does, so that a text which
    was run alone in float32 is also run as part of the whole batch.
    """
    if clue.way.condition.dtype != "float32":
        return None
    condition = clue.way.condition
    layouts = [clue.way]
    if condition.batch == "alone":
        layouts.append(replace(clue.way, condition=condition.replace(batch="whole")))
    tried = (_tried(search, clue, way, dtype) for way in layouts for dtype in NARROW)
    return min((found for found in tried if found is not None), key=lambda found: found.score, default=None)


def _tried(search: Search, clue: Clue, single: Recipe, dtype: str) -> Clue | None:
    """The clue as this way into the model in half precision, where that explains enough."""
    at, widths = search.space.readouts.index(clue.readout), search.widths(single)
    way = replace(single, condition=single.condition.replace(dtype=dtype))
    plain, rows = _rows(search, single, widths), _rows(search, way, widths)
    if plain is None or rows is None:
        return None
    half, full = search.match(rows), search.match(plain)
    targets = full.rows[:, at]
    wanted = search.space.wanted(search.given.values[targets], at)
    sides = _sides(search, plain, rows, at, wanted)
    apart = np.array([_sine(one, other) for one, other in zip(*sides, strict=True)])
    if apart.max() < search.grain:
        near = _hidden(search, clue, plain, rows, targets)
    else:
        nearest = np.minimum(half.any[:, at], full.any[:, at])
        near = (nearest <= 1.7 * apart + search.grain) & (full.any[:, at] <= 2.2 * apart + search.given.grain)
        near &= _agreement(sides[0][near], sides[1][near], wanted[near]) >= ALIKE
    # a longer text may be cut, and any text may be the one that has no row
    cut = near.any() and min(np.array(widths)[~near], default=0) > max(np.array(widths)[near])
    if not near.any() or not (cut or near.sum() >= len(search.probes) - search.missing):
        return None
    explained = {probe: width for probe, width, fits in zip(search.probes, widths, near, strict=True) if fits}
    where = tuple(map(int, half.rows[:, at]))
    score = float(half.scores[at])  # the clue may be of a search with other probes
    return replace(clue, way=way, score=score, probes=search.probes, rows=where, explained=explained)


def _rows(search: Search, way: Recipe, widths: Sequence[int]) -> list[Row] | None:
    """The probes under a way, None where the model cannot run one."""
    rows = search.bank.read([Asked(way, probe, width) for probe, width in zip(search.probes, widths, strict=True)])
    whole = [row for row in rows if row is not None]
    return whole if len(whole) == len(rows) else None


def _sides(search: Search, plain: Sequence[Row], half: Sequence[Row], at: int, wanted: np.ndarray) -> tuple[np.ndarray, ...]:
    """The vectors of a readout in float32 and in half precision after what was done to them, as far as it changes directions.

    Each (probes, dims): of what may have been done, that which brings float32 nearest to the wanted vectors.
    """
    sides = [np.stack([search.space.vector(row, at) for row in rows]) for rows in (plain, half)]
    if search.space.readouts[at] in search.space.logits:
        return tuple(sides)
    changed = [tuple(np.asarray(change(side[:, None])[:, 0]) for side in sides) for change in search.transforms]
    return min(changed, key=lambda pair: sum(_sine(one, row) for one, row in zip(pair[0], wanted, strict=True)))


def _hidden(search: Search, clue: Clue, plain: Sequence[Row], rows: Sequence[Row], targets: np.ndarray) -> np.ndarray:
    """(probes,): where storing takes away more than half precision does, its very digits must still be nearer."""
    single, half = (search.fit(clue.readout, side, list(map(int, targets))) for side in (plain, rows))
    nearer, farther = votes(half, single, search.given.values[targets])
    moved = np.abs(half.expected - single.expected).max(1) / np.where(half.size > 0, half.size, 1.0)
    return np.asarray(half.fits(moved) & (nearer > farther))


def _agreement(plain: np.ndarray, half: np.ndarray, rows: np.ndarray) -> float:
    """Whether rows lie from float32, (probes, dims), where half precision moves it: the cosine of the two moves."""
    plain, half, wanted = unit(plain), unit(half), unit(rows)
    signs = np.sign((plain * wanted).sum(1, keepdims=True))
    return alike(half - plain, signs * wanted - plain)


def _sine(one: np.ndarray, other: np.ndarray) -> float:
    """The sine of the angle between two vectors."""
    lengths = float(np.linalg.norm(one) * np.linalg.norm(other))
    if not np.isfinite(lengths) or lengths == 0:
        return 0.0
    return float(np.sqrt(max(0.0, 1 - (float(one @ other) / lengths) ** 2)))
