"""Fit: what was done to vectors after they were read, and what its precision leaves unexplained."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from bertlens.judge.identify.given import Given
from bertlens.judge.identify.space import begin_alike, collinear
from bertlens.read.logits import Logits
from bertlens.read.pooled import Pooled
from bertlens.read.post import RANGED, Post
from bertlens.read.readout import Readout

ROUGH = 2e-5
"""Rounding of float32 before it is measured, as a share of the largest component: a generous guess."""

NICE = (1.0, -1.0, 127.0, -127.0, 128.0, 100.0, 10.0, 1000.0, 2.0, 0.5, 0.1, 0.01)
"""Factors that people multiply with; a fitted one this close to one of them is that one."""


@dataclass(frozen=True)
class Fit:
    """A readout with its post-processing held against rows.

    Attributes
    ----------
    readout, post : what was fitted.
    expected : (texts, dims), the vectors before they were stored.
    error, off : (texts,), largest and mean absolute difference.
    over : (texts,), largest part of a difference that storing does not explain.
    size : (texts,), largest component expected, of which rounding is a share; of logits at least 1.
    cosine : (texts,), cosine with the rows.
    """

    readout: Readout
    post: Post
    expected: np.ndarray
    error: np.ndarray
    off: np.ndarray
    over: np.ndarray
    size: np.ndarray
    cosine: np.ndarray

    def fits(self, relative: float | np.ndarray = ROUGH) -> np.ndarray:
        """(texts,): whether what storing leaves is below a share of the largest component."""
        return np.asarray(self.over <= relative * self.size)

    def post_of(self, dtype: str) -> Post:
        """The post-processing after a run in a number format; half precision needs no storing to have as few digits."""
        of_probabilities = isinstance(self.readout, Logits) and bool(self.readout.activation)
        return replace(self.post, store="") if self.post.store == dtype and not of_probabilities else self.post

    def of(self, texts: Sequence[int]) -> Fit:
        """The same of some texts."""
        few = {name: getattr(self, name)[list(texts)] for name in ("expected", "error", "off", "over", "size", "cosine")}
        return replace(self, **few)

    @property
    def left(self) -> float:
        """What is left unexplained, as a mean share of the largest component; infinite where a number is missing."""
        share = self.over / np.where(self.size > 0, self.size, 1.0)
        return float(share.mean()) if np.isfinite(share).all() else float("inf")


def fit(direction: Readout, pooled: Pooled, rows: np.ndarray, given: Given, relative: float | np.ndarray = ROUGH) -> Fit:
    """The post-processing that takes a readout's vectors nearest to `rows`, (texts, dims).

    The simplest one that explains all rows; where none does, the one that leaves least.
    """
    plain = [held(readout, post, pooled.vectors(readout), rows) for readout, post in _options(direction, pooled, given)]
    if (first := next((one for one in plain if one.fits(relative).all()), None)) is not None:
        return first
    best = min(plain, key=lambda one: one.left)
    for unscaled in plain:
        for one in _scaled(unscaled, pooled.vectors(unscaled.readout), rows, relative):
            if one.fits(relative).all():
                return one
            best = min(best, one, key=lambda one: one.left)
    return best


def held(readout: Readout, post: Post, vectors: np.ndarray, rows: np.ndarray) -> Fit:
    """Vectors of a readout, (texts, dimensions), with a known post-processing against rows, (texts, dims).

    A text whose row is NaN has none: it counts only for what is done among texts.
    """
    there = ~np.isnan(rows).all(1)
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        expected = post.before_storing(vectors)
        gap = np.abs(expected - rows)
        over = ((gap - post.coarseness(expected)) * post.weights(vectors)).max(1)
        lengths = np.linalg.norm(expected, axis=1) * np.linalg.norm(rows, axis=1)
        cosine = np.clip((expected * rows).sum(1) / np.where(lengths > 0, lengths, np.nan), -1, 1)
        # a row with a number missing can never be explained
        apart = np.abs(post.stored(expected) - rows)
        over, error, off = (np.where(np.isfinite(part), part, np.inf) for part in (over, apart.max(1), apart.mean(1)))
        over, error, off = (np.where(there, part, 0.0) for part in (over, error, off))
        size = np.abs(expected).max(1)
        if isinstance(readout, Logits) and not readout.activation:
            size = np.maximum(size, 1.0)  # sums of large numbers near zero: their rounding does not shrink with them
        return Fit(readout, post, expected, error, off, over, size, cosine)


def _options(direction: Readout, pooled: Pooled, given: Given) -> Iterator[tuple[Readout, Post]]:
    """Readouts of a direction with what may have been done to them, the simplest first."""
    if isinstance(direction, Logits):
        yield direction, Post(store=given.store, int8=given.int8, step=given.step)
        return
    readouts = [direction, *(one for one in collinear(direction) if one != direction)]
    full = pooled.vectors(direction).shape[1]
    dims = given.dims if given.dims < full else None
    stored = Post(store=given.store, int8=given.int8, step=1.0 if given.int8 else given.step)
    plain = replace(stored, dims=dims, sign=given.sign, codes=given.int8 != "rows" or given.codes)
    posts = [replace(plain, sign=""), plain] if given.sign == "removed" else [plain]
    if given.int8 in RANGED:
        posts += [replace(plain, sign="removed"), replace(plain, int8="")]
    if given.centred:
        posts += [replace(post, centred=given.centred) for post in posts]
    if given.unit and dims is not None:
        posts = [*(replace(post, again=True) for post in posts), *posts]
    if given.unit and given.centred:
        posts.append(replace(plain, centred=given.centred, again=True))
    if given.unit and not given.centred and len(given.values) > 2:
        posts.append(replace(plain, centred="texts", again=True))
    divided = [direction, *begin_alike(direction, pooled.depth)] if dims is not None else [direction]
    for post in posts:
        for l2 in (True, False) if given.unit else (False, True):
            for readout in divided if l2 else readouts:
                yield replace(readout, l2=l2), post


def _scaled(one: Fit, vectors: np.ndarray, rows: np.ndarray, relative: float | np.ndarray) -> Iterator[Fit]:
    """The same with the factors that fit best."""
    if one.post.sign == "only" or one.post.int8 in ("rows", *RANGED) or isinstance(one.readout, Logits):
        return
    for factor in _factors(one, one.post, rows, relative):
        yield held(one.readout, replace(one.post, scale=factor), vectors, rows)


def _factors(one: Fit, post: Post, rows: np.ndarray, relative: float | np.ndarray) -> list[float]:
    """Factors worth trying: the one of least squares, or where storing leaves a range of them, the nicest or the middle."""
    usable = np.isfinite(one.expected).all(1) & np.isfinite(rows).all(1)
    base, wanted = one.expected[usable], rows[usable]
    square = float((base**2).sum())
    least = float((base * wanted).sum()) / square if square > 0 else 0.0
    if least == 0.0 or not np.isfinite(least):
        return []
    share = np.broadcast_to(np.asarray(relative, float), (len(rows),))[usable]
    slack = post.coarseness(wanted) + (share * np.abs(wanted).max(1))[:, None]
    large = np.abs(base) > 1e-3 * np.abs(base).max()
    ends = np.sort(np.stack([(wanted - slack)[large] / base[large], (wanted + slack)[large] / base[large]]), 0)
    low, high = float(ends[0].max()), float(ends[1].min())
    if low > high:
        return [least]
    nice = [factor for factor in NICE if low <= factor <= high and factor != 1.0]
    return [*nice[:1], least if low <= least <= high else (low + high) / 2]
