"""Heads: how many attention heads the weights were trained with, which no shape reveals.

Query, key and value are hidden x hidden for any number of heads, so a wrong `num_attention_heads` loads without a word. But the
units of one head are trained together and grow alike, while heads differ: the norms of the rows (of the output's columns) jump
at the multiples of the head size and are exchangeable in between.

Each matrix gives one series of norms, turned into normal scores by rank so that outliers count no more than others. For every
divisor d of the width, the series is explained as blocks of d units with a level of their own. The score of d is the
logarithm of how much likelier that makes the series than no blocks at all, less half that of the width for the one parameter.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

SIDES = {"query": "where to look", "key": "where to look", "value": "what to take", "output": "what to take"}
"""The two products of attention; each must betray the same head size."""

LEAST = 10.0
"""The best head size must lead every other one, and no blocks at all, by this score and by 1 per matrix."""

STEEP = 4.0
"""The steps between blocks must exceed those inside by so many standard errors, which those of a mere drift do not."""

SHARES = torch.linspace(0.01, 0.99, 50, dtype=torch.float64)
"""Part of the variance that may lie between the blocks."""


@dataclass(frozen=True)
class HeadSize:
    """How many units one attention head has, judged from the weights alone.

    Attributes
    ----------
    size : units per head; None where the weights do not tell.
    heads : width / size; None likewise.
    evidence : score of every divisor of the width between 2 and width / 2; no blocks at all would score 0.
    margin : by how much the best head size leads everything else; None where there was nothing to compare.
    agreeing, layers : layers that would give the best head size alone, of how many.
    sentence : the result in one sentence.
    """

    size: int | None
    heads: int | None
    evidence: dict[int, float]
    margin: float | None
    agreeing: int
    layers: int
    sentence: str


def head_size(layers: Sequence[Mapping[str, Tensor]]) -> HeadSize:
    """The head size that the attention matrices betray, or none.

    Parameters
    ----------
    layers : per layer, as `bertlens.read.projections` returns them, any of "query", "key", "value" (hidden out, hidden in) and
        "output" (hidden, hidden in). With rotary positions leave out query and key, whose norms also follow the frequencies
        within a head.
    """
    found = {
        (at, name): _scores(_norms(name, layer[name])) for at, layer in enumerate(layers) for name in SIDES if name in layer
    }
    series = {key: row for key, row in found.items() if row is not None}
    width = len(next(iter(series.values()), ()))
    sizes = [size for size in range(2, width // 2 + 1) if width % size == 0]
    if not sizes or any(len(row) != width for row in series.values()):
        return HeadSize(None, None, {}, None, 0, len(layers), "Cannot tell the head size: no matrices with units to divide.")
    scores = torch.stack([*series.values()])
    each = {size: _evidence(scores, size) for size in sizes}
    evidence = {size: float(score.sum()) for size, score in each.items()}
    best = max(sizes, key=lambda size: evidence[size])
    elsewhere = [(size, size * part // 4) for size in sizes for part in (1, 2, 3) if size * part >= 4]  # no heads begin there
    others = [float(_evidence(scores, size, shift).sum()) for size, shift in elsewhere]
    margin = evidence[best] - max([0.0, *others, *(evidence[size] for size in sizes if size != best)])
    alone = _choices(each, [at for at, _ in series])
    agreed = {*_choices(each, [SIDES[name] for _, name in series])} == {best}
    told = agreed and margin >= max(LEAST, len(series)) and _steepness(scores, best) >= STEEP
    words = _sentence(width, best, evidence, told, f"{alone.count(best)} of {len(alone)} layers")
    size, heads = (best, width // best) if told else (None, None)
    return HeadSize(size, heads, evidence, margin, alone.count(best), len(alone), words)


def _norms(name: str, matrix: Tensor) -> Tensor:
    """Norm of every unit's weights: rows, and columns of the output, for which `Tensor.norm` takes fifteen times as long."""
    return matrix.detach().float().square().sum(0 if name == "output" else 1).sqrt().cpu()


def _scores(norms: Tensor) -> Tensor | None:
    """Normal scores of the ranks, mean 0 and variance 1; None where all units are the same or not numbers."""
    if not norms.isfinite().all():
        return None
    _, place, counts = torch.unique(norms, return_inverse=True, return_counts=True)
    middle = counts.cumsum(0) - counts / 2
    scores = torch.special.ndtri(middle.double() / len(norms))[place]
    return (scores - scores.mean()) / scores.std(unbiased=False) if len(counts) > 1 else None


def _evidence(scores: Tensor, size: int, shift: int = 0) -> Tensor:
    """Score of blocks of a size that begin at `shift`, per series (matrices,); `scores` is (matrices, units).

    Blocks with normal levels: of a share s of the variance between them and 1 - s within, the likeliest is taken.
    """
    width = scores.shape[1]
    blocks = width // size
    levels = scores.roll(-shift, 1).view(-1, blocks, size).mean(2)
    between = size * (levels**2).sum(1)
    inner = (1 - SHARES)[:, None]
    outer = inner + size * SHARES[:, None]
    fit: Tensor = blocks * ((size - 1) * inner.log() + outer.log()) + (width - between) / inner + between / outer
    return (width - fit.amin(0)) / 2 - math.log(width) / 2


def _choices(each: Mapping[int, Tensor], owners: Sequence[object]) -> list[int]:
    """The head size that each owner of matrices would give alone."""
    places = [[at for at, other in enumerate(owners) if other == owner] for owner in dict.fromkeys(owners)]
    return [max(each, key=lambda size, mine=mine: float(each[size][mine].sum())) for mine in places]  # type: ignore[misc]


def _steepness(scores: Tensor, size: int) -> float:
    """How much larger the steps at the multiples of a size are than those half-way between, in standard errors."""
    blocks = scores.view(len(scores), -1, size)
    first, second = blocks[..., : size // 2].mean(2), blocks[..., -(size // 2) :].mean(2)
    inside, across = (first - second) ** 2, (second[:, :-1] - first[:, 1:]) ** 2
    return float((across.mean() / inside.mean()).log()) / math.sqrt(2 / across.numel() + 2 / inside.numel())


def _sentence(width: int, best: int, evidence: dict[int, float], told: bool, layers: str) -> str:
    if told:
        return (
            f"The weights are those of {width // best} heads of {best}: the norms of their units jump at multiples of {best} "
            f"and nowhere else ({layers} say so alone)."
        )
    if evidence[best] < LEAST:
        return "Cannot tell the head size: the norms of the units show no blocks, as in weights that were hardly trained."
    return f"Cannot tell the head size: blocks of {best} fit best, but the matrices do not agree on it clearly enough."
